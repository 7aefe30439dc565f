# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role artifact_store: nginx serves a builder's releases and models, and nothing else of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import is_as_packaged
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks, has_ipv6
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import HIDDEN
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account, read_account, user_number
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files, read_units
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ABSENT_UNIT,
    ConfigFile,
    Directory,
    LiveFile,
    LiveUnit,
    Unit,
    pending_directories,
    pending_files,
    pending_units,
    shared_above,
    shared_directories,
    unit_sentences,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan, removal

UNIT = "edge-slm-artifacts.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
RUN_DIR = "/run/edge-slm-artifacts"
#: nginx with the modules that matter here, and the instance that the package starts at boot.
PACKAGE = "nginx-light"
DISTRIBUTION_UNIT = "nginx.service"
DISTRIBUTION_CONFIG = "/etc/nginx/nginx.conf"
DISTRIBUTION_DIRS = ("/etc/nginx/conf.d", "/etc/nginx/sites-enabled")
WELCOME = "/etc/nginx/sites-available/default"
#: A builder that serves, too, may fetch from itself.
LOOPBACK = ("127.0.0.0/8", "::1")
#: What nginx makes directories for when it starts.
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
STATES = ("present", "absent")
#: What needs no quotes in nginx's configuration.
PATH = re.compile(r"(/[A-Za-z0-9@%+=:,._-]+)+/?")


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast and checked."""

    state: str
    port: int
    cidrs: tuple[str, ...]
    releases_path: str
    models_path: str
    #: User and group that nginx runs as.
    user: str
    config: str
    unit: str

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name; `absent` needs none of them."""
        state = str(values["state"])
        if state not in STATES:
            problems.add("state", f"{state!r} is not one of {', '.join(STATES)}.")
        judged = Problems() if state == "absent" else problems
        return cls(
            state=state,
            port=as_int(values["port"], "port", 1024, 65535, judged),
            cidrs=as_networks(values["cidrs"], "cidrs", judged),
            releases_path=as_path(values["releases_path"], "releases_path", judged),
            models_path=as_path(values["models_path"], "models_path", judged),
            user=str(values["user"]),
            config=str(values["config"]),
            unit=str(values["unit"]),
        )

    @property
    def config_dir(self) -> str:
        """Where the configuration is."""
        return os.path.dirname(self.config)

    @property
    def directories(self) -> tuple[str, ...]:
        """The role's directories."""
        return self.config_dir, self.releases_path, self.models_path


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    account: Account
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    unit: LiveUnit = ABSENT_UNIT
    installed: bool = False
    ipv6: bool = True
    #: The distribution's own instance runs or is enabled, and nobody has configured it.
    idle_distribution: bool = False
    #: Whether our nginx listens on the port, and who else does; empty where nobody does.
    listening: bool = False
    port_owner: str = ""


def as_path(value: object, variable: str, problems: Problems) -> str:
    """Cast a directory's path, or add a problem."""
    path = str(value or "")
    if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        problems.add(variable, f"{path!r} is not an absolute path of letters, digits and @%+=:,._-; choose another.")
    elif f"{path}/".startswith(HIDDEN):
        problems.add(variable, f"{path} cannot be served: services do not see {', '.join(HIDDEN)}; choose another.")
    return path.rstrip("/")


def conf_text(inputs: Inputs, ipv6: bool) -> str:
    """Return the configuration of nginx."""
    listen = [f"        listen {inputs.port};", *([f"        listen [::]:{inputs.port};"] if ipv6 else [])]
    # Packages bring nginx with these directories compiled in, where our user cannot write.
    temporary = [f"    {kind}_temp_path {RUN_DIR}/{kind};" for kind in TEMPORARY]
    lines = [
        "# Written by the role edge_slm.fleet.artifact_store; changes are overwritten.",
        "daemon off;",
        "worker_processes auto;",
        f"pid {RUN_DIR}/nginx.pid;",
        "error_log stderr;",
        "events {",
        "}",
        "http {",
        "    access_log off;",
        "    server_tokens off;",
        "    default_type application/octet-stream;",
        "    sendfile on;",
        *temporary,
        "    server {",
        *listen,
        "        server_name _;",
        "",
        *(f"        allow {network};" for network in (*LOOPBACK, *inputs.cidrs)),
        "        deny all;",
        "",
        "        location /releases/ {",
        f"            alias {inputs.releases_path}/;",
        "        }",
        "        location /models/ {",
        f"            alias {inputs.models_path}/;",
        "        }",
        "        location / {",
        "            return 404;",
        "        }",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def is_idle(unit: LiveUnit) -> bool:
    """Return whether the distribution's instance has nothing to serve but what its package brought."""
    if not (unit.active or unit.enabled):
        return False
    places = [place for place in DISTRIBUTION_DIRS if os.path.isdir(place)]
    sites = {os.path.realpath(entry) for place in places for entry in os.scandir(place)}
    return sites <= {WELCOME} and all(map(is_as_packaged, (DISTRIBUTION_CONFIG, *sites)))


def read_live(inputs: Inputs) -> Live:
    """Return the host as it is."""
    listening = [one for one in read_listeners() if one.port == inputs.port] if inputs.state == "present" else []
    own = user_number(inputs.user)
    units = read_units([UNIT, DISTRIBUTION_UNIT])
    paths = (UNIT_FILE, inputs.config, *inputs.directories, *shared_above(*inputs.directories))
    return Live(
        account=read_account(inputs.user),
        files=read_files(paths),
        unit=units.get(UNIT, ABSENT_UNIT),
        installed=bool(find_command("nginx")),
        ipv6=has_ipv6(),
        idle_distribution=is_idle(units.get(DISTRIBUTION_UNIT, ABSENT_UNIT)),
        listening=any(one.uid == own for one in listening),
        port_owner=min((holder(one) for one in listening if one.uid != own), default=""),
    )


def unit_actions(inputs: Inputs, live: Live, write: FileSet) -> list[dict[str, Any]]:
    """Return what is to be done to the unit: a changed unit is restarted, a changed configuration is reloaded."""
    changing = [file.path for file in write.files]
    for reads, on_change in ((UNIT_FILE, "restarted"), (inputs.config, "reloaded")):
        unit = Unit(UNIT, (reads,), on_change if live.unit.active else "restarted")
        actions = pending_units([unit], {UNIT: live.unit}, live.files, changing)
        if actions:
            return actions
    if live.listening:
        return []
    return [{"name": UNIT, "state": "restarted", "enabled": True, "why": f"does not listen on port {inputs.port}"}]


def decide(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems."""
    if inputs.state == "absent":
        return decide_absent(inputs, live)
    if live.port_owner:
        return Plan(
            unfit=[
                f"artifact_store_port: {inputs.port} is taken by {live.port_owner}; stop it, or choose another port."
            ]
        )
    directories = [*shared_directories(*inputs.directories), *map(Directory, inputs.directories)]
    files = [ConfigFile(inputs.config, conf_text(inputs, live.ipv6)), ConfigFile(UNIT_FILE, inputs.unit)]
    write = FileSet(pending_directories(directories, live.files), pending_files(files, live.files))
    actions = unit_actions(inputs, live, write)
    idle = f"unit {DISTRIBUTION_UNIT}: is enabled, and nobody has configured it"
    return Plan(
        pending=[
            *([] if live.installed else [f"package {PACKAGE}: is not installed"]),
            *([idle] if live.idle_distribution else []),
            *live.account.missing(),
            *write.sentences(),
            *unit_sentences(actions),
        ],
        needs={
            "packages": [] if live.installed else [PACKAGE],
            "idle_distribution": live.idle_distribution,
            "accounts": [inputs.user] if live.account.missing() else [],
            "units": actions,
        },
        files={"configure": write},
    )


def decide_absent(inputs: Inputs, live: Live) -> Plan:
    """Return what is left of the role; the package, and what was served, stay."""
    return removal((UNIT,), (UNIT_FILE, inputs.config_dir), (live.account,), {UNIT: live.unit}, live.files)


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    problems = Problems(prefix="artifact_store_")
    cast = Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if not host.device["systemd"]:
        return Plan(unfit=["artifact_store: this host was not booted by systemd; start it with systemd as its init."])
    return decide(cast, read_live(cast))

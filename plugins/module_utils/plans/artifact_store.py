# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role artifact_store: nginx serves a builder's releases and models, and nothing else of ours."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import STATUS
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
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
    unit_sentences,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan

UNIT = "nginx.service"
#: nginx with the modules that matter here.
PACKAGE = "nginx-light"
CONF_DIR = "/etc/nginx/conf.d"
CONF = f"{CONF_DIR}/edge-slm-artifacts.conf"
SITES_DIR = "/etc/nginx/sites-enabled"
#: The distribution's welcome page: enabled by a link, and what the package brings.
WELCOME = f"{SITES_DIR}/default"
WELCOME_FILE = "/etc/nginx/sites-available/default"
IPV6 = "/proc/net/if_inet6"
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

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name; `absent` needs none of them."""
        state = str(values["state"])
        if state not in STATES:
            problems.add("state", f"{state!r} is not one of {', '.join(STATES)}.")
        judged = Problems() if state == "absent" else problems
        cidrs = as_texts(values["cidrs"], "cidrs", judged)
        known = len(judged.found)
        for index, cidr in enumerate(cidrs):
            check_cidr(cidr, f"cidrs[{index}]", judged)
        if not cidrs and len(judged.found) == known and isinstance(values["cidrs"], list):
            judged.add("cidrs", "is empty: nobody could fetch; give the devices' network, for example 192.168.1.0/24.")
        return cls(
            state=state,
            port=as_int(values["port"], "port", 1, 65535, judged),
            cidrs=cidrs,
            releases_path=as_path(values["releases_path"], "releases_path", judged),
            models_path=as_path(values["models_path"], "models_path", judged),
        )


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    files: Mapping[str, LiveFile] = field(default_factory=dict)
    unit: LiveUnit = ABSENT_UNIT
    installed: bool = False
    ipv6: bool = True
    #: The distribution's own welcome page is enabled, and nobody has changed it.
    welcome: bool = False
    #: Who listens on the port; empty where nobody does.
    port_owner: str = ""
    #: Names of what else nginx is configured to serve.
    other_sites: tuple[str, ...] = ()


def check_cidr(cidr: str, variable: str, problems: Problems) -> None:
    """Check a network."""
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        try:
            meant = f"write {ipaddress.ip_network(cidr, strict=False)}"
        except ValueError:
            meant = "write an address or a network, for example 192.168.1.0/24"
        problems.add(variable, f"{cidr!r} is not a network ({error}); {meant}.")


def as_path(value: object, variable: str, problems: Problems) -> str:
    """Cast a directory's path, or add a problem."""
    path = str(value or "")
    if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        problems.add(variable, f"{path!r} is not an absolute path of letters, digits and @%+=:,._-; choose another.")
    return path.rstrip("/")


def conf_text(inputs: Inputs, ipv6: bool) -> str:
    """Return nginx's configuration of our server."""
    listen = [f"    listen {inputs.port};", *([f"    listen [::]:{inputs.port};"] if ipv6 else [])]
    lines = [
        "# Written by the role edge_slm.fleet.artifact_store; changes are overwritten.",
        "server {",
        *listen,
        "    server_name _;",
        "",
        *(f"    allow {cidr};" for cidr in inputs.cidrs),
        "    deny all;",
        "",
        "    location /releases/ {",
        f"        alias {inputs.releases_path}/;",
        "    }",
        "    location /models/ {",
        f"        alias {inputs.models_path}/;",
        "    }",
        "    location / {",
        "        return 404;",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def packaged_md5(status: str, path: str) -> str:
    """Return the md5 that dpkg has noted of a configuration file when it unpacked it; empty where it knows none."""
    found = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})$", status, flags=re.MULTILINE)
    return found[1] if found else ""


def is_welcome_page(link: str, file: str, status: str) -> bool:
    """Return whether a site is enabled that is the package's own, as it was unpacked."""
    if not os.path.islink(link) or os.path.realpath(link) != os.path.realpath(file):
        return False
    try:
        with open(file, "rb") as content:
            # dpkg's own naming of contents.
            found = hashlib.new("md5", content.read(), usedforsecurity=False).hexdigest()
    except OSError:
        return False
    return found == packaged_md5(status, file)


def other_sites() -> tuple[str, ...]:
    """Return what else nginx is configured to serve, as far as files of the usual directories show."""
    found = []
    for directory in (CONF_DIR, SITES_DIR):
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            path = os.path.join(directory, name)
            if path != CONF and not name.startswith(".") and (directory == SITES_DIR or name.endswith(".conf")):
                found.append(path)
    return tuple(found)


def read_live(inputs: Inputs) -> Live:
    """Return the host as it is."""
    listening = [one for one in read_listeners() if one.port == inputs.port] if inputs.state == "present" else []
    owners = {holder(one) for one in listening}
    strangers = sorted(owner for owner in owners if not owner.startswith("nginx "))
    return Live(
        files=read_files((CONF, CONF_DIR, SITES_DIR, inputs.releases_path, inputs.models_path)),
        unit=read_units([UNIT]).get(UNIT, ABSENT_UNIT),
        installed=bool(find_command("nginx")),
        ipv6=os.path.exists(IPV6),
        welcome=os.path.lexists(WELCOME) and is_welcome_page(WELCOME, WELCOME_FILE, read_text(STATUS)),
        port_owner=strangers[0] if strangers else min(owners, default=""),
        other_sites=other_sites() if inputs.state == "absent" else (),
    )


def started_or_reloaded(actions: list[dict[str, Any]], live: Live) -> list[dict[str, Any]]:
    """Return a unit's actions with a start where there is nothing to reload."""
    return [
        {**action, "state": "restarted"} if action["state"] == "reloaded" and not live.unit.active else action
        for action in actions
    ]


def decide(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems."""
    if inputs.state == "absent":
        return decide_absent(live)
    if live.port_owner and not live.port_owner.startswith("nginx "):
        return Plan(
            unfit=[
                f"artifact_store_port: {inputs.port} is taken by {live.port_owner}; stop it, or choose another port."
            ]
        )
    directories = [Directory(inputs.releases_path), Directory(inputs.models_path)]
    write = FileSet(
        directories=pending_directories(directories, live.files),
        files=pending_files([ConfigFile(CONF, conf_text(inputs, live.ipv6))], live.files),
        remove=[WELCOME] if live.welcome else [],
    )
    changing = [*(file.path for file in write.files), *([SITES_DIR] if live.welcome else [])]
    # Both directories: what is removed leaves its trace there alone.
    unit = Unit(UNIT, (CONF, CONF_DIR, SITES_DIR), on_change="reloaded")
    actions = started_or_reloaded(pending_units([unit], {UNIT: live.unit}, live.files, changing), live)
    if not actions and not live.port_owner:
        why = f"does not listen on port {inputs.port}"
        actions = [{"name": UNIT, "state": "restarted", "enabled": True, "why": why}]
    pending = [*([] if live.installed else [f"package {PACKAGE}: is not installed"]), *write.sentences()]
    return Plan(
        pending=[*pending, *unit_sentences(actions)],
        needs={"packages": [] if live.installed else [PACKAGE], "units": actions},
        files={"configure": write},
    )


def decide_absent(live: Live) -> Plan:
    """Return what is left of the role: its configuration, and nginx where it has nothing else to serve."""
    files = FileSet(remove=[CONF] if CONF in live.files else [])
    if live.other_sites:
        unit = Unit(UNIT, (CONF, CONF_DIR), on_change="reloaded")
        actions = pending_units([unit], {UNIT: live.unit}, live.files, files.remove) if live.unit.active else []
    else:
        actions = pending_units([Unit(UNIT, wanted=False)], {UNIT: live.unit}, live.files, ())
        for action in actions:
            action["why"] = "has nothing to serve"
    return Plan(
        pending=[*files.sentences(), *unit_sentences(actions)],
        needs={"units": actions},
        files={"uninstall": files},
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    problems = Problems(prefix="artifact_store_")
    cast = Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if not host.device["systemd"]:
        return Plan(unfit=["artifact_store: this host was not booted by systemd; start it with systemd as its init."])
    return decide(cast, read_live(cast))

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role fleet_gateway: LiteLLM's proxy on loopback, which knows every device that serves a model."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks, as_proxies
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway import config
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import Routes, parse_routes
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

UNIT = "edge-slm-gateway.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
USER = "edge-slm-gateway"
ROOT = "/opt/edge-slm/gateway"
#: The list of packages that the environments in it are made of.
LOCK = f"{ROOT}.lock"
CONFIG_DIR = "/etc/edge-slm/gateway"
CONFIG = f"{CONFIG_DIR}/config.yaml"
POLICY = f"{CONFIG_DIR}/edge_slm_policy.py"
ENVIRONMENT = f"{CONFIG_DIR}/environment"
TRUSTED = f"{CONFIG_DIR}/trusted.pem"
#: What the proxy in front of it sends; made on the host, and nobody needs to know it.
MASTER_KEY = f"{CONFIG_DIR}/master-key"
#: The CAs that the host trusts.
SYSTEM_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
LOGGING = f"{CONFIG_DIR}/logging.json"
READS = (UNIT_FILE, CONFIG, POLICY, LOGGING, ENVIRONMENT, TRUSTED)
STATES = ("present", "absent")
PACKAGE = "python3-venv"
#: What LiteLLM's packages need.
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
#: It takes 350 MB and grows with what it passes on: a 4 GB board has its memory for a model.
LEAST_MEMORY_MIB = 1536
LEAST_BOARD_MEMORY_MIB = 6144


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast and checked. With the state absent the others are the defaults."""

    state: str = "present"
    port: int = 4001
    timeout_seconds: int = 600
    cooldown_seconds: int = 30
    routes: Routes = field(default_factory=Routes)
    proxies: Mapping[str, str] = field(default_factory=dict)
    #: Names the Python environment: a digest of what is in it.
    lock: str = ""
    unit: str = ""
    policy: str = ""
    #: CAs that have signed for devices, in PEM.
    ca: str = ""
    #: Why they cannot be had yet.
    ca_problem: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name."""
        state = str(values["state"])
        if state not in STATES:
            problems.add("state", f"{state!r} is not one of {', '.join(STATES)}.")
        if state != "present":
            return cls(state)
        as_networks(values["allowed_cidrs"], "allowed_cidrs", problems)
        return cls(
            state=state,
            port=as_int(values["port"], "port", 1024, 65535, problems),
            timeout_seconds=as_int(values["timeout_seconds"], "timeout_seconds", 10, 86400, problems),
            cooldown_seconds=as_int(values["cooldown_seconds"], "cooldown_seconds", 1, 3600, problems),
            routes=parse_routes(values, problems),
            proxies=as_proxies(values["proxy_environment"], "proxy_environment", problems),
            lock=str(values["lock"]),
            unit=str(values["unit"]),
            policy=str(values["policy"]),
            ca=str(values["ca_text"]),
            ca_problem=str(values["ca_problem"]),
        )

    @property
    def environment_dir(self) -> str:
        """Where its Python environment is."""
        return f"{ROOT}/{self.lock}"


NO_ACCOUNT = Account(USER)


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    account: Account = NO_ACCOUNT
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    unit: LiveUnit = ABSENT_UNIT
    #: Names of the Python environments that are there, and of what killed runs have left of one.
    environments: tuple[str, ...] = ()
    packaged: bool = False
    #: Of the Python that an environment is made of; () where there is none.
    python: tuple[int, ...] = ()
    system_trusted: str = ""
    #: Who else listens on the port.
    port_owner: str = ""


def read_live(inputs: Inputs, host: Host) -> Live:
    """Return the host as it is."""
    own = user_number(USER)
    listening = [one for one in read_listeners() if one.port == inputs.port and one.uid != own]
    version = re.search(r"(\d+)\.(\d+)", output_of(["/usr/bin/python3", "--version"]))
    paths = (*READS, MASTER_KEY, CONFIG_DIR, ROOT, LOCK, *shared_above(ROOT, CONFIG_DIR))
    return Live(
        account=read_account(USER),
        files=read_files(paths),
        unit=read_units([UNIT]).get(UNIT, ABSENT_UNIT),
        environments=tuple(sorted(os.listdir(ROOT))) if os.path.isdir(ROOT) else (),
        packaged=PACKAGE in host.packages,
        python=(int(version[1]), int(version[2])) if version else (),
        system_trusted=read_text(SYSTEM_TRUSTED),
        port_owner=min(map(holder, listening), default=""),
    )


def unfit(inputs: Inputs, device: Mapping[str, Any], live: Live) -> list[str]:
    """Return why this host cannot be the gateway."""
    found = []
    if not device["systemd"]:
        found.append("fleet_gateway: this host was not booted by systemd; start it with systemd as its init.")
    least = LEAST_BOARD_MEMORY_MIB if device["board_model"] else LEAST_MEMORY_MIB
    if device["memory_mib"] < least:
        found.append(
            f"fleet_gateway: this host has {device['memory_mib']} MiB of memory, and a gateway wants {least} MiB"
            f"{' on a board that serves models, too' if device['board_model'] else ''}; choose another host."
        )
    if live.python and not OLDEST_PYTHON <= live.python <= NEWEST_PYTHON:
        wanted = " to ".join(".".join(map(str, version)) for version in (OLDEST_PYTHON, NEWEST_PYTHON))
        found.append(f"fleet_gateway: this host has Python {'.'.join(map(str, live.python))}, LiteLLM wants {wanted}.")
    if live.port_owner:
        found.append(f"fleet_gateway_port: {inputs.port} is taken by {live.port_owner}; choose another port.")
    return found


def wanted_files(inputs: Inputs, live: Live) -> list[ConfigFile]:
    """Return the files; systemd reads the secrets before it gives up being root."""
    secret: dict[str, Any] = {"mode": "0600", "secret": True}
    known = live.files.get(MASTER_KEY)
    master_key = known.content.strip() if known else ""
    if not re.fullmatch(r"sk-[0-9a-f]{48}", master_key):
        master_key = f"sk-{secrets.token_hex(24)}"
    return [
        ConfigFile(MASTER_KEY, f"{master_key}\n", **secret),
        ConfigFile(ENVIRONMENT, config.environment(inputs.routes, master_key, inputs.proxies), **secret),
        ConfigFile(POLICY, inputs.policy),
        ConfigFile(LOGGING, config.LOGGING),
        ConfigFile(TRUSTED, f"{live.system_trusted}{inputs.ca}"),
        ConfigFile(CONFIG, config.render(inputs.routes, inputs.timeout_seconds, inputs.cooldown_seconds)),
        ConfigFile(UNIT_FILE, inputs.unit),
    ]


def decide(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems on a host that is fit."""
    if inputs.state == "absent":
        return decide_absent(live)
    directories = [*shared_directories(ROOT, CONFIG_DIR), Directory(ROOT), Directory(CONFIG_DIR)]
    write = FileSet(pending_directories(directories, live.files), pending_files(wanted_files(inputs, live), live.files))
    made = inputs.lock in live.environments
    # Others are removed when the service runs from its own.
    old = FileSet(remove=[f"{ROOT}/{name}" for name in live.environments if name != inputs.lock])
    changing = [file.path for file in write.files]
    waiting = [inputs.ca_problem] if inputs.ca_problem else []
    actions = pending_units([Unit(UNIT, READS)], {UNIT: live.unit}, live.files, changing)
    return Plan(
        pending=[
            *([] if live.packaged else [f"package {PACKAGE}: is not installed"]),
            *live.account.missing(),
            *([] if made else [f"directory {inputs.environment_dir}: LiteLLM is not installed"]),
            *write.sentences(),
            *unit_sentences(actions),
            *old.sentences(),
            *(f"waits for another role: {sentence}" for sentence in waiting),
        ],
        waiting=waiting,
        not_applicable=list(inputs.routes.left_out),
        needs={
            "package": not live.packaged,
            "accounts": [USER] if live.account.missing() else [],
            "environment": "" if made else inputs.environment_dir,
            "units": actions,
            "url": f"http://127.0.0.1:{inputs.port}",
        },
        files={"configure": write, "tidy": old},
    )


def decide_absent(live: Live) -> Plan:
    """Return what is left of the role; the package stays."""
    own = (UNIT_FILE, CONFIG_DIR, ROOT, LOCK)
    return removal((UNIT,), own, (live.account,), {UNIT: live.unit}, live.files)


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    problems = Problems(prefix="fleet_gateway_")
    cast = Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    live = read_live(cast, host)
    reasons = [] if cast.state == "absent" else unfit(cast, host.device, live)
    return Plan(unfit=reasons) if reasons else decide(cast, live)

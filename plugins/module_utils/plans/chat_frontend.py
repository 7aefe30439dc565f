# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role chat_frontend: SillyTavern on loopback, and HAProxy in front of it that asks for a key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.chat import door, sillytavern
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.sillytavern import Endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int, plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import is_as_packaged
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError, names_in, require_space
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks, listening
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, overlap, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
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
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey, base_url, parse_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan, removal
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import (
    as_address,
    certificate_paths,
    key_digest,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.live import read_pem, refusal
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.service import (
    DISTRIBUTION_CONFIG,
    DISTRIBUTION_UNIT,
)

ROLE = "chat_frontend"
PAGE_UNIT, DOOR_UNIT = "edge-slm-chat.service", "edge-slm-chat-door.service"
UNIT_DIR = "/etc/systemd/system"
PAGE_FILE, DOOR_FILE = f"{UNIT_DIR}/{PAGE_UNIT}", f"{UNIT_DIR}/{DOOR_UNIT}"
#: The program of each package that is needed.
PROGRAMS = {"haproxy": "haproxy", "nodejs": "node", "npm": "npm"}
#: What SillyTavern takes on the disk while it is installed, npm's cache included (measured: 430 MB and 130 MB).
RELEASE_BYTES = 700 << 20
STATES = ("present", "absent")
#: What needs no quotes in a unit.
PATH = re.compile(r"(/[A-Za-z0-9@+=:,._-]+)+")


@dataclass(frozen=True)
class Places:
    """Users and paths, as the role's constants name them."""

    user: str
    door_user: str
    config_dir: str
    door_dir: str
    data_dir: str
    root: str
    script: str

    @property
    def config(self) -> str:
        """SillyTavern's configuration."""
        return f"{self.config_dir}/config.yaml"

    @property
    def connections(self) -> str:
        """The endpoints and the key for them."""
        return f"{self.config_dir}/connections.json"

    @property
    def door_config(self) -> str:
        """HAProxy's configuration."""
        return f"{self.door_dir}/haproxy.cfg"

    @property
    def key_map(self) -> str:
        """The sha256 of each key that opens the page."""
        return f"{self.door_dir}/keys.map"

    @property
    def pem(self) -> str:
        """Certificate and key as HAProxy wants them."""
        return f"{self.door_dir}/tls.pem"

    @property
    def secrets(self) -> str:
        """What SillyTavern keeps the endpoints' key in."""
        return f"{self.data_dir}/default-user/secrets.json"

    @property
    def directories(self) -> tuple[Directory, ...]:
        """The role's directories below those that roles share; that of the data systemd makes."""
        return (
            Directory(self.root),
            Directory(self.config_dir, "0750", group=self.user),
            Directory(self.door_dir, "0750", group=self.door_user),
        )


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast and checked. With the state absent the others do not count."""

    state: str
    places: Places
    #: Name of the release's directory.
    release: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    endpoint_key: str = ""
    endpoint_cidrs: tuple[str, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    listen: str = ""
    port: int = 0
    backend_port: int = 0
    timeout: int = 0
    tls_certificate: str = ""
    tls_key: str = ""
    #: Texts of the units, with @release@ where its directory belongs, and of the script.
    page_unit: str = ""
    door_unit: str = ""
    script: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name; `absent` needs none of them."""
        places = Places(**values["places"])
        state = str(values["state"])
        if state not in STATES:
            problems.add("chat_frontend_state", f"{state!r} is not one of {', '.join(STATES)}.")
        if state != "present":
            return cls(state, places)
        port = as_int(values["port"], "chat_frontend_port", 1024, 65535, problems)
        backend_port = as_int(values["backend_port"], "chat_frontend_backend_port", 1024, 65535, problems)
        if port == backend_port:
            problems.add("chat_frontend_backend_port", f"is {port}, as chat_frontend_port is; give another.")
        key = plain_secret(str(values["endpoint_key"] or ""))
        if not key:
            problems.add(
                "chat_frontend_endpoint_key",
                "has no key for the page to ask with; give one that the endpoints take (in a fleet: add one named "
                "chat-page to edge_slm_api_keys).",
            )
        as_networks(values["allowed_cidrs"], "chat_frontend_allowed_cidrs", problems)
        if not PATH.fullmatch(str(values["ca_file"])):
            problems.add("chat_frontend_ca_file", f"{values['ca_file']!r} is not an absolute path without spaces.")
        certificate, tls_key = certificate_paths(values, ROLE, problems)
        return cls(
            state,
            places,
            release=str(values["release"]),
            endpoints=sillytavern.parse_endpoints(values["endpoints"], "chat_frontend_endpoints", problems),
            endpoint_key=key,
            endpoint_cidrs=as_networks(values["endpoint_cidrs"], "chat_frontend_endpoint_cidrs", problems),
            keys=tuple(parse_keys(values["api_keys"], problems, "chat_frontend_api_keys")),
            listen=as_address(values["listen"], "chat_frontend_listen", problems),
            port=port,
            backend_port=backend_port,
            timeout=as_int(
                values["generation_timeout_seconds"],
                "chat_frontend_generation_timeout_seconds",
                10,
                86400,
                problems,
            ),
            tls_certificate=certificate,
            tls_key=tls_key,
            page_unit=str(values["page_unit"]),
            door_unit=str(values["door_unit"]),
            script=str(values["script"]),
        )

    @property
    def release_dir(self) -> str:
        """Where SillyTavern is."""
        return f"{self.places.root}/{self.release}"


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    accounts: tuple[Account, ...] = ()
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    #: Packages whose program is missing.
    packages: tuple[str, ...] = ()
    #: Whether the distribution's HAProxy is enabled though nobody has configured it.
    idle_distribution: bool = False
    #: Names in the directory of releases.
    releases: tuple[str, ...] = ()
    #: Why a release does not fit on the disk.
    disk_problem: str = ""
    #: Who else holds a port, by the input that names it.
    port_owners: Mapping[str, str] = field(default_factory=dict)
    #: Certificate and key in one text, or why they cannot be used.
    pem: str = ""
    pem_problem: str = ""


def port_owners(inputs: Inputs) -> dict[str, str]:
    """Return who else holds one of the two ports, by input."""
    wanted = {
        "chat_frontend_port": (inputs.listen, inputs.port, user_number(inputs.places.door_user)),
        "chat_frontend_backend_port": (door.BACKEND_ADDRESS, inputs.backend_port, user_number(inputs.places.user)),
    }
    return {
        name: holder(one)
        for one in read_listeners()
        for name, (address, port, own) in wanted.items()
        if one.port == port and one.uid != own and overlap(one.address, address)
    }


def disk_problem(root: str) -> str:
    """Return why a release does not fit on the disk."""
    try:
        require_space(f"{root}/x", RELEASE_BYTES, "SillyTavern")
    except DurableError as error:
        return f"{ROLE}: {error}."
    return ""


def read_live(inputs: Inputs) -> Live:
    """Return the host as it is."""
    places = inputs.places
    directories = [one.path for one in places.directories]
    files = [places.config, places.connections, places.door_config, places.key_map, places.pem, places.script]
    shared = shared_above(*directories, places.script)
    units = read_units([PAGE_UNIT, DOOR_UNIT, DISTRIBUTION_UNIT])
    live = Live(
        accounts=(read_account(places.user), read_account(places.door_user)),
        files=read_files([*directories, *files, *shared, PAGE_FILE, DOOR_FILE, places.secrets]),
        units=units,
        releases=tuple(names_in(places.root)),
    )
    if inputs.state == "absent":
        return live
    pem, pem_problem = read_pem(inputs.tls_certificate, inputs.tls_key, ROLE)
    return replace(
        live,
        packages=tuple(package for package, program in PROGRAMS.items() if not find_command(program)),
        idle_distribution=units.get(DISTRIBUTION_UNIT, ABSENT_UNIT).enabled and is_as_packaged(DISTRIBUTION_CONFIG),
        disk_problem="" if inputs.release in live.releases else disk_problem(places.root),
        port_owners=port_owners(inputs),
        pem=pem,
        pem_problem=pem_problem,
    )


def door_text(inputs: Inputs) -> str:
    """Return HAProxy's configuration."""
    places = inputs.places
    return door.config_text(
        inputs.listen,
        inputs.port,
        inputs.backend_port,
        places.key_map,
        places.pem if inputs.tls_certificate else "",
        inputs.timeout,
    )


def wanted_files(inputs: Inputs, live: Live) -> list[ConfigFile]:
    """Return the files; what others name comes before them."""
    places = inputs.places
    page: dict[str, Any] = {"mode": "0640", "group": places.user}
    doors: dict[str, Any] = {"mode": "0640", "group": places.door_user}
    key_map = "".join(f"{key_digest(key.key)} {key.name}\n" for key in inputs.keys)
    files = [
        ConfigFile(places.script, inputs.script, "0755"),
        ConfigFile(
            places.connections, sillytavern.connections_text(inputs.endpoints, inputs.endpoint_key), secret=True, **page
        ),
        ConfigFile(places.config, sillytavern.config_text(inputs.backend_port, inputs.endpoint_cidrs), **page),
        ConfigFile(places.key_map, key_map, secret=True, **doors),
    ]
    if live.pem:
        files.append(ConfigFile(places.pem, live.pem, secret=True, **doors))
    if not live.pem_problem:
        files.append(ConfigFile(places.door_config, door_text(inputs), **doors))
    return [
        *files,
        ConfigFile(PAGE_FILE, inputs.page_unit.replace("@release@", inputs.release_dir)),
        ConfigFile(DOOR_FILE, inputs.door_unit),
    ]


def unit_actions(inputs: Inputs, live: Live, write: FileSet) -> list[dict[str, Any]]:
    """Return what is to be done to the units: each is restarted where one of its files changes."""
    places = inputs.places
    units = [
        Unit(PAGE_UNIT, (places.script, places.connections, places.config, PAGE_FILE)),
        Unit(DOOR_UNIT, (places.key_map, places.pem, places.door_config, DOOR_FILE)),
    ]
    return pending_units(units, live.units, live.files, [*(file.path for file in write.files), *write.remove])


def decide(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems."""
    if inputs.state == "absent":
        return decide_absent(inputs, live)
    unfit = [
        f"{name}: {getattr(inputs, name[14:])} is taken by {owner}; stop it, or choose another port."
        for name, owner in live.port_owners.items()
    ]
    if live.disk_problem:
        unfit.append(live.disk_problem)
    if unfit:
        return Plan(unfit=unfit)
    places = inputs.places
    installed = inputs.release in live.releases
    directories = [*shared_directories(*(one.path for one in places.directories), places.script), *places.directories]
    unused = [] if inputs.tls_certificate or places.pem not in live.files else [places.pem]
    write = FileSet(
        pending_directories(directories, live.files), pending_files(wanted_files(inputs, live), live.files), unused
    )
    tidy = FileSet(remove=[f"{places.root}/{name}" for name in live.releases if name not in (inputs.release, "lock")])
    accounts = [sentence for account in live.accounts for sentence in account.missing()]
    actions = unit_actions(inputs, live, write)
    waiting = [live.pem_problem] if live.pem_problem else []
    idle = f"unit {DISTRIBUTION_UNIT}: is enabled, and nobody has configured it"
    return Plan(
        pending=[
            *(f"package {package}: is not installed" for package in live.packages),
            *([idle] if live.idle_distribution else []),
            *accounts,
            *([] if installed else [f"directory {inputs.release_dir}: is missing"]),
            *write.sentences(),
            *unit_sentences(actions),
            *tidy.sentences(),
            *(f"waits for another role: {sentence}" for sentence in waiting),
        ],
        waiting=waiting,
        needs={
            "url": base_url(inputs.listen, inputs.port, tls=bool(inputs.tls_certificate)),
            "packages": [*live.packages],
            "idle_distribution": live.idle_distribution,
            "accounts": [account.name for account in live.accounts if account.missing()],
            "installed": installed,
            "release": inputs.release_dir,
            "staging": f"{inputs.release_dir}.part",
            "units": actions,
        },
        files={"configure": write, "tidy": tidy},
    )


def decide_absent(inputs: Inputs, live: Live) -> Plan:
    """Return what is left of the role; packages stay, and so do chats, without the key of the endpoints."""
    places = inputs.places
    own = [places.config_dir, places.door_dir, places.root, places.script, PAGE_FILE, DOOR_FILE]
    if os.path.realpath(places.secrets) == places.secrets:
        own.append(places.secrets)
    return removal((DOOR_UNIT, PAGE_UNIT), own, live.accounts, live.units, live.files)


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    problems = Problems()
    cast = Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if not host.device["systemd"]:
        return Plan(unfit=[f"{ROLE}: this host was not booted by systemd; start it with systemd as its init."])
    if cast.state == "present":
        cast = replace(cast, listen=listening(cast.listen))
    made = decide(cast, read_live(cast))
    if made.files.get("configure"):
        made.files["configure"].check = partial(refusal, door_text(cast), path=cast.places.door_config)
    return made

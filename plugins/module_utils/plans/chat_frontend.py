# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role chat_frontend: a page on loopback, and HAProxy in front of it that asks for a key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.chat import door, open_webui, sillytavern
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import Endpoint, parse_endpoints
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int, plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import is_as_packaged
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError, names_in, require_space
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks, listening
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, overlap, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import daemon
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import parse_image
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
SILLYTAVERN, OPEN_WEBUI = "sillytavern", "open_webui"
PAGES = {SILLYTAVERN: sillytavern.PAGE, OPEN_WEBUI: open_webui.PAGE}
#: The program of each package that is needed; Docker's packages are those that apt knows.
PROGRAMS = {
    SILLYTAVERN: {"haproxy": "haproxy", "nodejs": "node", "npm": "npm"},
    OPEN_WEBUI: {"haproxy": "haproxy"},
}
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
    def environment(self) -> str:
        """Open WebUI's configuration, with the key for the endpoints."""
        return f"{self.config_dir}/open-webui.env"

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


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast and checked. With the state absent the others do not count."""

    state: str
    places: Places
    page: str = SILLYTAVERN
    #: Name of the directory of SillyTavern's release.
    release: str = ""
    #: Open WebUI's, with its digest.
    image: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    endpoint_key: str = ""
    endpoint_cidrs: tuple[str, ...] = ()
    ca_file: str = ""
    keys: tuple[ApiKey, ...] = ()
    listen: str = ""
    port: int = 0
    backend_port: int = 0
    timeout: int = 0
    tls_certificate: str = ""
    tls_key: str = ""
    #: Texts of the units, with @release@ or @image@ where its directory or name belongs, and of the script.
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
        page = str(values["page"])
        if page not in PAGES:
            problems.add("chat_frontend_page", f"{page!r} is not one of {', '.join(PAGES)}.")
        image = ""
        if page == OPEN_WEBUI:
            try:
                image = parse_image(str(values["image"] or "")).reference
            except ValueError as error:
                problems.add("chat_frontend_image", f"{error}.")
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
        keys = tuple(parse_keys(values["api_keys"], problems, "chat_frontend_api_keys"))
        if page == OPEN_WEBUI:
            open_webui.check_names(keys, "chat_frontend_api_keys", problems)
            open_webui.check_key(key, "chat_frontend_endpoint_key", problems)
        return cls(
            state,
            places,
            page=page,
            release=str(values["release"]),
            image=image,
            endpoints=parse_endpoints(values["endpoints"], "chat_frontend_endpoints", problems),
            endpoint_key=key,
            endpoint_cidrs=as_networks(values["endpoint_cidrs"], "chat_frontend_endpoint_cidrs", problems),
            ca_file=str(values["ca_file"]),
            keys=keys,
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

    @property
    def page_group(self) -> str:
        """Who reads the page's configuration: SillyTavern itself, or Docker, which gives it to Open WebUI."""
        return self.places.user if self.page == SILLYTAVERN else "root"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that the units run as; without the page's where a container has none."""
        both = (self.places.user, self.places.door_user)
        return both if self.state == "absent" or self.page == SILLYTAVERN else both[1:]

    @property
    def directories(self) -> tuple[Directory, ...]:
        """The role's directories below those that roles share; that of the data systemd makes."""
        places = self.places
        return (
            *([Directory(places.root)] if self.page == SILLYTAVERN else []),
            Directory(places.config_dir, "0750", group=self.page_group),
            Directory(places.door_dir, "0750", group=places.door_user),
        )

    @property
    def page_files(self) -> tuple[str, ...]:
        """What the page's unit is restarted for, but the unit's own file."""
        places = self.places
        if self.page == SILLYTAVERN:
            return places.script, places.connections, places.config
        return (places.environment,)

    @property
    def unused(self) -> tuple[str, ...]:
        """What the other page has left, its data excepted."""
        places = self.places
        if self.page == SILLYTAVERN:
            return (places.environment,)
        return (places.root, places.script, places.connections, places.config, *secret_files(places))


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    accounts: tuple[Account, ...] = ()
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    #: Packages whose program is missing.
    packages: tuple[str, ...] = ()
    #: Docker has Open WebUI's image.
    image: bool = False
    #: Whether the distribution's HAProxy is enabled though nobody has configured it.
    idle_distribution: bool = False
    #: Names in the directory of releases.
    releases: tuple[str, ...] = ()
    #: Why a release does not fit on the disk.
    disk_problem: str = ""
    #: Why Docker cannot be installed.
    docker_problem: str = ""
    #: Who else holds a port, by the input that names it.
    port_owners: Mapping[str, str] = field(default_factory=dict)
    #: Certificate and key in one text, or why they cannot be used.
    pem: str = ""
    pem_problem: str = ""


def secret_files(places: Places) -> list[str]:
    """Return the file of SillyTavern's data that has the endpoints' key, unless it is a link to somewhere else."""
    return [places.secrets] if os.path.realpath(places.secrets) == places.secrets else []


def port_owners(inputs: Inputs, units: Mapping[str, LiveUnit]) -> dict[str, str]:
    """Return who else holds one of the two ports, by input."""
    # While a page runs it may be the other one, and a container's is root's.
    container = {0} if units.get(PAGE_UNIT, ABSENT_UNIT).active else set()
    wanted = {
        "chat_frontend_port": (inputs.listen, inputs.port, {user_number(inputs.places.door_user)}),
        "chat_frontend_backend_port": (
            door.BACKEND_ADDRESS,
            inputs.backend_port,
            {user_number(inputs.places.user), *container},
        ),
    }
    return {
        name: holder(one)
        for one in read_listeners()
        for name, (address, port, own) in wanted.items()
        if one.port == port and one.uid not in own and overlap(one.address, address)
    }


def disk_problem(root: str) -> str:
    """Return why a release does not fit on the disk."""
    try:
        require_space(f"{root}/x", RELEASE_BYTES, "SillyTavern")
    except DurableError as error:
        return f"{ROLE}: {error}."
    return ""


def has_image(reference: str) -> bool:
    """Return whether Docker has an image; it has none where it does not answer."""
    try:
        return Engine().image(reference) is not None
    except EngineError:
        return False


def missing_packages(page: str) -> tuple[list[str], str]:
    """Return the packages whose program is missing, and why Docker cannot be installed."""
    missing = [package for package, program in PROGRAMS[page].items() if not find_command(program)]
    if page != OPEN_WEBUI or (find_command("dockerd") and find_command("docker")):
        return missing, ""
    docker = daemon.docker_packages(daemon.parse_candidates(output_of(["apt-cache", "policy", *daemon.ASKED_PACKAGES])))
    return [*missing, *docker], "" if docker else f"{ROLE}: {daemon.NO_DOCKER}"


def read_live(inputs: Inputs) -> Live:
    """Return the host as it is."""
    places = inputs.places
    directories = [places.root, places.config_dir, places.door_dir]
    files = [places.config, places.connections, places.environment, places.door_config, places.key_map, places.pem]
    shared = shared_above(*directories, places.script)
    units = read_units([PAGE_UNIT, DOOR_UNIT, DISTRIBUTION_UNIT])
    live = Live(
        accounts=tuple(map(read_account, inputs.accounts)),
        files=read_files([*directories, *files, places.script, *shared, PAGE_FILE, DOOR_FILE, places.secrets]),
        units=units,
        releases=tuple(names_in(places.root)),
    )
    if inputs.state == "absent":
        return live
    pem, pem_problem = read_pem(inputs.tls_certificate, inputs.tls_key, ROLE)
    packages, docker_problem = missing_packages(inputs.page)
    new_release = inputs.page == SILLYTAVERN and inputs.release not in live.releases
    return replace(
        live,
        packages=tuple(packages),
        image=inputs.page == OPEN_WEBUI and has_image(inputs.image),
        idle_distribution=units.get(DISTRIBUTION_UNIT, ABSENT_UNIT).enabled and is_as_packaged(DISTRIBUTION_CONFIG),
        disk_problem=disk_problem(places.root) if new_release else "",
        docker_problem=docker_problem,
        port_owners=port_owners(inputs, units),
        pem=pem,
        pem_problem=pem_problem,
    )


def door_text(inputs: Inputs) -> str:
    """Return HAProxy's configuration."""
    places = inputs.places
    return door.config_text(
        PAGES[inputs.page],
        inputs.listen,
        inputs.port,
        inputs.backend_port,
        inputs.keys,
        places.key_map,
        places.pem if inputs.tls_certificate else "",
        inputs.timeout,
    )


def wanted_directories(inputs: Inputs) -> list[Directory]:
    """Return the directories, those above first."""
    scripts = [inputs.places.script] if inputs.page == SILLYTAVERN else []
    return [*shared_directories(*(one.path for one in inputs.directories), *scripts), *inputs.directories]


def page_files(inputs: Inputs) -> list[ConfigFile]:
    """Return the page's configuration."""
    places = inputs.places
    page: dict[str, Any] = {"mode": "0640", "group": inputs.page_group}
    if inputs.page == OPEN_WEBUI:
        text = open_webui.environment_text(
            inputs.endpoints, inputs.endpoint_key, inputs.backend_port, inputs.timeout, inputs.ca_file
        )
        return [ConfigFile(places.environment, text, secret=True, **page)]
    connections = sillytavern.connections_text(inputs.endpoints, inputs.endpoint_key)
    return [
        ConfigFile(places.script, inputs.script, "0755"),
        ConfigFile(places.connections, connections, secret=True, **page),
        ConfigFile(places.config, sillytavern.config_text(inputs.backend_port, inputs.endpoint_cidrs), **page),
    ]


def wanted_files(inputs: Inputs, live: Live) -> list[ConfigFile]:
    """Return the files; what others name comes before them."""
    places = inputs.places
    doors: dict[str, Any] = {"mode": "0640", "group": places.door_user}
    key_map = "".join(f"{key_digest(key.key)} {key.name}\n" for key in inputs.keys)
    files = [*page_files(inputs), ConfigFile(places.key_map, key_map, secret=True, **doors)]
    if live.pem:
        files.append(ConfigFile(places.pem, live.pem, secret=True, **doors))
    if not live.pem_problem:
        files.append(ConfigFile(places.door_config, door_text(inputs), **doors))
    unit = inputs.page_unit.replace("@release@", inputs.release_dir).replace("@image@", inputs.image)
    return [
        *files,
        ConfigFile(PAGE_FILE, unit),
        ConfigFile(DOOR_FILE, inputs.door_unit),
    ]


def unit_actions(inputs: Inputs, live: Live, write: FileSet) -> list[dict[str, Any]]:
    """Return what is to be done to the units: each is restarted where one of its files changes."""
    places = inputs.places
    units = [
        Unit(PAGE_UNIT, (*inputs.page_files, PAGE_FILE)),
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
    unfit += filter(None, (live.disk_problem, live.docker_problem))
    if unfit:
        return Plan(unfit=unfit)
    places = inputs.places
    if inputs.page == SILLYTAVERN:
        installed, missing = inputs.release in live.releases, f"directory {inputs.release_dir}: is missing"
        old = [f"{places.root}/{name}" for name in live.releases if name not in (inputs.release, "lock")]
    else:
        installed, missing, old = live.image, f"image {inputs.image}: is missing", []
    unused = [] if inputs.tls_certificate or places.pem not in live.files else [places.pem]
    write = FileSet(
        pending_directories(wanted_directories(inputs), live.files),
        pending_files(wanted_files(inputs, live), live.files),
        unused,
    )
    tidy = FileSet(remove=[*old, *(path for path in inputs.unused if path in live.files)])
    accounts = [sentence for account in live.accounts for sentence in account.missing()]
    actions = unit_actions(inputs, live, write)
    waiting = [live.pem_problem] if live.pem_problem else []
    idle = f"unit {DISTRIBUTION_UNIT}: is enabled, and nobody has configured it"
    return Plan(
        pending=[
            *(f"package {package}: is not installed" for package in live.packages),
            *([idle] if live.idle_distribution else []),
            *accounts,
            *([] if installed else [missing]),
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
            "page": inputs.page,
            "image": inputs.image,
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
    own += secret_files(places)
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

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proxy on a host, compared with what it should be: decisions of the role endpoint_proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    LiveFile,
    pending_directories,
    pending_files,
    shared_above,
    shared_directories,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying

PACKAGE = "haproxy"
DISTRIBUTION_UNIT = "haproxy.service"
DISTRIBUTION_CONFIG = "/etc/haproxy/haproxy.cfg"
STATES = ("present", "absent")
#: What other roles write beside this one's own directory.
DIRECTORIES = (
    *shared_directories(proxying.CONFIG_DIR),
    Directory(proxying.CONFIG_DIR, "0750", group=proxying.USER),
)
PATHS = (*(directory.path for directory in DIRECTORIES), *proxying.LOADED, proxying.UNIT_FILE)
NOT_THERE = Unit("not-found", "inactive", "dead", False, False, 0, 0, "", {})


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast. With the state absent the others are the defaults."""

    state: str = "present"
    settings: proxying.Settings = field(default_factory=proxying.Settings)
    keys: tuple[ApiKey, ...] = ()
    #: Text of the unit, with @digest@ where its digest belongs.
    unit: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name; adds every problem."""
        state = str(values["state"])
        if state not in STATES:
            problems.add("endpoint_proxy_state", f"{state!r} is not known; give {' or '.join(STATES)}.")
        if state != "present":
            return cls(state)
        return cls(
            state,
            proxying.parse_settings(values, problems),
            tuple(serving.parse_keys(values["api_keys"], problems, proxying.KEYS_VARIABLE)),
            str(values["unit"]),
        )

    @property
    def unit_digest(self) -> str:
        """Identifies the unit."""
        return digest(self.unit)[:32]


NO_ACCOUNT = Account(proxying.USER)


@dataclass(frozen=True)
class Live:
    """The proxy and what it needs, as they are."""

    account: Account = NO_ACCOUNT
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    unit: Unit = NOT_THERE
    #: Whether the unit is linked to be started at boot, even where its file is gone.
    linked: bool = False
    loaded: proxying.Loaded = field(default_factory=proxying.Loaded)
    #: Whether the running master belongs to the user that it should belong to.
    own_user: bool = True
    #: What each worker that there is takes for keys, by its process.
    key_maps: Mapping[int, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    #: Whether the distribution's instance is enabled though nobody has configured it.
    idle_distribution: bool = False
    #: Who else holds the port; empty where it is free or the proxy's own.
    port_owner: str = ""
    #: Certificate and key in one text, or why they cannot be used.
    pem: str = ""
    pem_problem: str = ""
    #: What the backend wants for a key, or why there is none yet.
    backend_key: str = ""
    backend_key_problem: str = ""
    #: Links at the unit's path, one to /dev/null for a masked unit, are not files.
    unit_path_taken: bool = False

    @property
    def awaited(self) -> list[str]:
        """What the configuration is made of and other roles have yet to bring."""
        return [problem for problem in (self.pem_problem, self.backend_key_problem) if problem]


def unfit(inputs: Inputs, device: Mapping[str, Any], live: Live) -> list[str]:
    """Return why this host cannot have the proxy."""
    found = []
    if not device["systemd"]:
        found.append("endpoint_proxy: this host was not booted by systemd; start it with systemd as its init.")
    if live.port_owner and not live.port_owner.startswith("ollama"):
        found.append(f"endpoint_proxy_port: {proxying.port_problem(inputs.settings, live.port_owner)}")
    return found


def waiting(inputs: Inputs, live: Live) -> list[str]:
    """Return what other roles have yet to bring: a certificate, a key, or the port that Ollama still holds."""
    found = []
    if live.port_owner.startswith("ollama"):
        found.append(f"endpoint_proxy_port: {proxying.port_problem(inputs.settings, live.port_owner)}")
    return found + live.awaited


def wanted_files(inputs: Inputs, texts: proxying.Texts, live: Live) -> list[ConfigFile]:
    """Return the files; the configuration comes after what it names, so a start in between finds all of it.

    Without a certificate that can be used there is no configuration yet: it has the certificate's digest in it; nor is
    there one without the backend's key.
    """
    access: dict[str, Any] = {"mode": "0640", "group": proxying.USER}
    files = [ConfigFile(proxying.KEY_MAP, texts.key_map, secret=True, **access)]
    if live.pem:
        files.append(ConfigFile(proxying.TLS_PEM, live.pem, secret=True, **access))
    if not live.awaited:
        secret = bool(live.backend_key)
        files.append(ConfigFile(proxying.CONFIG, texts.config, secret=secret, **access))
    files.append(ConfigFile(proxying.UNIT_FILE, inputs.unit.replace("@digest@", inputs.unit_digest)))
    return files


def missing_parts(live: Live) -> list[str]:
    """Return what is missing of the system below the proxy, one sentence each."""
    below = [
        sentence
        for found, sentence in (
            (PACKAGE in live.packages, f"package {PACKAGE}: is not installed"),
            (not live.idle_distribution, f"unit {DISTRIBUTION_UNIT}: is enabled, and nobody has configured it"),
        )
        if not found
    ]
    return below + live.account.missing()


def unit_sentences(steps: proxying.Steps, write: FileSet) -> list[str]:
    """Return what is pending of the unit; a reload for a file that is pending itself is not reported twice."""
    implied = {*(file.path for file in write.files), *write.remove} & set(proxying.LOADED)
    if not steps.reason or (steps.reload and implied):
        return []
    return [f"unit {proxying.UNIT}: {steps.reason}"]


def revoked(live: Live, texts: proxying.Texts) -> int:
    """Return how many keys workers still take that are no longer valid."""
    return len({key for live_map in live.key_maps.values() for key in proxying.outdated(live_map, texts.key_map)})


def plan(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems on a host that can have the proxy."""
    if inputs.state == "absent":
        return plan_removal(live)
    settings = inputs.settings
    texts = proxying.texts(settings, inputs.keys, live.pem, live.backend_key)
    stale = [] if settings.tls_certificate or proxying.TLS_PEM not in live.files else [proxying.TLS_PEM]
    write = FileSet(
        pending_directories(DIRECTORIES, live.files),
        pending_files(wanted_files(inputs, texts, live), live.files),
        stale,
    )
    awaited = waiting(inputs, live)
    masked = live.unit.load == "masked"
    # A masked unit is a link in place of its file.
    pending = [one for one in write.sentences() if not (masked and one.startswith(f"file {proxying.UNIT_FILE}:"))]
    pending = [*missing_parts(live), *pending]
    if not live.awaited:
        steps = proxying.steps_to_run(live.unit, inputs.unit_digest, live.loaded, texts.config_digest, live.own_user)
        pending += unit_sentences(steps, write)
        count = revoked(live, texts)
        # A reload ends with this in any case.
        if count and not steps.reason and proxying.KEY_MAP not in [file.path for file in write.files]:
            pending.append(f"unit {proxying.UNIT}: old workers still take keys that are no longer valid: {count}")
    names = ", ".join(f"{key.name} ({key.scope})" for key in inputs.keys)
    url = proxying.url_of(settings)
    return Plan(
        pending=[*pending, *(f"waits for another role: {sentence}" for sentence in awaited)],
        waiting=awaited,
        needs={
            "url": url,
            "config_digest": texts.config_digest,
            "unit_digest": inputs.unit_digest,
            "installed": PACKAGE in live.packages,
            "idle_distribution": live.idle_distribution,
            "user": proxying.USER,
            "summary": (
                f"{url.partition(':')[0]} on {url_host(settings.listen)}:{settings.port} in front of "
                f"{proxying.BACKENDS[settings.backend].name} on port {settings.backend_port}; keys: {names}"
            ),
        },
        files={"configure": write},
    )


def plan_removal(live: Live) -> Plan:
    """Return what is left of the role; the package stays."""
    left: Sequence[str] = [
        *([proxying.CONFIG_DIR] if proxying.CONFIG_DIR in live.files else []),
        *([proxying.UNIT_FILE] if proxying.UNIT_FILE in live.files or live.unit_path_taken else []),
    ]
    runs = live.unit.active not in ("inactive", "") or live.linked
    remove = FileSet(remove=left, prune=shared_above(proxying.CONFIG_DIR))
    return Plan(
        pending=[
            *([f"unit {proxying.UNIT}: is no longer wanted"] if runs else []),
            *remove.sentences(),
            *live.account.left(),
        ],
        needs={"user": proxying.USER},
        files={"uninstall": remove},
    )

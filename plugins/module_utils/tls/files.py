# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificate and key on a host, compared with what they should be: decisions of the role endpoint_tls.

What needs to be read out of a certificate is judged on the controller (plugin_utils/endpoint_tls_side.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import draft_name
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    LiveFile,
    pending_directories,
    pending_files,
    shared_above,
    shared_directories,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in, parse_names

STATES = ("present", "absent")
MODES = ("off", "given", "fleet_ca")
#: No browser takes a certificate that is valid for longer.
MAXIMUM_DAYS = 825
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Paths:
    """Where the files are on the host."""

    directory: str

    @property
    def certificate(self) -> str:
        """The certificate with its chain."""
        return f"{self.directory}/certificate.pem"

    @property
    def key(self) -> str:
        """Its key."""
        return f"{self.directory}/key.pem"

    @property
    def ca(self) -> str:
        """The fleet's CA."""
        return f"{self.directory}/ca.pem"

    @property
    def new_key(self) -> str:
        """A key that was just made, until its certificate is there too."""
        return f"{self.directory}/.key.pem.new"

    @property
    def all(self) -> tuple[str, ...]:
        """Everything that the role may write, what a killed run leaves included."""
        files = (self.certificate, self.key, self.ca)
        return (*files, self.new_key, *map(draft_name, files))


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast. Texts are added by the controller, `issued` and `new_key` by the role's tasks."""

    state: str = "present"
    mode: str = "off"
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    ca_dir: str = ""
    days: int = 90
    renew_days: int = 30
    group: str = "edge-slm"
    paths: Paths = field(default_factory=lambda: Paths("/etc/edge-slm/tls"))
    certificate_pem: str = ""
    key_pem: str = field(default="", repr=False)
    ca_pem: str = ""
    #: A certificate that the fleet's CA has just issued, and whether it is for the new key.
    issued: str = ""
    new_key: bool = False

    @property
    def wanted(self) -> bool:
        """Whether certificate and key are wanted."""
        return self.state == "present" and self.mode != "off"

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name; adds every problem.

        What the mode does not need is not looked at.
        """
        state, mode = str(values["state"]), str(values["mode"])
        if values["mode"] is False or mode.lower() in ("false", "no"):  # YAML takes an unquoted off for false
            mode = "off"
        if state not in STATES:
            problems.add("endpoint_tls_state", f"{state!r} is not known; give {' or '.join(STATES)}.")
        if state == "present" and mode not in MODES:
            problems.add("endpoint_tls_mode", f"{values['mode']!r} is not known; give one of {', '.join(MODES)}.")
        if state not in STATES or mode not in MODES or (state, mode) == ("present", "off"):
            return cls(state, "off")
        paths = Paths(_directory(values["dir"], problems))
        if state == "absent":
            return cls(state, "off", paths=paths)
        names, wrong = parse_names(values["names"])
        problems.found += wrong
        if not GROUP.fullmatch(str(values["group"])):
            problems.add("endpoint_tls_group", f"{values['group']!r} is not a group name; give one like edge-slm.")
        days, left = cls.days, cls.renew_days
        if mode == "given":
            _controller_path("endpoint_tls_certificate", values["certificate"], "a file", problems)
            _controller_path("endpoint_tls_key", values["key"], "a file", problems)
            left = as_int(values["renew_days"], "endpoint_tls_renew_days", 0, MAXIMUM_DAYS, problems, left)
        else:
            _controller_path("endpoint_tls_ca_dir", values["ca_dir"], "a directory, backed up,", problems)
            if not (names or wrong):
                problems.add("endpoint_tls_names", "is empty; give the DNS names and IP addresses that clients use.")
            days = as_int(values["days"], "endpoint_tls_days", 1, MAXIMUM_DAYS, problems, days)
            left = as_int(values["renew_days"], "endpoint_tls_renew_days", 0, days - 1, problems)
        certificate, key, ca_dir = (os.path.expanduser(str(values[n] or "")) for n in ("certificate", "key", "ca_dir"))
        return cls(
            state=state,
            mode=mode,
            names=tuple(names),
            certificate=certificate,
            key=key,
            ca_dir=ca_dir,
            days=days,
            renew_days=left,
            group=str(values["group"]),
            paths=paths,
            certificate_pem=str(values.get("certificate_pem") or ""),
            key_pem=str(values.get("key_pem") or ""),
            ca_pem=str(values.get("ca_pem") or ""),
            issued=certificates_in(str(values.get("issued") or "")),
            new_key=as_bool(values.get("new_key", False), "new_key", problems),
        )


def _directory(value: object, problems: Problems) -> str:
    """Read the directory on the host."""
    path = str(value or "")
    if not path.startswith("/") or os.path.normpath(path).strip("/") == "" or "\n" in path:
        problems.add(
            "endpoint_tls_dir", f"{path!r} is not a directory of its own; give an absolute path like /etc/edge-slm/tls."
        )
    return os.path.normpath(path)


def _controller_path(variable: str, value: object, what: str, problems: Problems) -> None:
    """Refuse a path on the controller that is missing or depends on where a playbook was started."""
    path = str(value or "")
    if not path.startswith(("/", "~")):
        problems.add(variable, f"{path!r} is not an absolute path; give {what} of the controller: /etc/… or ~/….")


@dataclass(frozen=True)
class Live:
    """Certificate and key as they are."""

    files: Mapping[str, LiveFile] = field(default_factory=dict)
    group: bool = False
    #: Whether the key there belongs to the certificate there, and both can be used.
    matches: bool = False
    #: Whether something that is not a directory is in the directory's place.
    taken: bool = False
    #: Whether there is nothing in the directory but what the role writes.
    only_ours: bool = True


def wanted_directories(inputs: Inputs) -> list[Directory]:
    """Return the directory of the files, and those of this collection above it."""
    path = inputs.paths.directory
    return [*shared_directories(path), Directory(path)]


def wanted_files(inputs: Inputs, live: Live) -> list[ConfigFile]:
    """Return the files as far as they are known; the key first.

    Where the power goes between the two, the next run sees that they do not belong together. None is ever shown: an
    older certificate.pem may have a key in it.
    """
    paths = inputs.paths

    def text_of(path: str) -> str:
        return live.files[path].content if path in live.files else ""

    if inputs.mode == "given":
        key, certificate, ca = inputs.key_pem, inputs.certificate_pem, ""
    else:
        key = text_of(paths.new_key if inputs.issued and inputs.new_key else paths.key)
        certificate = inputs.issued or certificates_in(text_of(paths.certificate))
        ca = inputs.ca_pem
    files = (
        ConfigFile(paths.key, key, "0640", group=inputs.group, secret=True),
        ConfigFile(paths.certificate, certificate, secret=True),
        ConfigFile(paths.ca, ca, secret=True),
    )
    return [file for file in files if file.content]


def plan(inputs: Inputs, live: Live) -> Plan:
    """Return everything that is still to be done and can be decided on the host.

    Whether the fleet's CA issues a certificate is decided on the controller by what `needs` has of this one.
    """
    paths = inputs.paths
    if inputs.state == "absent":
        return plan_removal(inputs, live)
    if not inputs.wanted:
        return Plan(needs={"mode": "off"})
    if live.taken:
        return Plan(unfit=[f"endpoint_tls_dir: {paths.directory} is not a directory on this host; give another path."])
    files = wanted_files(inputs, live)
    unwanted = [paths.new_key, *([paths.ca] if inputs.mode == "given" else [])]
    directories = FileSet(pending_directories(wanted_directories(inputs), live.files))
    write = FileSet(
        files=pending_files(files, live.files),
        remove=[path for path in unwanted if path in live.files],
    )
    return Plan(
        pending=[
            *([] if live.group else [f"group {inputs.group}: is missing"]),
            *directories.sentences(),
            *write.sentences(),
        ],
        needs={
            "mode": inputs.mode,
            "group": inputs.group,
            "key": paths.key,
            "new_key": paths.new_key,
            "certificate": certificates_in(live.files[paths.certificate].content)
            if inputs.mode == "fleet_ca" and paths.certificate in live.files
            else "",
            "matches": live.matches,
        },
        files={"install": directories, "configure": write},
    )


def plan_removal(inputs: Inputs, live: Live) -> Plan:
    """Return what is left of the role; a directory that somebody else uses too stays, and so does the group."""
    paths = inputs.paths
    left = [path for path in paths.all if path in live.files]
    if paths.directory in live.files and live.only_ours:
        left.append(paths.directory)
    remove = FileSet(remove=left, prune=shared_above(paths.directory))
    return Plan(pending=remove.sentences(), needs={"mode": "off"}, files={"uninstall": remove})

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every role's plan is: from its inputs and the host as it is, what is refused and what is pending.

One file in this package for each role, with one function `plan` of the type Planner. It reads the host, decides by the
functions of its subject's package, and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import installed_versions, userland
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import gpu
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.device import AUXV, PROBED_PATHS, describe
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    LiveFile,
    LiveUnit,
    Unit,
    pending_units,
    shared_above,
    unit_sentences,
)

#: In place of a secret, in the inputs: its number in the list of secrets.
PLACEHOLDER = "edge_slm_number"


@dataclass
class FileSet:
    """Directories and files that are to be written together, and what is to be removed.

    Only what differs from the host is in it. It stays on the host: M(edge_slm.fleet.planned_files) plans again and
    writes it, so that no file's text travels to the controller and back.

    Attributes:
        directories: Directories that are to be made, or to get their mode and owner.
        files: Files that are to be written, in this order.
        remove: Files that are to be removed, and directories with all that is in them.
        prune: Directories that go when they are empty after that, the innermost first: those that the operator chose
            for this role, and those that roles share (host/state.py, `shared_above`).
        check: Called when all files have been written under other names, with those names by path; returns why they
            must not get their own. Empty: they may.
    """

    directories: Sequence[Directory] = ()
    files: Sequence[ConfigFile] = ()
    remove: Sequence[str] = ()
    prune: Sequence[str] = ()
    check: Callable[[Mapping[str, str]], str] | None = None

    def __bool__(self) -> bool:
        """Return whether anything is to be done."""
        return bool(self.directories or self.files or self.remove)

    def sentences(self) -> list[str]:
        """Return what is pending by it, one sentence a path."""
        return [
            *(f"directory {directory.path}: {directory.difference}" for directory in self.directories),
            *(f"file {file.path}: {file.difference}" for file in self.files),
            *(f"{path}: is no longer wanted" for path in self.remove),
        ]


@dataclass
class Plan:
    """What one role has to do on one host.

    Attributes:
        refusals: Errors in the inventory, «variable: what is wrong; what to do». They are wrong on any host.
        unfit: What this host cannot be (its system, memory, disk): «variable: what is wrong; what to do».
        pending: What differs from the inputs and why, one sentence each. Empty: nothing is to be done.
        waiting: What other roles have yet to bring before this one can finish, one sentence each.
        not_applicable: What was asked for and cannot be on this kind of host, one sentence each.
        needs: What the role's tasks take. It comes back to the controller: no secrets, no text of files.
        files: What is to be written, by the name of the step that writes it.
    """

    refusals: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    not_applicable: list[str] = field(default_factory=list)
    needs: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FileSet] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as the controller gets it: of files only whether a step has any."""
        found = {name: getattr(self, name) for name in ("refusals", "unfit", "pending", "waiting", "not_applicable")}
        return {**found, "needs": self.needs, "files": {name: bool(files) for name, files in self.files.items()}}


def removal(
    units: Iterable[str],
    own: Sequence[str],
    accounts: Sequence[Account],
    live_units: Mapping[str, LiveUnit],
    live_files: Mapping[str, LiveFile],
) -> Plan:
    """Return what is left of a role that is removed: its units stop, then its files go, then its accounts.

    Args:
        units: In the order in which they stop.
        own: Paths of the role's files and directories.
        accounts: Those of the role, as they are.
        live_units: Units as they are, by name.
        live_files: Files as they are, by path.
    """
    files = FileSet(remove=[path for path in own if path in live_files], prune=shared_above(*own))
    actions = pending_units([Unit(name, wanted=False) for name in units], live_units, live_files, ())
    left = [account for account in accounts if account.left()]
    return Plan(
        pending=[
            *unit_sentences(actions),
            *files.sentences(),
            *(sentence for account in left for sentence in account.left()),
        ],
        needs={"units": actions, "accounts": [account.name for account in left]},
        files={"uninstall": files},
    )


class Host:
    """The host as it is, each thing read when it is first asked for and only once for all plans."""

    def __init__(self, deep: bool = False) -> None:
        #: Large files are read again, not taken as known by size, times and inode.
        self.deep = deep

    @cached_property
    def device(self) -> dict[str, Any]:
        """What this device is and can do (host/device.py)."""
        found: dict[str, str] = {}
        for path in PROBED_PATHS:
            if os.path.isdir(path):
                found[path] = ""
            elif os.path.exists(path):
                found[path] = read_text(path)
        with open(AUXV, "rb") as file:
            auxv = file.read()
        return describe(found, userland(os.uname().machine), len(os.sched_getaffinity(0)), auxv).as_dict()

    @cached_property
    def jetson(self) -> dict[str, Any]:
        """What a Jetson is and what runs containers there (jetson/facts.py)."""
        from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import facts

        return facts.read(self.nvpmodel)

    @cached_property
    def gpus(self) -> Gpus:
        """The NVIDIA GPUs that programs can use, or why they can use none."""
        return gpu.read()

    @cached_property
    def nvpmodel(self) -> str:
        """What `nvpmodel -q` prints: the power mode of a Jetson; '' on other boards."""
        return output_of(["nvpmodel", "-q"])

    @cached_property
    def packages(self) -> dict[str, str]:
        """Installed packages with their versions."""
        return installed_versions()

    def facts(self) -> dict[str, Any]:
        """Return what later tasks may want to know, as it was read for the plans."""
        # A Jetson's cost a few programs, and so do GPUs: only where a plan has asked for them.
        jetson = {"edge_slm_jetson": self.jetson} if "jetson" in self.__dict__ else {}
        gpus = {"edge_slm_gpus": self.gpus.as_dict()} if "gpus" in self.__dict__ else {}
        return {"edge_slm_device": self.device, **jetson, **gpus}


def with_secrets(inputs: Mapping[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    """Return a role's inputs with their secrets, which travel by themselves (no_log hides each where it appears)."""

    def whole(value: object) -> object:
        if isinstance(value, dict):
            if set(value) == {PLACEHOLDER}:
                return secrets[value[PLACEHOLDER]]
            return {name: whole(item) for name, item in value.items()}
        return [whole(item) for item in value] if isinstance(value, list) else value

    return {name: whole(value) for name, value in inputs.items()}


class Planner(Protocol):
    """A role's plan: reads, decides, changes nothing.

    Args:
        inputs: The role's inputs by their names without the role's prefix, as the operator wrote them: types are
            checked and cast here. What the controller adds (files that are there) is described in
            plugin_utils/controller_side.py.
        host: The host as it is.
    """

    def __call__(self, inputs: Mapping[str, Any], host: Host) -> Plan:
        """Return the plan."""

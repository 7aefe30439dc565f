# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files and units that a host should have, compared with those that it has.

What is pending is decided from the live state alone. A run that was killed between writing a file and
restarting what reads it leaves a file younger than the unit's last change, and that is pending too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

BLOCK_BEGIN = "# BEGIN edge_slm.fleet (this block is rewritten by every run)"
BLOCK_END = "# END edge_slm.fleet"


@dataclass(frozen=True)
class ConfigFile:
    """A file as it should be. An empty mode leaves the mode alone (FAT has none)."""

    path: str
    content: str
    mode: str = "0644"
    #: Command that must accept the new content; %s is the path of a temporary file.
    validate: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the file as an element of the module config_files' option `files`."""
        return asdict(self)


@dataclass(frozen=True)
class LiveFile:
    """A file as it is: text, permission bits, modification time in seconds since the epoch."""

    content: str
    mode: int
    modified: float


@dataclass(frozen=True)
class Unit:
    """A systemd unit as it should be: enabled and active since its files last changed, or neither."""

    name: str
    #: Files that it reads when it is started or reloaded.
    reads: tuple[str, ...] = ()
    #: What makes it read them again: `restarted` or `reloaded`.
    on_change: str = "restarted"
    wanted: bool = True


@dataclass(frozen=True)
class LiveUnit:
    """A systemd unit as it is; `since` is when its state last changed, in seconds since the epoch."""

    loaded: bool
    active: bool
    enabled: bool
    since: float


ABSENT_UNIT = LiveUnit(loaded=False, active=False, enabled=False, since=0.0)


def pending_files(wanted: Iterable[ConfigFile], live: Mapping[str, LiveFile]) -> list[ConfigFile]:
    """Return those of the wanted files whose content or mode is not yet as wanted."""

    def differs(file: ConfigFile) -> bool:
        found = live.get(file.path)
        if found is None or found.content != file.content:
            return True
        return bool(file.mode) and found.mode != int(file.mode, 8)

    return [file for file in wanted if differs(file)]


def pending_removals(owned: Iterable[str], wanted: Iterable[ConfigFile], live: Mapping[str, LiveFile]) -> list[str]:
    """Return paths that belong to the role alone, exist, and are wanted no longer."""
    keep = {file.path for file in wanted}
    return sorted(path for path in set(owned) - keep if path in live)


def pending_units(
    wanted: Iterable[Unit],
    live: Mapping[str, LiveUnit],
    live_files: Mapping[str, LiveFile],
    changing: Iterable[str],
) -> list[dict[str, Any]]:
    """Return what is to be done to units: name, state (as systemd_service takes it) and enabled.

    Args:
        wanted: Units as they should be.
        live: Units as they are, by name.
        live_files: Files as they are, by path.
        changing: Paths that this run will write or remove.
    """
    paths = set(changing)
    actions: list[dict[str, Any]] = []
    for unit in wanted:
        found = live.get(unit.name, ABSENT_UNIT)
        state = ""
        if not unit.wanted:
            if found.loaded and (found.active or found.enabled):
                actions.append({"name": unit.name, "state": "stopped", "enabled": False})
            continue
        if any(path in paths for path in unit.reads):
            # Even where it is not active yet: its package may start it before the file is there.
            state = unit.on_change
        elif not found.active:
            state = "started"
        elif any(path in live_files and live_files[path].modified > found.since for path in unit.reads):
            state = unit.on_change
        if state or not found.enabled:
            actions.append({"name": unit.name, "state": state or "started", "enabled": True})
    return actions


def with_assignment(text: str, name: str, value: str) -> str:
    """Return the text with exactly one line `name=value`, in place of the first such line or at the end."""
    line = f"{name}={value}"
    pattern = re.compile(rf"^\s*{re.escape(name)}\s*=")
    lines: list[str] = []
    placed = False
    for old in text.splitlines():
        if not pattern.match(old):
            lines.append(old)
        elif not placed:
            lines.append(line)
            placed = True
    if not placed:
        lines.append(line)
    return "\n".join(lines) + "\n"


def with_block(text: str, lines: Iterable[str]) -> str:
    """Return the text with this collection's block holding the lines; the block goes where there are none."""
    block = list(lines)
    old = re.compile(rf"\n*^{re.escape(BLOCK_BEGIN)}$.*?^{re.escape(BLOCK_END)}$\n?", flags=re.MULTILINE | re.DOTALL)
    rest = old.sub("\n", text) if old.search(text) else text
    if not block:
        return rest
    return "\n".join([rest.rstrip("\n"), "", BLOCK_BEGIN, *block, BLOCK_END, ""]).lstrip("\n")


def with_kernel_parameters(cmdline: str, parameters: Iterable[str]) -> str:
    """Return a kernel command line (one line) that ends with those of the parameters that it lacked."""
    words = cmdline.split()
    missing = [parameter for parameter in parameters if parameter not in words]
    return " ".join([*words, *missing]) + "\n" if missing else cmdline


def as_bool(value: object) -> bool:
    """Cast a role input: Ansible validates types of inputs, but does not convert them."""
    if isinstance(value, str):
        return value.strip().lower() in {"true", "yes", "on", "1", "y", "t"}
    return bool(value)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files and units that a host should have, compared with those that it has.

What is pending is decided from the live state alone. A run that was killed between writing a file and
restarting what reads it leaves a file younger than the unit's last change, and that is pending too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

BLOCK_BEGIN = "# BEGIN edge_slm.fleet (this block is rewritten by every run)"
BLOCK_END = "# END edge_slm.fleet"

#: Directories that roles share; each goes with the last that is in it.
SHARED_DIRS = (
    "/etc/edge-slm",
    "/opt/edge-slm",
    "/usr/local/lib/edge-slm",
    "/var/cache/edge-slm",
    "/var/lib/edge-slm",
)


@dataclass(frozen=True)
class Directory:
    """A directory of ours as it should be."""

    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"
    #: What pending_directories has found, for people.
    difference: str = ""


@dataclass(frozen=True)
class ConfigFile:
    """A file as it should be. An empty mode leaves mode, owner and group alone (FAT has none)."""

    path: str
    content: str
    mode: str = "0644"
    #: Command that must accept the new content; %s is the path of a temporary file.
    validate: str = ""
    owner: str = "root"
    group: str = "root"
    #: The text is never shown, not in a diff either.
    secret: bool = False
    #: What pending_files has found, for people.
    difference: str = ""


@dataclass(frozen=True)
class LiveFile:
    """A file as it is: text, permission bits, modification time in seconds since the epoch, owner and group.

    A user or group without a name is its number. Of a directory the text is empty. A time in the future is 0.
    """

    content: str
    mode: int
    modified: float
    owner: str = "root"
    group: str = "root"


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
    masked: bool = False


ABSENT_UNIT = LiveUnit(loaded=False, active=False, enabled=False, since=0.0)


def access_difference(wanted: ConfigFile | Directory, found: LiveFile) -> str:
    """Return how mode, owner and group differ; empty where they are as wanted."""
    if not wanted.mode:
        return ""
    if found.mode != int(wanted.mode, 8):
        return f"its mode is {found.mode:04o}, not {wanted.mode}"
    if (found.owner, found.group) != (wanted.owner, wanted.group):
        return f"it belongs to {found.owner}:{found.group}, not {wanted.owner}:{wanted.group}"
    return ""


def shared_above(*paths: str) -> list[str]:
    """Return the directories above paths that roles share, the innermost first.

    Above a path that the operator chose there are none: what is there belongs to somebody else.
    """

    def above(path: str) -> list[str]:
        parent = os.path.dirname(path)
        ours = any(parent == shared or parent.startswith(f"{shared}/") for shared in SHARED_DIRS)
        return [parent, *above(parent)] if ours else []

    return list(dict.fromkeys(parent for path in paths for parent in above(path)))


def shared_directories(*paths: str) -> list[Directory]:
    """Return the directories above paths that roles share, as they should be, the outermost first.

    Whoever may write there can put something else in the place of what is below.
    """
    return [Directory(path) for path in reversed(shared_above(*paths))]


def pending_files(wanted: Iterable[ConfigFile], live: Mapping[str, LiveFile]) -> list[ConfigFile]:
    """Return those of the wanted files whose text, mode or owner is not yet as wanted, with the difference."""

    def difference(file: ConfigFile) -> str:
        found = live.get(file.path)
        if found is None:
            return "is missing"
        return "its text differs" if found.content != file.content else access_difference(file, found)

    return [replace(file, difference=found) for file in wanted for found in [difference(file)] if found]


def pending_directories(wanted: Iterable[Directory], live: Mapping[str, LiveFile]) -> list[Directory]:
    """Return those of the wanted directories that are missing or whose mode or owner is not as wanted."""

    def difference(directory: Directory) -> str:
        found = live.get(directory.path)
        return "is missing" if found is None else access_difference(directory, found)

    return [replace(one, difference=found) for one in wanted for found in [difference(one)] if found]


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
    """Return what is to be done to units: name, state (as systemd_service takes it), enabled, and why.

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
        if not unit.wanted:
            if found.loaded and (found.active or found.enabled):
                actions.append({"name": unit.name, "state": "stopped", "enabled": False, "why": "is no longer wanted"})
            continue
        younger = [p for p in unit.reads if p in live_files and live_files[p].modified > found.since]
        state, why = "", ""
        if found.masked:
            state, why = "started", "is masked"
        elif any(path in paths for path in unit.reads):
            # Even where it is not active yet: its package may start it before the file is there.
            state, why = unit.on_change, "its configuration changes"
        elif not found.active:
            state, why = "started", "is not running"
        elif younger:
            state, why = unit.on_change, f"runs since before {younger[0]} changed"
        elif not found.enabled:
            state, why = "started", "is not enabled"
        if state:
            actions.append({"name": unit.name, "state": state, "enabled": True, "why": why})
            if found.masked:
                actions[-1]["masked"] = False
    return actions


def unit_sentences(actions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is pending by actions of pending_units, one sentence each."""
    return [f"unit {action['name']}: {action['why']}" for action in actions]


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
    """Return the text with this collection's block holding the lines; the block goes where there are none.

    Lines end as the first one does: a file that was edited on Windows keeps its CRLF, our block too.
    """
    end = line_end(text)
    block = list(lines)
    old = re.compile(rf"\n*^{re.escape(BLOCK_BEGIN)}$.*?^{re.escape(BLOCK_END)}$\n?", flags=re.MULTILINE | re.DOTALL)
    found = text.replace("\r\n", "\n")
    if not block and not old.search(found):
        return text
    rest = old.sub("\n", found)
    if block:
        rest = "\n".join([rest.rstrip("\n"), "", BLOCK_BEGIN, *block, BLOCK_END, ""]).lstrip("\n")
    return rest.replace("\n", end)


def with_kernel_parameters(cmdline: str, parameters: Iterable[str]) -> str:
    """Return the text of cmdline.txt whose first line ends with those of the parameters that it lacked.

    The firmware reads no other line: what stands there does not count, and stays as it is.
    """
    first, end, rest = cmdline.partition(line_end(cmdline))
    words = first.split()
    missing = [parameter for parameter in parameters if parameter not in words]
    return " ".join([*words, *missing]) + (end or "\n") + rest if missing else cmdline


def line_end(text: str) -> str:
    """Return what the first line of a text ends with."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"

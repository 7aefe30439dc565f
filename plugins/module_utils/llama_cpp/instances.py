# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask systemd on the device about instances of llama-server@.service."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import (
    PROPERTIES,
    Unit,
    parse_unit,
    unit_name,
)

UNIT_DIR = "/etc/systemd/system"
WANTS_DIR = f"{UNIT_DIR}/multi-user.target.wants"


def output_of(*command: str) -> str:
    """Return a command's standard output, whatever its result; empty where there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout


def read_unit(instance: str) -> Unit:
    """Return the live state of an instance."""
    show = output_of("systemctl", "show", "-p", ",".join(PROPERTIES), unit_name(instance))
    unit = parse_unit(show, b"")
    if not unit.pid:
        return unit
    try:
        return parse_unit(show, Path(f"/proc/{unit.pid}/environ").read_bytes())
    except OSError:  # it ended between the two looks
        return unit


def last_lines(instance: str, count: int = 20) -> str:
    """Return the last lines that an instance wrote to the journal."""
    lines = output_of("journalctl", "-u", unit_name(instance), "-n", str(count), "-o", "cat", "--no-pager")
    return lines.strip() or "(the journal has nothing)"


def names_in(directory: str) -> list[str]:
    """Return the names in a directory; none where it is not there."""
    path = Path(directory)
    return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []


def instance_traces() -> list[str]:
    """Return names under systemd's directories that may belong to instances of llama-server@.service."""
    return names_in(UNIT_DIR) + names_in(WANTS_DIR)

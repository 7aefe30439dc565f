# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What NVIDIA's nvpmodel prints of a board's power modes."""

from __future__ import annotations

import re
from typing import NamedTuple


class CurrentMode(NamedTuple):
    """The power mode that a board is in: its number, None where it is not known, and its name."""

    id: int | None
    name: str


def parse_query(text: str) -> CurrentMode:
    """Read `nvpmodel -q`: `NV Power Mode: MAXN`, and the mode's number on the next line."""
    found = re.search(r"^\s*NV Power Mode:[ \t]*(\S*)[^\n]*(?:\n\s*(\d+)\s*$)?", text, flags=re.MULTILINE)
    if not found:
        return CurrentMode(None, "")
    return CurrentMode(int(found.group(2)) if found.group(2) else None, found.group(1))

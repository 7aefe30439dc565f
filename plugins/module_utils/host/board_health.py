# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a board gives its full speed: temperature, undervoltage, throttling, power mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.nvpmodel import parse_query

#: Bits of `vcgencmd get_throttled`, present state only; the same 16 bits higher stand for "since boot".
#: Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLED_BITS = {0: "undervoltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = 16

#: A zone whose reading is outside of this is switched off or broken (a Jetson's unused zones read -256 °C).
PLAUSIBLE_CELSIUS = (-40.0, 150.0)


def throttling(text: str) -> list[str]:
    """Return what limits the board, from what `vcgencmd get_throttled` printed; empty where nothing does."""
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", text)
    value = int(found.group(1), 16) if found else 0
    limits = []
    for bit, name in THROTTLED_BITS.items():
        if value >> bit & 1:
            limits.append(f"{name} now")
        elif value >> (bit + SINCE_BOOT) & 1:
            limits.append(f"{name} since boot")
    return limits


def hottest(readings: Sequence[str]) -> float | None:
    """Return the highest temperature in degrees Celsius, of thermal zones that read in thousandths."""
    low, high = PLAUSIBLE_CELSIUS
    degrees = [int(text) / 1000 for text in readings if re.fullmatch(r"-?\d+", text.strip())]
    return max((value for value in degrees if low <= value <= high), default=None)


def summary(throttled: Sequence[str], mode: str, celsius: float | None) -> str:
    """Return one short text for a table."""
    parts = [mode] if mode else []
    parts += [f"{celsius:.0f} °C"] if celsius is not None else []
    return ", ".join([*parts, *throttled])


def describe(throttled_text: str, nvpmodel_text: str, zones: Sequence[str]) -> dict[str, Any]:
    """Return what is known of a board, from the output of its tools and its thermal zones."""
    throttled, mode, celsius = throttling(throttled_text), parse_query(nvpmodel_text).name, hottest(zones)
    return {
        "throttled": throttled,
        "power_mode": mode,
        "celsius": celsius,
        "summary": summary(throttled, mode, celsius),
    }

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the stream of an image's pull reports, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DISK_RESERVE, mib

#: While a layer is unpacked its download is still there, and layers unpack to two or three times their size.
UNPACKED_FACTOR = 3.5

#: What trying again does not change.
FINAL = re.compile(
    r"unauthorized|denied|no basic auth|manifest unknown|not found|name unknown|invalid reference"
    r"|no space left|x509|no matching manifest|toomanyrequests|digest",
    re.I,
)


@dataclass
class PullState:
    """Follows a pull line by line.

    Args:
        done: Bytes that have been downloaded in this pull.
        note: What is going on, short.
        error: Why it failed; an error comes as a line of a stream that began with HTTP 200.
    """

    done: int = 0
    note: str = ""
    error: str = ""
    _layers: dict[str, int] = field(default_factory=dict)
    _totals: dict[str, int] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        """Read one line."""
        problem = line.get("error") or (line.get("errorDetail") or {}).get("message")
        if problem:
            self.error = str(problem)
            return
        status, layer = str(line.get("status") or ""), str(line.get("id") or "")
        detail = line.get("progressDetail") or {}
        if status == "Downloading" and layer:
            self._layers[layer] = int(detail.get("current") or 0)
            self._totals[layer] = int(detail.get("total") or 0)
        elif status in ("Download complete", "Verifying Checksum", "Extracting", "Pull complete") and layer:
            self._layers[layer] = max(self._layers.get(layer, 0), self._totals.get(layer, 0))
        self.done = sum(self._layers.values())
        if layer and status in ("Downloading", "Extracting"):
            self.note = status.lower()


def is_worth_another_try(error: str) -> bool:
    """Return whether a pull may work when it is begun again."""
    return not FINAL.search(error)


def advice(error: str) -> str:
    """Return what to do about an error."""
    if re.search(r"x509|certificate", error, re.I):
        return "Give the registry's CA by jetson_ollama_registries, or the right one, and look at the device's clock."
    if "HTTP response to HTTPS client" in error:
        return "The registry speaks plain HTTP: give its entry of jetson_ollama_registries insecure: true."
    if re.search(r"unauthorized|denied|no basic auth|does not give|login", error, re.I):
        return "Give a login that may pull it: jetson_ollama_registry_username and jetson_ollama_registry_password."
    if re.search(r"has no |unknown|not found", error, re.I):
        return "Look whether the name and digest in jetson_ollama_image are those of the registry."
    if re.search(r"no space left", error, re.I):
        return "Make room, or move Docker's data on a larger disk by jetson_ollama_docker_data_root."
    if re.search(r"not made for|no matching manifest", error, re.I):
        return "Take the digest of the image's index, or that of this device's architecture."
    if re.search(r"toomanyrequests|429", error, re.I):
        return "Wait, give a login, or name a mirror in jetson_ollama_image."
    return "What was pulled is kept: run the play again, or name a mirror in jetson_ollama_image."


def disk_problem(compressed: int, free: int, root: str, reference: str) -> str:
    """Return, with numbers, why an image does not fit; '' where it does. Sizes in bytes."""
    needed = int(compressed * UNPACKED_FACTOR) + DISK_RESERVE
    if not compressed or needed <= free:
        return ""
    return (
        f"disk too small for {reference}: {mib(compressed)} to download, about {mib(needed)} with what is unpacked "
        f"and kept free, but {root} has {mib(free)} free. {advice('no space left')}"
    )

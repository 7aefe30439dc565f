# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a network now and was not at the last scan: how a board is found that nothing else tells from others.

A scan with the board off, one with the board on: what has come is the board.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import MAKERS, Sighting


def record(networks: Iterable[object], sightings: Iterable[Sighting], at: str) -> dict[str, Any]:
    """Return what is kept of a scan: who answered, and where was asked."""
    return {
        "at": at,
        "networks": sorted(map(str, networks)),
        "hosts": {seen.address: {"mac": seen.mac, "name": seen.mdns or seen.dns} for seen in sightings if seen.here},
    }


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what has come and gone between two scans, a sentence each; a first sentence says which scans."""
    if not before:
        return [
            "This is the first scan. Switch the board that you are looking for off or on, wait a minute, and run the "
            "same again."
        ]
    if before.get("networks") != now["networks"]:
        return ["The scan before this one was of other networks: run the same again to see what comes and goes."]
    came = _gone(now["hosts"], before["hosts"])
    went = _gone(before["hosts"], now["hosts"])
    changes = [f"+ {line}" for line in came] + [f"- {line}" for line in went]
    return [f"Since the scan of {before['at']}:", *(changes or ["nothing has come or gone"])]


def _gone(hosts: Mapping[str, Mapping[str, str]], others: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the hosts that are not among the others; the same device at another address is."""
    macs = {str(other["mac"]) for other in others.values() if other["mac"]}
    return [
        " ".join(filter(None, [address, host["mac"], host["name"], MAKERS.get(host["mac"][:8], "")]))
        for address, host in hosts.items()
        if host["mac"] not in macs and (host["mac"] or address not in others)
    ]

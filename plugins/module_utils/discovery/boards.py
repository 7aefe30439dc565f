# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts of a network are boards: what was seen at each address becomes one board for each device."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PI, JETSON = "pi", "jetson"

#: The first three bytes of MAC addresses, by who made the interface. From the IEEE's list of MA-L assignments as Debian
#: packages it (ieee-data 20240722, all of `Raspberry Pi` and of `NVIDIA`), and 88:a2:9e, which newer boards have
#: (a Pi 5 and a Pi 4 of 2025, in people's own listings).
MAKERS = {
    **dict.fromkeys(
        ("28:cd:c1", "2c:cf:67", "88:a2:9e", "b8:27:eb", "d8:3a:dd", "dc:a6:32", "e4:5f:01"), "Raspberry Pi"
    ),
    **dict.fromkeys(("00:04:4b", "3c:6d:66", "48:b0:2d"), "NVIDIA"),
}

#: What systems call themselves before anybody has named them, and on which board that is.
FACTORY_NAMES = {"raspberrypi": PI, "tegra-ubuntu": JETSON, "ubuntu": "", "localhost": ""}


@dataclass(frozen=True)
class Neighbour:
    """What the neighbour table has of an address.

    Args:
        mac: Its MAC address, in lower case; '' where nobody has answered.
        asked: The kernel is asking whether it is still there.
        silent: Seconds since it was last known to be there; a while after that the kernel still takes it to be.
    """

    mac: str
    asked: bool = False
    silent: float = math.inf


@dataclass
class Sighting:
    """What was seen at one address.

    Args:
        address: IPv4, or IPv6 that is not link-local.
        mac: From the neighbour table, in lower case.
        mdns: Its name by mDNS, without `.local`.
        dns: Its name by reverse DNS.
        banner: What its SSH server says first.
        keys: Its host keys, by type.
        here: It has answered during this run.
    """

    address: str
    mac: str = ""
    mdns: str = ""
    dns: str = ""
    banner: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    here: bool = False


@dataclass(frozen=True)
class Board:
    """A board: one address or more, of one device."""

    kind: str
    address: str
    others: tuple[str, ...]
    macs: tuple[str, ...]
    own_name: str
    system: str
    keys: Mapping[str, str]
    why: str


def usable(address: str) -> bool:
    """Return whether an address is one to connect to that means the same host on every machine."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_link_local or parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified)


def neighbours(listing: Iterable[Mapping[str, Any]]) -> dict[str, Neighbour]:
    """Return the neighbours by address, from what `ip -statistics -json neighbour` prints."""
    found = {}
    for item in listing:
        states = set(item.get("state", ()))
        if usable(str(item.get("dst", ""))):
            found[str(item["dst"])] = Neighbour(
                mac="" if "FAILED" in states else str(item.get("lladdr", "")).lower(),
                asked=bool(states & {"INCOMPLETE", "DELAY", "PROBE"}),
                silent=float(item["confirmed"]) if "REACHABLE" in states and "confirmed" in item else math.inf,
            )
    return found


def plain_name(name: str) -> str:
    """Return a name as a host has told it, '' where it has characters that no host name has: it may be anybody's."""
    return name if re.fullmatch(r"[A-Za-z0-9._-]{1,253}", name) else ""


def first_label(name: str) -> str:
    """Return a host's name without its domain, in lower case."""
    return name.rstrip(".").partition(".")[0].lower()


def is_factory_name(label: str) -> bool:
    """Return whether it is the name that a system comes with, also as mDNS renames the second one (raspberrypi-2)."""
    base, _dash, number = label.rpartition("-")
    return label in FACTORY_NAMES or (number.isdigit() and base in FACTORY_NAMES)


def kind_of(seen: Sighting) -> tuple[str, str]:
    """Return which kind of board it is and why; '' for none, or where one cannot tell."""
    maker = MAKERS.get(seen.mac[:8], "")
    if maker == "Raspberry Pi":
        return PI, "its MAC address is Raspberry Pi's"
    if maker == "NVIDIA" and seen.banner:
        return JETSON, "its MAC address is NVIDIA's, and SSH answers"
    if maker == "NVIDIA":
        return "", "its MAC address is NVIDIA's, but SSH does not answer: a Jetson that nobody has set up, or no Jetson"
    if "Raspbian" in seen.banner:
        return PI, "SSH says Raspbian"
    for label in map(first_label, (seen.mdns, seen.dns)):
        base, _dash, number = label.rpartition("-")
        kind = FACTORY_NAMES.get(base if number.isdigit() else label, "")
        if kind:
            return kind, f"it calls itself {label}"
    return "", ""


def is_candidate(seen: Sighting) -> bool:
    """Return whether it may be a board, before its SSH server has been asked."""
    return bool(MAKERS.get(seen.mac[:8]) or kind_of(seen)[0])


def system_of(banner: str) -> str:
    """Return the system that an SSH server's banner names: SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 is Debian."""
    software, _space, comment = banner.partition(" ")
    return (comment.partition("-")[0] or software.partition("-")[2].partition("-")[2])[:40]


def boards(sightings: Iterable[Sighting]) -> tuple[list[Board], list[str]]:
    """Return the boards, one for each device, sorted by address; and sentences about what is no board for sure.

    Two addresses are of one device when they have one MAC address, or one host key and one name: cable and Wi-Fi of one
    Pi. One host key under two names is a card that was copied, and two devices.
    """
    groups: list[list[Sighting]] = []
    for seen in sorted(sightings, key=lambda item: _order(item.address)):
        same = [group for group in groups if any(_one_device(seen, other) for other in group)]
        merged = [seen, *(item for group in same for item in group)]
        groups = [group for group in groups if group not in same] + [merged]
    devices, notes = [], []
    for group in groups:
        group.sort(key=lambda item: _order(item.address))
        kind, why = next((found for found in map(kind_of, group) if found[0]), ("", ""))
        if kind:
            devices.append(_board(group, kind, why))
        else:
            notes += [f"{item.address}: {kind_of(item)[1]}." for item in group if kind_of(item)[1]]
    return sorted(devices, key=lambda board: _order(board.address)), notes


def _order(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed)


def _one_device(one: Sighting, other: Sighting) -> bool:
    if one.mac and one.mac == other.mac:
        return True
    names = [first_label(item.mdns or item.dns) for item in (one, other)]
    shared = set(one.keys.items()) & set(other.keys.items())
    return bool(shared) and bool(names[0]) and names[0] == names[1]


def _board(group: list[Sighting], kind: str, why: str) -> Board:
    names = [first_label(name) for item in group for name in (item.mdns, item.dns) if name]
    # SSH is what the address is for.
    reached = [item for item in group if item.keys or item.banner] or group
    addresses = [item.address for item in group if item is not reached[0]]
    return Board(
        kind=kind,
        address=reached[0].address,
        others=tuple(addresses),
        macs=tuple(dict.fromkeys(item.mac for item in group if item.mac)),
        own_name=names[0] if names else "",
        system=next((system_of(item.banner) for item in group if item.banner), ""),
        keys=reached[0].keys,
        why=why,
    )

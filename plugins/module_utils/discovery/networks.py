# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which networks may be scanned, and at which addresses the controller itself is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import network_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: The word for the networks that the controller is in.
ATTACHED = "attached"
#: A scan takes each network up to a /22, and not more than four of these.
LONGEST_MASK = 22
MOST_ADDRESSES = 4 << (32 - LONGEST_MASK)


@dataclass(frozen=True)
class Attached:
    """An address of the controller, and the network that it is in."""

    interface: str
    address: str
    network: ipaddress.IPv4Network


def attached(listing: Iterable[Mapping[str, Any]]) -> tuple[Attached, ...]:
    """Return the controller's IPv4 addresses on networks with neighbours, from what `ip -json address` prints."""
    found = []
    for link in listing:
        flags = set(link.get("flags", ()))
        if "UP" not in flags or flags & {"LOOPBACK", "POINTOPOINT", "NOARP"}:
            continue
        for item in link.get("addr_info", ()):
            if item.get("family") == "inet" and item.get("scope") == "global":
                network = ipaddress.IPv4Network(f"{item['local']}/{item['prefixlen']}", strict=False)
                found.append(Attached(str(link["ifname"]), str(item["local"]), network))
    return tuple(found)


def to_scan(
    scan: object, variable: str, own: Sequence[Attached], problems: Problems
) -> tuple[tuple[ipaddress.IPv4Network, ...], list[str]]:
    """Return the networks to scan, and sentences about those of the controller that are left out.

    Args:
        scan: What the operator asks for: nothing, `attached`, or networks in a list or separated by commas.
        variable: What the operator calls it.
        own: The controller's addresses.
        problems: Where problems are noted.
    """
    if not scan:
        return (), []
    words = [
        str(word).strip() for word in (scan.split(",") if isinstance(scan, str) else _listed(scan, variable, problems))
    ]
    networks: list[ipaddress.IPv4Network] = []
    notes: list[str] = []
    for word in words:
        if word == ATTACHED:
            allowed = [
                item.network for item in own if item.network.prefixlen >= LONGEST_MASK and item.network.is_private
            ]
            networks += allowed
            notes += [
                f"{item.network} on {item.interface} is not scanned, as it is {_why_not(item.network)}; name the part "
                "to scan."
                for item in own
                if item.network not in allowed
            ]
        else:
            networks += _named(word, variable, problems)
    unique = tuple(dict.fromkeys(networks))
    if sum(network.num_addresses for network in unique) > MOST_ADDRESSES:
        problems.add(variable, f"has more than {MOST_ADDRESSES} addresses; scan one part after another.")
    return unique, notes


def _why_not(network: ipaddress.IPv4Network) -> str:
    return f"larger than a /{LONGEST_MASK}" if network.is_private else "public"


def _listed(scan: object, variable: str, problems: Problems) -> list[object]:
    if isinstance(scan, (list, tuple)):
        return list(scan)
    problems.add(variable, f"is {scan!r}; write {ATTACHED}, or networks such as 192.168.1.0/24.")
    return []


def _named(word: str, variable: str, problems: Problems) -> list[ipaddress.IPv4Network]:
    """Return the network that an operator has named, in a list; none and a problem where it may not be scanned."""
    problem = network_problem(word)
    if problem:
        problems.add(variable, f"{problem}, or {ATTACHED} for those that the controller is in.")
        return []
    network = ipaddress.ip_network(word)
    if isinstance(network, ipaddress.IPv6Network):
        problems.add(variable, f"{word} is too large to scan, as IPv6 networks are; boards in it answer by mDNS.")
        return []
    if network.prefixlen < LONGEST_MASK:
        problems.add(variable, f"{word} is larger than a /{LONGEST_MASK}; name the part of it that the boards are in.")
        return []
    return [network]


def addresses_in(networks: Iterable[ipaddress.IPv4Network], own: Iterable[Attached]) -> list[str]:
    """Return all addresses of the networks but the controller's own."""
    mine = {item.address for item in own}
    return list(dict.fromkeys(str(host) for network in networks for host in network.hosts() if str(host) not in mine))

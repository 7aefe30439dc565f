"""Which networks may be scanned."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.networks import (
    Attached,
    addresses_in,
    attached,
    to_scan,
)


def link(name: str, *addresses: str, flags: tuple[str, ...] = ("BROADCAST", "UP"), **more: Any) -> dict[str, Any]:
    """Return an interface as `ip -json address` prints it."""
    split = [address.split("/") for address in addresses]
    return {
        "ifname": name,
        "flags": list(flags),
        "addr_info": [
            {
                "family": "inet6" if ":" in address else "inet",
                "local": address,
                "prefixlen": int(bits),
                "scope": "global",
                **more,
            }
            for address, bits in split
        ],
    }


HOME = link("eth0", "192.168.1.5/24", "fd00::5/64")
LARGE = link("docker0", "172.17.0.1/16")
PUBLIC = link("eth1", "203.0.113.7/25") | {"addr_info": link("eth1", "8.8.8.7/25")["addr_info"]}


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ([HOME], ["192.168.1.5"]),
        ([link("lo", "127.0.0.1/8", flags=("LOOPBACK", "UP"))], []),
        ([link("eth0", "192.168.1.5/24", flags=("BROADCAST",))], []),
        ([link("wg0", "10.9.0.2/24", flags=("POINTOPOINT", "NOARP", "UP"))], []),
        ([link("eth0", "169.254.3.4/16", scope="link")], []),
        ([], []),
    ],
)
def test_own_addresses_on_networks_with_neighbours(listing: list[dict[str, Any]], expected: list[str]) -> None:
    assert [item.address for item in attached(listing)] == expected


@pytest.mark.parametrize(
    ("scan", "expected"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("attached", ["192.168.1.0/24"]),
        ("192.168.7.0/24, 10.0.0.0/30", ["192.168.7.0/24", "10.0.0.0/30"]),
        (["192.168.7.0/24", "attached"], ["192.168.7.0/24", "192.168.1.0/24"]),
        ("192.168.1.0/24,attached", ["192.168.1.0/24"]),
        ("10.1.0.0/22", ["10.1.0.0/22"]),
    ],
)
def test_what_is_scanned(scan: object, expected: list[str]) -> None:
    problems = Problems()
    networks, notes = to_scan(scan, "scan", attached([HOME]), problems)
    assert ([str(network) for network in networks], notes, problems.found) == (expected, [], [])


@pytest.mark.parametrize(
    ("scan", "problem"),
    [
        ("10.0.0.0/21", "10.0.0.0/21 is larger than a /22"),
        ("fd00::/64", "fd00::/64 is too large to scan"),
        ("192.168.1.7/24", "write 192.168.1.0/24, or attached"),
        ("everything", "'everything' is not a network"),
        (True, "is True; write attached"),
        ({"a": 1}, "write attached"),
        ([f"10.{number}.0.0/22" for number in range(5)], "has more than 4096 addresses"),
    ],
)
def test_what_is_refused(scan: object, problem: str) -> None:
    problems = Problems()
    to_scan(scan, "edge_slm_discover_scan", (), problems)
    assert len(problems.found) == 1
    assert problems.found[0].startswith("edge_slm_discover_scan: ")
    assert problem in problems.found[0]


def test_large_and_public_networks_are_scanned_only_by_name() -> None:
    problems = Problems()
    networks, notes = to_scan("attached", "scan", attached([HOME, LARGE, PUBLIC]), problems)
    assert [str(network) for network in networks] == ["192.168.1.0/24"]
    assert "172.17.0.0/16 on docker0 is not scanned, as it is larger than a /22" in notes[0]
    assert "8.8.8.0/25 on eth1 is not scanned, as it is public" in notes[1]
    assert not problems.found


def test_the_controller_does_not_ask_itself() -> None:
    own: tuple[Attached, ...] = attached([link("eth0", "192.168.1.2/30")])
    assert addresses_in([own[0].network, own[0].network], own) == ["192.168.1.1"]

"""What has come and gone between two scans."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import Sighting
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.difference import difference, record

PI = Sighting("192.168.1.9", mac="2c:cf:67:01:02:03", mdns="raspberrypi", here=True)
PC = Sighting("192.168.1.2", mac="a8:a1:59:01:02:03", dns="pc.lan", here=True)
ROUTED = Sighting("10.0.0.9", here=True)


def scan(*seen: Sighting, network: str = "192.168.1.0/24") -> dict[str, Any]:
    return record([network], seen, "2026-11-26 16:00:00")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (scan(PC), scan(PC, PI), ["+ 192.168.1.9 2c:cf:67:01:02:03 raspberrypi Raspberry Pi"]),
        (scan(PC, PI), scan(PC), ["- 192.168.1.9 2c:cf:67:01:02:03 raspberrypi Raspberry Pi"]),
        (scan(PC), scan(PC), ["nothing has come or gone"]),
        # What the neighbour table remembers is not what has answered.
        (scan(PC), scan(PC, Sighting("192.168.1.9", mac=PI.mac)), ["nothing has come or gone"]),
        # The router has given it another address.
        (scan(PI), scan(Sighting("192.168.1.50", mac=PI.mac, here=True)), ["nothing has come or gone"]),
        (scan(), scan(ROUTED), ["+ 10.0.0.9"]),
        (scan(ROUTED), scan(ROUTED), ["nothing has come or gone"]),
    ],
)
def test_come_and_gone(before: dict[str, Any], now: dict[str, Any], expected: list[str]) -> None:
    assert difference(before, now) == ["Since the scan of 2026-11-26 16:00:00:", *expected]


def test_two_scans_of_one_network_are_needed() -> None:
    assert "This is the first scan" in difference({}, scan(PC))[0]
    assert "of other networks" in difference(scan(PC, network="10.0.0.0/24"), scan(PC))[0]

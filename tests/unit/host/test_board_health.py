"""The output of tools and thermal zones, as text."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.board_health import (
    describe,
    hottest,
    throttling,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("throttled=0x0\n", []),
        ("throttled=0x1\n", ["undervoltage now"]),
        ("throttled=0x50000\n", ["undervoltage since boot", "throttled since boot"]),
        ("throttled=0x50005\n", ["undervoltage now", "throttled now"]),
        ("throttled=0xe0008\n", ["frequency capped since boot", "throttled since boot", "soft temperature limit now"]),
        ("VCHI initialization failed\n", []),
        ("", []),
    ],
)
def test_throttling_as_text(text: str, words: list[str]) -> None:
    assert throttling(text) == words


@pytest.mark.parametrize(
    ("readings", "celsius"),
    [
        (["48500", "51250"], 51.25),
        (["-256000", "47000"], 47.0),
        (["-256000"], None),
        (["", "n/a"], None),
        ([], None),
    ],
)
def test_the_hottest_zone_that_can_be_believed(readings: list[str], celsius: float | None) -> None:
    assert hottest(readings) == celsius


def test_a_host_that_is_not_a_board_has_nothing_to_report() -> None:
    assert describe("", "", []) == {"throttled": [], "power_mode": "", "celsius": None, "summary": ""}


def test_summaries() -> None:
    assert describe("throttled=0x1", "", ["70100"])["summary"] == "70 °C, undervoltage now"
    assert describe("", "NV Power Mode: MAXN\n0", ["51000"])["summary"] == "MAXN, 51 °C"

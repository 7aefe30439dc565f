"""What nvpmodel prints."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.nvpmodel import CurrentMode, parse_query


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MODE_30W\n2\n", CurrentMode(2, "MODE_30W")),
        ("NVPM VERB: parsing done\nNV Fan Mode:quiet\nNV Power Mode: MAXN\n0\n", CurrentMode(0, "MAXN")),
        ("NV Power Mode: MAXN\n", CurrentMode(None, "MAXN")),
        ("NV Power Mode: MAXN\nnot a number\n", CurrentMode(None, "MAXN")),
        ("NVPM ERROR: Failed to open\n", CurrentMode(None, "")),
        ("", CurrentMode(None, "")),
    ],
)
def test_the_mode_now(text: str, mode: CurrentMode) -> None:
    assert parse_query(text) == mode

"""Predicted tokens/s, compared with what was published."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.speed import predicted, rate_of

LLAMA_3B = 2_020_000_000


@pytest.mark.parametrize(
    ("board", "weights", "low", "high"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", LLAMA_3B, 4.6, 5.5),
        ("Raspberry Pi 4 Model B Rev 1.4", LLAMA_3B, 1.6, 1.7),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", LLAMA_3B, 18, 30),
        ("NVIDIA Jetson AGX Orin Developer Kit", 3_830_000_000, 22, 23),
        ("Raspberry Pi 3 Model B", LLAMA_3B, 0, 0),
        ("", LLAMA_3B, 0, 0),
        ("Raspberry Pi 5 Model B Rev 1.0", 0, 0, 0),
    ],
)
def test_predicted(board: str, weights: int, low: float, high: float) -> None:
    assert low <= predicted(board, weights) <= high


def test_a_prediction_has_a_source() -> None:
    rate = rate_of("Raspberry Pi 5 Model B")
    assert rate
    assert "4.6 to 4.9 tokens/s" in rate.source

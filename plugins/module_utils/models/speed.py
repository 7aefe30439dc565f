# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast a board is going to generate, predicted from what others have measured on such boards.

Each token reads all weights once, so that the memory's bandwidth decides: tokens/s = rate / weights in GB, where the
rate, in GB/s, is what published measurements come to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GB = 1e9


@dataclass(frozen=True)
class Rate:
    """What a kind of board reaches.

    Args:
        board: Matches its model in the device tree.
        gb_per_second: Weights read in a second.
        source: What was measured.
    """

    board: str
    gb_per_second: float
    source: str


RATES = (
    Rate(r"Raspberry Pi (Compute Module )?5\b", 11.0, "Llama 3.2 3B Q4_K_M on a Pi 5: 4.6 to 4.9 tokens/s"),
    Rate(r"Raspberry Pi (Compute Module )?4\b|Raspberry Pi 400", 3.3, "Llama 3.2 3B Q4_K_M on a Pi 4: 1.6 tokens/s"),
    Rate(r"AGX Orin", 85.0, "Llama 2 7B with 4 bits on an AGX Orin 64 GB: 22.5 tokens/s"),
    Rate(r"Orin (Nano|NX)", 40.0, "Llama 3.2 3B on an Orin Nano Super at 25 W: about 30 tokens/s"),
)


def rate_of(board: str) -> Rate | None:
    """Return the rate of a board by its model; None where nothing is published."""
    return next((rate for rate in RATES if re.search(rate.board, board)), None)


def predicted(board: str, weights: int) -> float:
    """Return the tokens/s that a board is predicted to generate with weights of so many bytes; 0 where unknown."""
    rate = rate_of(board)
    return round(rate.gb_per_second / (weights / GB), 1) if rate and weights else 0.0

#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the tables of docs/operators/which-model.md: sizes of quantisations, and what fits on which board.

They are computed by what site.yml refuses by. Each stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`. With
--check nothing is written: a table that is stale is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import LADDER, QUANTISATIONS
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory, speed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import Ask, Room, Weights
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.quantise import Tensor, quantised_bytes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "operators" / "which-model.md"
GB = 1e9
GIB = 1 << 30


@dataclass(frozen=True)
class Shape:
    """What a model's config.json holds."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int
    vocabulary: int
    tied: bool
    context: int

    def tensors(self) -> list[Tensor]:
        """Return the tensors of a model of the Llama kind."""
        found = [Tensor("token_embd.weight", (self.width, self.vocabulary)), self._norm("output_norm.weight")]
        if not self.tied:
            found.append(Tensor("output.weight", (self.width, self.vocabulary)))
        keys, inner = self.kv_heads * self.head_width, self.heads * self.head_width
        for layer in range(self.layers):
            shapes = {
                "attn_q": (self.width, inner),
                "attn_k": (self.width, keys),
                "attn_v": (self.width, keys),
                "attn_output": (inner, self.width),
                "ffn_gate": (self.width, self.inner),
                "ffn_up": (self.width, self.inner),
                "ffn_down": (self.inner, self.width),
            }
            found += [Tensor(f"blk.{layer}.{name}.weight", shape) for name, shape in shapes.items()]
            found += [self._norm(f"blk.{layer}.{name}_norm.weight") for name in ("attn", "ffn")]
        return found

    def _norm(self, name: str) -> Tensor:
        """Return a tensor of one dimension."""
        return Tensor(name, (self.width,), "F32")

    @lru_cache(maxsize=64)  # noqa: B019  (the few shapes below)
    def types(self) -> dict[str, int]:
        """Return the model's sizes in bytes by quantisation."""
        return quantised_bytes(self.tensors(), QUANTISATIONS, gqa=self.heads // self.kv_heads)

    def weights(self, quantisation: str) -> Weights:
        """Return what the model weighs in a quantisation."""
        shape = {
            "block_count": self.layers,
            "head_count": self.heads,
            "head_count_kv": self.kv_heads,
            "key_length": self.head_width,
            "value_length": self.head_width,
            "embedding_length": self.width,
            "feed_forward_length": self.inner,
            "vocabulary": self.vocabulary,
            "context_length": self.context,
        }
        types = self.types()
        return Weights.of_shape(shape, size=types[quantisation], quantisation=quantisation, types=types)


#: From the models' own config.json.
SHAPES = {
    "SmolLM2 135M": Shape(576, 30, 9, 3, 64, 1536, 49152, True, 8192),
    "Llama 3.2 1B": Shape(2048, 16, 32, 8, 64, 8192, 128256, True, 131072),
    "SmolLM2 1.7B": Shape(2048, 24, 32, 32, 64, 8192, 49152, True, 8192),
    "Llama 3.2 3B": Shape(3072, 28, 24, 8, 128, 8192, 128256, True, 131072),
    "Mistral 7B": Shape(4096, 32, 32, 8, 128, 14336, 32000, False, 32768),
    "Llama 2 7B": Shape(4096, 32, 32, 32, 128, 11008, 32000, False, 4096),
    "Qwen2.5 7B": Shape(3584, 28, 28, 4, 128, 18944, 152064, False, 32768),
    "Llama 3.1 8B": Shape(4096, 32, 32, 8, 128, 14336, 128256, False, 131072),
    "Qwen2.5 14B": Shape(5120, 48, 40, 8, 128, 13824, 152064, False, 32768),
}
#: Table 11.1 of the book: bits, size and RAM in GB.
PRINTED = {
    "Q2_K": (2, 2.72, 5.22),
    "Q3_K_S": (3, 3.16, 5.66),
    "Q3_K_M": (3, 3.52, 6.02),
    "Q3_K_L": (3, 3.82, 6.32),
    "Q4_0": (4, 4.11, 6.61),
    "Q4_K_S": (4, 4.14, 6.64),
    "Q4_K_M": (4, 4.37, 6.87),
    "Q5_0": (5, 5.00, 7.50),
    "Q5_K_S": (5, 5.00, 7.50),
    "Q5_K_M": (5, 5.13, 7.63),
    "Q6_K": (6, 5.94, 8.44),
    "Q8_0": (8, 7.70, 10.20),
}


@dataclass(frozen=True)
class Board:
    """A board, with what Linux has of its memory in MiB, what the role keeps free, and its overhead for a service."""

    name: str
    memory: int
    reserve: int
    overhead: int
    model: str = ""
    covered: bool = False


def _pi(gib: int, model: str) -> Board:
    """Return a Pi: the firmware and the GPU keep about 2 % of its memory."""
    return Board(f"Pi {gib} GB", gib * 1005, 512, 256, model)


def _orin(name: str, gib: int, model: str) -> Board:
    """Return a Jetson: carve-outs keep about 7 % of its memory."""
    return Board(f"{name} {gib} GB", gib * 952, 1536, 1024, model, covered=True)


BOARDS = (
    _pi(2, "Raspberry Pi 4"),
    _pi(4, "Raspberry Pi 4"),
    # The book's third size, which no current Pi has.
    _pi(6, ""),
    _pi(8, "Raspberry Pi 5"),
    _pi(16, "Raspberry Pi 5"),
    _orin("Orin Nano", 8, "Orin Nano"),
    _orin("Orin NX", 16, "Orin NX"),
    _orin("AGX Orin", 32, "AGX Orin"),
    _orin("AGX Orin", 64, "AGX Orin"),
)
CONTEXT = 4096


def best(board: Board, shape: Shape) -> Weights | None:
    """Return a model as `quantisation: auto` would have it on a board; None where it does not fit."""
    ask = Ask("a", "m", context=min(CONTEXT, shape.context), overhead_mib=board.overhead, covered=board.covered)
    wanted = [(ask, shape.weights(LADDER[-1]))]
    kind = memory.best_type(Room(board.memory, board.reserve), wanted, 0, LADDER)
    return shape.weights(kind) if kind else None


def _table(head: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines]) + "\n"


def book_table() -> str:
    """Return Table 11.1 beside what is computed."""
    mistral, llama = (SHAPES[name].types() for name in ("Mistral 7B", "Llama 2 7B"))
    lines = []
    for name, (bits, size, ram) in PRINTED.items():
        weights = SHAPES["Mistral 7B"].weights(name)
        need = memory.need(Ask("a", "m", context=CONTEXT, overhead_mib=256), weights)
        true_bits = 8 * mistral[name] / sum(_count(tensor) for tensor in SHAPES["Mistral 7B"].tensors())
        lines.append(
            [
                f"`{name}`",
                f"{bits}",
                f"{true_bits:.2f}",
                f"{size:.2f}",
                f"{mistral[name] / GB:.2f}",
                f"{llama[name] / GB:.2f}",
                f"{ram:.2f}",
                f"{need.total * memory.MIB / GB:.2f}",
            ]
        )
    head = ["type", "bits, printed", "bits", "GB, printed", "Mistral 7B", "Llama 2 7B", "RAM, printed", "RAM"]
    return _table(head, lines)


def _count(tensor: Tensor) -> int:
    """Return how many numbers a tensor has."""
    return tensor.bytes_as("F32") // 4


def types_table() -> str:
    """Return the sizes of models in every type, in GB."""
    names = ("Llama 3.2 1B", "Llama 3.2 3B", "Mistral 7B", "Llama 3.1 8B", "Qwen2.5 14B")
    types = {name: SHAPES[name].types() for name in names}
    kinds = sorted(QUANTISATIONS, key=lambda kind: types["Mistral 7B"][kind])
    lines = [[f"`{kind}`", *(f"{types[name][kind] / GB:.2f}" for name in names)] for kind in kinds]
    return _table(["type", *names], lines)


def boards_table() -> str:
    """Return the best type of each model on each board, and how fast it is predicted to be."""

    def cell(board: Board, shape: Shape) -> str:
        weights = best(board, shape)
        if not weights:
            return "-"
        rate = speed.predicted(board.model, weights.size)
        return f"{weights.quantisation}, {rate:.1f}" if rate else weights.quantisation

    lines = [[name, *(cell(board, shape) for board in BOARDS)] for name, shape in SHAPES.items()]
    return _table(["model", *(board.name for board in BOARDS)], lines)


TABLES = {"table-11-1": book_table, "types": types_table, "boards": boards_table}


def with_tables(text: str) -> str:
    """Return a page with its tables as they are computed now.

    Raises:
        ValueError: A table's place is missing.
    """
    for name, table in TABLES.items():
        start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
        before, found, rest = text.partition(start)
        _stale, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the table {name}")
        text = before + start + table() + end + after
    return text


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    wanted = with_tables(text)
    if wanted != text and given.check:
        sys.stderr.write(f"{PAGE}: a table is stale; run tools/fit_tables.py\n")
        return 1
    if wanted != text:
        PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

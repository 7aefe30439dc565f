#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of a model does each quantisation keep?

    benchmarks/quantisation.py /opt/edge-slm/llama.cpp/current/bin MODEL-F16.gguf TEXT [TYPE ...]

Each type is made of the f16 file by llama-quantize, and its predictions on the text are compared with those of the f16
file by llama-perplexity. Without types: those of the book's table 11.1. Prints a Markdown table:

- perplexity against that of f16: 1.00 is as good;
- KL divergence: how far its probabilities for the next token are from those of f16, in nats, on average; 0 is the same;
- the share of tokens for which both find the same one likeliest.

They are relative to f16 on the same text. With other texts they are others; the order of the types hardly changes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BOOK = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0")
#: What llama-perplexity prints at the end, as «name: value ± uncertainty».
RATIO, DIVERGENCE, SAME = "Mean PPL(Q)/PPL(base)", "Mean    KLD", "Same top p"


@dataclass(frozen=True)
class Quality:
    """What a quantised model keeps of its original.

    Attributes:
        size: Of the file, in bytes.
        ratio: Its perplexity as a multiple of the original's.
        divergence: Mean Kullback-Leibler divergence of its predictions from the original's, in nats.
        same: Percentage of tokens for which both find the same one likeliest.
    """

    size: int
    ratio: float
    divergence: float
    same: float


def value(printed: str, name: str) -> float:
    """Return a number that llama-perplexity has printed.

    Raises:
        ValueError: It has not.
    """
    found = re.search(rf"^{re.escape(name)}\s*:\s*(-?[0-9.]+)", printed, re.MULTILINE)
    if not found:
        raise ValueError(f"llama-perplexity printed no {name!r}: {printed.strip()[-400:]}")
    return float(found[1])


def run(*command: str | Path) -> str:
    """Run a program of llama.cpp and return what it prints.

    Raises:
        ValueError: It failed.
    """
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise ValueError(f"{Path(command[0]).name} failed: {done.stdout.strip()[-400:]}")
    return done.stdout


def measure(programs: Path, model: Path, kind: str, predictions: Path) -> Quality:
    """Quantise a model, and compare its predictions with those of the original."""
    with tempfile.TemporaryDirectory(dir=predictions.parent) as directory:
        made = Path(directory, f"{kind}.gguf")
        run(programs / "llama-quantize", model, made, kind)
        compare = ("--kl-divergence", "--kl-divergence-base", predictions)
        printed = run(programs / "llama-perplexity", "--model", made, *compare)
        size = made.stat().st_size
    return Quality(size, value(printed, RATIO), value(printed, DIVERGENCE), value(printed, SAME))


def row(kind: str, quality: Quality, original: int) -> str:
    """Return a row of the table."""
    share = f"{100 * quality.size / original:.0f} %"
    return f"| `{kind}` | {share} | {quality.ratio:.3f} | {quality.divergence:.4f} | {quality.same:.1f} % |\n"


def main() -> int:
    """Compare types, the largest last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("types", nargs="*", default=BOOK, metavar="TYPE")
    parser.add_argument("--chunks", type=int, default=16, help="how many pieces of 512 tokens count (default: 16)")
    given = parser.parse_args()
    original = given.model.stat().st_size
    with tempfile.TemporaryDirectory() as directory:
        predictions = Path(directory, "predictions")
        base = ("--file", given.text, "--chunks", str(given.chunks), "--kl-divergence-base", predictions)
        try:
            run(given.programs / "llama-perplexity", "--model", given.model, *base)
            sys.stdout.write("| type | size of f16's | perplexity | KL divergence | same token |\n")
            sys.stdout.write("| --- | --- | --- | --- | --- |\n")
            for kind in given.types:
                sys.stdout.write(row(kind, measure(given.programs, given.model, kind, predictions), original))
                sys.stdout.flush()
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

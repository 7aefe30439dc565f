#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a command and note how long it took: tools/timed.py STAGE[/STEP] COMMAND... Alone, print a table of minutes.

Noted in .artifacts/times.tsv, a line for each; of several runs the last one counts. A stage of several steps is a row
with a column each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

TIMES = Path(__file__).resolve().parents[1] / ".artifacts/times.tsv"


def read() -> dict[str, float]:
    """Return the seconds that were noted, by name, in the order in which they were noted."""
    times: dict[str, float] = {}
    for line in TIMES.read_text(encoding="utf-8").splitlines() if TIMES.exists() else ():
        name, _tab, seconds = line.partition("\t")
        times.pop(name, None)
        times[name] = float(seconds)
    return times


def note(name: str, seconds: float) -> None:
    """Note seconds under a name."""
    TIMES.parent.mkdir(exist_ok=True)
    with TIMES.open("a", encoding="utf-8") as file:
        file.write(f"{name}\t{seconds:.1f}\n")


def table(times: Mapping[str, float]) -> str:
    """Return the table: minutes, a row for each stage, a column for each step."""
    stages = list(dict.fromkeys(name.partition("/")[0] for name in times))
    steps = list(dict.fromkeys(step for _stage, slash, step in (name.partition("/") for name in times) if slash))
    rows = [["minutes", *steps, "all"]]
    for stage in stages:
        cells = [times.get(f"{stage}/{step}") for step in steps]
        whole = sum(seconds for name, seconds in times.items() if name.partition("/")[0] == stage)
        rows.append([stage, *("" if cell is None else f"{cell / 60:.1f}" for cell in cells), f"{whole / 60:.1f}"])
    rows.append(["all", *[""] * len(steps), f"{sum(times.values()) / 60:.1f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def main() -> int:
    """Command line; ends as the command has ended."""
    if len(sys.argv) == 1:
        print(table(read()))
        return 0
    if len(sys.argv) == 2:
        print(f"usage: {sys.argv[0]} [STAGE[/STEP] COMMAND...]", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        return subprocess.run(sys.argv[2:], check=False).returncode
    except KeyboardInterrupt:  # the command got it, too
        return 130
    finally:
        note(sys.argv[1], time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())

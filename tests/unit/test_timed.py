"""tools/timed.py: how long the stages of a test run took."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tools are scripts that import one another by their plain names.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import timed


def test_a_row_for_each_stage_and_a_column_for_each_step() -> None:
    assert timed.table({"lint": 66, "site/check": 30, "site/verify": 600, "tls/check": 6}).splitlines() == [
        "minutes  check  verify   all",
        "lint                     1.1",
        "site       0.5    10.0  10.5",
        "tls        0.1           0.1",
        "all                     11.7",
    ]


def test_the_last_run_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "TIMES", tmp_path / "new/times.tsv")
    for name, seconds in (("lint", 1.0), ("unit", 2.0), ("lint", 3.0)):
        timed.note(name, seconds)
    assert list(timed.read().items()) == [("unit", 2.0), ("lint", 3.0)]


@pytest.mark.parametrize(("command", "code"), [(["true"], 0), (["sh", "-c", "exit 7"], 7)])
def test_a_commands_end_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], code: int
) -> None:
    monkeypatch.setattr(timed, "TIMES", tmp_path / "times.tsv")
    monkeypatch.setattr(timed.sys, "argv", ["timed.py", "stage/step", *command])
    assert timed.main() == code
    assert list(timed.read()) == ["stage/step"]

"""The tests of the scenarios, which need devices: here only that pytest can read them."""

from __future__ import annotations

import subprocess
import sys

from devices import ROOT


def test_every_scenarios_tests_can_be_collected() -> None:
    directories = [str(path) for path in (*ROOT.glob("molecule/*/tests"), ROOT / "tests/integration")]
    assert len(directories) > 8
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *directories]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]

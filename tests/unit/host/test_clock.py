"""The module host_baseline_clock: who sets the clock."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge_slm.fleet.plugins.modules import host_baseline_clock


@pytest.mark.parametrize(
    ("synchronised", "seconds", "set_by"),
    [(True, 60, "a time server"), (False, 1, "the controller"), (False, 0, "the controller")],
)
def test_who_sets_the_clock(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    synchronised: bool,
    seconds: int,
    set_by: str,
) -> None:
    clock: list[float] = []
    mark = tmp_path / "synchronized"
    if synchronised:
        mark.touch()
    monkeypatch.setattr(host_baseline_clock, "SYNCHRONISED", str(mark))
    monkeypatch.setattr(time, "clock_settime", lambda _clock, now: clock.append(now))
    with patch_module_args({"now": 1e9, "seconds": seconds}), pytest.raises(SystemExit):
        host_baseline_clock.main()
    assert json.loads(capsys.readouterr().out)["set_by"] == set_by
    assert [0 <= now - 1e9 - seconds < 5 for now in clock] == [True] * (not synchronised)

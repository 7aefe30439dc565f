"""Tables for what has to be done with an instance of llama-server@.service."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import (
    describe_unit,
    start_problem,
    steps_to_run,
)

RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "MainPID": "42",
    "NRestarts": "0",
    "Result": "success",
    "ExecMainStartTimestampMonotonic": "12500000",
}
ENVIRON = b"PATH=/bin\0EDGE_SLM_DIGEST=d1\0EDGE_SLM_PORT=8080\0\0"


def show(**changes: str) -> dict[str, str]:
    return {**RUNNING, **changes}


@pytest.mark.parametrize(
    ("changes", "environ", "expected"),
    [
        ({}, ENVIRON, (False, False, False)),
        ({"ActiveState": "activating", "SubState": "start-post"}, ENVIRON, (False, False, False)),
        ({"UnitFileState": "disabled"}, ENVIRON, (False, True, False)),
        ({}, b"EDGE_SLM_DIGEST=d0\0", (False, False, True)),
        ({}, b"", (False, False, True)),
        ({"NeedDaemonReload": "yes"}, ENVIRON, (True, False, True)),
        ({"ActiveState": "failed", "MainPID": "0"}, b"", (False, False, True)),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "MainPID": "0"},
            b"",
            (False, False, True),
        ),
        (
            {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": "", "MainPID": "0"},
            b"",
            (True, True, True),
        ),
    ],
)
def test_steps(changes: dict[str, str], environ: bytes, expected: tuple[bool, bool, bool]) -> None:
    steps = steps_to_run(describe_unit(show(**changes), environ), "d1")
    assert (steps.reload, steps.enable, steps.restart) == expected
    assert bool(steps.reason) == steps.restart
    assert not steps.unmask


@pytest.mark.parametrize("active", ["active", "inactive"])
def test_a_masked_unit_is_unmasked_read_again_and_restarted(active: str) -> None:
    steps = steps_to_run(describe_unit(show(LoadState="masked", ActiveState=active), ENVIRON), "d1")
    assert (steps.unmask, steps.reload, steps.restart) == (True, True, True)


def test_a_process_with_the_right_digest_may_have_to_go() -> None:
    unit = describe_unit(show(), ENVIRON)
    assert steps_to_run(unit, "d1").restart is False
    assert steps_to_run(unit, "d1", "does not answer").reason == "does not answer"


def test_when_the_process_was_started() -> None:
    assert describe_unit(show(), ENVIRON).started == 12.5


def test_describe_unit_copes_with_no_systemd() -> None:
    unit = describe_unit({}, b"")
    assert (unit.pid, unit.restarts, unit.digest, unit.enabled) == (0, 0, "", False)


@pytest.mark.parametrize(
    ("changes", "before", "part"),
    [
        ({}, 0, ""),
        ({"NRestarts": "2"}, 2, ""),
        ({"NRestarts": "3", "Result": "exit-code"}, 2, "crashed while it started (result: exit-code"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, 0, "crashed while it started"),
        ({"ActiveState": "failed", "Result": "start-limit-hit"}, 0, "start-limit-hit"),
    ],
)
def test_start_problem(changes: dict[str, str], before: int, part: str) -> None:
    problem = start_problem(describe_unit(show(**changes), ENVIRON), before)
    assert bool(problem) == bool(part)
    assert part in problem

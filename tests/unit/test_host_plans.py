"""The module host_plans guards each plan: a crash or a hang is its role's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan, with_secrets
from ansible_collections.edge_slm.fleet.plugins.modules import host_plans


def crashes(_inputs: Mapping[str, Any], _host: Host) -> Plan:
    raise KeyError("nothing here")


def hangs(_inputs: Mapping[str, Any], _host: Host) -> Plan:
    time.sleep(30)
    return Plan()


def works(inputs: Mapping[str, Any], _host: Host) -> Plan:
    return Plan(pending=[f"x: is {inputs['wanted']}"])


@pytest.mark.parametrize(
    ("plan", "unfit"),
    [
        (crashes, "pi_baseline: its plan failed: KeyError: 'nothing here' (test_host_plans.py:"),
        (hangs, "pi_baseline: reading this host took longer than 1 s (test_host_plans.py:"),
    ],
)
def test_a_crash_or_a_hang_is_reported_with_the_role(monkeypatch: pytest.MonkeyPatch, plan: Any, unfit: str) -> None:
    monkeypatch.setattr(host_plans, "planner", lambda role: plan)
    started = time.monotonic()
    found = host_plans.ask("pi_baseline", {}, Host(), 1)
    assert time.monotonic() - started < 10
    assert len(found.unfit) == 1
    assert found.unfit[0].startswith(unfit)


def test_a_plan_that_works_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_plans, "planner", lambda role: works)
    assert host_plans.ask("pi_baseline", {"wanted": "y"}, Host(), 1).pending == ["x: is y"]


def test_secrets_are_put_back_where_they_were() -> None:
    inputs = {"keys": [{"name": "a", "key": {"edge_slm_number": 1}}], "token": {"edge_slm_number": 0}, "port": 1}
    assert with_secrets(inputs, ["t", "k"]) == {"keys": [{"name": "a", "key": "k"}], "token": "t", "port": 1}

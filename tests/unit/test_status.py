"""Tables for the fleet's state as rows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.endpoint import Reply
from ansible_collections.edge_slm.fleet.plugins.module_utils.status import (
    describe_service,
    host_report,
    render_table,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.unit import parse_unit

ENVIRONMENT = {
    "LLAMA_ARGS": '--model "/models/my model/a.gguf" --alias smollm2 --port 8081 --embeddings',
    "EDGE_SLM_PORT": "8081",
    "EDGE_SLM_DIGEST": "d1",
}
ROW = {"engine": "llama.cpp", "service": "s", "port": 8080, "model": "m", "release": "r", "sha256": "a" * 64}


@pytest.mark.parametrize(
    ("health", "expected"),
    [(Reply(200, ""), "ok"), (Reply(503, ""), "loading"), (Reply(0, ""), "no answer (failed, exit-code)")],
)
def test_describe_service(health: Reply, expected: str) -> None:
    unit = parse_unit("ActiveState=failed\nResult=exit-code\nNRestarts=4\n", b"EDGE_SLM_DIGEST=d0\0")
    row = describe_service("s", ENVIRONMENT, unit, health)
    assert row["health"] == expected
    assert (row["model"], row["model_path"]) == ("smollm2", "/models/my model/a.gguf")
    assert (row["port"], row["restarts"], row["embeddings"], row["in_sync"]) == (8081, 4, True, False)


@pytest.mark.parametrize(
    ("result", "reachable", "problem"),
    [
        ({"endpoints": []}, True, ""),
        ({"unreachable": True, "msg": "ssh: Connection refused"}, False, "ssh: Connection refused"),
        ({"msg": "sudo: a password is required\nmore"}, True, "sudo: a password is required"),
        ({}, False, "no answer"),
    ],
)
def test_host_report(result: dict[str, Any], reachable: bool, problem: str) -> None:
    report = host_report("pi-01", result)
    assert (report["reachable"], report["problem"]) == (reachable, problem)


def test_table() -> None:
    lines = render_table(
        [
            host_report("pi-01", {"endpoints": [{**ROW, "health": "ok", "tokens_per_second": 4.6}]}),
            host_report("pi-02", {"endpoints": [{**ROW, "health": "ok", "in_sync": False}]}),
            host_report("pi-03", {"endpoints": []}),
            host_report("pi-04", {"unreachable": True, "msg": "connect to host x port 22: Connection refused"}),
        ]
    )
    assert lines[0].split()[:3] == ["HOST", "SERVICE", "PORT"]
    assert lines[1].split() == ["pi-01", "s", "8080", "llama.cpp", "r", "m", "a" * 12, "4.6", "ok"]
    assert lines[2].endswith("ok, not what its files say")
    assert lines[3].split() == ["pi-03", "no", "service"]
    assert lines[4].endswith("unreachable (Connection refused)")

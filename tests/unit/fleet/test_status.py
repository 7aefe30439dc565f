"""Tables for the fleet's state as rows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Reply
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.status import (
    describe_service,
    gpu_text,
    host_report,
    render_table,
    table_rows,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import describe_unit

ENVIRONMENT = {
    "LLAMA_ARGS": '--model "/models/my model/a.gguf" --alias smollm2 --ctx-size 4096 --parallel 2 --embeddings',
    "EDGE_SLM_PORT": "8081",
    "EDGE_SLM_DIGEST": "d1",
}
PLANS = {"llama_cpp": {"pending": ["a", "b"]}, "endpoint_tls": {"pending": []}, "llama_service": {"pending": ["c"]}}
ROW = {"engine": "llama.cpp", "service": "s", "port": 8080, "model": "m", "release": "r", "sha256": "a" * 64}


@pytest.mark.parametrize(
    ("health", "expected"),
    [(Reply(200, ""), "ok"), (Reply(503, ""), "loading"), (Reply(0, ""), "no answer (failed, exit-code)")],
)
def test_describe_service(health: Reply, expected: str) -> None:
    unit = describe_unit({"ActiveState": "failed", "Result": "exit-code", "NRestarts": "4"}, b"EDGE_SLM_DIGEST=d0\0")
    row = describe_service("s", ENVIRONMENT, unit, health)
    assert row["health"] == expected
    assert (row["model"], row["model_path"]) == ("smollm2", "/models/my model/a.gguf")
    assert (row["context"], row["loaded"]) == (2048, expected == "ok")
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
    report = host_report("pi-01", [result, {"skipped": True}], {}, {})
    assert (report["reachable"], report["problem"]) == (reachable, problem)


def test_a_failure_of_one_engine_does_not_hide_the_other() -> None:
    report = host_report(
        "jetson-01", [{"endpoints": [ROW]}, {"msg": "no Ollama at 127.0.0.1"}], {"summary": "MAXN"}, {}
    )
    assert [row["health"] for row in table_rows(report)] == ["", "no Ollama at 127.0.0.1"]
    assert [row["board"] for row in table_rows(report)] == ["MAXN", "MAXN"]


@pytest.mark.parametrize(("share", "words"), [(None, ""), (0, "not proven"), (50.4, "50 %"), (100, "100 %")])
def test_gpu_as_text(share: float | None, words: str) -> None:
    assert gpu_text(share) == words


def test_table() -> None:
    lines = render_table(
        [
            host_report("pi-01", [{"endpoints": [{**ROW, "health": "ok", "tokens_per_second": 4.6}]}], {}, {}),
            host_report("pi-02", [{"endpoints": [{**ROW, "health": "ok", "in_sync": False}]}], {}, PLANS),
            host_report("pi-03", [{"endpoints": []}], {}, PLANS),
            host_report(
                "pi-04", [{"unreachable": True, "msg": "connect to host x port 22: Connection refused"}], {}, {}
            ),
        ]
    )
    assert lines[0].split()[:3] == ["HOST", "SERVICE", "PORT"]
    assert lines[1].split() == ["pi-01", "s", "8080", "llama.cpp", "r", "m", "a" * 12, "no", "4.6", "ok"]
    differs = "; differs from the inventory: 3 (playbooks/drift.yml shows how)"
    assert lines[2].endswith(f"ok, differs from its files{differs}")
    assert lines[3].endswith(f"  no service{differs}")
    assert lines[4].endswith("unreachable (Connection refused)")

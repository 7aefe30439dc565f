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
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan

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


@pytest.mark.parametrize(
    ("service", "model", "predicted"), [("s", "m", 5.5), ("ollama", "s", 5.5), ("ollama", "other", 0.0)]
)
def test_what_is_measured_has_what_was_predicted_beside_it(service: str, model: str, predicted: float) -> None:
    weights = {"m": {"size": 2_000_000_000}}
    memory = {"room": {"memory": 8062}, "asks": [{"service": "s", "model": "m"}], "weights": weights}
    plans = {"llama_service": Plan(needs={"memory": memory}).as_dict()}
    found = {**ROW, "service": service, "model": model, "tokens_per_second": 4.6}
    report = host_report("pi-01", [{"endpoints": [found]}], {}, plans, "Raspberry Pi 5 Model B")
    assert report["endpoints"][0]["predicted_tokens_per_second"] == predicted
    (row,) = table_rows(report)
    assert (row["tokens_per_second"], row["predicted_tokens_per_second"]) == ("4.6", str(predicted or ""))


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


def test_a_builders_plans_for_classes_that_no_device_has_are_no_difference() -> None:
    plans = {"llama_cpp": Plan().as_dict(), "llama_cpp for armv8-a": Plan(pending=["release x: is not here"]).as_dict()}
    assert host_report("builder-01", [{"endpoints": []}], {}, plans)["differs"] == {}

"""What differs between Ollama as it runs and as it is wanted: the sentences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import parse_image
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import live, server
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import Held, Model, make_plan

DEFAULTS = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "roles/jetson_ollama/defaults/main.yml").read_text(encoding="utf-8")
)
IMAGE = parse_image("ollama/ollama@sha256:" + "0123456789abcdef" * 4)
PIN, OTHER, GGUF = "1" * 64, "2" * 64, "3" * 64


def inputs(**changes: Any) -> server.Inputs:
    plain = {name.removeprefix("jetson_ollama_"): value for name, value in DEFAULTS.items()}
    problems = Problems()
    found = server.parse_inputs({**plain, "image": IMAGE.reference, **changes}, problems)
    assert problems.found == []
    return found


def wanted(**changes: Any) -> dict[str, Any]:
    return server.container(inputs(**changes), IMAGE, "r36", 6000, "certificates")


def running(**changes: Any) -> dict[str, Any]:
    """Return what `docker inspect` shows of a container that is as wanted."""
    found = wanted(**changes)
    return {
        "Config": {
            "Image": found["image"],
            "Entrypoint": found["entrypoint"],
            "Cmd": found["command"],
            "Env": [*(f"{name}={value}" for name, value in found["env"].items()), "PATH=/usr/bin"],
            "Labels": dict(found["labels"]),
        },
        "HostConfig": {
            "Binds": found["volumes"],
            "Runtime": "nvidia",
            "NetworkMode": "host",
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true"],
            "CapDrop": ["ALL"],
            "Memory": 6000 << 20,
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        },
        "State": {
            "Running": True,
            "Paused": False,
            "Restarting": False,
            "ExitCode": 0,
            "StartedAt": "2026-11-26T04:19:00.123456789Z",
            "Health": {"Status": "healthy"},
        },
    }


def variable(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        lines = [line for line in found["Config"]["Env"] if not line.startswith(f"{name}=")]
        found["Config"]["Env"] = [*lines, f"{name}={value}"]

    return change


def part(section: str, key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        found[section][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda _found: None, []),
        (
            part("Config", "Image", "ollama/ollama:latest"),
            [f"its option image is ollama/ollama:latest, not {IMAGE.reference}"],
        ),
        (variable("OLLAMA_KEEP_ALIVE", "5m"), ["its variable OLLAMA_KEEP_ALIVE is 5m, not -1"]),
        (variable("SECRET_PROXY", "x"), []),
        (
            part("HostConfig", "Binds", ["/mnt:/x"]),
            [
                "its option volumes is /mnt:/x, not /var/lib/ollama:/ollama:rw /etc/ssl/certs:/etc/ssl/certs:ro",
            ],
        ),
        (part("HostConfig", "Runtime", "runc"), ["its option runtime is runc, not nvidia"]),
        (part("HostConfig", "Memory", 0), ["its option memory is 0m, not 6000m"]),
        (part("HostConfig", "RestartPolicy", {"Name": "no"}), ["its option restart_policy is no, not unless-stopped"]),
        (part("HostConfig", "CapDrop", None), ["its option cap_drop is not set, not ALL"]),
        (
            part("Config", "Labels", {server.INPUTS_LABEL: "older"}),
            ["it was started with other inputs, or before the host's CA certificates changed"],
        ),
    ],
)
def test_settings_of_the_container(change: Callable[[dict[str, Any]], None], sentences: list[str]) -> None:
    found = copy.deepcopy(running())
    change(found)
    assert live.settings_differences(wanted(), found) == sentences


def test_a_variable_of_the_operator_is_not_shown() -> None:
    found = running(environment={"OLLAMA_AUTH": "old"})
    differences = live.settings_differences(wanted(environment={"OLLAMA_AUTH": "new"}), found)
    assert differences == ["its variable OLLAMA_AUTH is another one"]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, ""),
        ({"Running": False, "ExitCode": 137}, "is not running (it ended with code 137)"),
        ({"Paused": True}, "is paused"),
        ({"Restarting": True, "ExitCode": 1}, "is started again and again (it ends with code 1)"),
    ],
)
def test_the_state_of_the_container(state: dict[str, Any], sentence: str) -> None:
    found = running()
    found["State"].update(state)
    assert live.state_difference(found) == sentence


STARTED = 1795666740.0


@pytest.mark.parametrize(
    ("state", "answers", "now", "restart"),
    [
        ({}, True, STARTED + 1000, False),
        ({}, False, STARTED + 10, False),
        ({}, False, STARTED + 1000, True),
        # The clock has been set back.
        ({}, False, STARTED - 1000, True),
        ({"Health": {"Status": "unhealthy"}}, False, STARTED + 10, True),
        # Docker's check is older than the answer.
        ({"Health": {"Status": "unhealthy"}}, True, STARTED + 10, False),
        ({"Running": False}, False, STARTED + 1000, False),
        ({"Paused": True}, False, STARTED + 1000, False),
        ({"Restarting": True}, False, STARTED + 1000, False),
    ],
)
def test_when_a_container_is_restarted(state: dict[str, Any], answers: bool, now: float, restart: bool) -> None:
    found = running()
    found["State"].update(state)
    assert live.needs_restart(found, answers, 120, now) is restart


PHI3 = Model("phi3:mini", aliases=("small:latest",), digest=PIN)
FILE = Model("smol:latest", path="/m/x.gguf", sha256=GGUF)
HELD = {
    "phi3:mini": Held("phi3:mini", PIN, 1),
    "small:latest": Held("small:latest", PIN, 1),
    "smol:latest": Held("smol:latest", OTHER, 1),
}
RECORD = {"smol:latest": {"digest": OTHER, "inputs": FILE.inputs}}


@pytest.mark.parametrize(
    ("held", "record", "damaged", "others", "sentences"),
    [
        ({}, RECORD, {}, False, []),
        ({"phi3:mini": None}, RECORD, {}, False, ["model phi3:mini: is missing"]),
        (
            {"phi3:mini": Held("phi3:mini", OTHER, 1)},
            RECORD,
            {},
            False,
            ["model phi3:mini: its digest is sha256:222222222222…, not sha256:111111111111…"],
        ),
        ({"small:latest": None}, RECORD, {}, False, ["model phi3:mini: its alias small:latest is missing"]),
        (
            {"small:latest": Held("small:latest", OTHER, 1)},
            RECORD,
            {},
            False,
            ["model phi3:mini: its alias small:latest names another model"],
        ),
        ({}, {}, {}, False, ["model smol:latest: is not known to be made of the listed file"]),
        (
            {},
            {"smol:latest": {"digest": OTHER, "inputs": "others"}},
            {},
            False,
            ["model smol:latest: was made of another file, template, system prompt or other parameters"],
        ),
        (
            {},
            {"smol:latest": {"digest": PIN, "inputs": FILE.inputs}},
            {},
            False,
            ["model smol:latest: has changed since it was made"],
        ),
        (
            {},
            RECORD,
            {"phi3:mini": "its file sha256:12 is missing"},
            False,
            ["model phi3:mini: its file sha256:12 is missing"],
        ),
        ({"x:1": Held("x:1", PIN, 1)}, RECORD, {}, False, []),
        ({"x:1": Held("x:1", PIN, 1)}, RECORD, {}, True, ["model x:1: is not listed"]),
        (
            {"edge-slm-replaced/x:1": Held("edge-slm-replaced/x:1", PIN, 1)},
            RECORD,
            {},
            False,
            ["model edge-slm-replaced/x:1: is left over from an interrupted run"],
        ),
    ],
)
def test_models(
    held: dict[str, Held | None], record: dict[str, Any], damaged: dict[str, str], others: bool, sentences: list[str]
) -> None:
    merged: dict[str, Held | None] = {**HELD, **held}
    there = {name: one for name, one in merged.items() if one}
    plan = make_plan([PHI3, FILE], there, record, others, damaged)
    assert live.model_sentences(plan, there, record, damaged) == sentences


PROOF = server.proof(PIN, "label", True, 100)


@pytest.mark.parametrize(
    ("running", "answered", "sentences"),
    [
        ([], {"phi3:mini": PROOF}, []),
        ([], {}, ["model phi3:mini: has not answered yet as it is wanted now"]),
        ([], {"phi3:mini": "older"}, ["model phi3:mini: has not answered yet as it is wanted now"]),
        ([{"name": "phi3:mini", "size": 1 << 30, "size_vram": 1 << 30}], {"phi3:mini": PROOF}, []),
        (
            [{"name": "phi3:mini", "size": 1 << 30}],
            {"phi3:mini": PROOF},
            [
                "model phi3:mini: it runs on the CPU: 0.0 MiB of 1024.0 MiB (0.0 %) are on the GPU, wanted are 100 %",
            ],
        ),
        # Somebody's request had its own context.
        (
            [{"name": "phi3:mini", "size": 1 << 30, "size_vram": 1 << 30, "context_length": 99}],
            {"phi3:mini": PROOF},
            [],
        ),
    ],
)
def test_models_that_have_answered(
    running: list[dict[str, Any]], answered: dict[str, str], sentences: list[str]
) -> None:
    assert live.answer_sentences([PHI3], HELD, running, answered, "label", inputs()) == sentences
    assert live.answer_sentences([PHI3], {}, running, answered, "label", inputs()) == []

"""The verdict on the GPU over real answers of /api/ps, and the rows of the status table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Abilities
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.status import COLUMNS
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import (
    Loaded,
    abilities,
    find_loaded,
    judge,
    known_causes,
    speed,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.status import describe_models, silent_server

DATA = Path(__file__).parent / "data"
VERSIONS = ("0.6.8", "0.17.4")


def read(path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / path).read_text())
    return content


def ps(path: str) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = read(path)["models"]
    return models


# 0.6.8 and 0.17.4 were recorded on a CPU by these versions themselves. With a GPU:
#   public/ps-all.json: github.com/nirmato/nirmato-ollama/issues/13 (a desktop GPU, August 2025)
#   public/ps-part.json: docs.ollama.com/api/ps, its example (81 % on the GPU, with context_length)
#   public/ps-2024.json: Ollama's docs/api.md as of commit 28c7813 (June 2024)
@pytest.mark.parametrize(
    ("answer", "model", "share", "context", "expected"),
    [
        ("public/ps-all.json", "gemma3", 100.0, 0, []),
        ("public/ps-2024.json", "mistral", 100.0, 0, []),
        ("public/ps-part.json", "gemma4", 80.9, 4096, ["only a part of it is on the GPU: 5086.5 MiB of 6286.5 MiB"]),
        ("0.6.8/ps.json", "phi3:mini", 0.0, 0, ["it runs on the CPU: 0.0 MiB of 284.3 MiB (0.0 %)"]),
        ("0.17.4/ps.json", "phi3:mini", 0.0, 2048, ["it runs on the CPU: 0.0 MiB of 137.1 MiB (0.0 %)"]),
    ],
)
def test_share_on_the_gpu(answer: str, model: str, share: float, context: int, expected: list[str]) -> None:
    loaded = find_loaded(ps(answer), model)
    assert loaded
    assert (loaded.share, loaded.context, loaded.proven) == (share, context, share > 0)
    problems = judge(loaded, require_gpu=True, gpu_share=100, context=0)
    assert len(problems) == len(expected)
    assert all(text in problem for text, problem in zip(expected, problems, strict=True))
    assert judge(loaded, require_gpu=False, gpu_share=100, context=0) == []


def test_a_demanded_share_may_be_less_than_all() -> None:
    loaded = find_loaded(ps("public/ps-part.json"), "gemma4")
    assert judge(loaded, require_gpu=True, gpu_share=80, context=0) == []
    assert "wanted are 81 %" in judge(loaded, require_gpu=True, gpu_share=81, context=0)[0]


def test_the_share_is_never_rounded_up() -> None:
    assert Loaded(10_000_000, 9_999_999, 0).share == 99.9


def test_size_vram_may_be_left_out() -> None:
    # Before 0.1.42 (github.com/ollama/ollama/issues/4840).
    item = {key: value for key, value in ps("0.6.8/ps.json")[0].items() if key != "size_vram"}
    assert find_loaded([item], "phi3:mini") == Loaded(298153728, 0, 0)


@pytest.mark.parametrize("running", [[], ps("public/ps-all.json")])
def test_a_model_that_is_not_loaded(running: list[dict[str, Any]]) -> None:
    assert find_loaded(running, "phi3:mini") is None
    assert judge(None, require_gpu=False, gpu_share=100, context=0) == [
        "it is not among the loaded models of /api/ps while it answers"
    ]


def test_a_second_name_is_found_by_its_digest() -> None:
    running = ps("0.17.4/ps.json")
    assert find_loaded(running, "phi3") is None
    assert find_loaded(running, "phi3", "sha256:" + running[0]["digest"])


@pytest.mark.parametrize(
    ("found", "wanted", "wrong"), [(2048, 2048, False), (2048, 4096, True), (0, 4096, False), (2048, 0, False)]
)
def test_context(found: int, wanted: int, wrong: bool) -> None:
    problems = judge(Loaded(1, 1, found), require_gpu=True, gpu_share=100, context=wanted)
    assert bool(problems) == wrong
    if wrong:
        assert f"its context is {found} tokens, wanted are {wanted}" in problems[0]


GOOD: dict[str, Any] = {
    "HostConfig": {"Runtime": "nvidia"},
    "Config": {
        "Image": "ollama/ollama@sha256:0",
        "Env": ["JETSON_JETPACK=6", "NVIDIA_VISIBLE_DEVICES=all"],
    },
}


def container(**changes: Any) -> dict[str, Any]:
    return {
        "HostConfig": {"Runtime": changes.get("runtime", "nvidia")},
        "Config": {
            "Image": changes.get("image", "ollama/ollama@sha256:0"),
            "Env": changes.get("env", GOOD["Config"]["Env"]),
        },
    }


@pytest.mark.parametrize(
    ("inspected", "parameters", "log", "expected"),
    [
        (container(runtime="runc"), "", "", "runs with the runtime runc, not nvidia"),
        (container(env=["NVIDIA_VISIBLE_DEVICES=all"]), "", "", "needs JETSON_JETPACK"),
        (container(env=["JETSON_JETPACK=6", "NVIDIA_VISIBLE_DEVICES=void"]), "", "", "lets no device into"),
        (container(), "num_gpu                        0", "", "num_gpu 0 limits"),
        (container(), "", "cudaMalloc failed: out of memory", "there was not enough memory (see the log)"),
        (
            container(),
            "",
            'level=INFO source=gpu.go:377 msg="no compatible GPUs were discovered"',
            "Ollama found no GPU in its container",
        ),
        (container(), "", "CUDA driver version is insufficient for CUDA runtime version", "take an image for its L4T"),
    ],
)
def test_causes_that_can_be_seen(inspected: dict[str, Any], parameters: str, log: str, expected: str) -> None:
    causes = known_causes(Loaded(10, 0, 0), parameters, inspected, log)
    assert len(causes) == 1
    assert expected in causes[0]


def test_a_jetson_image_needs_no_jetpack_variable() -> None:
    inspected = container(image="dustynv/ollama:0.6.8-r36.4", env=["NVIDIA_VISIBLE_DEVICES=all"])
    assert "runtime nvidia" in known_causes(Loaded(10, 0, 0), "", inspected, "")[0]


def test_nothing_seen_lists_what_it_usually_is() -> None:
    assert len(known_causes(Loaded(10, 0, 0), "num_gpu -1", GOOD, "")) == 4
    assert "not enough memory" in known_causes(Loaded(10, 5, 0), "", GOOD, "")[0]


def test_what_keeps_a_model_from_being_loaded() -> None:
    assert known_causes(None, "", GOOD, "some error") == []
    log = "clip.cpp:736: GGML_ASSERT(ggml_can_mul_mat(a, b)) failed"
    (cause,) = known_causes(None, "", GOOD, log)
    assert cause.startswith("Ollama before 0.7 does not read a projector")


def test_other_models_take_memory() -> None:
    running = ps("public/ps-part.json") + ps("public/ps-all.json")
    causes = known_causes(Loaded(10, 5, 0), "", GOOD, "", running)
    assert "gemma4 6286.5 MiB, gemma3:latest 5688.4 MiB" in causes[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_speed(version: str) -> None:
    lines = [json.loads(line) for line in (DATA / version / "generate.jsonl").read_text().splitlines()]
    assert lines[-1]["eval_count"] == 8
    assert speed(lines[-1]) == round(8e9 / lines[-1]["eval_duration"], 2)
    assert speed(lines[0]) == 0.0


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"capabilities": ["completion"]}, Abilities()),
        ({"capabilities": ["embedding"]}, Abilities(embeddings=True)),
        ({"capabilities": ["completion", "embedding"]}, Abilities()),
        ({"capabilities": ["completion", "tools", "thinking"]}, Abilities(thinking=True)),
        ({"capabilities": []}, Abilities()),
        # Versions that do not report what a model can do.
        ({"model_info": {"bert.pooling_type": 1}}, Abilities(embeddings=True)),
        ({"capabilities": None, "model_info": {"llama.block_count": 30}}, Abilities()),
        ({}, Abilities()),
    ],
)
def test_what_a_model_can_do(shown: dict[str, Any], expected: Abilities) -> None:
    assert abilities(shown) == expected


@pytest.mark.parametrize(("family", "shown"), [("llama", "Q8_0"), ("clip", "")])
def test_the_quantisation_of_a_projector_is_not_the_models(family: str, shown: str) -> None:
    tags = [{"name": "llava", "details": {"family": family, "quantization_level": "Q8_0"}}]
    (row,) = describe_models("ollama", 11434, "0.17.4", tags, [], {})
    assert row["quantisation"] == shown


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_of_status(version: str) -> None:
    tags, running = ps(f"{version}/tags.json"), ps(f"{version}/ps.json")
    digest = tags[0]["digest"]
    leftover = {**tags[0], "name": "edge-slm-replaced/phi3:mini"}
    record = {"phi3:mini": {"digest": digest}, "gone:latest": {"digest": "0" * 64}}
    gone, row = describe_models("ollama", 11434, version, [*tags, leftover], running, record)
    assert (row["model"], row["sha256"], row["quantisation"], row["release"]) == ("phi3:mini", digest, "Q4_1", version)
    assert (row["loaded"], row["on_gpu"], row["health"], row["in_sync"]) == (True, 0.0, "ok", True)
    assert row["context"] == (2048 if version == "0.17.4" else 0)
    assert (gone["model"], gone["health"], gone["in_sync"], gone["on_gpu"]) == (
        "gone:latest",
        "the model is missing",
        False,
        None,
    )
    # These are the table's own.
    assert set(COLUMNS) - set(row) == {"host", "gpu", "board", "predicted_tokens_per_second"}


def test_a_model_that_was_changed_is_not_in_sync() -> None:
    record = {"phi3:mini": {"digest": "1" * 64}}
    (row,) = describe_models("ollama", 11434, "0.17.4", ps("0.17.4/tags.json"), [], record)
    assert (row["in_sync"], row["loaded"], row["on_gpu"]) == (False, False, None)


def test_a_silent_server_has_a_row() -> None:
    rows = silent_server("ollama", 11434, "Connection refused")
    assert [(row["engine"], row["model"], row["health"]) for row in rows] == [
        ("ollama", "", "no answer (Connection refused)")
    ]

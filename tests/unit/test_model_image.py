"""tools/model_image.py: which release and model, and how the image is made of them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import Model

# The tools are scripts that import one another by their plain names.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import model_image

PI, PC = "armv8.2-a+dotprod+fp16", "x86-64-v3"


def found(*classes: str) -> dict[str, Any]:
    releases = {name: {"key": f"b1-{name}", "cpu_class": name} for name in classes}
    return {"models": {"m": {"name": "m"}, "torn": {}}, "intact": ["m"], "releases": releases}


@pytest.mark.parametrize(
    ("classes", "wanted", "chosen"),
    [([PC], "", PC), ([PC, PI], PI, PI), ([PC, "native"], "", PC)],
)
def test_chosen(classes: list[str], wanted: str, chosen: str) -> None:
    manifest, release = model_image.choose(found(*classes), "m", wanted)
    assert (manifest["name"], release["cpu_class"]) == ("m", chosen)


@pytest.mark.parametrize(
    ("classes", "model", "wanted", "part"),
    [
        ([PC], "other", "", "has no model other; it has m"),
        ([PC], "torn", "", "has no model torn"),
        ([PC, PI], "m", "", f"Give --cpu-class; the builder has releases for {PC}, {PI}"),
        ([PC], "m", PI, f"releases for {PC}"),
        # What is compiled for the builder's own CPU may not run elsewhere.
        (["native"], "m", "native", "releases for none"),
    ],
)
def test_refused(classes: list[str], model: str, wanted: str, part: str) -> None:
    with pytest.raises(model_image.ImageError, match=part.replace("+", r"\+")):
        model_image.choose(found(*classes), model, wanted)


MODEL = Model("m", "/models/0123456789ab.gguf", 100 << 20, "0" * 64)
SEES = Model("m", "/models/0123456789ab.gguf", 100 << 20, "0" * 64, "/models/mmproj-ab.gguf", 50 << 20, "1" * 64)


def lines(model: Model = MODEL, **given: Any) -> list[str]:
    release = {"key": "b1-x86-64-v3-0123456789", "cpu_class": PC}
    return model_image.dockerfile(model, release, **{"context": None, "parallel": 1, **given}).splitlines()


def entrypoint(text: list[str]) -> list[str]:
    (line,) = (line for line in text if line.startswith("ENTRYPOINT "))
    return list(json.loads(line.removeprefix("ENTRYPOINT ")))


def test_what_changes_least_comes_first() -> None:
    assert [line for line in lines(SEES) if line.startswith(("FROM", "ADD", "COPY"))] == [
        "FROM scratch",
        "ADD runtime.tar /",
        "COPY 0123456789ab.gguf /models/",
        "COPY mmproj-ab.gguf /models/",
        "COPY llama-server serve /opt/edge-slm/",
    ]


def test_the_server_is_nobody_and_starts_as_a_fleets_does() -> None:
    text = lines()
    assert "USER 10001:10001" in text
    words = entrypoint(text)
    assert words[0] == "/opt/edge-slm/serve"
    for flag, value in {"--api-key-file": "/run/secrets/api-keys", "--ctx-size": "4096", "--threads": "-1"}.items():
        assert words[words.index(flag) + 1] == value
    assert {"--no-slots", "--offline"} <= set(words)
    assert "--mmproj" not in words
    assert "--mmproj" in entrypoint(lines(SEES))
    assert "--embeddings" not in words
    assert "--embeddings" in entrypoint(lines(replace(MODEL, architecture="bert")))


def test_a_large_model_may_start_slowly() -> None:
    (health,) = (line for line in lines(SEES) if line.startswith("HEALTHCHECK "))
    assert "--start-period=75s" in health
    assert '"http://127.0.0.1:8080/health"' in health


def test_context_and_conversations() -> None:
    words = entrypoint(lines(context=1024, parallel=3))
    assert words[words.index("--ctx-size") + 1] == "3072"

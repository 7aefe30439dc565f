"""Which plans a host is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import (
    RECEIVING,
    baseline_questions,
    builder_questions,
    chat_questions,
    device_questions,
    group_problems,
    merged,
)

RELEASE = {"llama_cpp_source": {"git": "u", "commit": "c"}, "llama_cpp_ui": "npm"}


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["builder"], ["host_baseline"]),
        (["pi", "kitchen"], ["host_baseline", "pi_baseline"]),
        (["jetson"], ["host_baseline", "jetson_baseline"]),
        (["gpu"], ["host_baseline"]),
    ],
)
def test_baselines(groups: list[str], roles: list[str]) -> None:
    assert [question.role for question in baseline_questions(groups)] == roles


@pytest.mark.parametrize(
    ("engines", "models", "tls", "release", "names"),
    [
        (["llama.cpp"], ["m"], False, RELEASE, ["llama_cpp", "model_pipeline", "llama_service"]),
        (["llama.cpp"], [], False, RELEASE, ["llama_cpp", "llama_service"]),
        (["llama.cpp"], ["m"], True, None, ["llama_cpp", "model_pipeline", "endpoint_tls", "llama_service"]),
        # Ollama fetches a registry's models itself.
        (["ollama"], [], True, RELEASE, ["endpoint_tls", "jetson_ollama", "endpoint_proxy"]),
        # A GGUF of the pipeline comes from the builder, or is made on the device by a release of its own.
        (["ollama"], ["m"], False, RELEASE, ["model_pipeline", "jetson_ollama", "endpoint_proxy"]),
        (["ollama"], ["m"], False, None, ["llama_cpp", "model_pipeline", "jetson_ollama", "endpoint_proxy"]),
    ],
)
def test_devices(
    engines: list[str], models: list[str], tls: bool, release: dict[str, Any] | None, names: list[str]
) -> None:
    assert [question.name for question in device_questions(engines, models, tls, release)] == names


def test_a_device_knows_the_builders_release() -> None:
    question = device_questions(["llama.cpp"], [], False, RELEASE)[0]
    assert (question.variables, question.extra) == ({**RECEIVING, **RELEASE}, {"received": True})
    alone = device_questions(["llama.cpp"], [], False, None)[0]
    assert (alone.variables, alone.extra) == ({"llama_cpp_converter": True}, {"received": False})


def test_a_device_that_builds_beside_a_builder_prepares_no_models() -> None:
    found = device_questions(["llama.cpp"], ["m"], False, None, prepares=False)
    assert [question.name for question in found] == ["llama_cpp", "model_pipeline", "llama_service"]
    assert (found[0].variables, found[0].extra) == ({"llama_cpp_converter": False}, {"received": False})


def test_a_builder_is_asked_for_every_class_and_activates_its_own() -> None:
    releases = [question for question in builder_questions() if question.role == "llama_cpp"]
    assert [question.variables["llama_cpp_activate"] for question in releases] == [True, *[False] * (len(releases) - 1)]
    assert all(question.variables["llama_cpp_publish"] for question in releases)
    assert len({question.name for question in releases}) == len(releases) > 2


def test_a_builder_that_serves_makes_what_it_needs() -> None:
    found = merged(builder_questions(), device_questions(["llama.cpp"], ["m"], False, RELEASE))
    assert {question.name: question.mappings for question in found}["llama_cpp"] == ("builders",)
    assert [question.name for question in found].count("llama_cpp") == 1
    assert [question.name for question in found][-1] == "llama_service"


@pytest.mark.parametrize(("tls", "names"), [(False, ["chat_frontend"]), (True, ["endpoint_tls", "chat_frontend"])])
def test_chat_pages(tls: bool, names: list[str]) -> None:
    assert [question.name for question in chat_questions(tls)] == names


@pytest.mark.parametrize(
    ("groups", "problems"),
    [
        (["pi"], []),
        (["builder", "pi"], []),
        (["jetson"], []),
        (["gpu", "gateway"], []),
        (["gpu", "pi"], ["a is in the groups pi and gpu; a device is one of them, take it out of the other."]),
        (
            ["builder", "gpu"],
            [
                "a is in the groups gpu and builder; a release for GPUs runs on no other device. Take it out of one, "
                "and out of builder where no other host is one: each device then builds for itself."
            ],
        ),
        (["pi", "jetson"], ["a is in the groups pi and jetson; a device is one of them, take it out of the other."]),
    ],
)
def test_a_device_is_one_kind_of_board(groups: list[str], problems: list[str]) -> None:
    assert group_problems("a", groups) == problems

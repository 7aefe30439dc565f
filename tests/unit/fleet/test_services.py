"""The fleet's variables: what each engine's roles get, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import baseline_questions, device_questions
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import (
    LLAMA_CPP,
    OLLAMA,
    Endpoint,
    FleetError,
    chat_endpoints,
    plan_device,
)
from ansible_collections.edge_slm.fleet.plugins.modules import verify_endpoint

SHA256 = "a" * 64
GGUF = {"name": "smollm2", "source": {"repo": "org/name", "revision": "0" * 40}}
PHI3 = {"name": "phi3-mini", "source": {"ollama": "phi3:mini", "digest": f"sha256:{SHA256}"}}
MODELS = [GGUF, PHI3]


def test_a_pi_serves_artifacts_with_llama_cpp() -> None:
    plan = plan_device([{"model": "smollm2", "context": 2048}], MODELS, "pi")
    assert plan.llama_instances == [{"model": "smollm2", "context": 2048, "port": 8080}]
    assert plan.wanted == ["smollm2"]
    assert plan.ollama_models == []
    lacks = ("embeddings", "attachments")
    assert plan.endpoints == [Endpoint(LLAMA_CPP, "smollm2", "smollm2", "smollm2", 8080, ui=True, lacks=lacks)]


@pytest.mark.parametrize(
    ("service", "changes", "board", "lacks"),
    [
        ({}, {"projector": True}, "pi", ("embeddings",)),
        ({"embeddings": True}, {}, "pi", ("text", "attachments")),
        ({}, {}, "jetson", ("attachments",)),
        ({}, {"projector": True}, "jetson", ()),
        # What a registry's model sees is known to Ollama alone.
        ({"model": "phi3-mini"}, {}, "jetson", ()),
    ],
)
def test_what_a_service_cannot_take(
    service: dict[str, Any], changes: dict[str, Any], board: str, lacks: tuple[str, ...]
) -> None:
    (endpoint,) = plan_device([{"model": "smollm2", **service}], [{**GGUF, **changes}, PHI3], board).endpoints
    assert endpoint.lacks == lacks


def test_an_endpoint_is_what_the_module_that_asks_it_takes() -> None:
    options = yaml.safe_load(verify_endpoint.DOCUMENTATION)["options"]["endpoints"]["suboptions"]
    (endpoint,) = plan_device([{"model": "smollm2"}], MODELS, "pi").endpoints
    assert endpoint.as_dict().keys() == options.keys()


def test_a_jetson_serves_a_registry_s_model_and_an_artifact_by_another_name() -> None:
    services = [{"model": "phi3-mini"}, {"model": "smollm2", "aliases": ["small"], "parameters": {"temperature": 0}}]
    plan = plan_device(services, MODELS, "jetson")
    assert plan.llama_instances == []
    assert plan.ollama_models == [
        {"name": "phi3:mini", "digest": f"sha256:{SHA256}", "registry": ""},
        {"name": "smollm2", "published": "smollm2", "aliases": ["small"], "parameters": {"temperature": 0}},
    ]
    assert plan.wanted == ["smollm2"]
    assert plan.ollama_port == 11434
    assert [endpoint.model for endpoint in plan.endpoints] == ["phi3:mini", "smollm2"]


def test_one_device_may_run_both_engines() -> None:
    plan = plan_device([{"model": "phi3-mini"}, {"model": "smollm2", "engine": "llama.cpp"}], MODELS, "jetson")
    assert [(endpoint.engine, endpoint.port) for endpoint in plan.endpoints] == [(OLLAMA, 11434), (LLAMA_CPP, 8080)]
    assert plan.llama_instances == [{"model": "smollm2", "port": 8080}]
    assert plan.other_ports == {"endpoint_proxy": 11434, "llama-server smollm2": 8080}


@pytest.mark.parametrize(
    ("services", "models", "board", "expected"),
    [
        ([{"model": "nope"}], MODELS, "pi", ["edge_slm_services[0].model", "nope", "smollm2, phi3-mini"]),
        (["smollm2"], MODELS, "pi", ["edge_slm_services[0]", "dictionary"]),
        ([{"model": "smollm2", "engine": "vllm"}], MODELS, "pi", ["engine", "vllm", "ollama"]),
        ([{"model": "phi3-mini"}], MODELS, "pi", ["phi3-mini", "Ollama registry"]),
        (
            [{"model": "phi3-mini"}, {"model": "smollm2", "engine": "llama.cpp", "port": 11434}],
            MODELS,
            "jetson",
            ["edge_slm_services[1].port", "11434", "ollama already"],
        ),
        ([{"model": "phi3-mini"}, {"model": "smollm2", "port": 11500}], MODELS, "jetson", ["11434 and 11500"]),
        ([{"model": "phi3-mini", "port": "many"}], MODELS, "jetson", ["edge_slm_services[0].port", "'many'"]),
        ([{"model": "phi3-mini", "port": 80}], MODELS, "jetson", ["edge_slm_services[0].port", "1024"]),
        ([{"model": "phi3-mini", "alias": "x"}], MODELS, "jetson", ["alias", "did you mean aliases?"]),
        ([{"model": "phi3-mini", "aliases": "x"}], MODELS, "jetson", ["aliases", "list"]),
        (
            [{"model": "phi3-mini"}, {"model": "smollm2", "aliases": ["phi3:mini"]}],
            MODELS,
            "jetson",
            ["phi3:mini is the name of a model of edge_slm_services[0]"],
        ),
        (
            [],
            [{"name": "x", "source": {"ollama": "phi3:mini", "digest": "latest"}}],
            "jetson",
            ["edge_slm_models[0].source.digest", "'latest'", "sha256:"],
        ),
        *(
            ([], [{**PHI3, key: value}], "jetson", [f"edge_slm_models[0].{key}: is for models that the pipeline"])
            for key, value in {"projector": True, "quantisation": "Q4_0", "outtype": "f16", "imatrix": {}}.items()
        ),
        ([], [{"name": "x", "source": {"ollama": "", "digest": f"sha256:{SHA256}"}}], "jetson", ["source.ollama"]),
        (
            [],
            [{"name": "x", "source": {"ollama": "x", "digest": f"sha256:{SHA256}", "registri": "r"}}],
            "jetson",
            ["registri", "did you mean registry?"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    services: list[Any], models: list[Any], board: str, expected: list[str]
) -> None:
    with pytest.raises(FleetError) as refused:
        plan_device(services, models, board)
    assert [word for word in expected if word not in str(refused.value)] == []


@pytest.mark.parametrize("projector", [None, False, True, {"path": "/srv/mmproj.gguf", "sha256": SHA256}])
def test_both_engines_serve_a_projector(projector: object) -> None:
    catalogue = [{**GGUF, "projector": projector}]
    plan = plan_device([{"model": "smollm2"}], catalogue, "jetson")
    assert plan.ollama_models == [{"name": "smollm2", "published": "smollm2"}]
    service = {"model": "smollm2", "engine": "llama.cpp"}
    for found in (plan, plan_device([service], catalogue, "jetson")):
        assert found.wanted == ["smollm2"]


@pytest.mark.parametrize("projector", [None, False])
def test_a_model_of_a_registry_has_a_projector_of_its_own(projector: object) -> None:
    assert plan_device([{"model": "phi3-mini"}], [{**PHI3, "projector": projector}], "jetson").ollama_models


@pytest.mark.parametrize(
    ("services", "board", "engines", "roles"),
    [
        ([], "pi", [LLAMA_CPP], ["pi_baseline", "llama_cpp", "llama_service"]),
        ([], "gpu", [LLAMA_CPP], ["llama_cpp", "llama_service"]),
        ([], "jetson", [OLLAMA], ["jetson_baseline", "jetson_ollama", "endpoint_proxy"]),
        (
            [{"model": "smollm2", "engine": "llama.cpp"}],
            "jetson",
            [LLAMA_CPP, OLLAMA],
            ["jetson_baseline", "llama_cpp", "llama_service", "jetson_ollama", "endpoint_proxy"],
        ),
    ],
)
def test_a_device_meets_the_roles_of_its_board_and_its_engines(
    services: list[Any], board: str, engines: list[str], roles: list[str]
) -> None:
    plan = plan_device(services, MODELS, board)
    assert plan.engines == engines
    asked = [*baseline_questions([board]), *device_questions(plan.engines, plan.wanted, True, {})]
    met = [question.role for question in asked]
    assert [role for role in met if role not in ("host_baseline", "model_pipeline", "endpoint_tls")] == roles


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(FleetError) as refused:
        plan_device([{"model": "a"}, {"model": "b"}], MODELS, "pi")
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("wrong", [None, {"model": "m"}, "m", 7])
@pytest.mark.parametrize("variable", ["edge_slm_services", "edge_slm_models"])
def test_what_is_not_a_list_is_refused_by_its_name(variable: str, wrong: object) -> None:
    given = {"edge_slm_services": [], "edge_slm_models": [], variable: wrong}
    with pytest.raises(FleetError) as refused:
        plan_device(given["edge_slm_services"], given["edge_slm_models"], "pi")
    assert str(refused.value).startswith(f"{variable}: is ")
    assert "\n" not in str(refused.value)


def test_a_chat_page_asks_what_answers_in_text() -> None:
    services = [
        {"model": "smollm2", "engine": "llama.cpp", "name": "small", "context": 2048},
        {"model": "smollm2", "engine": "llama.cpp", "name": "vectors", "port": 8081, "embeddings": True},
        {"model": "phi3-mini"},
    ]
    assert chat_endpoints("orin", "https://[fd00::20]", plan_device(services, MODELS, "jetson")) == [
        {"name": "orin small", "url": "https://[fd00::20]:8080/v1", "model": "smollm2", "context": 2048},
        {"name": "orin phi3:mini", "url": "https://[fd00::20]:11434/v1", "model": "phi3:mini"},
    ]

"""What never leaves the site: the policy that LiteLLM asks before each request to a server.

Without LiteLLM: the scenario fleet_gateway runs it in the real one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from devices import ROOT

TOOL = {"role": "tool", "tool_call_id": "1", "content": "secret"}
USER = {"role": "user", "content": "hi"}
PICTURE = {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]}


def user(part: object) -> dict[str, object]:
    """Return a message of one part."""
    return {"role": "user", "content": [part]}


PLAIN = {"role": "user", "content": [{"type": "text", "text": "?"}]}
ALL = ["tool_output", "attachments", "embeddings"]


@pytest.fixture(scope="module")
def policy() -> Iterator[ModuleType]:
    """Yield the policy, with nothing of LiteLLM's and its HTTP client's but the names that it takes."""
    names = {
        "httpx": SimpleNamespace(AsyncClient=dict, Limits=dict, Response=None),
        "litellm": SimpleNamespace(BadRequestError=RuntimeError, NotFoundError=LookupError),
        "litellm.proxy": ModuleType("litellm.proxy"),
        "litellm.proxy.proxy_server": SimpleNamespace(
            llm_router=SimpleNamespace(model_names={"small"}, model_group_alias={"gpt-3.5-turbo": "small"})
        ),
        "litellm.integrations": ModuleType("litellm.integrations"),
        "litellm.integrations.custom_logger": SimpleNamespace(CustomLogger=object),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, module in names.items():
            patch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("p", ROOT / "roles/fleet_gateway/files/edge_slm_policy.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(
    ("call", "messages", "stays", "refused"),
    [
        ("acompletion", [USER], ALL, ""),
        ("acompletion", [PLAIN], ALL, ""),
        ("acompletion", [USER, TOOL], ALL, "tool_output"),
        ("acompletion", [USER, {"role": "function", "content": "x"}], ALL, "tool_output"),
        ("acompletion", [PICTURE, TOOL], ALL, "attachments, tool_output"),
        ("acompletion", [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}], ALL, "attachments"),
        ("acompletion", [{"role": "user", "content": ["?"]}], ALL, "attachments"),
        ("acompletion", [{"role": "user", "content": {"type": "image_url"}}], ALL, "attachments"),
        ("acompletion", [user({"type": "text", "text": "?", "image_url": {"url": "x"}})], ALL, "attachments"),
        ("acompletion", [user({"type": "text", "text": [PICTURE]})], ALL, "attachments"),
        ("acompletion", [user({"type": "text", "text": "?", "content": [PICTURE]})], ALL, "attachments"),
        # What is of no known form may be anything.
        ("acompletion", [{"role": "TOOL", "content": "secret"}], ALL, "a message with fields or a role"),
        ("acompletion", [{"role": "ipython", "content": "secret"}], ALL, "a message with fields or a role"),
        ("acompletion", [{**USER, "tool_call_id": "1"}], ALL, "a message with fields or a role"),
        ("acompletion", [{**USER, "images": ["x"]}], ALL, "a message with fields or a role"),
        ("acompletion", [{**USER, "name": ["x"]}], ["tool_output"], "a message with fields or a role"),
        ("acompletion", [{**TOOL, "images": ["x"]}], ["attachments"], "a message with fields or a role"),
        ("acompletion", [TOOL], ["attachments"], ""),
        ("acompletion", [{**USER, "images": ["x"]}], [], ""),
        # As libraries send an answer back.
        ("acompletion", [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}], "audio": None}], ALL, ""),
        ("acompletion", [{"role": "assistant", "content": "x", "reasoning_content": "y"}], ALL, ""),
        ("acompletion", [PICTURE], ["tool_output"], ""),
        ("acompletion", [USER, TOOL], [], ""),
        ("atext_completion", [], ALL, ""),
        ("aembedding", [], ALL, "embeddings"),
        ("aembedding", [], ["tool_output"], ""),
        # What is not looked through does not leave, whatever the policy has.
        ("aresponses", [], [], "aresponses is not a call"),
        ("anthropic_messages", [USER], [], "anthropic_messages is not a call"),
    ],
)
def test_a_cloud(policy: ModuleType, call: str, messages: list[Any], stays: list[str], refused: str) -> None:
    reason = policy.refusal(call, {"messages": messages, "model_info": {"edge_slm_stays_on_site": stays}})
    assert reason.startswith(refused) if refused else reason == ""


def received(policy: ModuleType, call: str, **request: Any) -> dict[str, Any]:
    """Return what is left of a request when it has come."""
    found: dict[str, Any] = asyncio.run(policy.policy.async_pre_call_hook(None, None, request, call))
    return found


@pytest.mark.parametrize("model", ["small", "gpt-3.5-turbo"])
def test_servers_get_what_openais_api_and_llama_cpp_know_and_nothing_that_steers_litellm(
    policy: ModuleType, model: str
) -> None:
    good = {"model": model, "messages": [USER], "max_tokens": 5, "grammar": 'root ::= "a"', "disable_fallbacks": True}
    own = {"metadata": {"user_api_key": "x"}, "litellm_call_id": "1"}
    steering = {
        "timeout": 0.001,
        "request_timeout": 0.001,
        "extra_body": {"messages": [TOOL]},
        "extra_headers": {"Authorization": "Bearer x"},
        "fallbacks": ["cloud"],
        "num_retries": 9,
        "custom_llm_provider": "ollama",
        "model_info": {},
        "images": ["x"],
        "prompt": "x",
    }
    assert received(policy, "acompletion", **good, **own, **steering) == {**good, **own}
    assert received(policy, "atext_completion", model=model, prompt="x", messages=[TOOL]) == {
        "model": model,
        "prompt": "x",
    }


@pytest.mark.parametrize("name", ["pi-01/small", "cloud/large", "openai/small", None, ["small"]])
def test_only_models_are_asked_for_and_no_servers(policy: ModuleType, name: object) -> None:
    with pytest.raises(LookupError, match="there is no model"):
        received(policy, "acompletion", model=name, messages=[USER])


@pytest.mark.parametrize(
    ("call", "request_", "problem"),
    [
        ("acompletion", {}, "messages must be a list of objects"),
        ("acompletion", {"messages": 5}, "messages must be a list of objects"),
        ("acompletion", {"messages": [[USER]]}, "messages must be a list of objects"),
        ("acompletion", {"messages": [USER, {"content": "x"}]}, r"messages\[1\].role must be a text"),
        ("acompletion", {"messages": [{"role": "user", "content": 5}]}, r"messages\[0\].content must be"),
        ("acompletion", {"messages": [user("x")]}, r"messages\[0\].content must be"),
        ("acompletion", {"messages": [user({"text": "x"})]}, r"messages\[0\].content must be"),
        ("atext_completion", {}, "prompt must be a text"),
        ("atext_completion", {"prompt": {"prompt_string": "x", "multimodal_data": ["x"]}}, "prompt must be a text"),
        ("atext_completion", {"prompt": [[{"image": "x"}]]}, "prompt must be a text"),
        ("aembedding", {"input": []}, "input must be a text"),
    ],
)
def test_what_has_no_form_is_refused(policy: ModuleType, call: str, request_: dict[str, Any], problem: str) -> None:
    with pytest.raises(RuntimeError, match=problem):
        received(policy, call, model="small", **request_)


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("acompletion", {"messages": []}),
        ("acompletion", {"messages": [PLAIN, {"role": "assistant", "content": None}, TOOL, PICTURE]}),
        ("atext_completion", {"prompt": ["one", "two"]}),
        ("atext_completion", {"prompt": [1, 2]}),
        ("aembedding", {"input": [[1, 2], [3]]}),
    ],
)
def test_what_servers_may_get(policy: ModuleType, call: str, request_: dict[str, Any]) -> None:
    assert received(policy, call, model="small", **request_) == {"model": "small", **request_}


#: As the model_info of devices has it.
PI = {"id": "pi", "edge_slm_lacks": ["embeddings", "attachments"], "edge_slm_all_lack": ["attachments"]}
JETSON = {"id": "jetson", "edge_slm_lacks": ["attachments"], "edge_slm_all_lack": ["attachments"]}
SEES = {"id": "sees", "edge_slm_lacks": ["embeddings"], "edge_slm_all_lack": ["embeddings"]}
VECTORS = {"id": "vectors", "edge_slm_lacks": ["text", "attachments"], "edge_slm_all_lack": ["text", "attachments"]}
CLOUD = {"id": "cloud", "edge_slm_stays_on_site": ALL}


def chosen(policy: ModuleType, messages: list[Any] | None, *servers: dict[str, Any]) -> list[str]:
    """Return the servers that are left, as LiteLLM asks for them."""
    entries = [{"model_info": info} for info in servers]
    found = asyncio.run(policy.policy.async_filter_deployments("m", entries, messages, request_kwargs={}))
    return [entry["model_info"]["id"] for entry in found]


@pytest.mark.parametrize(
    ("messages", "servers", "expected"),
    [
        ([USER], [PI, JETSON], ["pi", "jetson"]),
        ([PLAIN, TOOL], [PI, JETSON], ["pi", "jetson"]),
        (None, [PI, JETSON], ["jetson"]),
        # What could is not up: the client may try again.
        (None, [PI], []),
        ([PICTURE], [SEES], ["sees"]),
        (None, [VECTORS], ["vectors"]),
        ([PICTURE], [CLOUD], ["cloud"]),
        # Prompts of /v1/completions: several texts, and tokens.
        ([{"role": "user", "content": ["one", "two"]}], [PI], ["pi"]),
        ([{"role": "user", "content": [1, 2]}], [PI], ["pi"]),
        ([USER], [], []),
    ],
)
def test_only_servers_that_can_take_a_request_are_asked(
    policy: ModuleType, messages: list[Any] | None, servers: list[dict[str, Any]], expected: list[str]
) -> None:
    assert chosen(policy, messages, *servers) == expected


@pytest.mark.parametrize(
    ("messages", "server", "lacking"),
    [([PICTURE], PI, "attachments"), (None, SEES, "embeddings"), ([USER], VECTORS, "text")],
)
def test_what_no_server_can_take_is_refused(
    policy: ModuleType, messages: list[Any] | None, server: dict[str, Any], lacking: str
) -> None:
    with pytest.raises(RuntimeError, match=f"no device that serves m takes a request with {lacking}"):
        chosen(policy, messages, server)


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (501, "This server does not support embeddings. Start it with `--embeddings`", 400),
        (500, "Failed to parse tools: Missing tool function", 400),
        (500, "input (5002 tokens) is too large to process. increase the physical batch size", 400),
        (500, "invalid JSON schema in format", 400),
        (500, "model runner has unexpectedly stopped", 500),
        (503, "Loading model", 503),
        (429, "Too many requests wait already with this key.", 429),
        (200, "Failed to parse tools", 200),
    ],
)
def test_a_faulty_request_is_no_fault_of_the_device(
    policy: ModuleType, status: int, answer: str, expected: int
) -> None:
    async def read() -> bytes:
        return json.dumps({"error": {"message": answer}}).encode()

    response = SimpleNamespace(status_code=status, aread=read)
    asyncio.run(policy.find_fault(response))
    assert response.status_code == expected


@pytest.mark.parametrize("call", ["acompletion", "aembedding", "aresponses"])
def test_a_device_may_be_sent_everything(policy: ModuleType, call: str) -> None:
    assert policy.refusal(call, {"messages": [PICTURE, TOOL], "model_info": {"id": "pi-01/smollm2"}}) == ""

"""What never leaves the site: the policy that LiteLLM asks before each request to a server.

Without LiteLLM: the scenario fleet_gateway runs it in the real one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from devices import ROOT

TOOL = {"role": "tool", "tool_call_id": "1", "content": "secret"}
USER = {"role": "user", "content": "hi"}
PICTURE = {"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "x"}}]}
PLAIN = {"role": "user", "content": [{"type": "text", "text": "?"}]}
ALL = ["tool_output", "attachments", "embeddings"]


@pytest.fixture(scope="module")
def policy() -> ModuleType:
    """Return the policy, with nothing of LiteLLM's and its HTTP client's but the names that it takes."""
    names = {
        "httpx": SimpleNamespace(AsyncClient=dict, Limits=dict, Response=None),
        "litellm": SimpleNamespace(BadRequestError=RuntimeError),
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
    return module


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

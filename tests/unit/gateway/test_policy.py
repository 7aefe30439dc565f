"""What never leaves the site: the policy that LiteLLM asks before each request to a server.

Without LiteLLM: the scenario fleet_gateway runs it in the real one.
"""

from __future__ import annotations

import importlib.util
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
    """Return the policy, with nothing of LiteLLM's but the names that it takes."""
    names = {
        "httpx": ModuleType("httpx"),
        "litellm": ModuleType("litellm"),
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


@pytest.mark.parametrize("call", ["acompletion", "aembedding", "aresponses"])
def test_a_device_may_be_sent_everything(policy: ModuleType, call: str) -> None:
    assert policy.refusal(call, {"messages": [PICTURE, TOOL], "model_info": {"id": "pi-01/smollm2"}}) == ""

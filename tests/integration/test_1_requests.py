"""What an OpenAI client may send, asked of both engines: docs/operators/clients.md has what differs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from endpoints import JETSON, MODEL, PIS

CHAT, TEXT, VECTOR = "chat/completions", "completions", "embeddings"
QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)

Answer = dict[str, Any]
#: A check of an answer's body, or the status of a refusal.
Expected = Callable[[Answer], bool] | int


def content(answer: Answer) -> str:
    return str(answer["choices"][0]["message"]["content"])


def answered(answer: Answer) -> bool:
    return bool(content(answer).strip())


def tokens(answer: Answer) -> int:
    return int(answer["usage"]["completion_tokens"])


def prompt_tokens(answer: Answer) -> int:
    return int(answer["usage"]["prompt_tokens"])


def pictured(url: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"messages": [{"role": "user", "content": parts}]}


@dataclass(frozen=True)
class Row:
    """A request, and what each engine makes of it; one that is not named makes the same of it."""

    sent: Mapping[str, Any]
    pi: Expected
    jetson: Expected | None = None
    route: str = CHAT


ROWS = {
    "json_object": Row({"response_format": {"type": "json_object"}}, lambda a: content(a).lstrip().startswith("{")),
    "json_schema": Row(
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
        lambda a: '"city"' in content(a),
    ),
    "tools of a model without them": Row(
        {"tools": [TOOL]}, lambda a: answered(a) and not a["choices"][0]["message"].get("tool_calls"), 400
    ),
    "logprobs": Row(
        {"logprobs": True, "top_logprobs": 2},
        lambda a: len(a["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2,
    ),
    "n": Row({"n": 2}, 400, lambda a: len(a["choices"]) == 1),
    "stop": Row({"stop": ["e"]}, lambda a: "e" not in content(a)),
    "seed": Row({"seed": 7, "temperature": 1.0}, answered),
    "max_completion_tokens": Row(
        {"max_tokens": None, "max_completion_tokens": 3, "stop": ["."]},
        lambda a: tokens(a) == 3,
        lambda a: tokens(a) > 3,
    ),
    "reasoning_effort of a model that does not think": Row({"reasoning_effort": "low"}, answered, 400),
    "sampling": Row({"top_p": 0.5, "frequency_penalty": 0.5, "presence_penalty": 0.5}, answered),
    "fields that mean nothing here": Row({"user": "me", "store": False, "nonsense": 1}, answered),
    "text in parts": Row({"messages": [{"role": "user", "content": [{"type": "text", "text": "Say hi"}]}]}, answered),
    "role developer": Row({"messages": [{"role": "developer", "content": "Be brief."}, *QUESTION]}, answered),
    "an image for a model that sees none": Row(pictured(PIXEL), 500, answered),
    "an image by its URL": Row(pictured("http://127.0.0.1/x.png"), 500, 400),
    "no messages": Row({"messages": []}, answered, 400),
    "no model": Row({"model": None}, answered, 400),
    "another model": Row({"model": "gpt-3.5-turbo"}, answered, 404),
    "a prompt longer than the context": Row(
        {"messages": [{"role": "user", "content": "word " * 6000}]}, 400, lambda a: prompt_tokens(a) <= 2048
    ),
    "a text is sent as it is, or as a question": Row(
        {"prompt": "The capital of France is"}, lambda a: prompt_tokens(a) == 5, lambda a: prompt_tokens(a) > 5, TEXT
    ),
    "several texts": Row({"prompt": ["A", "B"]}, lambda a: len(a["choices"]) == 2, 400, TEXT),
    "echo": Row({"prompt": "The", "echo": True}, lambda a: not a["choices"][0]["text"].startswith("The"), route=TEXT),
    "suffix": Row({"prompt": "The", "suffix": "end"}, lambda a: bool(a["choices"][0]["text"]), 400, TEXT),
    "embeddings of a model of text": Row({"input": "x"}, 501, lambda a: any(a["data"][0]["embedding"]), VECTOR),
    "responses": Row({"input": "Say hi", "max_output_tokens": 8}, lambda a: bool(a["output"]), route="responses"),
    "messages of Anthropic": Row({"messages": QUESTION}, lambda a: bool(a["content"]), route="messages"),
    "routes that neither has": Row({"input": "x"}, 404, 403, "moderations"),
}


def post(url: str, key: str, body: Mapping[str, Any]) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked(route: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a request; what is None is left out."""
    body = {"model": MODEL, "temperature": 0, "max_tokens": 16}
    if route == CHAT:
        body["messages"] = QUESTION
    return {name: value for name, value in {**body, **sent}.items() if value is not None}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("device", [PIS[0], JETSON], ids=["llama.cpp", "ollama"])
def test_what_a_client_may_send(device: Any, row: Row, key: str) -> None:
    expected = row.jetson if device is JETSON and row.jetson is not None else row.pi
    status, body = post(f"{device.url}/v1/{row.route}", key, asked(row.route, row.sent))
    if isinstance(expected, int):
        assert status == expected, body
    else:
        assert status == 200, body
        assert expected(json.loads(body)), body


@pytest.mark.parametrize("device", [PIS[0], JETSON], ids=["llama.cpp", "ollama"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_ends_with_its_usage_where_that_is_wanted(device: Any, wanted: bool, key: str) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True} if wanted else None}
    status, body = post(f"{device.url}/v1/{CHAT}", key, asked(CHAT, options))
    *_before, last, end = [line for line in body.splitlines() if line.startswith("data: ")]
    assert (status, end) == (200, "data: [DONE]")
    assert bool(json.loads(last.removeprefix("data: ")).get("usage")) == wanted

"""Every endpoint from outside, as its users meet it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import openai
import pytest
from conftest import KEY_FILE, MODEL, PIS, Pi


def status(url: str, key: str = "", method: str = "GET", body: dict[str, object] | None = None) -> int:
    headers = {"Accept-Encoding": "gzip", "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, headers=headers, method=method, data=data)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_listing_11_1(pi: Pi, key: str) -> None:
    """The book's own client, with only its URL and key changed."""
    client = openai.OpenAI(base_url=f"{pi.url}/v1", api_key=key)
    completion = client.chat.completions.create(
        model="gpt-3.5-turbo",
        messages=[
            {
                "role": "system",
                "content": "You are Capybara, an AI assistant. Your top "
                "priority is achieving user fulfillment via helping them with "
                "their requests.",
            },
            {
                "role": "user",
                "content": "Building a website can be done in 10 simple steps:",
            },
        ],
        max_tokens=32,
    )
    assert completion.choices[0].message.content


def test_it_knows_the_capital_of_france(pi: Pi, key: str) -> None:
    answer = pi.client(key).chat.completions.create(
        model=MODEL,
        temperature=0,
        max_tokens=16,
        messages=[{"role": "user", "content": "What is the capital of France? Answer in one word."}],
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def test_streaming_comes_in_pieces(pi: Pi, key: str) -> None:
    pieces = list(
        pi.client(key).chat.completions.create(
            model=MODEL, stream=True, max_tokens=12, messages=[{"role": "user", "content": "Count to five."}]
        )
    )
    assert len([piece for piece in pieces if piece.choices and piece.choices[0].delta.content]) > 3


def test_models_lists_the_alias(pi: Pi, key: str) -> None:
    assert [model.id for model in pi.client(key).models.list()] == [MODEL]


@pytest.mark.parametrize("wrong", ["", "not-the-key-of-this-fleet"])
def test_no_answer_without_the_key(pi: Pi, wrong: str) -> None:
    asked = {"prompt": "Hello", "max_tokens": 1}
    assert status(f"{pi.url}/v1/completions", wrong, "POST", asked) == 401
    assert status(f"{pi.url}/metrics", wrong) == 401
    assert status(f"{pi.url}/props", wrong) == 401


#: Routes of the pinned llama-server (tools/server/server.cpp) beside those of the health and the page's files.
ROUTES = [
    *(("GET", path) for path in ("/models", "/v1/models", "/metrics", "/props", "/slots", "/lora-adapters", "/tools")),
    *(("GET", path) for path in ("/v1/stream", "/cors-proxy", "/nothing-here", "//v1/models", "/v1/../v1/models")),
    *(("POST", path) for path in ("/completion", "/v1/completions", "/chat/completions", "/v1/chat/completions")),
    *(("POST", path) for path in ("/v1/responses", "/v1/messages", "/infill", "/embedding", "/v1/embeddings")),
    *(("POST", path) for path in ("/v1/rerank", "/tokenize", "/detokenize", "/apply-template", "/lora-adapters")),
    *(("POST", path) for path in ("/props", "/slots/0", "/models/load", "/tools", "/health", "/v1/streams/lookup")),
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(route) for route in ROUTES])
def test_every_route_but_the_health_and_the_page_wants_a_key(method: str, path: str) -> None:
    asked: dict[str, object] | None = {"prompt": "Hello"} if method == "POST" else None
    found = status(f"{PIS[0].url}{path}", "", method, asked)
    # A path that the server does not have is 404 with and without a key.
    assert found in (401, 404), found
    if found == 404:
        assert status(f"{PIS[0].url}{path}", KEY_FILE.read_text().strip(), method, asked) == 404


def test_health_is_open_metrics_are_keyed_slots_are_shut(pi: Pi, key: str) -> None:
    assert status(f"{pi.url}/health") == 200
    assert status(f"{pi.url}/metrics", key) == 200
    # /slots would show other users' prompts.
    assert status(f"{pi.url}/slots", key) in (404, 501)


def test_web_page_is_served(pi: Pi) -> None:
    assert status(f"{pi.url}/") == 200


def test_a_prompt_longer_than_the_context_is_refused_not_cut(pi: Pi, key: str) -> None:
    with pytest.raises(openai.BadRequestError, match="context"):
        pi.client(key).completions.create(model=MODEL, prompt="word " * 5000, max_tokens=1)

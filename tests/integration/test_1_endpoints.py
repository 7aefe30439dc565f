"""Every endpoint from outside, as its users meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import openai
import pytest
from devices import ROOT, connect
from endpoints import DOOR, JETSON, KEY_FILE, MODEL, PIS, Device


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


@pytest.mark.parametrize(
    ("device", "example"),
    # Ollama refuses tools for a model whose template has none, llama-server ignores them.
    [(PIS[0], "chat"), (JETSON, "chat"), (PIS[0], "stream"), (JETSON, "stream"), (PIS[0], "tools")],
    ids=lambda one: one.name if isinstance(one, Device) else None,
)
def test_the_examples_for_clients_are_answered(device: Device, example: str, key: str) -> None:
    """What both articles do at their end: OpenAI's own client, with only the URL and the key of a device."""
    model = ["--model", JETSON.model] if device == JETSON else []
    run = subprocess.run(
        [sys.executable, ROOT / f"examples/{example}.py", f"{device.url}/v1/", *model, "Is bread good?"],
        env={**os.environ, "EDGE_SLM_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize("model", [MODEL, "gpt-3.5-turbo", "phi3-mini"])
def test_the_gateway_answers_for_the_devices(model: str, key: str) -> None:
    asked: Any = [{"role": "user", "content": "What is the capital of France?"}]
    answer = DOOR.client(key).chat.completions.create(model=model, messages=asked, max_tokens=8)
    assert answer.choices[0].message.content


def test_the_gateway_does_without_a_device_that_has_stopped(key: str) -> None:
    device = connect(PIS[0].name)
    asked: Any = [{"role": "user", "content": "What is the capital of France?"}]
    device.check_output(f"systemctl stop llama-server@{MODEL}")
    try:
        for _number in range(3):
            DOOR.client(key).chat.completions.create(model=MODEL, messages=asked, max_tokens=1)
    finally:
        device.check_output(f"systemctl start llama-server@{MODEL}")


def test_ollama_s_own_command_on_the_jetson_shows_the_model() -> None:
    jetson = connect(JETSON.name)
    for command in ("ollama ls", "ollama ps"):
        assert JETSON.model in jetson.check_output(command)


def test_the_pis_file_is_served_by_ollama_under_both_of_its_names(key: str) -> None:
    file = connect(PIS[0].name).check_output("cat /var/lib/edge-slm/models/smollm2-135m-instruct/manifest.json")
    sha256 = next(item["sha256"] for item in json.loads(file)["files"] if item["kind"] == "model")
    jetson = connect(JETSON.name)
    assert jetson.file(f"/var/lib/ollama/models/blobs/sha256-{sha256}").exists
    for name in (MODEL, "small"):
        answer = JETSON.client(key).completions.create(model=name, prompt="The capital of France is", max_tokens=4)
        assert answer.choices[0].text


CONVERSATIONS: dict[str, list[tuple[str, str]]] = {
    "no system message": [("user", "What is the capital of France?")],
    "one of the client's": [("system", "You are brief."), ("user", "What is the capital of France?")],
    "several turns": [("user", "Hello"), ("assistant", "Hello!\nWhat is it?"), ("user", "  The capital of France?  ")],
    "all of it": [("system", "Be {{ brief }}."), ("user", "Hello"), ("assistant", "Yes?"), ("user", '"France"')],
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_both_engines_make_the_same_prompt_of_a_conversation(messages: list[tuple[str, str]], key: str) -> None:
    asked: Any = [{"role": role, "content": text} for role, text in messages]
    tokens = []
    for device in (PIS[0], JETSON):
        answer = device.client(key).chat.completions.create(model=MODEL, messages=asked, max_tokens=1)
        assert answer.usage
        tokens.append(answer.usage.prompt_tokens)
    assert tokens[0] == tokens[1]
    rendered = urllib.request.Request(  # noqa: S310
        f"{PIS[0].url}/apply-template",
        json.dumps({"messages": asked}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(rendered, timeout=60) as answered:  # noqa: S310
        expected = json.load(answered)["prompt"]
    debug = {"model": MODEL, "messages": asked, "stream": False, "_debug_render_only": True}
    jetson = connect(JETSON.name)
    made = jetson.check_output("curl -s http://127.0.0.1:11435/api/chat -d %s", json.dumps(debug))
    # 0.6.8 does not know how to show it.
    assert json.loads(made).get("_debug_info", {}).get("rendered_template", expected) == expected


def test_it_knows_the_capital_of_france(device: Device, key: str) -> None:
    answer = device.client(key).chat.completions.create(
        model=device.model,
        temperature=0,
        max_tokens=48,
        messages=[{"role": "user", "content": "What is the capital of France? Answer in one word."}],
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def test_streaming_comes_in_pieces(device: Device, key: str) -> None:
    pieces = list(
        device.client(key).chat.completions.create(
            model=device.model,
            stream=True,
            temperature=0,
            max_tokens=24,
            messages=[{"role": "user", "content": "Count from one to twenty."}],
        )
    )
    assert len([piece for piece in pieces if piece.choices and piece.choices[0].delta.content]) > 3


def test_models_lists_the_model(device: Device, key: str) -> None:
    assert device.model in [model.id for model in device.client(key).models.list()]


@pytest.mark.parametrize("wrong", ["", "not-the-key-of-this-fleet"])
def test_no_answer_without_the_key(device: Device, wrong: str) -> None:
    asked = {"prompt": "Hello", "max_tokens": 1}
    assert status(f"{device.url}/v1/completions", wrong, "POST", asked) == 401
    assert status(f"{device.url}/v1/models", wrong) == 401
    assert status(f"{device.url}/metrics", wrong) == 401


#: Routes of the pinned llama-server (tools/server/server.cpp) beside those of the health and the page's files.
LLAMA_CPP_ROUTES = [
    *(("GET", path) for path in ("/models", "/v1/models", "/metrics", "/props", "/slots", "/lora-adapters", "/tools")),
    *(("GET", path) for path in ("/v1/stream", "/cors-proxy", "/nothing-here", "//v1/models", "/v1/../v1/models")),
    *(("POST", path) for path in ("/completion", "/v1/completions", "/chat/completions", "/v1/chat/completions")),
    *(("POST", path) for path in ("/v1/responses", "/v1/messages", "/infill", "/embedding", "/v1/embeddings")),
    *(("POST", path) for path in ("/v1/rerank", "/tokenize", "/detokenize", "/apply-template", "/lora-adapters")),
    *(("POST", path) for path in ("/props", "/slots/0", "/models/load", "/tools", "/health", "/v1/streams/lookup")),
]


#: Routes of Ollama (server/routes.go), and paths that a proxy might take for another.
OLLAMA_ROUTES = [
    *(("GET", path) for path in ("/", "/api/version", "/api/tags", "/api/ps", "/v1/models", "/v1/models/phi3:mini")),
    *(("GET", path) for path in ("/metrics", "/nothing-here", "//api/tags", "/healthz/../api/tags", "/healthz/")),
    *(("GET", path) for path in ("/%68ealthz/api", "/HEALTHZ", "/api/blobs/sha256:0", "/api/../healthz")),
    *(("POST", path) for path in ("/api/generate", "/api/chat", "/api/embed", "/api/embeddings", "/api/show")),
    *(("POST", path) for path in ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/blobs/sha256:0")),
    *(("POST", path) for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/healthz")),
    ("DELETE", "/api/delete"),
    ("HEAD", "/"),
    ("OPTIONS", "/v1/models"),
]


@pytest.mark.parametrize(("method", "path"), OLLAMA_ROUTES, ids=[" ".join(route) for route in OLLAMA_ROUTES])
def test_every_route_of_ollama_but_the_health_wants_a_key(method: str, path: str) -> None:
    asked: dict[str, object] | None = {"model": JETSON.model} if method in ("POST", "DELETE") else None
    assert status(f"{JETSON.url}{path}", "", method, asked) == 401


def test_ollama_itself_cannot_be_reached_past_the_proxy() -> None:
    jetson = connect(JETSON.name)
    listening = {tuple(socket.rsplit(":", 1)) for socket in jetson.check_output("ss -Hlnt | awk '{print $4}'").split()}
    assert ("127.0.0.1", "11435") in listening
    assert {address for address, port in listening if port == "11435"} == {"127.0.0.1"}


def test_an_inference_key_may_not_change_the_jetson_s_models(key: str) -> None:
    assert status(f"{JETSON.url}/api/pull", key, "POST", {"model": "phi3:mini"}) == 403
    assert status(f"{JETSON.url}/api/delete", key, "DELETE", {"model": "phi3:mini"}) == 403


@pytest.mark.parametrize(("method", "path"), LLAMA_CPP_ROUTES, ids=[" ".join(route) for route in LLAMA_CPP_ROUTES])
def test_every_route_of_llama_server_but_the_health_and_the_page_wants_a_key(method: str, path: str) -> None:
    asked: dict[str, object] | None = {"prompt": "Hello"} if method == "POST" else None
    found = status(f"{PIS[0].url}{path}", "", method, asked)
    # A path that the server does not have is 404 with and without a key.
    assert found in (401, 404), found
    if found == 404:
        assert status(f"{PIS[0].url}{path}", KEY_FILE.read_text().strip(), method, asked) == 404


def test_the_jetson_s_health_is_open() -> None:
    assert status(f"{JETSON.url}/healthz") == 200


def test_health_is_open_metrics_are_keyed_slots_are_shut(pi: Device, key: str) -> None:
    assert status(f"{pi.url}/health") == 200
    assert status(f"{pi.url}/metrics", key) == 200
    # /slots would show other users' prompts.
    assert status(f"{pi.url}/slots", key) in (404, 501)


def test_web_page_is_served(pi: Device) -> None:
    assert status(f"{pi.url}/") == 200


def test_a_prompt_longer_than_the_context_is_refused_not_cut(pi: Device, key: str) -> None:
    with pytest.raises(openai.BadRequestError, match="context"):
        pi.client(key).completions.create(model=MODEL, prompt="word " * 5000, max_tokens=1)

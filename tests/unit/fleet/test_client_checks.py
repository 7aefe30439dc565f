"""Endpoints with models of every kind, asked as clients do; the answers are those of real servers, cut short."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.client_checks import Endpoint, check_endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import GATEWAY, LLAMA_CPP, OLLAMA
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.short_question import Asked, ask_briefly

KEY = "0123456789abcdef"
MODEL = "m:latest"
#: Where each engine puts reasoning.
REASONING = {LLAMA_CPP: "reasoning_content", OLLAMA: "reasoning", GATEWAY: "reasoning_content"}


@dataclass
class Server:
    """A stand-in for one engine with one model: what it makes, and what it was asked."""

    engine: str
    kind: str
    asked: list[str] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, object]:
        if path == "/metrics":
            return (200, "llamacpp:x 1") if self.engine == LLAMA_CPP else (404, "")
        if path == "/model/info":
            return 403, ""
        models = [{"name": MODEL, "size": 2, "size_vram": 0}]
        return {
            "/v1/models": (200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]}),
            "/api/ps": (200, {"models": models}),
        }.get(path, (404, ""))

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        self.asked.append(path)
        if path == "/api/pull":
            return 403, ""
        if path == "/api/show" and self.engine == OLLAMA:
            can = {"text": ["completion"], "thinking": ["completion", "thinking"], "embeddings": ["embedding"]}
            return 200, {"capabilities": can[self.kind]}
        if self.engine == OLLAMA and body["model"] != MODEL:
            return 404, {"error": {"message": "model not found"}}
        if (path == "/v1/embeddings") != (self.kind == "embeddings"):
            return 400, {"error": {"message": "this model does not support that"}}
        if path == "/v1/embeddings":
            return 200, {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}]}
        if path == "/v1/completions":
            text = "" if (self.engine, self.kind) == (OLLAMA, "thinking") else " Paris"
            return 200, {"choices": [{"text": text, "index": 0, "finish_reason": "length"}]}
        message = {"role": "assistant", "content": "Paris."}
        if self.kind == "thinking":
            message = {"role": "assistant", "content": "", REASONING[self.engine]: "Hm,\nFrance."}
        if body.get("stream"):
            chunk = json.dumps({"choices": [{"index": 0, "delta": message}]})
            return 200, f"data: {chunk}\n\ndata: {chunk}\n\ndata: [DONE]\n\n"
        return 200, {"choices": [{"index": 0, "finish_reason": "length", "message": message}]}


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            pass

        def reply(self, status: int, content: object) -> None:
            text = content if isinstance(content, str) else json.dumps(content)
            kind = "text/event-stream" if text.startswith("data:") else "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def keyed(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {KEY}"

        def do_GET(self) -> None:
            if self.path in ("/health", "/healthz") or (self.path == "/" and server.engine == LLAMA_CPP):
                self.reply(200, "{}")
            else:
                self.reply(*(server.get(self.path) if self.keyed() else (401, "")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(*(server.post(self.path, body) if self.keyed() else (401, "")))

    return Handler


@pytest.fixture(params=[(engine, kind) for engine in REASONING for kind in ("text", "thinking", "embeddings")], ids=str)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    server = Server(*request.param)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield server, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def declared(server: Server) -> bool:
    """Return what the inventory declares: embeddings of llama.cpp alone."""
    return (server.engine, server.kind) == (LLAMA_CPP, "embeddings")


def test_every_kind_of_model_passes_verify(served: tuple[Server, str]) -> None:
    server, url = served
    checks = check_endpoint(Endpoint(server.engine, url, KEY, MODEL, declared(server), ui=False), "Capital?", 5)
    assert checks.failed == []
    answers = {"text": "Paris.", "thinking": "Hm, France.", "embeddings": "a vector of 2 numbers"}
    assert checks.answer == answers[server.kind]
    assert ("embeddings" in checks.passed) == (server.kind == "embeddings")
    assert ("streaming" in checks.passed) == (server.kind != "embeddings")


def test_every_kind_of_model_passes_the_short_question(served: tuple[Server, str]) -> None:
    server, url = served
    answer = ask_briefly(Asked("h", url, KEY, server.engine, MODEL, declared(server)), 5)
    assert answer.problem == ""
    assert answer.text


def test_a_gateway_that_does_not_offer_a_model_fails() -> None:
    server = Server(GATEWAY, "text")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{httpd.server_port}"
    assert ask_briefly(Asked("h", url, KEY, GATEWAY, "another"), 5).problem.startswith("it is not offered: HTTP 200")
    # No model is asked for it: its device would have to load it.
    assert server.asked == []
    httpd.shutdown()
    httpd.server_close()

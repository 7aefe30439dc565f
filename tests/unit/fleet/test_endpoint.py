"""Tables for the answers of an endpoint."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet import endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.client_checks import page_problem, speed
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import (
    Abilities,
    Reply,
    ask,
    prove,
    read_chat,
    read_completion,
    read_embedding,
    said,
)

KEY = "0123456789abcdef"


class Handler(BaseHTTPRequestHandler):
    """Answers like llama-server does."""

    def log_message(self, *_args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(200, gzip.compress(b"<html></html>"), "text/html")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.answer(401, b'{"error": {"message": "Invalid API Key"}}')
        elif self.path == "/v1/embeddings":
            self.answer(200, b'{"data": [{"embedding": [0.5, 0.5]}]}')
        elif self.path == "/v1/chat/completions":
            message = {"content": "", "reasoning": f"Hm, {body['max_tokens']}"}
            self.answer(200, json.dumps({"choices": [{"message": message}]}).encode())
        else:
            text = f" Paris, {body['model']}"
            timings = {"predicted_n": 8, "predicted_per_second": 4.6}
            self.answer(200, json.dumps({"choices": [{"text": text}], "timings": timings}).encode())


@pytest.fixture
def server() -> Iterator[str]:
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_prove(server: str) -> None:
    made = prove(server, KEY, "m", Abilities(), 5)
    assert (made.text, made.tokens, made.tokens_per_second, made.problem) == (" Paris, m", 8, 4.6, "")
    assert prove(server, KEY, "m", Abilities(embeddings=True), 5).text == "2 numbers"
    assert prove(server, KEY, "m", Abilities(thinking=True), 5, tokens=1).text == "Hm, 8"
    assert "HTTP 401" in prove(server, "wrong", "m", Abilities(thinking=True), 5).problem


def test_ask_unpacks_pages(server: str) -> None:
    page = ask(server)
    assert (page.status, page.body, page.content_type) == (200, "<html></html>", "text/html")


def test_ask_never_raises() -> None:
    reply = ask("http://127.0.0.1:1/health", timeout=2)
    assert reply.status == 0
    assert "refused" in reply.brief()


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(200, '{"choices": [{"text": "  "}]}'), "empty"),
        (Reply(500, "oh"), "HTTP 500: oh"),
        (Reply(200, "no json"), "empty"),
        (Reply(0, "timed out"), "no answer: timed out"),
    ],
)
def test_bad_completions(reply: Reply, problem: str) -> None:
    assert problem in read_completion(reply).problem


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "Paris"}, "Paris"),
        ({"content": "Paris", "reasoning_content": "Hm"}, "Paris"),
        ({"content": "", "reasoning_content": "Hm"}, "Hm"),
        ({"content": None, "reasoning": "Hm"}, "Hm"),
        ({"content": None}, ""),
        ({}, ""),
    ],
)
def test_what_a_message_says(message: dict[str, Any], expected: str) -> None:
    assert said(message) == expected
    chat = read_chat(Reply(200, json.dumps({"choices": [{"message": message}]})))
    assert (chat.text, bool(chat.problem)) == (expected, not expected)


def test_bad_embeddings() -> None:
    assert "all zeros" in read_embedding(Reply(200, '{"data": [{"embedding": [0.0, 0.0]}]}')).problem
    assert "HTTP 400" in read_embedding(Reply(400, "pooling")).problem


@pytest.mark.parametrize(
    ("status", "content_type", "body", "wanted", "part"),
    [
        (200, "text/html; charset=utf-8", "<!doctype html><HTML>", True, ""),
        (404, "application/json", "{}", True, "HTTP 404"),
        (404, "application/json", "{}", False, ""),
        (200, "text/html", "<html>", False, "ui: false"),
    ],
)
def test_page(status: int, content_type: str, body: str, wanted: bool, part: str) -> None:
    problem = page_problem(status, content_type, body, wanted)
    assert bool(problem) == bool(part)
    assert part in problem


@pytest.mark.parametrize(("timings", "expected"), [({"predicted_per_second": 4.64}, 4.6), (None, 5.0), ({}, 5.0)])
def test_speed(timings: Any, expected: float) -> None:
    assert speed(timings, tokens=10, seconds=2.0) == expected


def test_a_certificate_of_an_unknown_ca_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(endpoint, "request", refuse)
    reply = ask("https://pi-01.lan:8080/health")
    assert reply.status == 0
    assert "self-signed certificate" in reply.brief()
    assert "edge_slm_tls_ca_file" in reply.brief()

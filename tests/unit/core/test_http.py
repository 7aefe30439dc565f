"""HTTP, over TCP and over a unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import (
    UnixConnection,
    connection_to,
    read,
    request,
    send,
)


class Handler(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def log_message(self, *_args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "client"

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        body = json.dumps([self.command, self.path, sent, self.headers.get("X-Key")]).encode()
        status = {"/missing": 404, "/elsewhere": 302}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/there")
        self.send_header("content-TYPE", "application/json")
        self.send_header("Content-Length", str(len(body) + (9 if self.path == "/half" else 0)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = do_DELETE = answer


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "arguments", "status", "seen"),
    [
        ("", {}, 200, ["GET", "/", "", None]),
        ("/a?b=c", {"headers": {"X-Key": "k"}}, 200, ["GET", "/a?b=c", "", "k"]),
        ("/a", {"body": {"x": 1}}, 200, ["POST", "/a", '{"x": 1}', None]),
        ("/a", {"body": {}, "method": "DELETE"}, 200, ["DELETE", "/a", "{}", None]),
        ("/missing", {}, 404, ["GET", "/missing", "", None]),
        ("/elsewhere", {}, 302, ["GET", "/elsewhere", "", None]),
    ],
)
def test_requests(url: str, path: str, arguments: dict[str, Any], status: int, seen: list[str | None]) -> None:
    response = request(f"{url}{path}", **arguments)
    assert (response.status, json.loads(response.body)) == (status, seen)
    assert response.headers.get("Content-Type") == "application/json"


def test_a_head_has_no_body(url: str) -> None:
    assert request(f"{url}/a", method="HEAD").body == b""


def test_no_proxy_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert request(url).status == 200


def test_half_an_answer_is_none(url: str) -> None:
    with pytest.raises(OSError, match="IncompleteRead"):
        request(f"{url}/half", timeout=1)


@pytest.mark.parametrize("wrong", ["ftp://host/", "/path", "http://", "http://host:port/"])
def test_what_is_not_a_url(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (one of them is Python's own)
        connection_to(wrong, 1)


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            request(f"http://127.0.0.1:{taken.getsockname()[1]}/", timeout=1)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with ThreadingUnixStreamServer(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = UnixConnection(path, 5)
        answer = send(connection, "POST", "/a", {"x": 1})
        assert json.loads(read(answer)) == ["POST", "/a", '{"x": 1}', None]
        connection.close()
        server.shutdown()
    with pytest.raises(FileNotFoundError):
        send(UnixConnection(str(tmp_path / "none"), 1), "GET", "/")

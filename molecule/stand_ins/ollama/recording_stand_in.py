#!/usr/bin/python3
"""A stand-in for Ollama on 127.0.0.1:11435: answers everything with 200, and returns at /recorded what it was asked.

POST /api/chat {"think": seconds, "lines": number, "gap": seconds} streams lines as Ollama streams tokens.
What it does not prove: that Ollama knows a route, or answers it well.
"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

recorded: list[dict[str, Any]] = []


class Answer(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: /recorded has it."""

    def read_body(self) -> bytes:
        """Return the body, in chunks or whole."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body

    def send(self, body: bytes) -> None:
        """Answer with a whole body."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream(self, wanted: dict[str, Any]) -> None:
        """Answer line by line."""
        time.sleep(wanted.get("think", 0))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(wanted.get("lines", 3)):
            line = json.dumps({"line": number, "at": time.time()}).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(wanted.get("gap", 0.1))
        self.wfile.write(b"0\r\n\r\n")

    def answer(self) -> None:
        """Record the request, but not HAProxy's own question for health, and answer it."""
        body = self.read_body()
        if self.path == "/recorded":
            self.send(json.dumps(recorded).encode())
            return
        if "x-forwarded-for" in self.headers:
            headers = {name.lower(): value for name, value in self.headers.items()}
            recorded.append({"method": self.command, "path": self.path, "headers": headers, "body": len(body)})
        if self.path == "/api/chat":
            self.stream(json.loads(body or b"{}"))
            return
        self.send(json.dumps({"path": self.path, "version": "0.0.0-stand-in"}).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 11435), Answer).serve_forever()

#!/usr/bin/python3
"""A stand-in for an OpenAI-compatible server, a device's or a cloud's: recording_stand_in.py NAME PORT [TOOL].

It answers with its name, streams it word by word, and returns at /recorded every byte that it was sent. Where TOOL is
given it answers a request that offers tools by calling that one. POST /mode changes how it answers:
{"status": 429, "message": …} refuses, {"die_after": words} ends the process in mid-stream, {"gap": seconds} is slow.
What it does not prove: that a real server answers, or fails, in these words.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME, PORT = sys.argv[1], int(sys.argv[2])
TOOL = sys.argv[3] if len(sys.argv) > 3 else ""
recorded: list[dict[str, Any]] = []
mode: dict[str, Any] = {}


class Answer(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: /recorded has it."""

    def send(self, status: int, thing: object) -> None:
        """Answer with a whole body."""
        body = json.dumps(thing).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, text: str) -> None:
        """Send one event of a stream."""
        event = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def stream(self, model: str) -> None:
        """Answer word by word."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(5):
            if number == mode.get("die_after"):
                os._exit(9)
            delta = {"role": "assistant", "content": f"{NAME} "}
            self.chunk(json.dumps(completion(model, "chat.completion.chunk", delta=delta, finish_reason=None)))
            time.sleep(mode.get("gap", 0.1))
        self.chunk(json.dumps(completion(model, "chat.completion.chunk", delta={}, finish_reason="stop")))
        self.chunk("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self) -> None:
        """Show what was recorded; any other path is there."""
        self.send(200, recorded if self.path == "/recorded" else {"object": "list", "data": [{"id": NAME}]})

    def do_POST(self) -> None:
        """Record the request, and answer it as the mode is."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = json.loads(raw or "{}")
        if self.path == "/mode":
            mode.clear()
            mode.update(asked)
            self.send(200, mode)
            return
        recorded.append({"path": self.path, "headers": dict(self.headers), "body": raw})
        if "status" in mode:
            error = {"message": mode.get("message", "no"), "type": mode.get("type", "server_error"), "code": None}
            self.send(mode["status"], {"error": error})
            return
        if asked.get("stream"):
            self.stream(asked["model"])
            return
        time.sleep(mode.get("gap", 0))
        if self.path.endswith("/embeddings"):
            self.send(200, {"object": "list", "model": asked["model"], "data": [{"index": 0, "embedding": [0.5]}]})
            return
        message: dict[str, Any] = {"role": "assistant", "content": f"{NAME} answers"}
        if TOOL and asked.get("tools"):
            called = {"name": TOOL, "arguments": "{}"}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call-1", "type": "function", "function": called}],
            }
        self.send(200, completion(asked["model"], "chat.completion", message=message, finish_reason="stop"))


def completion(model: str, kind: str, **choice: object) -> dict[str, Any]:
    """Return a completion, or one chunk of it."""
    return {"id": "c", "object": kind, "created": 1, "model": model, "choices": [{"index": 0, **choice}]}


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Answer).serve_forever()

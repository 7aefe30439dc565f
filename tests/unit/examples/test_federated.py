"""examples/federated.py: what a tool returns reaches the edge model, and no byte of it the cloud."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import openai
import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import request
from devices import ROOT, wait_until

STAND_IN = ROOT / "molecule/stand_ins/openai/recording_stand_in.py"
SECRET = "blood pressure 142 over 91"
DOCUMENT = "Dear diary, nobody may read this."


@pytest.fixture(scope="module")
def federated() -> ModuleType:
    """Return the example as the library that it is, too."""
    spec = importlib.util.spec_from_file_location("federated", ROOT / "examples/federated.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["federated"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Door(ThreadingHTTPServer):
    """Sends each request to the stand-in of its model, as a gateway does."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        super().__init__(("127.0.0.1", 0), Route)

    def client(self) -> openai.OpenAI:
        """Return a client that it is the door of."""
        direct = openai.DefaultHttpxClient(trust_env=False)
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.server_port}/v1", api_key="key", http_client=direct)

    def recorded(self, model: str) -> list[dict[str, Any]]:
        """Return all that a model's stand-in was sent."""
        return list(json.loads(request(f"http://127.0.0.1:{self.ports[model]}/recorded").body))


class Route(BaseHTTPRequestHandler):
    """Passes one request on."""

    server: Door

    def do_POST(self) -> None:
        """Send it to the stand-in of its model."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = request(f"http://127.0.0.1:{self.server.ports[body['model']]}{self.path}", body)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer.body)


@pytest.fixture
def door() -> Iterator[Door]:
    """Yield a door with a cloud's recording stand-in, which calls a tool, and a device's."""
    ports = {"cloud": free_port(), "edge": free_port()}
    commands = [["cloud", str(ports["cloud"]), "read_diary"], ["edge", str(ports["edge"])]]
    servers = [subprocess.Popen([sys.executable, STAND_IN, *command]) for command in commands]
    for port in ports.values():
        wait_until(lambda port=port: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "a stand-in listens", 10)
    with Door(ports) as found:
        Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()
    for server in servers:
        server.kill()
        server.wait()


def test_what_tools_return_reaches_the_edge_alone(federated: ModuleType, door: Door) -> None:
    tools = [
        federated.Tool("read_diary", "The user's diary.", lambda: f"{DOCUMENT} {SECRET}"),
        federated.Tool("other", "Another tool.", lambda: "not called"),
    ]
    found = federated.answer(door.client(), "How am I?", tools, cloud="cloud", edge="edge")
    assert found.text == "edge answers"
    assert found.results == {"read_diary()": f"{DOCUMENT} {SECRET}"}
    cloud, edge = (json.dumps(door.recorded(model)) for model in ("cloud", "edge"))
    assert "How am I?" in cloud
    assert "The user's diary." in cloud
    for private in (SECRET, DOCUMENT):
        assert private not in cloud
        assert private in edge
    assert "Another tool." not in edge
    (asked,) = door.recorded("edge")
    messages = json.loads(asked["body"])["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert json.loads(asked["body"])["disable_fallbacks"] is True


def test_a_tool_that_fails_or_is_unknown_is_a_result(federated: ModuleType) -> None:
    tools = [federated.Tool("broken", "Fails.", lambda: 1 / 0)]
    found = federated.run(tools, [("broken", {}), ("unheard_of", {"of": 1})])
    assert found == {
        "broken()": "failed: ZeroDivisionError: division by zero",
        "unheard_of(of=1)": "failed: KeyError: 'unheard_of'",
    }


def test_a_note_is_read_from_the_notes_alone(
    federated: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("a note")
    (tmp_path / "secret").write_text("no note")
    assert federated.run(federated.TOOLS, [("read_note", {"name": "a.txt"})]) == {"read_note(name=a.txt)": "a note"}
    (outside,) = federated.run(federated.TOOLS, [("read_note", {"name": "../secret"})]).values()
    assert str(outside).startswith("failed: FileNotFoundError")

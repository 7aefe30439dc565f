"""The Jetson of the test fleet, and the play that its role runs in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from devices import INVENTORY, ROOT, connect

SCENARIO = Path(__file__).resolve().parents[1]
HOST = "jetson-01"
#: The version that the tests upgrade to.
NEW = "0.17.4"
URL = "http://127.0.0.1:11435"


@pytest.fixture(scope="module")
def host() -> Any:
    return connect(HOST)


def command(name: str, **variables: Any) -> list[str]:
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    return [playbook, "-i", str(INVENTORY), str(SCENARIO / f"{name}.yml"), "-e", json.dumps(variables)]


def environment() -> dict[str, str]:
    return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}


def play(name: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(name, **variables), capture_output=True, text=True, env=environment(), check=False)


def refused(name: str, **variables: Any) -> str:
    """Run a playbook that must fail; return what it says, without the line breaks that YAML puts into messages."""
    done = play(name, **variables)
    assert done.returncode != 0, done.stdout
    return " ".join((done.stdout + done.stderr).split())


def converge(**variables: Any) -> str:
    done = play("converge", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def digests(host: Any) -> dict[str, str]:
    tags = json.loads(host.check_output(f"curl --fail --silent {URL}/api/tags"))["models"]
    return {model["name"]: model["digest"] for model in tags}


def wait_for_answer(host: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while host.run(f"curl --fail --silent --max-time 2 {URL}/api/version").rc != 0:
        assert time.monotonic() < deadline, "Ollama does not answer"
        time.sleep(0.5)


@contextmanager
def playing(**variables: Any) -> Iterator[subprocess.Popen[str]]:
    """Run the scenario's converge.yml beside the test; kill it where it still runs at the end."""
    with subprocess.Popen(
        command("converge", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as run:
        try:
            yield run
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)

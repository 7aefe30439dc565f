"""The image of a model that the demo serves, made and run as docs/operators/images.md has it: `make image`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = "smollm2-135m-instruct"
BUILDER = "edge-slm-demo-builder-01"
NAME = "edge-slm-image-test"
PROMPT = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"
KEY = "a-key-of-the-test-alone"
BUSYBOX = "/usr/bin/busybox"


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], check=check, capture_output=True, text=True, timeout=300)


def make() -> str:
    """Make the image; return its name."""
    (found,) = json.loads(docker("inspect", BUILDER).stdout)
    network = found["NetworkSettings"]["Networks"]["edge-slm-demo"]
    command = [sys.executable, ROOT / "tools/model_image.py", "--inventory", ROOT / "inventory/demo", MODEL]
    done = subprocess.run(
        [*command, "--url", f"http://{network['IPAddress']}:8090", "--context", "1024"],
        # What is on this machine is not asked for through its proxy.
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "no_proxy": "*", "NO_PROXY": "*"},
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start(image: str, *options: str) -> None:
    confined = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108
    docker("run", "--detach", "--name", NAME, *confined, *options, image)


class Server(NamedTuple):
    """A container of the image."""

    image: str
    port: int

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=key, timeout=60, max_retries=0)


@pytest.fixture(scope="module")
def image() -> str:
    return make()


@pytest.fixture(autouse=True)
def cleared() -> Iterator[None]:
    """Leave no container behind that a test has started for itself."""
    yield
    docker("rm", "--force", NAME, check=False)


def mounted(directory: Path, text: str) -> list[str]:
    """Return how a file with keys gets into a container: readable there, in a directory that is its owner's alone."""
    directory.chmod(0o700)
    file = directory / "api-keys"
    file.write_text(text)
    file.chmod(0o644)
    return ["--volume", f"{file}:/run/secrets/api-keys:ro"]


@pytest.fixture
def server(image: str, tmp_path: Path) -> Server:
    start(image, *mounted(tmp_path, f"{KEY}\n"), "--publish", "127.0.0.1::8080")
    until = time.monotonic() + 60
    while (state := inspect()["State"])["Health"]["Status"] != "healthy":
        assert state["Running"] and time.monotonic() < until, docker("logs", NAME).stderr  # noqa: PT018
        time.sleep(0.5)
    return Server(image, int(inspect()["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]))


def inspect(name: str = NAME) -> dict[str, Any]:
    (found,) = json.loads(docker("inspect", name).stdout)
    return dict(found)


def test_it_answers_openais_client_and_nobody_without_the_key(server: Server) -> None:
    answer = server.client(KEY).completions.create(model=MODEL, prompt=PROMPT, max_tokens=2, temperature=0)
    assert "Paris" in answer.choices[0].text
    assert [model.id for model in server.client(KEY).models.list()] == [MODEL]
    with pytest.raises(openai.AuthenticationError):
        server.client("another-key-than-that").completions.create(model=MODEL, prompt=PROMPT, max_tokens=1)
    assert KEY not in docker("inspect", NAME, server.image).stdout


def test_it_is_what_the_builder_has_published_and_nobody_of_the_host(server: Server) -> None:
    path = inspect()["Config"]["Entrypoint"][2]
    assert path.startswith("/models/")
    sha256 = docker("exec", NAME, BUSYBOX, "sha256sum", path).stdout.split()[0]
    labels = inspect(server.image)["Config"]["Labels"]
    assert labels["edge-slm.fleet.model-sha256"] == sha256
    assert docker("exec", NAME, BUSYBOX, "id", "-u").stdout.strip() == "10001"
    assert docker("diff", NAME).stdout.split() in ([], ["C", "/run", "A", "/run/secrets", "A", "/run/secrets/api-keys"])


def test_it_ends_when_it_is_told_to(server: Server) -> None:
    docker("stop", "--time", "20", NAME)
    assert inspect()["State"]["ExitCode"] == 0


@pytest.mark.parametrize("text", ["", "\n", "# nobody's\n", None])
def test_it_does_not_serve_without_a_key(image: str, tmp_path: Path, text: str | None) -> None:
    start(image, *([] if text is None else mounted(tmp_path, text)))
    assert docker("wait", NAME).stdout.strip() == "1"
    assert "There is no API key in /run/secrets/api-keys" in docker("logs", NAME).stderr


def test_made_again_it_is_the_same(image: str) -> None:
    before = inspect(image)["Id"]
    assert make() == image
    assert inspect(image)["Id"] == before

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove that a release of llama.cpp works on the CPU that it is for, before anything depends on it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import request
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import ends_with_parent

#: Seconds that the server may take to load the tiny model (an emulated Pi needs most of them).
START_SECONDS = 120
REQUEST_SECONDS = 60
TOKENS = 4


class SelfTestError(Exception):
    """The release does not do what it must."""


def known_flags(help_text: str) -> set[str]:
    """Return the flags that a program's --help names."""
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", help_text))


def missing_flags(help_text: str, flags: Iterable[str]) -> list[str]:
    """Return those flags that a program's --help does not know."""
    return sorted(set(flags) - known_flags(help_text))


def run_program(argv: list[str]) -> str:
    """Run a program and return what it prints; raise SelfTestError when it fails or is killed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=REQUEST_SECONDS, check=False)
    except FileNotFoundError as error:
        raise SelfTestError(f"{argv[0]} is missing; install its package again.") from error
    except subprocess.TimeoutExpired as error:
        raise SelfTestError(f"`{' '.join(argv)}` did not end within {REQUEST_SECONDS} s.") from error
    text = done.stdout + done.stderr
    if done.returncode:
        raise SelfTestError(f"`{' '.join(argv)}` {how_it_ended(done.returncode)}: {text[-500:].strip()}")
    return text


def how_it_ended(returncode: int) -> str:
    """Describe a return code as subprocess gives it (negative = signal)."""
    if returncode == -4:
        return "died with SIGILL: it was built for another CPU class than the one that it was tested on"
    return f"was killed by signal {-returncode}" if returncode < 0 else f"ended with {returncode}"


def free_port() -> int:
    """Return a TCP port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: dict[str, object] | None = None, headers: dict[str, str] | None = None) -> bytes:
    """Send one request to the server under test and return the answer's body; an error is an OSError."""
    response = request(url, body, headers, REQUEST_SECONDS)
    if response.status >= 400:
        raise OSError(f"HTTP {response.status}: {response.body[:200].decode('utf-8', 'replace')}")
    return response.body


def wait_until_healthy(server: subprocess.Popen[bytes], url: str) -> None:
    """Return as soon as /health answers 200; raise SelfTestError when the server ends or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SelfTestError(f"llama-server {how_it_ended(server.returncode)} while loading the test model.")
        try:
            ask(f"{url}/health")
            return
        except OSError:  # refused while starting, 503 while loading
            time.sleep(0.1)
    raise SelfTestError(f"llama-server did not load the test model within {START_SECONDS} s.")


def complete_once(server_argv: Sequence[str], model: str, expect_ui: bool) -> None:
    """Start the server on a tiny model, take one real completion from it (and its web page), and end it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [*server_argv, "--model", model, "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=quiet, stderr=quiet, preexec_fn=ends_with_parent()) as server:
        try:
            wait_until_healthy(server, url)
            # The test model's weights are random: it may choose the end of the text at any token.
            asked = {"prompt": "hello", "n_predict": TOKENS, "temperature": 0, "ignore_eos": True}
            answer = json.loads(ask(f"{url}/completion", asked))
            if answer.get("tokens_predicted") != TOKENS:
                raise SelfTestError(f"a completion of {TOKENS} tokens has {answer.get('tokens_predicted')}.")
            if expect_ui:
                # Without Accept-Encoding: gzip the server answers 415.
                ask(f"{url}/", headers={"Accept-Encoding": "gzip"})
        except (OSError, ValueError) as error:
            # The connection breaks a moment before the dead server can be seen.
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=1)
            if server.returncode is not None:
                raise SelfTestError(f"llama-server {how_it_ended(server.returncode)} when asked.") from error
            raise SelfTestError(f"llama-server on the test model: {error}") from error
        finally:
            server.kill()


def missing_gpu(devices: str) -> str:
    """Return why a release is of no use on a GPU, by what `--list-devices` prints; empty where it is."""
    if re.search(r"^\s+CUDA\d+: ", devices, flags=re.MULTILINE):
        return ""
    lines = [line.strip() for line in devices.splitlines() if line.strip()]
    return f"this llama-server finds no GPU: {'; '.join(lines[-3:]) or 'it lists no devices'}."


def selftest(server: Sequence[str], model: str, flags: Iterable[str], expect_ui: bool, gpu: bool = False) -> str:
    """Prove a release's llama-server.

    Args:
        server: Path of llama-server, after what it is to be run by.
        model: Path of a small GGUF.
        flags: Flags that its --help must know.
        expect_ui: Whether `GET /` must return the web UI.
        gpu: Whether it must find a GPU; without one it would go on, on the CPU.

    Returns:
        The first line of `--version`.

    Raises:
        SelfTestError: With what does not work.
    """
    version = run_program([*server, "--version"]).strip().partition("\n")[0]
    unknown = missing_flags(run_program([*server, "--help"]), flags)
    if unknown:
        raise SelfTestError(
            f"this llama-server does not know {', '.join(unknown)}, which the role llama_service passes; "
            "choose a source that this version of the collection was made for."
        )
    problem = missing_gpu(run_program([*server, "--list-devices"])) if gpu else ""
    if problem:
        raise SelfTestError(problem)
    complete_once(server, model, expect_ui)
    return version

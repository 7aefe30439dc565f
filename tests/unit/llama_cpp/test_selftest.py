"""The self-test of a release, against small fakes of llama-server: scripts that behave as it would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import selftest as under_test
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import (
    SelfTestError,
    how_it_ended,
    missing_flags,
    selftest,
)

HELP = """\
-m,    --model FNAME            model path
-np,   --parallel N             number of slots
--kv-unified, -kvu, --no-kv-unified, -no-kvu
                                use one buffer (see also --ctx-size-like words)
--host HOST                     address (default: 127.0.0.1), as in [--port]
"""

#: A fake llama-server. BEHAVIOUR is where each test puts what differs from a good one.
FAKE = """\
#!{python}
import http.server, json, os, signal, sys, time

VERSION, HELP_TEXT, TOKENS, PAGE, LOADING = "version: 11434 (fake)", "--model --host --port", 4, 200, 0
{behaviour}

if "--version" in sys.argv:
    sys.exit(print(VERSION + "\\nbuilt as a fake"))
if "--help" in sys.argv:
    sys.exit(print(HELP_TEXT))
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
on_load() if "on_load" in globals() else None


class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"{{}}"):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            Handler.asked += 1
            return self.answer(503 if Handler.asked <= LOADING else 200)
        self.answer(PAGE if self.headers["Accept-Encoding"] == "gzip" else 415)

    def do_POST(self):
        on_ask() if "on_ask" in globals() else None
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/completion" and body["n_predict"] == 4, body
        # A model of random weights ends its text early, sooner or later, unless it is told not to.
        self.answer(200, json.dumps({{"tokens_predicted": TOKENS if body.get("ignore_eos") else 2}}).encode())


http.server.HTTPServer((given["--host"], int(given["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """Return the path of a fake llama-server."""
    return tmp_path / "fake-llama-server"


def run(fake: Path, behaviour: str = "", flags: tuple[str, ...] = ("--model",), expect_ui: bool = False) -> str:
    fake.write_text(FAKE.format(python=sys.executable, behaviour=behaviour))
    fake.chmod(0o755)
    return selftest([str(fake)], "fake.gguf", flags, expect_ui)


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ([], []),
        (["--model", "-m", "--parallel", "--no-kv-unified", "-no-kvu"], []),
        (["--port"], []),
        (["--mmproj"], ["--mmproj"]),
        (["--mod", "--ctx-size", "--model"], ["--ctx-size", "--mod"]),
        (["--b", "--a", "--a"], ["--a", "--b"]),
    ],
)
def test_missing_flags(flags: list[str], missing: list[str]) -> None:
    assert missing_flags(HELP, flags) == missing


@pytest.mark.parametrize(
    ("returncode", "text"),
    [
        (0, "ended with 0"),
        (1, "ended with 1"),
        (127, "ended with 127"),
        (-9, "was killed by signal 9"),
        (-11, "was killed by signal 11"),
        (-4, "died with SIGILL: it was built for another CPU class than the one that it was tested on"),
    ],
)
def test_how_it_ended(returncode: int, text: str) -> None:
    assert how_it_ended(returncode) == text


@pytest.mark.parametrize(
    ("behaviour", "expect_ui"),
    [
        ("", False),
        ("", True),
        ("PAGE = 404", False),
        ("LOADING = 2", False),
    ],
    ids=["good", "good with a page", "no page wanted", "slow to load"],
)
def test_a_server_that_answers_passes(fake: Path, behaviour: str, expect_ui: bool) -> None:
    assert run(fake, behaviour, ("--model", "--port"), expect_ui) == "version: 11434 (fake)"


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ('sys.exit("cannot open libfoo.so")', r"--version` ended with 1: cannot open libfoo\.so"),
        ("os.kill(os.getpid(), signal.SIGILL)", r"--version` died with SIGILL: .*another CPU class"),
        ('HELP_TEXT = "--host --port"', r"does not know --model, which the role llama_service passes; choose"),
        ('HELP_TEXT = "--model-url X"', r"does not know --model,"),
        ("def on_load(): sys.exit(3)", r"^llama-server ended with 3 while loading the test model"),
        ("def on_load(): os.kill(os.getpid(), signal.SIGILL)", r"^llama-server died with SIGILL.* while loading"),
        ("def on_ask(): os.kill(os.getpid(), signal.SIGILL)", r"^llama-server died with SIGILL.* when asked"),
        ("TOKENS = 0", r"a completion of 4 tokens has 0\."),
    ],
    ids=["version", "version SIGILL", "flag", "flag's namesake", "dies", "dies by SIGILL", "dies asked", "silent"],
)
def test_refusals(fake: Path, behaviour: str, sentence: str) -> None:
    with pytest.raises(SelfTestError, match=sentence):
        run(fake, behaviour)


def test_what_runs_programs_for_another_cpu_runs_all_of_them(fake: Path, tmp_path: Path) -> None:
    emulator, asked = tmp_path / "emulator", tmp_path / "asked"
    emulator.write_text(f'#!/bin/sh\necho "$*" >>{asked}\nshift 2\nexec "$@"\n')
    emulator.chmod(0o755)
    run(fake)
    found = selftest([str(emulator), "-cpu", "cortex-a72", str(fake)], "fake.gguf", ("--model",), False)
    assert found == "version: 11434 (fake)"
    lines = asked.read_text().splitlines()
    assert [line.split()[3] for line in lines] == ["--version", "--help", "--model"]
    assert {tuple(line.split()[:3]) for line in lines} == {("-cpu", "cortex-a72", str(fake))}


def test_a_page_that_is_wanted_must_be_there(fake: Path) -> None:
    with pytest.raises(SelfTestError, match=r"on the test model: HTTP 404"):
        run(fake, "PAGE = 404", expect_ui=True)


def test_a_server_that_never_gets_ready(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "START_SECONDS", 1)
    with pytest.raises(SelfTestError, match=r"did not load the test model within 1 s"):
        run(fake, "LOADING = 10**9")


def test_no_server_is_left_behind(fake: Path, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(SelfTestError):
        run(fake, f"TOKENS = 1\ndef on_load(): open({str(mark)!r}, 'w').write(str(os.getpid()))")
    assert not Path(f"/proc/{mark.read_text()}").exists()


#: As `llama-server --list-devices` of b11434 prints it.
DEVICES = "Available devices:\n  CUDA0: Tesla T4 (14912 MiB, 14806 MiB free)\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (DEVICES, ""),
        (f"ggml_cuda_init: found 1 CUDA devices\n{DEVICES}", ""),
        ("Available devices:\n  (none)\n", "finds no GPU: Available devices:; (none)"),
        ("ggml_cuda_init: no CUDA-capable device is detected\nAvailable devices:\n  (none)\n", "is detected"),
        # Another maker's.
        ("Available devices:\n  Vulkan0: Intel(R) UHD (15720 MiB, 15720 MiB free)\n", "Vulkan0"),
        ("", "it lists no devices"),
    ],
)
def test_a_release_for_gpus_must_find_one(text: str, part: str) -> None:
    found = under_test.missing_gpu(text)
    assert bool(found) == bool(part)
    assert part in found

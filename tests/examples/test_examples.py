"""The examples that need packages of their own, on the demo fleet: `make demo`, then `make examples`."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/examples/bin/python"
BUILDER = "edge-slm-demo-builder-01"
#: A service of pi-02 (inventory/demo/hosts.yml).
EMBEDDINGS = "http://127.0.10.12:8081/v1"
NOTES = (
    "Our bakery opens at seven in the morning and closes at two.",
    "The router of the shop is in the cellar, behind the flour.",
    "Sourdough needs a starter of flour and water, fed every day.",
    "Invoices are paid on the last Friday of the month.",
)


def endpoints() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((ROOT / ".demo/endpoints.json").read_text())
    return found


def first(engine: str) -> dict[str, str]:
    return next(endpoint for endpoint in endpoints() if endpoint["engine"] == engine)


def environment(endpoint: dict[str, str]) -> dict[str, str]:
    key = Path(endpoint["api_key_file"]).read_text().splitlines()[0]
    names = {"EDGE_SLM_API_KEY": key, "EDGE_SLM_URL": endpoint["base_url"], "EDGE_SLM_MODEL": endpoint["model"]}
    return {**os.environ, **names}


def run(*arguments: str | Path, stdin: str = "", expect: int = 0) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        [PYTHON, *map(str, arguments)],
        env=environment(first("llama.cpp")),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert found.returncode == expect, found.stderr
    return found


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes.csv"
    with file.open("w", newline="") as rows:
        writer = csv.writer(rows)
        writer.writerows([["text"], *([note] for note in NOTES)])
    return file


def rag(notes: Path, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
    chat = first("llama.cpp")["base_url"]
    command = (ROOT / "examples/rag.py", notes, "--chat", chat, "--embeddings", EMBEDDINGS, "--texts", "1")
    return run(*command, *more, **options)


def test_the_text_that_answers_is_found_and_used(notes: Path) -> None:
    found = rag(notes, "When does the bakery open?")
    assert "seven" in found.stdout.lower() or "7" in found.stdout
    assert "4 of 4 texts embedded" in found.stderr


def test_only_what_has_changed_is_embedded_again(notes: Path) -> None:
    rag(notes, "When does the bakery open?")
    assert "embedded" not in rag(notes, "When does the bakery open?").stderr
    with notes.open("a") as rows:
        rows.write("The cat of the bakery is called Crumb.\n")
    found = rag(notes, "What is the name of the cat?")
    assert "1 of 1 texts embedded" in found.stderr
    assert "crumb" in found.stdout.lower()


def test_a_conversation_longer_than_the_context_goes_on(notes: Path) -> None:
    """The context of the demo is 2048 tokens; each question alone has some 350."""
    question = "Tell me about sourdough, " + "please " * 300
    found = rag(notes, stdin="\n".join([question] * 7) + "\n")
    assert found.stdout.count("? ") >= 7


def execute(notebook: Path, executed: Path, **options: Any) -> list[list[dict[str, Any]]]:
    """Run a notebook from its first cell to its last; return what each cell of code has put out."""
    done = subprocess.run(
        [PYTHON.with_name("jupyter-execute"), "--output", executed.with_suffix(""), notebook],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return [cell["outputs"] for cell in json.loads(executed.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("engine", ["llama.cpp", "ollama"])
def test_the_notebook_runs_from_its_first_cell_to_its_last(engine: str, tmp_path: Path) -> None:
    outputs = execute(ROOT / "examples/fleet.ipynb", tmp_path / "executed.ipynb", env=environment(first(engine)))
    assert all(outputs)
    assert "tokens/s" in json.dumps(outputs[-1])


def bring_a_build(top: Path) -> None:
    """Leave what the first steps on Colab leave: a llama-server, and a model; of the demo's builder, for the CPU."""
    release, runtime = top / "release", top / "runtime"
    subprocess.run(["docker", "cp", "-L", f"{BUILDER}:/opt/edge-slm/llama.cpp/current/bin", release], check=True)
    archive = subprocess.check_output([ROOT / "tools/runtime-files", "amd64"], text=True).strip()
    runtime.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", runtime], check=True)
    server = top / "llama.cpp/build/bin/llama-server"
    server.parent.mkdir(parents=True)
    # Made for the builder's Debian, which need not be this machine's.
    library = runtime / "usr/lib/x86_64-linux-gnu"
    loader = f"{runtime}/usr/lib64/ld-linux-x86-64.so.2 --library-path {library}"
    server.write_text(f'#!/bin/sh\nexec {loader} {release}/llama-server "$@"\n')
    server.chmod(0o755)
    models = top / "models"
    subprocess.run(["docker", "cp", f"{BUILDER}:/var/lib/edge-slm/models/smollm2-135m-instruct", models], check=True)
    (name,) = set(re.findall(r"[\w.-]+\.gguf", (ROOT / "examples/colab.ipynb").read_text()))
    next(models.glob("*.gguf")).rename(models / name)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the demo's binaries are taken as they are")
def test_the_steps_on_colab_from_the_server_on(tmp_path: Path) -> None:
    """No GPU is proven by it, and nothing of Colab."""
    bring_a_build(tmp_path)
    # A notebook runs in the directory that it is in.
    notebook = Path(shutil.copy(ROOT / "examples/colab.ipynb", tmp_path))
    outputs = execute(notebook, tmp_path / "executed.ipynb")
    text = json.dumps(outputs)
    assert "http://127.0.0.1:1337" in text
    assert "Paris" in text
    assert (tmp_path / "api-keys").stat().st_mode & 0o777 == 0o600

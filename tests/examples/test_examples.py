"""The examples that need packages of their own, on the demo fleet: `make demo`, then `make examples`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/examples/bin/python"
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


@pytest.mark.parametrize("engine", ["llama.cpp", "ollama"])
def test_the_notebook_runs_from_its_first_cell_to_its_last(engine: str, tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    subprocess.run(
        [PYTHON.with_name("jupyter-execute"), "--output", executed.with_suffix(""), ROOT / "examples/fleet.ipynb"],
        env=environment(first(engine)),
        check=True,
        capture_output=True,
        timeout=600,
    )
    outputs = [cell["outputs"] for cell in json.loads(executed.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(outputs)
    assert "tokens/s" in json.dumps(outputs[-1])

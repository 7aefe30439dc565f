"""The bindings for Python open what the demo serves: `make demo`, then `make bindings`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/bindings/bin/python"
MODEL = "edge-slm-demo-builder-01:/var/lib/edge-slm/models/smollm2-135m-instruct"


def test_a_file_of_the_fleet_answers_without_a_server(tmp_path: Path) -> None:
    subprocess.run(["docker", "cp", MODEL, tmp_path / "model"], check=True)
    # The builder keeps the file before this one, too, for a rollback.
    manifest = json.loads((tmp_path / "model/manifest.json").read_text(encoding="utf-8"))
    (file,) = (tmp_path / "model" / one["path"] for one in manifest["files"])
    done = subprocess.run(
        [PYTHON, ROOT / "examples/bindings.py", file], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout

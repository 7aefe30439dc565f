"""What a device receives, and what it does not switch to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import publish
from ansible_collections.edge_slm.fleet.plugins.modules import model_pipeline_received

WORKS = Path(__file__).resolve().parents[3] / "roles/llama_cpp/files/selftest.gguf"


def receive(top: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Receive a model of this content as a device does; return the module's result."""
    file = publish.artifact("model", hashlib.sha256(content).hexdigest(), len(content))
    (top / "builder").mkdir(exist_ok=True)
    (top / "builder" / file.path).write_bytes(content)
    manifest = {"name": "m", "inputs_digest": file.sha256, "files": [file.as_dict()]}
    given = {"manifest": manifest, "url": str(top / "builder"), "models_path": str(top / "models")}
    with patch_module_args(given), pytest.raises(SystemExit):
        model_pipeline_received.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_model_that_cannot_serve_does_not_replace_one_that_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert receive(tmp_path, WORKS.read_bytes(), capsys)["changed"]
    served = read_json(str(tmp_path / "models/m/manifest.json"))
    found = receive(tmp_path, b"<!DOCTYPE html>", capsys)
    assert found["failed"]
    assert "is not a GGUF file" in found["msg"]
    assert read_json(str(tmp_path / "models/m/manifest.json")) == served
    assert not receive(tmp_path, WORKS.read_bytes(), capsys)["changed"]

"""What is read on a host for the plan of Ollama: models on the disk, files of model_pipeline, the owner of a port."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import publish
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import probe, server
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import File, Held, Model, parse_models
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.transfer import blob_path

DEFAULTS = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "roles/jetson_ollama/defaults/main.yml").read_text(encoding="utf-8")
)
CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def inputs(**changes: Any) -> server.Inputs:
    plain = {name.removeprefix("jetson_ollama_"): value for name, value in DEFAULTS.items()}
    problems = Problems()
    found = server.parse_inputs({**plain, "image": f"x/y@sha256:{SHA256}", **changes}, problems)
    assert problems.found == []
    return found


def stored(models_dir: Path, name: str = "library/phi3/mini") -> bytes:
    """Put a model into a directory as Ollama keeps it; return its manifest."""
    blob = Path(blob_path(str(models_dir / "models"), f"sha256:{SHA256}"))
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(CONTENT)
    part = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{SHA256}",
        "size": len(CONTENT),
    }
    manifest = json.dumps({"config": part, "layers": [part]}).encode()
    path = models_dir / "models/manifests/registry.ollama.ai" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest)
    return manifest


def test_models_are_known_from_the_disk_where_ollama_does_not_run(tmp_path: Path) -> None:
    manifest = stored(tmp_path)
    digest = hashlib.sha256(manifest).hexdigest()
    assert probe.held_on_disk(str(tmp_path)) == {"phi3:mini": Held("phi3:mini", digest, 0)}
    stored(tmp_path, "me/phi3/latest")
    assert set(probe.held_on_disk(str(tmp_path))) == {"phi3:mini", "me/phi3:latest"}
    assert probe.held_on_disk(str(tmp_path / "nowhere")) == {}


@pytest.mark.parametrize(
    ("content", "deep", "message"),
    [
        (CONTENT, False, ""),
        (CONTENT, True, ""),
        (None, False, "is missing"),
        (b"short", False, "has 5 bytes, not 7"),
        # Of the right size: only where the content is asked for it is read.
        (b"another", False, ""),
        (b"another", True, "has another content"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes | None, deep: bool, message: str) -> None:
    stored(tmp_path)
    blob = Path(blob_path(str(tmp_path / "models"), f"sha256:{SHA256}"))
    if content is None:
        blob.unlink()
    else:
        blob.write_bytes(content)
    parts = probe.read_manifest(server.manifest_path(str(tmp_path), "phi3:mini"))
    found = probe.damage(str(tmp_path / "models"), parts, deep)
    assert message in found
    assert bool(message) == bool(found)
    assert sorted(path.name for path in blob.parent.iterdir()) in ([blob.name], []), "nothing is written beside them"


def test_published_models_get_path_and_sha256(tmp_path: Path) -> None:
    directory = tmp_path / "smollm2"
    directory.mkdir()
    file = publish.artifact("model", SHA256, 7)
    (directory / "manifest.json").write_text(json.dumps({"name": "smollm2", "files": [file.as_dict()]}))
    raw = [
        {"name": "phi3:mini", "digest": f"sha256:{SHA256}"},
        {"name": "small", "published": "smollm2", "context": 2048},
        {"name": "other", "published": "not-there"},
    ]
    given = inputs(models=raw, published_dir=str(tmp_path))
    found = probe.Models.read(given, parse_models(given.models, Problems(), published=True))
    path = str(directory / file.path)
    assert found.raw == [raw[0], {"name": "small", "context": 2048, "path": path, "sha256": SHA256}]
    assert [(model.name, model.path, model.sha256) for model in found.wanted] == [
        ("phi3:mini", "", ""),
        ("small:latest", path, SHA256),
    ]
    assert found.waiting_sentences == ["model not-there: model_pipeline has not brought it yet"]
    # What goes to the module is what it takes.
    problems = Problems()
    assert parse_models(found.raw, problems)[1].inputs == found.wanted[1].inputs
    assert problems.found == []


def test_a_published_projector_comes_with_its_model(tmp_path: Path) -> None:
    directory = tmp_path / "llava"
    directory.mkdir()
    model, projector = (publish.artifact(kind, SHA256, 7) for kind in publish.KINDS)
    manifest = {"name": "llava", "files": [model.as_dict(), projector.as_dict()]}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    given = inputs(models=[{"name": "llava", "published": "llava"}], published_dir=str(tmp_path))
    found = probe.Models.read(given, parse_models(given.models, Problems(), published=True))
    seeing = File(str(directory / projector.path), SHA256)
    assert found.wanted == [
        Model("llava:latest", path=str(directory / model.path), sha256=SHA256, published="llava", projector=seeing)
    ]
    # What goes to the module is what it takes.
    problems = Problems()
    (passed_on,) = parse_models(found.raw, problems)
    assert problems.found == []
    assert passed_on.files == found.wanted[0].files
    for path in (model.path, projector.path):
        (directory / path).write_bytes(CONTENT)
    assert [size.weights for size in probe.model_sizes(found.wanted, str(tmp_path), Access(), [])] == [14]


def test_sizes_without_asking_anybody(tmp_path: Path) -> None:
    stored(tmp_path)
    gguf = tmp_path / "x.gguf"
    gguf.write_bytes(CONTENT)
    models = [
        Model("phi3:mini", digest="1" * 64),
        Model("smol:latest", path=str(gguf), sha256=SHA256),
        Model("gone:latest", path="/nowhere.gguf", sha256=SHA256),
    ]
    notes: list[str] = []
    assert probe.model_sizes(models, str(tmp_path), Access(), notes) == [
        server.Size("phi3:mini", 14, True),
        server.Size("smol:latest", 7, False),
        server.Size("gone:latest", 0, False),
    ]
    assert notes == []


def test_a_registry_that_does_not_answer_is_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    model = Model("phi3:mini", digest="1" * 64, registry="127.0.0.1:1")
    assert probe.model_sizes([model], str(tmp_path), Access(), notes) == [server.Size("phi3:mini", 0, False)]
    assert notes[0].startswith("phi3:mini: its size is not known (the registry 127.0.0.1:1 cannot be reached")


def test_who_has_a_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert probe.port_owner(port, os.getpid(), docker=True) == ""
        assert probe.port_owner(port, os.getppid(), docker=True) == "", "a child of our container's process"
        assert probe.port_owner(port, 0, docker=True).endswith(f"(process {os.getpid()})")
        assert probe.port_owner(port, 0, docker=False).endswith(f"(process {os.getpid()})")
    assert probe.port_owner(port, 0, docker=True) == ""

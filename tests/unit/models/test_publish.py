"""Published models: names from checksums, one manifest written last, the versions before it kept for a while."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import (
    ManifestError,
    artifact,
    artifacts,
    intact,
    place,
    publish,
    published,
    releases,
)


def version(directory: Path, content: str, **more: Any) -> dict[str, Any]:
    """Put a version's file in place and return its manifest."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    entry = artifact("model", sha256, len(content))
    source = directory.parent / f"work-{content}"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(content)
    place(str(source), str(directory / entry.path), sha256)
    return {"name": "m", "inputs_digest": content, "files": [entry.as_dict()], **more}


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.gguf")}


def test_versions_are_kept_and_let_go(tmp_path: Path) -> None:
    directory = tmp_path / "models" / "m"
    manifests = [version(directory, content) for content in "abc"]
    names = [manifest["files"][0]["path"] for manifest in manifests]
    publish(directory.as_posix(), manifests[0], keep=2)
    assert files(directory) == {names[0]}, "what no manifest names is a rest of a killed run"
    for content, manifest in zip("bc", manifests[1:], strict=True):
        version(directory, content)
        publish(directory.as_posix(), manifest, keep=2)
    assert files(directory) == {names[1], names[2]}
    written = published(str(tmp_path / "models"))["m"]
    assert written["inputs_digest"] == "c"
    assert [entry["inputs_digest"] for entry in written["history"]] == ["b"]
    assert intact(str(directory), written)
    assert intact(str(directory), written["history"][0])


def test_going_back_and_publishing_twice(tmp_path: Path) -> None:
    directory = tmp_path / "m"
    for content in "aba":
        manifest = version(directory, content)
        written = publish(str(directory), manifest, keep=2)
    assert [entry["inputs_digest"] for entry in written["history"]] == ["b"]
    assert publish(str(directory), manifest, keep=2) == written
    assert publish(str(directory), manifest, keep=1)["history"] == []
    assert files(directory) == {manifest["files"][0]["path"]}


def test_a_kill_before_the_manifest_leaves_the_old_version_valid(tmp_path: Path) -> None:
    directory = tmp_path / "models" / "m"
    publish(str(directory), version(directory, "a"), keep=2)
    version(directory, "b")
    (directory / "0123456789ab.gguf.part").write_text("half")
    assert published(str(tmp_path / "models"))["m"]["inputs_digest"] == "a"
    publish(str(directory), version(directory, "b"), keep=2)
    assert list(directory.glob("*.part")) == []


@pytest.mark.parametrize("change", ["missing", "truncated", "flipped"])
def test_damage_is_noticed(tmp_path: Path, change: str) -> None:
    directory = tmp_path / "m"
    manifest = version(directory, "abc")
    path = directory / manifest["files"][0]["path"]
    assert intact(str(directory), manifest)
    if change == "missing":
        path.unlink()
    else:
        path.write_text("ab" if change == "truncated" else "abd")
    assert not intact(str(directory), manifest)


def test_place_across_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(os, "link", refuse)
    directory = tmp_path / "m"
    assert intact(str(directory), version(directory, "abc"))


GOOD = artifact("model", "0123456789abcdef" * 4, 5).as_dict()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (None, "no files"),
        ([], "no files"),
        (["x"], "which is not a file"),
        ([{**GOOD, "sha256": "abc"}], "no proper kind, sha256 and size"),
        ([{**GOOD, "size": "5"}], "no proper kind, sha256 and size"),
        ([{**GOOD, "kind": "virus"}], "no proper kind, sha256 and size"),
        ([{**GOOD, "path": "../../etc/passwd"}], "should be named 0123456789ab.gguf"),
        ([GOOD, GOOD], "exactly one"),
        ([artifact("projector", "0123456789abcdef" * 4, 5).as_dict()], "exactly one"),
    ],
)
def test_manifests_that_are_refused(entries: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        artifacts({"files": entries})


def test_releases(tmp_path: Path) -> None:
    descriptor = {"key": "k", "cpu_class": "x86-64-v3", "file": "k.tar.gz", "sha256": "0" * 64, "size": 3}
    (tmp_path / "x86-64-v3.json").write_text(str(descriptor).replace("'", '"'))
    (tmp_path / "k.tar.gz.json").write_text('{"inputs": {"key": "k"}, "sha256": "0", "size": 3}')
    (tmp_path / "torn.json").write_text('{"key": ')
    assert releases(str(tmp_path)) == {"x86-64-v3": descriptor}
    assert releases(str(tmp_path / "absent")) == {}
    assert published(str(tmp_path / "absent")) == {}

"""Files of the controller that a pending build takes: refused before anything changes, and read once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import llama_cpp_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs, read_role


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep notes in the test's directory."""
    monkeypatch.setattr(llama_cpp_side.constants.config, "get_config_value", lambda name: str(tmp_path / name))
    return tmp_path


def judge(path: Path, sha256: str) -> list[str]:
    plan: dict[str, Any] = {
        "refusals": [],
        "needs": {"controller_files": [{"variable": "llama_cpp_source.archive", "path": str(path), "sha256": sha256}]},
    }
    llama_cpp_side.after(Inputs(read_role("llama_cpp")), plan)
    return list(plan["refusals"])


def sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_files_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "a.tar.gz"
    (missing,) = judge(file, sha256(b"a"))
    assert missing.startswith(
        f"llama_cpp_source.archive: the file {file} cannot be read on the controller (No such file"
    )
    file.write_bytes(b"a")
    assert judge(file, sha256(b"a")) == []
    (other,) = judge(file, sha256(b"b"))
    assert f"has the sha256 {sha256(b'a')}, the inventory has {sha256(b'b')}; fetch it again" in other


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.tar.gz"
    file.write_bytes(b"a")
    assert judge(file, sha256(b"a")) == []
    read: list[str] = []
    real = llama_cpp_side.Digest.of
    monkeypatch.setattr(llama_cpp_side.Digest, "of", lambda self, path: read.append(path) or real(self, path))
    assert judge(file, sha256(b"a")) == []
    assert read == []
    file.write_bytes(b"b")
    assert judge(file, sha256(b"b")) == []
    assert read == [str(file)]


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    file = tmp_path / "files/a.tar.gz"
    file.write_bytes(b"a")
    judge(file, sha256(b"a"))
    assert list(file.parent.iterdir()) == [file]


def test_notes_that_cannot_be_written_are_done_without(tmp_path: Path) -> None:
    (tmp_path / "ANSIBLE_HOME").write_text("")
    file = tmp_path / "a.tar.gz"
    file.write_bytes(b"a")
    assert judge(file, sha256(b"a")) == []


def test_a_plan_without_needs_is_left_alone() -> None:
    plan: dict[str, Any] = {"refusals": [], "needs": {}}
    llama_cpp_side.after(Inputs(read_role("llama_cpp")), plan)
    assert plan == {"refusals": [], "needs": {}}

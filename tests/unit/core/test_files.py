"""Readers and the one writer of small files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import files
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import Digest, is_verified, noted_digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"a\n", "a\n"), (b"a\r\nb", "a\nb"), (b"\xff", "�"), (b"", ""), (None, "")],
)
def test_text_is_read_whatever_is_in_it(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    assert files.read_text(path) == text


def test_a_directory_has_no_text(tmp_path: Path) -> None:
    assert files.read_text(tmp_path) == ""


@pytest.mark.parametrize(
    ("name", "draft"),
    [
        ("daemon.json", ".daemon-json-edge-slm-new"),
        (".hidden.verified", ".hidden-verified-edge-slm-new"),
        ("plain", ".plain-edge-slm-new"),
    ],
)
def test_no_reader_takes_a_draft_for_a_file(name: str, draft: str) -> None:
    assert files.draft_name(f"/etc/x.d/{name}") == f"/etc/x.d/{draft}"


@pytest.mark.parametrize(("age", "known"), [(1000, True), (-1000, False)])
def test_a_time_in_the_future_is_none(tmp_path: Path, age: int, known: bool) -> None:
    """Whatever reads the file would be restarted in every run until the clock has caught up."""
    path = tmp_path / "file"
    path.touch()
    written = int(time.time()) - age
    os.utime(path, (written, written))
    assert files.modified(str(path)) == (written if known else 0.0)
    assert read_files([str(path)])[str(path)].modified == files.modified(str(path))
    assert files.modified(str(tmp_path / "missing")) == 0.0


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755])
def test_a_file_is_written_with_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "new" / "file.conf"
    old = os.umask(0o077)
    try:
        files.write_text(str(path), "one\r\ntwo\n", mode)
    finally:
        os.umask(old)
    assert path.read_bytes() == b"one\r\ntwo\n"
    assert path.stat().st_mode & 0o7777 == mode
    assert [entry.name for entry in path.parent.iterdir()] == ["file.conf"]


def test_without_a_mode_it_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o640)
    files.write_text(str(path), "new", None)
    assert path.stat().st_mode & 0o7777 == 0o640


def test_what_a_killed_run_left_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "file.conf"
    Path(files.draft_name(str(path))).write_text("half", encoding="utf-8")
    files.write_text(str(path), "whole")
    assert path.read_text(encoding="utf-8") == "whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_draft_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.conf"
    path.write_text("old", encoding="utf-8")
    draft = files.write_draft(str(path), "new", 0o640)
    assert path.read_text(encoding="utf-8") == "old"
    files.finish(draft, str(path))
    assert path.read_text(encoding="utf-8") == "new"
    assert not os.path.exists(draft)


def test_a_link_to_elsewhere_is_not_a_draft(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("safe", encoding="utf-8")
    path = str(tmp_path / "file")
    os.symlink(target, files.draft_name(path))
    files.write_text(path, "new")
    assert target.read_text(encoding="utf-8") == "safe"


@pytest.mark.parametrize(("text", "content"), [('{"a": 1}', {"a": 1}), ("[1]", {}), ('{"a"', {}), (None, {})])
def test_json_is_an_object_or_nothing(tmp_path: Path, text: str | None, content: dict[str, int]) -> None:
    path = tmp_path / "file.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert files.read_json(path) == content
    files.write_json(str(path), {"b": 2})
    assert files.read_json(str(path)) == {"b": 2}


def rewritten(path: Path) -> None:
    """Change a file's content and set back what a program can set back: its size and its modification time."""
    before = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "known"),
    [
        (lambda path: None, True),
        (lambda path: path.chmod(0o600), False),
        (lambda path: path.write_bytes(b"bytes and more"), False),
        (rewritten, False),
    ],
)
def test_a_file_that_was_read_is_known_until_it_changes(
    tmp_path: Path, change: Callable[[Path], None], known: bool
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"bytes")
    digest = Digest(hashlib.sha256(b"bytes").hexdigest())
    assert noted_digest(str(path)) == ""
    assert is_verified(str(path), digest)
    change(path)
    assert (noted_digest(str(path)) == digest.hex) is known


def test_a_wrong_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"bytes")
    wanted = Digest(hashlib.sha256(b"others").hexdigest())
    assert not is_verified(str(path), wanted)
    monkeypatch.setattr(Digest, "of", lambda *_: pytest.fail("it was read again"))
    assert not is_verified(str(path), wanted)

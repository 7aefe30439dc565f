"""Sets of files are written whole or not at all; what is secret is not shown."""

from __future__ import annotations

import getpass
import grp
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import writing
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ConfigFile, Directory
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet

OWNER = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


class FailedError(Exception):
    """The module failed."""


def module(check_mode: bool = False, code: int = 0) -> Any:
    def fail_json(msg: str) -> None:
        raise FailedError(msg)

    return SimpleNamespace(check_mode=check_mode, fail_json=fail_json, run_command=lambda _argv: (code, "", "no good"))


def file_at(path: Path, content: str = "new\n", **changes: Any) -> ConfigFile:
    return ConfigFile(str(path), content, **OWNER, **changes)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_all_files_are_checked_before_the_first_gets_its_name(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old\n")
    seen: dict[str, str] = {}

    def check(drafts: Mapping[str, str]) -> str:
        seen.update({path: Path(draft).read_text() for path, draft in drafts.items()})
        assert first.read_text() == "old\n"
        return "they do not fit"

    wanted = FileSet(files=[file_at(first), file_at(second)], check=check)
    with pytest.raises(FailedError, match="what was there is unchanged: they do not fit"):
        writing.apply(module(), wanted)
    assert seen == {str(first): "new\n", str(second): "new\n"}
    assert (first.read_text(), names(tmp_path)) == ("old\n", ["first"])


def test_they_are_written_when_they_are_accepted(tmp_path: Path) -> None:
    wanted = FileSet(
        directories=[Directory(str(tmp_path / "made"), "0750", **OWNER)],
        files=[file_at(tmp_path / "made/one", mode="0640", validate="true %s"), file_at(tmp_path / "two")],
        check=lambda _drafts: "",
    )
    assert len(writing.apply(module(), wanted)) == 3
    assert (names(tmp_path), names(tmp_path / "made")) == (["made", "two"], ["one"])
    assert (tmp_path / "made/one").stat().st_mode & 0o7777 == 0o640
    assert writing.apply(module(), wanted) == []


def test_one_that_its_command_refuses_stops_all(tmp_path: Path) -> None:
    wanted = FileSet(files=[file_at(tmp_path / "one"), file_at(tmp_path / "two", validate="false %s")])
    with pytest.raises(FailedError, match="two was not written: `false %s` refuses it: no good"):
        writing.apply(module(code=1), wanted)
    assert names(tmp_path) == []


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("x")
    wanted = FileSet(
        directories=[Directory(str(tmp_path / "made"), **OWNER)],
        files=[file_at(tmp_path / "one")],
        remove=[str(tmp_path / "gone")],
        prune=[str(tmp_path)],
        check=lambda _drafts: "never called",
    )
    assert len(writing.apply(module(check_mode=True), wanted)) == 3
    assert names(tmp_path) == ["gone"]


def test_a_link_to_a_device_is_replaced_and_one_to_a_file_followed(tmp_path: Path) -> None:
    masked, linked, target = tmp_path / "masked.service", tmp_path / "linked", tmp_path / "target"
    # A pipe stands for /dev/null: a fault that this test is to find would replace that of the machine it runs on.
    device = tmp_path / "device"
    os.mkfifo(device)
    masked.symlink_to(device)
    target.write_text("old\n")
    linked.symlink_to(target)
    writing.apply(module(), FileSet(files=[file_at(masked), file_at(linked)]))
    assert not masked.is_symlink()
    assert masked.read_text() == "new\n"
    assert device.is_fifo()
    assert linked.is_symlink()
    assert target.read_text() == "new\n"


def test_what_is_removed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "ours/deep").mkdir(parents=True)
    (shared / "ours/deep/file").write_text("x")
    link = tmp_path / "link"
    link.symlink_to("/nonexistent")
    used = tmp_path / "used"
    used.mkdir()
    (used / "theirs").write_text("x")
    wanted = FileSet(remove=[str(shared / "ours"), str(link)], prune=[str(shared), str(used), str(tmp_path / "none")])
    assert [one["after_header"] for one in writing.apply(module(), wanted)] == [
        str(shared / "ours"),
        str(link),
        str(shared),
    ]
    assert names(tmp_path) == ["used"]


@pytest.mark.parametrize(
    ("text", "mode", "shown"),
    [
        ("public\n", 0o644, "public\n"),
        ("SECRET\n", 0o640, ""),
        ("-----BEGIN PRIVATE KEY-----\nSECRET\n", 0o644, ""),
    ],
)
def test_what_a_diff_shows_of_a_removed_file(tmp_path: Path, text: str, mode: int, shown: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(mode)
    (diff,) = writing.apply(module(check_mode=True), FileSet(remove=[str(path)]))
    assert diff["before"] == shown


def test_a_secret_is_not_shown_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("OLDSECRET\n")
    (diff,) = writing.apply(module(check_mode=True), FileSet(files=[file_at(path, "NEWSECRET\n", secret=True)]))
    assert "SECRET" not in str(diff)
    assert diff["after"] == "its text differs\n"

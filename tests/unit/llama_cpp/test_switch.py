"""The switch to a release, and what is remembered of the one before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge_slm.fleet.plugins.modules import llama_cpp_switch


def switch(root: Path, key: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    release = root / "releases" / key
    release.mkdir(parents=True, exist_ok=True)
    (release / "release.json").write_text("{}")
    with patch_module_args({"root": str(root), "key": key}), pytest.raises(SystemExit):
        llama_cpp_switch.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def links(root: Path) -> dict[str, str]:
    return {path.name: os.path.basename(os.readlink(path)) for path in root.iterdir() if path.is_symlink()}


def test_the_release_before_is_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert switch(tmp_path, "a", capsys)["changed"]
    assert links(tmp_path) == {"current": "a"}
    for _again in range(2):
        switch(tmp_path, "b", capsys)
        assert links(tmp_path) == {"current": "b", "previous": "a"}
    assert switch(tmp_path, "a", capsys)["previous"] == "b"
    assert links(tmp_path) == {"current": "a", "previous": "b"}

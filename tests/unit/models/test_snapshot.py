"""A repository from a hub, and every way in which a hub refuses. Needs aria2c."""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.safetensors import (
    SafetensorsError,
    gguf_bytes,
    shapes,
)
from ansible_collections.edge_slm.fleet.plugins.modules.model_pipeline_snapshot import (
    SnapshotError,
    bring,
    complete,
    listing,
    main,
    refusal,
    sizes,
    wanted,
)
from ansible_collections.edge_slm.fleet.tools.local_hub import Hub, publish


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, **{name: {"shape": shape} for name, shape in tensors.items()}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + os.urandom(1000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "repo"
    (source / "original").mkdir(parents=True)
    (source / "model.safetensors").write_bytes(safetensors({"a": [10, 10], "vision.b": [4, 4], "norm": [10]}))
    (source / "config.json").write_text("{}")
    (source / "original" / "weights.bin").write_bytes(b"second copy")
    publish(tmp_path / "hub", "org/name", source)
    return tmp_path / "hub"


def params(hub: Hub, root: Path, **changes: Any) -> dict[str, Any]:
    revision = (root / "models--org--name/refs/main").read_text()
    return {
        "repo": "org/name",
        "revision": revision,
        "dest": str(root.parent / "out"),
        "include": ["*"],
        "exclude": ["original/*"],
        "endpoint": hub.url,
        "token": "",
        **changes,
    }


def test_a_repository_arrives(hub: Hub, root: Path) -> None:
    given = params(hub, root)
    files = listing(given)
    assert {(file["path"], file["algorithm"]) for file in files} == {
        ("config.json", "git-sha1"),
        ("model.safetensors", "sha256"),
    }
    bring(given, files)
    assert (root.parent / "out/config.json").read_text() == "{}"
    assert complete(given["dest"], {"inputs": {}, "files": files}, {})
    assert not complete(given["dest"], {"inputs": {}, "files": files}, {"revision": "other"})
    assert sizes(given["dest"], files, projector=False)["f16"] == (1 << 20) + 100 * 2 + 16 * 2 + 10 * 4
    assert sizes(given["dest"], files, projector=True)["f32"] == (1 << 20) + 16 * 4


@pytest.mark.parametrize("match", ["config.json", "model.safetensors"])
def test_corruption_is_noticed_in_every_file(hub: Hub, root: Path, match: str) -> None:
    given = params(hub, root)
    files = listing(given)
    hub.faults = {"match": match, "corrupt": "1"}
    with pytest.raises(SnapshotError, match=r"expected .*, found"):
        bring(given, files)
    assert not (root.parent / "out" / match).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repo": "org/absent"}, r"^source\.repo: .* knows no org/absent"),
        ({"revision": "0" * 40}, r"^source\.revision: .* has no commit 0{40}"),
        ({"endpoint": "http://127.0.0.1:1"}, r"^model_pipeline_hf_endpoint: .* cannot be reached"),
        ({"include": ["*.bin"]}, r"^source: nothing in .* matches .*config\.json"),
    ],
)
def test_refusals(hub: Hub, root: Path, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # huggingface_hub waits longer and longer between its attempts.
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(SnapshotError, match=message):
        listing(params(hub, root, **changes))


@pytest.mark.parametrize(
    ("token", "failure"),
    [
        ("s3cret", ""),
        ("s3cret\n", ""),
        (" s3cret\r\n", ""),
        ("s3c\nret", "model_pipeline_hf_token: holds a space"),
        ("s3cr\u00e9t", "model_pipeline_hf_token: holds a space"),
    ],
)
def test_a_token_is_trimmed_and_never_shown(
    root: Path, token: str, failure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Hub(root, token="s3cret") as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        given = {
            **params(hub, root, token=token),
            "python": sys.executable,
            "_ansible_remote_tmp": str(root),
            "_ansible_tmpdir": str(root),
        }
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            main()
        hub.shutdown()
    printed = capsys.readouterr().out
    result = json.loads(printed)
    assert result.get("msg", "").startswith(failure)
    assert bool(ended.value.code) == bool(failure)
    assert token.strip() not in result.get("msg", "")


def test_a_mirrors_credentials_are_not_shown() -> None:
    assert "hunter2" not in refusal(OSError("no route"), "org/name", "main", "http://me:hunter2@mirror.lan")


@pytest.mark.parametrize("token", ["", "wrong"])
def test_wrong_token(root: Path, token: str) -> None:
    with Hub(root, token="s3cret") as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(SnapshotError, match=r"^model_pipeline_hf_token: .* does not accept the token"):
            listing(params(hub, root, token=token))
        right = params(hub, root, token="s3cret")
        bring(right, listing(right))
        hub.shutdown()


def test_disk_too_small(hub: Hub, root: Path) -> None:
    given = params(hub, root)
    with pytest.raises(Exception, match="disk too small for org/name"):
        bring(given, [{**file, "size": 1 << 60} for file in listing(given)])


@pytest.mark.parametrize(
    ("path", "include", "exclude", "expected"),
    [
        ("a.json", [], [], True),
        ("a.json", ["*.json"], [], True),
        ("sub/a.json", ["*.json"], [], True),
        ("a.bin", ["*.json"], [], False),
        ("original/a.json", ["*.json"], ["original/*"], False),
    ],
)
def test_globs(path: str, include: list[str], exclude: list[str], expected: bool) -> None:
    assert wanted(path, include, exclude) is expected


@pytest.mark.parametrize(
    ("outtype", "expected"), [("f32", 3240), ("f16", 1640), ("bf16", 1640), ("auto", 1640), ("q8_0", 890)]
)
def test_gguf_bytes(outtype: str, expected: int) -> None:
    assert gguf_bytes([("w", [20, 40]), ("norm", [10])], outtype) - (1 << 20) == expected


@pytest.mark.parametrize("content", [b"", b"123", struct.pack("<Q", 999) + b"{}", struct.pack("<Q", 2) + b"[]"])
def test_no_safetensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SafetensorsError):
        shapes(str(tmp_path / "x"))

"""Downloads from a real server that misbehaves in every way that networks do. Needs aria2c."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import files as durable
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import Digest, DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import (
    Fetch,
    fetch,
    resolve,
    url_problem,
)
from ansible_collections.edge_slm.fleet.tools.local_hub import Hub, publish

CONTENT = os.urandom(3_000_000)
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "repo"
    source.mkdir()
    (source / "model.gguf").write_bytes(CONTENT)
    publish(tmp_path / "hub", "org/name", source)
    return tmp_path / "hub"


def job(hub: Hub, tmp_path: Path, **changes: object) -> Fetch:
    values: dict[str, object] = {
        "url": f"{hub.url}/org/name/resolve/main/model.gguf",
        "dest": str(tmp_path / "out" / "model.gguf"),
        "digest": DIGEST,
        "size": len(CONTENT),
        "retry_wait": 0,
        **changes,
    }
    return Fetch(**values)  # type: ignore[arg-type]


def left(fetching: Fetch) -> list[str]:
    """Return what is where the file was to go."""
    directory = Path(fetching.dest).parent
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def resumed_at(hub: Hub) -> int:
    """Return where the last request started (aria2 goes back to a multiple of 16 KiB)."""
    ranges = [request.range for request in hub.requests if request.range]
    return int(ranges[-1].removeprefix("bytes=").split("-")[0]) if ranges else 0


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"cut": "700000"},
        {"cut": "700000", "times": "3"},
        {"norange": "1"},
        {"status": "503", "times": "2"},
        {"status": "500", "times": "2"},
    ],
    ids=lambda faults: "-".join(f"{name}{value}" for name, value in faults.items()) or "none",
)
def test_arrives_whole_in_spite_of(hub: Hub, tmp_path: Path, faults: dict[str, str]) -> None:
    hub.faults = dict(faults)
    fetching = job(hub, tmp_path)
    assert fetch(fetching) is True
    assert Path(fetching.dest).read_bytes() == CONTENT
    assert left(fetching) == [".model.gguf.verified", "model.gguf"]
    asked = len(hub.requests)
    assert fetch(fetching) is False
    assert len(hub.requests) == asked


def test_resumes_what_is_there(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path)
    Path(fetching.part).parent.mkdir()
    Path(fetching.part).write_bytes(CONTENT[:2_000_000])
    assert fetch(fetching)
    assert 1_900_000 < resumed_at(hub) <= 2_000_000


def test_takes_a_whole_part_without_the_network(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path)
    Path(fetching.part).parent.mkdir()
    Path(fetching.part).write_bytes(CONTENT)
    assert fetch(fetching)
    assert hub.requests == []


@pytest.mark.parametrize("rest", [b"\0" * 1_000_000, b"\0" * 9_000_000], ids=["other file", "too long"])
def test_starts_over_from_a_part_of_something_else(hub: Hub, tmp_path: Path, rest: bytes) -> None:
    fetching = job(hub, tmp_path)
    Path(fetching.part).parent.mkdir()
    Path(fetching.part).write_bytes(rest)
    assert fetch(fetching)
    assert Path(fetching.dest).read_bytes() == CONTENT


def test_resumes_where_the_server_cannot(hub: Hub, tmp_path: Path) -> None:
    hub.faults = {"norange": "1"}
    fetching = job(hub, tmp_path)
    Path(fetching.part).parent.mkdir()
    Path(fetching.part).write_bytes(CONTENT[:2_000_000])
    assert fetch(fetching)
    assert Path(fetching.dest).read_bytes() == CONTENT


def test_corruption_never_gets_the_final_name(hub: Hub, tmp_path: Path) -> None:
    hub.faults = {"corrupt": "1234567"}
    fetching = job(hub, tmp_path)
    with pytest.raises(DurableError, match=f"expected sha256 {DIGEST.hex}, found sha256 [0-9a-f]{{64}}"):
        fetch(fetching)
    assert left(fetching) == []
    hub.faults = {}
    assert fetch(fetching)


def test_an_old_version_stays_when_the_new_one_fails(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path)
    Path(fetching.dest).parent.mkdir()
    Path(fetching.dest).write_bytes(b"old")
    hub.faults = {"corrupt": "5"}
    with pytest.raises(DurableError):
        fetch(fetching)
    assert Path(fetching.dest).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"status": "404"}, "does not have it"),
        ({"status": "401"}, "other credentials"),
        ({"status": "403"}, "other credentials"),
        ({"status": "503"}, r"overloaded \(503\).* in a row"),
        ({"cut": "0"}, "in a row with 0 bytes"),
    ],
)
def test_gives_up_with_a_reason(hub: Hub, tmp_path: Path, faults: dict[str, str], message: str) -> None:
    hub.faults = faults
    with pytest.raises(DurableError, match=message):
        fetch(job(hub, tmp_path))


def test_unreachable_server(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DurableError, match=r"cannot fetch http://127\.0\.0\.1:1/x: "):
        fetch(job(hub, tmp_path, url="http://127.0.0.1:1/x?signature=secret"))


def test_wrong_size(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path, size=len(CONTENT) + 7)
    with pytest.raises(DurableError, match=f"expected {len(CONTENT) + 7} bytes, found {len(CONTENT)}"):
        fetch(fetching)
    assert left(fetching) == []


def test_disk_too_small_is_reported_before_the_first_byte(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DurableError, match=r"disk too small for model.gguf .*MiB to write.*MiB free"):
        fetch(job(hub, tmp_path, size=1 << 60))
    assert hub.requests == []


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_local_files(tmp_path: Path, form: str) -> None:
    source = tmp_path / "given"
    source.write_bytes(CONTENT)
    fetching = Fetch(form.format(source), str(tmp_path / "out" / "x"), DIGEST)
    assert fetch(fetching) is True
    assert fetch(fetching) is False
    assert left(fetching) == [".x.verified", "x"]


def test_missing_local_file(tmp_path: Path) -> None:
    with pytest.raises(DurableError, match="No such file"):
        fetch(Fetch(str(tmp_path / "absent"), str(tmp_path / "x"), DIGEST))


def test_the_token_stays_with_its_host(root: Path, tmp_path: Path) -> None:
    with Hub(root) as cdn, Hub(root, token="s3cret", cdn=cdn.url) as hub:
        for server in (cdn, hub):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        fetching = job(hub, tmp_path, bearer_token="s3cret")
        assert resolve(fetching)[1] == ""
        assert fetch(fetching)
        assert {request.authorization for request in hub.requests} == {"Bearer s3cret"}
        assert {request.authorization for request in cdn.requests} == {""}
        for server in (cdn, hub):
            server.shutdown()


def test_a_changed_file_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path)
    fetch(fetching)
    flipped = bytearray(CONTENT)
    flipped[99] ^= 1
    Path(fetching.dest).write_bytes(flipped)
    assert fetch(fetching) is True
    assert Path(fetching.dest).read_bytes() == CONTENT


def test_an_unchanged_file_is_not_read_again(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetching = job(hub, tmp_path)
    fetch(fetching)
    monkeypatch.setattr(durable.Digest, "of", lambda *_: pytest.fail("read again"))
    assert fetch(fetching) is False


def test_git_checksums(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    # git hash-object of the same content
    assert Digest("", "git-sha1").of(str(tmp_path / "x")).hex == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_resumes_after_kill_9(root: Path, tmp_path: Path) -> None:
    """The fetching process dies in the middle, its aria2c with it; a second run goes on from there."""
    code = (
        "import sys\n"
        "from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import *\n"
        "fetch(Fetch(sys.argv[1], sys.argv[2], Digest(sys.argv[3]), int(sys.argv[4])))\n"
    )
    with Hub(root, rate=1_000_000) as hub:
        threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
        fetching = job(hub, tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-c", code, fetching.url, fetching.dest, DIGEST.hex, str(len(CONTENT))]
        )
        deadline = time.monotonic() + 30
        while not (os.path.isfile(fetching.part) and os.path.getsize(fetching.part) > 500_000):
            assert time.monotonic() < deadline, "nothing arrived"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not os.path.exists(fetching.dest)
        with durable.directory_lock(os.path.dirname(fetching.dest), patience=10):
            hub.rate = 0  # its aria2c has let go
        assert not os.path.exists(fetching.dest)
        assert fetch(fetching)
        assert Path(fetching.dest).read_bytes() == CONTENT
        assert resumed_at(hub) > 400_000
        hub.shutdown()


def test_waits_for_another_writer(hub: Hub, tmp_path: Path) -> None:
    fetching = job(hub, tmp_path)
    os.makedirs(os.path.dirname(fetching.dest))
    results: list[bool] = []
    with durable.directory_lock(os.path.dirname(fetching.dest)):
        waiting = threading.Thread(target=lambda: results.append(fetch(fetching)))
        waiting.start()
        time.sleep(0.3)
        assert hub.requests == []
        Path(fetching.dest).write_bytes(CONTENT)
    waiting.join(timeout=20)
    assert results == [False]


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://example.org/x", True),
        ("http://example.org:8090/x%20y", True),
        ("file:///srv/x", True),
        ("/srv/x", True),
        ("ftp://example.org/x", False),
        ("https:///x", False),
        ("file://elsewhere/x", False),
        ("http://example.org/x\n  out=/etc/passwd", False),
        ("x.gguf", False),
        ("", False),
    ],
)
def test_urls(url: str, right: bool) -> None:
    assert (url_problem(url) == "") is right

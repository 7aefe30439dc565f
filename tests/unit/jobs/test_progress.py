"""What is reported and shown of long work, and how it is detached and found again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import process as watched
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs import progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import announced_size
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.progress_lines import (
    Follower,
    duration,
    pause,
    shown,
    size,
)


@pytest.mark.parametrize(
    ("setting", "terminal", "expected"),
    [
        ("", True, True),
        ("", False, False),
        ("auto", True, True),
        ("never", True, False),
        (" Always ", False, True),
        ("sometimes", False, False),
    ],
)
def test_shown(setting: str, terminal: bool, expected: bool) -> None:
    assert shown(setting, terminal) is expected


@pytest.mark.parametrize(
    ("elapsed", "expected"), [(0, 5), (3, 2), (4.5, 1), (5, 5), (50, 5), (100, 10), (300, 30), (9000, 30)]
)
def test_pause(elapsed: float, expected: float) -> None:
    assert pause(elapsed) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (98_012_345, "98.0 MB"), (2_200_000_000, "2.2 GB")],
)
def test_size(count: int, expected: str) -> None:
    assert size(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "0 s"), (5, "5 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (7260, "2 h 1 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def state(done: float, at: float, total: float = 98e6, **more: object) -> dict[str, object]:
    return {
        "what": "x.gguf",
        "unit": "B",
        "total": total,
        "done": done,
        "updated": at,
        "started": 0,
        "first": 0,
        **more,
    }


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([state(42e6, 5)], "pi-01 | x.gguf | 42 % of 98.0 MB | 8.4 MB/s | 7 s left"),
        # What was there when the run began was not done by this run.
        ([state(60e6, 10, first=50e6)], "pi-01 | x.gguf | 61 % of 98.0 MB | 1.0 MB/s | 38 s left"),
        # The rate is that of the last few looks, not of the whole time.
        (
            [state(10e6, 10), state(20e6, 20), state(21e6, 30), state(22e6, 40), state(23e6, 50)],
            "pi-01 | x.gguf | 23 % of 98.0 MB | 100.0 kB/s | 12 min left",
        ),
        ([state(10e6, 10), *[state(10e6, 10 * n) for n in range(2, 6)]], "pi-01 | x.gguf | 10 % of 98.0 MB | 0 B/s"),
        ([state(10e6, 10, total=0)], "pi-01 | x.gguf | 10.0 MB | 1.0 MB/s"),
        ([state(99e6, 10)], "pi-01 | x.gguf | 100 % of 98.0 MB | 9.9 MB/s"),
        ([state(100, 10, 412, unit="steps")], "pi-01 | x.gguf | 24 % of 412 steps | 10.0 steps/s | 31 s left"),
        ([state(100, 1000, 412, unit="steps")], "pi-01 | x.gguf | 24 % of 412 steps | 6.0 steps/min | 52 min left"),
        ([state(32, 40)], "pi-01 | x.gguf | 0 % of 98.0 MB | 1 B/s"),
        # The next file of the same program, and the next piece of work.
        ([state(90e6, 10), state(1e6, 11), state(3e6, 12)], "pi-01 | x.gguf | 3 % of 98.0 MB | 2.0 MB/s | 48 s left"),
        ([state(90e6, 10), state(1e6, 12, what="y", started=11)], "pi-01 | y | 1 % of 98.0 MB | 1.0 MB/s | 97 s left"),
        ([state(0, 5, 0, note="Collecting torch")], "pi-01 | x.gguf | 7 s so far | Collecting torch"),
        ([state(98e6, 5, note="Installing torch")], "pi-01 | x.gguf | 7 s so far | Installing torch"),
        ([{}], "pi-01 | Fetch | 7 s so far"),
    ],
)
def test_line(looks: list[dict[str, object]], expected: str) -> None:
    follower = Follower("pi-01", "Fetch")
    assert [follower.line(look, 7.0) for look in looks][-1] == expected


def test_a_line_of_a_secret_task_holds_numbers_alone() -> None:
    line = Follower("pi-01", "Fetch", secret=True).line(state(42e6, 5, note="token"), 7.0, busy=True)
    assert line == "pi-01 | Fetch | 42 % of 98.0 MB | 8.4 MB/s | 7 s left | started by an earlier run"


def test_progress_is_written_once_a_second_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "progress.json"
    monkeypatch.setenv(progress.VARIABLE, str(file))
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    with Progress("model", 100) as job:
        assert not file.exists()
        job.update(10)
        first = json.loads(file.read_text())
        now += 0.5
        job.update(20)
        assert json.loads(file.read_text()) == first
        now += 0.6
        job.update(30, total=200, note="slow")
        assert json.loads(file.read_text()) == {
            **first, "done": 30, "total": 200, "note": "slow", "first": 10, "started": 1000.0, "updated": now
        }  # fmt: skip
        now -= 500  # a clock that is set back must not silence it
        job.update(31)
        assert json.loads(file.read_text())["done"] == 31
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "/nonexistent/progress.json"])
def test_progress_never_disturbs(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, path)
    with Progress("model") as job:
        job.update(1)


@pytest.mark.parametrize(
    ("pattern", "output", "expected"),
    [
        (r"^\[(?P<done>\d+)/(?P<total>\d+)\]", "[1/9] a\nwarning\n[2/9] b\n", (2, 9)),
        (r"^Progress (?P<done>\d+) of (?P<total>\d+)", "Progress 10 of 20\rProgress 15 of 20\r", (15, 20)),
        (r"(?P<done>\d+)%", "43% done", (43, 100)),
        (r"^\[(?P<done>\d+)/(?P<total>\d+)\]", "nothing", (0, 0)),
    ],
)
def test_last_count(pattern: str, output: str, expected: tuple[int, int]) -> None:
    assert watched.last_count(re.compile(pattern, re.MULTILINE), output) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("[#2089b0 400.0KiB/33.2MiB(1%) CN:1 DL:115.7KiB ETA:4m51s]", 34812723),
        ("[#2089b0 1B/7B(1%)]\n[#2089b0 1.0GiB/2.0GiB(50%) CN:1]", 2 << 30),
        ("[#2089b0 400.0KiB/0B CN:1 DL:115.7KiB]", 0),
        ("", 0),
    ],
)
def test_announced_size(output: str, expected: int) -> None:
    assert announced_size(output) == expected


def test_a_watched_program_is_heard_whole_and_in_pieces() -> None:
    heard: list[str] = []
    script = "read x; echo $x; sleep 0.8; printf '\\303'; sleep 0.1; printf '\\244'; echo no >&2; exit 3"
    done = watched.run_watched(["/bin/sh", "-c", script], heard.append, stdin_text="yes\n")
    assert (done.returncode, done.stdout) == (3, "yes\näno\n")
    assert "".join(heard) == done.stdout
    assert heard[0] == "yes\n"


MODULE = """
import os, sys, time
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs import followed
followed.PATIENCE = 0.5
followed._private_directory = lambda: sys.argv[1]
def main():
    print("begins", os.getpid() != int(os.environ["FIRST"]) , flush=True)
    time.sleep(float(sys.argv[2]))
    print("ends", file=sys.stderr)
    sys.exit(7)
os.environ["FIRST"] = str(os.getpid())
try:
    followed.followed(main)
finally:
    open(sys.argv[1] + "/../cleanups", "a").write("x")
"""


class Work:
    """A module that takes a while, called as the action plugin would."""

    def __init__(self, path: Path) -> None:
        self.base = path / "jobs"
        self.base.mkdir(mode=0o700)
        self.directory = self.base / "w"

    def call(self, run: str, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", MODULE, str(self.base), str(seconds)],
            env={**os.environ, **({"EDGE_SLM_FOLLOW": f"w {run}"} if run else {})},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def state(self, run: str, seconds: float) -> str:
        done = self.call(run, seconds)
        assert done.returncode == 0, done
        state = json.loads(done.stdout)["edge_slm_follow"]
        assert state["directory"] == str(self.directory)
        return str(state["state"])

    def wait(self) -> None:
        subprocess.run(["flock", "--shared", "--timeout", "10", str(self.directory), "true"], check=True)

    def cleanups(self) -> int:
        return len((self.base.parent / "cleanups").read_text())


def is_link_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:
        return False


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_work_that_nobody_follows_is_done_in_place(work: Work) -> None:
    done = work.call("", 0)
    assert (done.returncode, done.stdout, done.stderr) == (7, "begins False\n", "ends\n")
    assert list(work.base.iterdir()) == []


def test_short_work_returns_its_result_at_once(work: Work) -> None:
    done = work.call("a", 0)
    assert (done.returncode, done.stdout, done.stderr) == (7, "begins True\n", "ends\n")
    assert list(work.base.iterdir()) == []


def test_long_work_goes_on_alone_and_returns_its_result_to_the_run_that_started_it(work: Work) -> None:
    assert work.state("a", 1.5) == "running"
    assert work.directory.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in work.directory.iterdir())
    assert not (work.base.parent / "cleanups").exists(), "what is unpacked must stay as long as the work"
    assert work.state("b", 1.5) == "busy"
    work.wait()
    assert work.cleanups() == 2  # of the work and of the second call
    done = work.call("a", 1.5)
    assert (done.returncode, done.stdout, done.stderr) == (7, "begins True\n", "ends\n")
    assert list(work.base.iterdir()) == []


def test_a_result_that_an_earlier_run_never_saw_is_not_taken_for_ones_own(work: Work) -> None:
    assert work.state("a", 1) == "running"
    work.wait()
    started = time.monotonic()
    assert work.state("b", 1) == "running"
    work.wait()
    assert time.monotonic() - started > 1
    assert work.call("b", 1).returncode == 7


def test_killed_work_is_reported_as_a_killed_module(work: Work) -> None:
    assert work.state("a", 5) == "running"
    users = {fd.parts[2] for fd in Path("/proc").glob("[0-9]*/fd/*") if is_link_to(fd, work.directory)}
    assert len(users) == 2, "one that works and one that notes how it ends"
    for user in users:
        os.kill(int(user), signal.SIGKILL)
    work.wait()
    done = work.call("a", 5)
    assert (done.returncode, done.stdout) == (137, "begins True\n")

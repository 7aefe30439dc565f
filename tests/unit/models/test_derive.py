"""Files that programs make: whole or not there, made again when their inputs differ."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import (
    Derivation,
    derive,
    derived,
    quantised_size,
    tail,
)

COUNTED = 'echo "$1" > "$2"; echo run >> "$3"'


def job(tmp_path: Path, version: int = 1, **changes: Any) -> Derivation:
    values: dict[str, Any] = {
        "dest": str(tmp_path / "out" / "file"),
        "argv": ["sh", "-c", COUNTED, "sh", str(version), "{output}", str(tmp_path / "runs")],
        "inputs": {"version": version},
        **changes,
    }
    return Derivation(**values)


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().splitlines())


def test_made_once(tmp_path: Path) -> None:
    made, noted = derive(job(tmp_path))
    assert made
    assert noted["size"] == 2
    assert noted["sha256"] == "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    assert json.loads((tmp_path / "out" / "file.json").read_text()) == noted
    assert derive(job(tmp_path)) == (False, noted)
    assert runs(tmp_path) == 1


@pytest.mark.parametrize("change", ["inputs", "missing", "truncated", "no note"])
def test_made_again(tmp_path: Path, change: str) -> None:
    derive(job(tmp_path))
    dest = tmp_path / "out" / "file"
    if change == "missing":
        dest.unlink()
    elif change == "truncated":
        dest.write_text("")
    elif change == "no note":
        (tmp_path / "out" / "file.json").write_text('{"inputs": {"ver')
    version = 2 if change == "inputs" else 1
    assert derive(job(tmp_path, version))[0]
    assert dest.read_text() == f"{version}\n"
    assert runs(tmp_path) == 2


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('echo half > "$2"; echo the reason >&2; exit 3', "sh ended with 3:\nthe reason"),
        ('echo half > "$2"; kill -9 $$', r"killed by signal 9 \(out of memory"),
        (": nothing", "wrote nothing"),
    ],
)
def test_failure_leaves_the_old_file(tmp_path: Path, script: str, message: str) -> None:
    derive(job(tmp_path))
    failing = job(tmp_path, 2, argv=["sh", "-c", script, "sh", "2", "{output}"])
    with pytest.raises(DurableError, match=message):
        derive(failing)
    assert (tmp_path / "out" / "file").read_text() == "1\n"
    assert not os.path.exists(failing.part)
    assert derived(failing.dest, {"version": 1})


def test_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DurableError, match="cannot run /nowhere/x: No such file"):
        derive(job(tmp_path, argv=["/nowhere/x", "{output}"]))


def test_disk_too_small_is_reported_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(DurableError, match=r"disk too small for file: .* MiB to write"):
        derive(job(tmp_path, needs_bytes=1 << 60))
    assert not (tmp_path / "runs").exists()


def test_rests_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    wanted = job(tmp_path)
    os.makedirs(os.path.dirname(wanted.dest))
    Path(wanted.part).write_text("half of something that the program would append to")
    assert derive(job(tmp_path, argv=["sh", "-c", 'echo 1 >> "$0"', "{output}"]))[0]
    assert Path(wanted.dest).read_text() == "1\n"


def test_environment_and_directory(tmp_path: Path) -> None:
    wanted = job(
        tmp_path,
        argv=["sh", "-c", 'echo "$WORD in $PWD" > "$0"', "{output}"],
        environment={"WORD": "here"},
        chdir=str(tmp_path),
    )
    derive(wanted)
    assert Path(wanted.dest).read_text() == f"here in {tmp_path}\n"


def test_kill_9_takes_the_program_along_and_a_second_run_completes(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import *\n"
        "loop = 'while :; do echo x >> $0; sleep 0.05; done'\n"
        "derive(Derivation(sys.argv[1], ['sh', '-c', loop, OUTPUT], {}))\n"
    )
    wanted = job(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", code, wanted.dest])
    deadline = time.monotonic() + 20
    while not os.path.exists(wanted.part):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert derive(wanted)[0]
    assert Path(wanted.dest).read_text() == "1\n"
    time.sleep(0.3)
    assert not os.path.exists(wanted.part), "the killed run's program still writes"


@pytest.mark.parametrize(
    ("output", "size"),
    [
        ("model size  =   256.63 MiB (16.00 BPW)\nquant size  =    98.87 MiB (6.17 BPW)\n", 103672709),
        ("quant size = 1 MiB", 1048577),
        ("usage: llama-quantize …", 0),
    ],
)
def test_quantised_size(output: str, size: int) -> None:
    assert abs(quantised_size(output) - size) <= 1


def test_tail() -> None:
    assert tail("a\n\n10%\r50%\r100%\nb\n") == "a\n100%\nb"
    assert tail("\n".join(str(line) for line in range(40))).splitlines()[0] == "28"

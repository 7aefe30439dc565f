"""Playbooks that tests run on the test fleet: to their end, beside a test, or killed while they are at something."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from devices import INVENTORY, ROOT

#: Longer than any play of the tests takes where nothing is compiled for the first time.
SECONDS = 900


def command(*arguments: str | Path, limit: str = "", inventory: Path | None = None, **variables: Any) -> list[str]:
    """Return the command for playbooks (named from the checkout's root) and further options, with extra variables.

    Without an inventory: that of the test fleet.
    """
    return [
        # Of this environment, whatever is in PATH.
        str(Path(sys.executable).with_name("ansible-playbook")),
        *("--inventory", str(inventory or INVENTORY)),
        *(("--limit", limit) if limit else ()),
        *("--extra-vars", json.dumps(variables)),
        *map(str, arguments),
    ]


def environment() -> dict[str, str]:
    """Return what a playbook finds: the checkout's settings, and output that comes at once and can be searched."""
    found = {**os.environ, "ANSIBLE_CONFIG": f"{ROOT}/ansible.cfg", "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"}
    # molecule sets it, and it wins over ANSIBLE_NOCOLOR.
    found.pop("ANSIBLE_FORCE_COLOR", None)
    return found


def play(
    *arguments: str | Path, limit: str = "", inventory: Path | None = None, seconds: float = SECONDS, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run playbooks to their end, whatever that is."""
    return subprocess.run(
        command(*arguments, limit=limit, inventory=inventory, **variables),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def printed_by(run: subprocess.CompletedProcess[str]) -> str:
    """Return all that a playbook has printed, without the line breaks that YAML puts into messages."""
    return " ".join((run.stdout + run.stderr).split())


def played(*arguments: str | Path, **options: Any) -> str:
    """Run playbooks that must succeed, with the options of `play`; return what they printed."""
    run = play(*arguments, **options)
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
    return run.stdout


def refused(*arguments: str | Path, **options: Any) -> str:
    """Run playbooks that must fail, with the options of `play`; return what they printed, in one line."""
    run = play(*arguments, **options)
    assert run.returncode != 0, run.stdout[-5000:]
    return printed_by(run)


def changes(text: str) -> list[int]:
    """Return how many changes a play reports, host by host."""
    return [int(count) for count in re.findall(r"changed=(\d+)", text)]


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [pid]
    for one in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Running:
    """A play that runs beside the test. Its output goes to a file: nobody has to read for it to go on."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait for something that the play brings about; fail when it ends before that."""
        deadline = time.monotonic() + seconds
        while not holds():
            # What it did last may have been just that.
            if self.process.poll() is not None and not holds():
                pytest.fail(f"the play has ended ({self.process.returncode}) without {what}:\n{self.text[-3000:]}")
            if time.monotonic() > deadline:
                pytest.fail(f"within {seconds} s the play has not come to {what}:\n{self.text[-3000:]}")
            time.sleep(0.05)

    def wait_for_task(self, name: str) -> None:
        """Wait until the name of a task is printed. Its work has yet to begin then."""
        printed = re.compile(rf"^TASK \[(?:[\w.]+ : )?{re.escape(name)}\]", re.MULTILINE)
        self.wait_until(lambda: printed.search(self.text) is not None, f"the task {name}")

    def end(self) -> str:
        """Wait for its end; return all that it has printed."""
        self.process.wait(SECONDS)
        return self.text

    def kill(self) -> None:
        """Kill it with all its workers, as if the controller had lost its power."""
        if self.process.poll() is None:
            # Stopped, it starts no further worker. Each of them has a session of its own: no group holds them all.
            self.process.send_signal(signal.SIGSTOP)
            for pid in family(self.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def playing(*arguments: str | Path, limit: str = "", **variables: Any) -> Iterator[Running]:
    """Run playbooks beside the test; kill them where they still run at the end."""
    with (
        tempfile.NamedTemporaryFile() as output,
        subprocess.Popen(
            command(*arguments, limit=limit, **variables),
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        run = Running(process, Path(output.name))
        try:
            yield run
        finally:
            run.kill()


def task(name: str) -> str:
    """Return the name of a task to kill a play at, one that a role has.

    Called where a test module is read: a task that was renamed is found when tests are collected, not an hour later.
    """
    found = re.compile(rf"^ *- name: {re.escape(name)}$", re.MULTILINE)
    assert any(found.search(file.read_text(encoding="utf-8")) for file in ROOT.glob("roles/*/tasks/*.yml")), name
    return name


def kill_before(name: str, *arguments: str | Path, limit: str = "", **variables: Any) -> None:
    """Run playbooks and kill them when the name of a task is printed: what comes before it is done, it is not."""
    with playing(*arguments, limit=limit, **variables) as run:
        run.wait_for_task(name)


def kill_at_work(name: str, device: Any, sign: str, *arguments: str | Path, limit: str = "", **variables: Any) -> None:
    """Run playbooks and kill them while a task is at work.

    Args:
        name: The task's. A play that never comes to it fails the test.
        device: Where it works.
        sign: A shell command that succeeds there once the work is seen: a process, a file that grows.
        arguments: As in `command`, like the rest.
        limit: Hosts.
        variables: Extra variables.
    """
    # Looked for on the device itself, many times a second: the work may be over soon.
    look = f"until {sign}; do sleep 0.02; done"
    with playing(*arguments, limit=limit, **variables) as run:
        run.wait_for_task(name)
        run.wait_until(lambda: device.run("timeout 1 sh -c %s", look).rc == 0, f"the work of {name} ({sign})")

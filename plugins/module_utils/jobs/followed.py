# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work that outlives the connection it was started over: the device's side of plugin_utils/followed.py.

A long module ends with `followed(main)`. Where its action plugin asks for it, the module's `main` then runs in a
process of its own, whose output is kept in a directory that only its owner may read. The first process waits a
few seconds: work that is over by then has its result returned as if nothing had happened, output and exit code
alike. For longer work it returns where to look, and ends; the action plugin follows, and calls the module again when
the work is over, to get that result.

As root, on a host that systemd has booted, the work is a transient unit `edge-slm-job-<work>.scope`: `systemctl` shows
it with its programs, it is stopped after a day, and the end of the login session that started it does not end it.

Ansible's own `async` would do too, but it cannot be pipelined: it makes a task of 0.3 s take more than a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NoReturn

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import MANAGER
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs import progress

#: Set by the action plugin: which work this is, and which run of a playbook wants it, with a space between.
VARIABLE = "EDGE_SLM_FOLLOW"
#: The key that shows that a result is not the final one.
MARKER = "edge_slm_follow"
#: Seconds in which work that is short returns its result at once.
PATIENCE = 3.0
#: What a shell makes of a process that was killed (128 + SIGKILL).
KILLED = 137
#: Seconds after which systemd stops work that hangs: more than a 30 GB model takes over a slow line.
LIMIT = 24 * 3600
NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def followed(main: Callable[[], None]) -> None:
    """Run a module's `main` so that it can be followed, where that is asked for.

    Args:
        main: The module. It leaves by SystemExit, as modules do.
    """
    work, _space, run = os.environ.pop(VARIABLE, "").partition(" ")
    base = _private_directory() if work and run else ""
    if not base:
        main()
        return
    directory = os.path.join(base, work)
    lock = _claim(directory)
    if lock < 0:
        _say("busy", directory)
    if read_text(os.path.join(directory, "run")) == run:
        _return_result(directory)
    for name in os.listdir(directory):  # of a run that was killed before it saw the result
        os.unlink(os.path.join(directory, name))
    _write(directory, "run", run)
    over, alive = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        os.close(over)
        os.setsid()
        _supervise(directory)
        # Only the process that works comes here. The frames above this one belong to it as well: it removes
        # what Ansible unpacked for the module when it is over, and not before.
        main()
        return
    os.close(alive)
    # Both processes that work hold the other end: it closes when the last of them has ended.
    if select.select([over], [], [], PATIENCE)[0]:
        _return_result(directory)
    _say("running", directory)


def _private_directory() -> str:
    """Return the directory of followed work, '' where there is none that can be trusted."""
    user = os.geteuid()
    base = "/run/edge-slm/jobs" if user == 0 else os.path.join(tempfile.gettempdir(), f"edge-slm-jobs-{user}")
    try:
        os.makedirs(os.path.dirname(base), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(base, 0o700)
        found = os.lstat(base)
    except OSError:
        return ""
    return base if found.st_uid == user and stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077 else ""


def _claim(directory: str) -> int:
    """Take the lock of a piece of work; return -1 while somebody works on it.

    The lock is the directory itself, and is held until the last process of the work has ended.
    """
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        try:
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return -1
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(directory)):
                return lock
        os.close(lock)  # its last user has removed it in between


def _supervise(directory: str) -> None:
    """Return in a new process, with its output going to files; this one notes how that one ends."""
    worker = os.fork()
    nothing = os.open(os.devnull, os.O_RDWR)
    if worker == 0:
        streams = [nothing, *(os.open(os.path.join(directory, name), NEW, 0o600) for name in ("stdout", "stderr"))]
        os.environ[progress.VARIABLE] = os.path.join(directory, "progress.json")
        _enter_scope(os.path.basename(directory))
    else:
        streams = [nothing] * 3
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    if worker == 0:
        return
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    _write(directory, "code", str(code if code >= 0 else 128 - code))
    os._exit(0)


def _enter_scope(work: str) -> None:
    """Move this process into a transient unit of its own (org.freedesktop.systemd1(5), StartTransientUnit).

    Without systemd, or without root, the work stays where it is.
    """
    if os.geteuid() != 0:
        return
    unit = f"edge-slm-job-{work}.scope"
    properties = {
        "Description": ("s", "Long work of an Ansible module of edge_slm.fleet"),
        "PIDs": ("au", "1", str(os.getpid())),
        "RuntimeMaxUSec": ("t", str(LIMIT * 1_000_000)),
        "CollectMode": ("s", "inactive-or-failed"),
    }
    flat = [word for name, value in properties.items() for word in (name, *value)]
    call = ["busctl", "call", *MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail"]
    if not output_of([*call, str(len(properties)), *flat, "0"]):
        return
    # systemd answers before it has moved the process, and programs that start until then would stay behind.
    ends = time.monotonic() + PATIENCE
    while unit not in read_text("/proc/self/cgroup") and time.monotonic() < ends:
        time.sleep(0.01)


def _write(directory: str, name: str, text: str) -> None:
    """Write a small file that only its owner may read."""
    with open(os.open(os.path.join(directory, name), NEW, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _return_result(directory: str) -> NoReturn:
    """Print what the module has printed, and end as it has ended."""
    code = int(read_text(os.path.join(directory, "code")) or KILLED)
    for name, target in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(directory, name), "rb") as file:
            shutil.copyfileobj(file, target.buffer)
        target.flush()
    shutil.rmtree(directory, ignore_errors=True)
    raise SystemExit(code)


def _say(state: str, directory: str) -> NoReturn:
    """Ask the action plugin to follow, and leave what Ansible unpacked to the process that works."""
    sys.stdout.write(json.dumps({"changed": False, MARKER: {"state": state, "directory": directory}}))
    sys.stdout.flush()
    if state == "busy":  # the process that works is another one, with another copy
        raise SystemExit(0)
    os._exit(0)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run programs: for what they print, or watched while they run."""

from __future__ import annotations

import codecs
import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

#: Where commands of the system administrator live; sudo and non-login shells may leave them out of PATH.
ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Seconds between two looks at a program.
INTERVAL = 0.5

_PR_SET_PDEATHSIG = 1


def find_command(name: str) -> str:
    """Return a command's path, or '' where it is not installed."""
    return shutil.which(name, path=ADMIN_PATH) or ""


def run_in_english(argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is; the output that is parsed is the English one.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It does not end in time (seconds).
    """
    return subprocess.run(
        list(argv),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=timeout,
        env={**os.environ, "LC_ALL": "C"},
    )


def output_of(argv: Sequence[str], timeout: float = 60) -> str:
    """Return what a command prints, or '' where it is not installed, fails or does not end in time (seconds)."""
    command = find_command(argv[0])
    if not command:
        return ""
    try:
        done = run_in_english([command, *argv[1:]], timeout)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def ends_with_parent() -> Callable[[], None]:
    """Return what a program is started with (`preexec_fn`) that must not outlive this process, killed or not."""
    libc = ctypes.CDLL(None)

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask_for_signal


def run_watched(
    argv: Sequence[str],
    look: Callable[[str], None],
    stdin_text: str = "",
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    preexec_fn: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and look at it now and then.

    Args:
        argv: The program and its arguments.
        look: Called about twice a second with what the program has printed since, '' for nothing.
        stdin_text: What it reads from its standard input, a few lines at most.
        cwd: As `subprocess.Popen` has it; so are the rest.
        env: Its environment, None for this one.
        pass_fds: Descriptors that it inherits.
        preexec_fn: Called in its process before it starts.

    Returns:
        Its exit code and all that it printed, on stdout and stderr together.

    Raises:
        OSError: It cannot be started.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    printed: list[str] = []
    stdin_end, writer = os.pipe()
    os.write(writer, stdin_text.encode())
    os.close(writer)
    output, stdout_end = os.pipe()
    try:
        program = subprocess.Popen(
            list(argv),
            stdin=stdin_end,
            stdout=stdout_end,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            preexec_fn=preexec_fn,
        )
        os.close(stdout_end)
        stdout_end = -1
        unseen, seen = "", time.monotonic()
        while True:
            if select.select([output], [], [], INTERVAL)[0]:
                block = os.read(output, 1 << 16)
                if not block:
                    break
                text = decoder.decode(block)
                printed.append(text)
                unseen += text
            if not 0 <= time.monotonic() - seen < INTERVAL:
                look(unseen)
                unseen, seen = "", time.monotonic()
        look(unseen)
        program.wait()
    finally:
        for descriptor in (stdin_end, output, stdout_end):
            if descriptor >= 0:
                os.close(descriptor)
    return subprocess.CompletedProcess(list(argv), program.returncode, "".join(printed))


def last_count(pattern: re.Pattern[str], printed: str) -> tuple[int, int]:
    """Return the last count that a program has printed, as (done, total); (0, 0) where there is none.

    Args:
        pattern: Has a group `done`, and perhaps `total`; without one the count goes up to 100.
        printed: What the program has printed.
    """
    found = list(pattern.finditer(printed.replace("\r", "\n")))
    if not found:
        return 0, 0
    groups = found[-1].groupdict()
    return int(groups["done"]), int(groups.get("total") or 100)

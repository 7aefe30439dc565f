# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that a program makes from others: redone when, and only when, their inputs differ."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    directory_lock,
    finish,
    read_json,
    remember_verified,
    remove,
    require_space,
    write_json,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import ends_with_parent, run_watched
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress

#: Stands for the name to write to, in a program's arguments.
OUTPUT = "{output}"
#: Lines of a failed program's output that its error shows.
SHOWN_LINES = 12


@dataclass(frozen=True)
class Derivation:
    """One file to derive.

    Args:
        dest: Its final name.
        argv: The program and its arguments; `{output}` in them is replaced by the name to write to.
        inputs: What the result depends on. It is made again when these differ from the last time's.
        needs_bytes: Expected size, checked against the free space first.
        environment: Variables beside the current ones.
        chdir: Directory to run in.
    """

    dest: str
    argv: Sequence[str]
    inputs: Mapping[str, Any]
    needs_bytes: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    chdir: str = ""

    @property
    def part(self) -> str:
        """The name while it is being written."""
        return f"{self.dest}.part"


def description(dest: str) -> str:
    """Return the name of the JSON file beside a derived file."""
    return f"{dest}.json"


def derived(dest: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is noted about a derived file; empty where it is missing or was made from other inputs."""
    noted = read_json(description(dest))
    if noted.get("inputs") != dict(inputs) or not os.path.isfile(dest):
        return {}
    return noted if os.path.getsize(dest) == noted.get("size") else {}


def derive(job: Derivation) -> tuple[bool, dict[str, Any]]:
    """Make a file where it is missing or its inputs differ.

    Returns:
        Whether it was made now, and what is noted about it: inputs, sha256, size.

    Raises:
        DurableError: The program failed. Its output is removed; an earlier result stays.
    """
    noted = derived(job.dest, job.inputs)
    if noted:
        return False, noted
    directory = os.path.dirname(job.dest)
    os.makedirs(directory, exist_ok=True)
    with directory_lock(directory) as lock:
        noted = derived(job.dest, job.inputs)
        if noted:  # the run that we waited for has made it
            return False, noted
        remove(job.part)
        require_space(job.dest, job.needs_bytes, os.path.basename(job.dest))
        problem = run(job, lock)
        if problem:
            remove(job.part)
            raise DurableError(problem)
        digest = Digest("").of(job.part)
        # A kill between the two renames must not leave the old note beside the new file.
        remove(description(job.dest))
        finish(job.part, job.dest)
        remember_verified(job.dest, digest)
        noted = {"inputs": dict(job.inputs), "sha256": digest.hex, "size": os.path.getsize(job.dest)}
        write_json(description(job.dest), noted)
    return True, noted


def run(job: Derivation, lock: int) -> str:
    """Run the program; return what went wrong, or ''."""
    argv = [argument.replace(OUTPUT, job.part) for argument in job.argv]
    with Progress(os.path.basename(job.dest), job.needs_bytes) as progress:
        problem, output = run_program(
            argv,
            lambda _said: progress.update(os.path.getsize(job.part) if os.path.isfile(job.part) else 0),
            cwd=job.chdir or None,
            env={**os.environ, **job.environment},
            pass_fds=(lock,),
        )
    if problem:
        return problem
    if not os.path.isfile(job.part) or os.path.getsize(job.part) == 0:
        return f"{os.path.basename(argv[0])} ended with 0 but wrote nothing:\n{tail(output)}"
    return ""


def run_program(
    argv: Sequence[str],
    look: Callable[[str], None],
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> tuple[str, str]:
    """Run a program that ends with this process.

    Args:
        argv: The program and its arguments.
        look: Called now and then with what it has printed since.
        cwd: As `subprocess.Popen` has it; so are the rest.
        env: Its environment, None for this one.
        pass_fds: Descriptors that it inherits.

    Returns:
        What went wrong, or '', and all that it printed.
    """
    try:
        # A killed module leaves no program behind that goes on writing.
        finished = run_watched(argv, look, cwd=cwd, env=env, pass_fds=pass_fds, preexec_fn=ends_with_parent())
    except OSError as error:
        return f"cannot run {argv[0]}: {error.strerror}", ""
    code, output = finished.returncode, finished.stdout
    if code == 0:
        return "", output
    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
    hint = " (out of memory? see journalctl -k)" if code == -signal.SIGKILL else ""
    return f"{os.path.basename(argv[0])} {how}{hint}:\n{tail(output)}", output


def tail(output: str, count: int = SHOWN_LINES) -> str:
    """Return the last lines of a program's output; of a progress bar only its last state."""
    lines = (line.rpartition("\r")[2].rstrip() for line in output.rstrip().split("\n"))
    return "\n".join([line for line in lines if line][-count:])


def quantised_size(dry_run: str) -> int:
    """Return the size of the tensors in bytes that `llama-quantize --dry-run` announces, 0 if it does not."""
    found = re.search(r"quant size\s*=\s*([0-9.]+)\s*MiB", dry_run)
    return int(float(found.group(1)) * (1 << 20)) + 1 if found else 0


def announced_bytes(program: str, source: str, quantisation: str, imatrix: str = "") -> int:
    """Return how large llama-quantize says that the tensors of a GGUF become; 0 where it does not."""
    options = ["--imatrix", imatrix] if imatrix and os.path.isfile(imatrix) else []
    dry_run = subprocess.run(
        [program, *options, "--dry-run", source, quantisation],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return quantised_size(dry_run.stdout) if dry_run.returncode == 0 else 0

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The NVIDIA GPUs of a host, as its driver reports them. A Jetson's is another matter (jetson/facts.py)."""

from __future__ import annotations

import glob
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, run_in_english

#: What nvidia-smi is asked for; memory in MiB.
QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
#: Device nodes of GPUs; the driver has others beside them.
NODES = "/dev/nvidia[0-9]*"
#: Seconds: without persistence mode the driver first wakes the GPU up.
TIMEOUT = 30


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Args:
        name: Of the product.
        memory_mib: Its VRAM.
        capability: Compute capability, `8.6`.
    """

    name: str
    memory_mib: int
    capability: str


@dataclass(frozen=True)
class Gpus:
    """All GPUs that programs can use, or why they can use none."""

    found: tuple[Gpu, ...] = ()
    problem: str = ""

    @property
    def memory_mib(self) -> int:
        """VRAM of all of them: llama.cpp spreads a model's layers over every GPU."""
        return sum(gpu.memory_mib for gpu in self.found)

    @property
    def architectures(self) -> list[str]:
        """What programs for them are compiled for, by CMake's names."""
        return sorted({gpu.capability.replace(".", "") for gpu in self.found}, key=int)

    def as_dict(self) -> dict[str, Any]:
        """Return it as a fact."""
        return asdict(self)


def parse(text: str) -> list[Gpu]:
    """Read what nvidia-smi answers to QUERY; lines that are not a GPU's are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].replace(".", "", 1).isdigit():
            found.append(Gpu(parts[0], int(parts[1]), parts[2]))
    return found


def decide(nodes: bool, installed: bool, status: int, text: str) -> Gpus:
    """Decide which GPUs there are.

    Args:
        nodes: Whether the driver has made a GPU's device node.
        installed: Whether nvidia-smi is there.
        status: How it ended.
        text: What it printed.
    """
    if not installed:
        there = "there is a device node, but no nvidia-smi" if nodes else "no /dev/nvidia* and no nvidia-smi"
        return Gpus(problem=f"no NVIDIA GPU was found ({there})")
    # Also after an upgrade of the driver, until the reboot: the first line says so.
    answer = next((line.strip() for line in text.splitlines() if line.strip()), "nothing")
    if status:
        return Gpus(problem=f"no NVIDIA GPU can be used (nvidia-smi says: {answer})")
    found = parse(text)
    return Gpus(tuple(found), "" if found else f"no NVIDIA GPU was found (nvidia-smi says: {answer})")


def read() -> Gpus:
    """Ask this host's driver."""
    nodes, command = bool(glob.glob(NODES)), find_command(QUERY[0])
    if not command:
        return decide(nodes, False, 0, "")
    try:
        done = run_in_english([command, *QUERY[1:]], TIMEOUT)
    except subprocess.TimeoutExpired:
        return decide(nodes, True, 1, f"nothing within {TIMEOUT} s")
    except OSError as error:
        return decide(nodes, True, 1, str(error))
    return decide(nodes, True, done.returncode, done.stdout + done.stderr)

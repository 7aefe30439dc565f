"""What is made of nvidia-smi's answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import process
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import gpu
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus, decide

T4 = "Tesla T4, 15360, 7.5\n"
TWO = "NVIDIA GeForce RTX 3090, 24576, 8.6\nNVIDIA RTX A2000 12GB, 12282, 8.6\n"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n"
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"


@pytest.mark.parametrize(
    ("status", "text", "memory", "architectures", "problem"),
    [
        (0, T4, 15360, ["75"], ""),
        (0, TWO, 36858, ["86"], ""),
        (0, f"{TWO}NVIDIA RTX PRO 6000, 97887, 12.0\n", 134745, ["86", "120"], ""),
        # A name may have commas.
        (0, "Some, thing, 1000, 9.0\n", 1000, ["90"], ""),
        # A GPU that has fallen off the bus, and an old driver that does not know the compute capability.
        (0, "NVIDIA X, [Unknown Error], 8.6\n", 0, [], "was found (nvidia-smi says: NVIDIA X, [Unknown Error], 8.6)"),
        (0, "", 0, [], "nvidia-smi says: nothing"),
        (0, "No devices were found\n", 0, [], "No devices were found"),
        (6, "No devices were found\n", 0, [], "can be used (nvidia-smi says: No devices were found)"),
        (9, NO_DRIVER, 0, [], "couldn't communicate with the NVIDIA driver."),
        (18, MISMATCH, 0, [], "(nvidia-smi says: Failed to initialize NVML: Driver/library version mismatch)"),
    ],
)
def test_what_the_driver_says(status: int, text: str, memory: int, architectures: list[str], problem: str) -> None:
    found = decide(nodes=True, installed=True, status=status, text=text)
    assert (found.memory_mib, found.architectures) == (memory, architectures)
    assert bool(found.problem) == bool(problem)
    assert problem in found.problem


@pytest.mark.parametrize(("nodes", "part"), [(False, "no /dev/nvidia* and no nvidia-smi"), (True, "but no nvidia-smi")])
def test_without_a_driver(nodes: bool, part: str) -> None:
    assert part in decide(nodes, False, 0, "").problem


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'Tesla T4, 15360, 7.5'", Gpus((Gpu("Tesla T4", 15360, "7.5"),))),
        ("echo broken >&2; exit 9", Gpus(problem="no NVIDIA GPU can be used (nvidia-smi says: broken)")),
        ("sleep 5", Gpus(problem="no NVIDIA GPU can be used (nvidia-smi says: nothing within 0.5 s)")),
    ],
)
def test_the_program_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: Gpus) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(process, "ADMIN_PATH", f"{tmp_path}:{process.ADMIN_PATH}")
    monkeypatch.setattr(gpu, "TIMEOUT", 0.5)
    assert gpu.read() == expected

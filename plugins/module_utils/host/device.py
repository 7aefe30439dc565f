# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a device is and can do, decided from a few files that were read on it."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: CPU flags that the class x86-64-v3 needs (its binaries use AVX2, as every x86 machine since 2015 has).
AVX2_FLAGS = frozenset({"avx2", "fma", "f16c", "bmi2"})

#: Features of an arm64 CPU that the class armv8.2-a+dotprod+fp16 needs, as bits of AT_HWCAP: FPHP and ASIMDHP (half
#: precision), ASIMDDP (dot product). Source: Linux, arch/arm64/include/uapi/asm/hwcap.h.
DOTPROD_FP16 = 1 << 9 | 1 << 10 | 1 << 20

#: What a process is told by the kernel when it starts. /proc/cpuinfo is another's where the CPU is emulated.
AUXV = "/proc/self/auxv"
_AT_HWCAP = 16


@dataclass(frozen=True)
class Device:
    """Facts about one device. Sizes are in MiB."""

    os_id: str
    os_version: str
    os_codename: str
    architecture: str
    cpu_class: str
    cores: int
    memory_mib: int
    swap_mib: int
    board_model: str
    real_board: bool
    container: bool
    systemd: bool
    boot_partition: str

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as a plain dictionary for `ansible_facts`."""
        return asdict(self)


def parse_os_release(text: str) -> dict[str, str]:
    """Parse /etc/os-release into a dictionary (see os-release(5))."""
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        name, sep, value = line.strip().partition("=")
        if sep and not name.startswith("#"):
            pairs[name] = value.strip().strip("\"'")
    return pairs


def parse_meminfo(text: str) -> dict[str, int]:
    """Parse /proc/meminfo; values in MiB."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, flags=re.MULTILINE)
    return {name: int(value) // 1024 for name, value in found}


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """Return the flags of the first x86 CPU in /proc/cpuinfo."""
    found = re.search(r"^flags\s*:\s*(.*)$", cpuinfo, flags=re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def hwcap(auxv: bytes) -> int:
    """Return AT_HWCAP of a 64-bit process's auxiliary vector, a bit for each feature of the CPU; 0 without one."""
    whole = auxv[: len(auxv) // 16 * 16]
    return next((value for kind, value in struct.iter_unpack("=QQ", whole) if kind == _AT_HWCAP), 0)


def cpu_class(architecture: str, cpuinfo: str, auxv: bytes) -> str:
    """Return the most capable CPU class whose binaries run on this CPU, or '' where none is known."""
    if architecture == "x86_64":
        return "x86-64-v3" if cpu_flags(cpuinfo) >= AVX2_FLAGS else ""
    if architecture == "aarch64":
        return "armv8.2-a+dotprod+fp16" if hwcap(auxv) & DOTPROD_FP16 == DOTPROD_FP16 else "armv8-a"
    return ""


def describe(files: Mapping[str, str], architecture: str, cores: int, auxv: bytes = b"") -> Device:
    """Decide a device's facts.

    Args:
        files: Contents of those of the probed files that exist, by path. Directories that exist map to "".
        architecture: What programs are built for here, by the kernel's names.
        cores: CPUs that this system may use.
        auxv: What is in AUXV.

    Returns:
        The device. A board counts as real when its device tree names a model and it is not a container.
    """
    os_release = parse_os_release(files.get("/etc/os-release", ""))
    memory = parse_meminfo(files.get("/proc/meminfo", ""))
    model = files.get("/proc/device-tree/model", "").rstrip("\0").strip()
    container = "/.dockerenv" in files or "/run/.containerenv" in files or "/run/systemd/container" in files
    boot = next((p for p in ("/boot/firmware", "/boot") if f"{p}/cmdline.txt" in files), "")
    return Device(
        os_id=os_release.get("ID", ""),
        os_version=os_release.get("VERSION_ID", ""),
        os_codename=os_release.get("VERSION_CODENAME", ""),
        architecture=architecture,
        cpu_class=cpu_class(architecture, files.get("/proc/cpuinfo", ""), auxv),
        cores=cores,
        memory_mib=memory.get("MemTotal", 0),
        swap_mib=memory.get("SwapTotal", 0),
        board_model=model,
        real_board=bool(model) and not container,
        container=container,
        systemd="/run/systemd/system" in files,
        boot_partition=boot,
    )


#: Every path that `describe` looks at.
PROBED_PATHS = (
    "/etc/os-release",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/device-tree/model",
    "/.dockerenv",
    "/run/.containerenv",
    "/run/systemd/container",
    "/run/systemd/system",
    "/boot/firmware/cmdline.txt",
    "/boot/cmdline.txt",
)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide how a builder makes and tests a release for CPUs that it does not have itself.

clang compiles for any architecture; what it lacks is the other system's headers and libraries: the sysroot, which is
made of Debian packages. Its Debian is the oldest that the fleet may run, since binaries do not run on an older C
library than they were linked with: what is linked with Debian 12's needs GLIBC_2.34, which Debian 12 and 13 and Ubuntu
22.04 and later have.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

#: The sysroot's release of Debian, and its packages: the C and C++ libraries, and OpenSSL for TLS in llama-server.
SUITE = "bookworm"
SYSROOT_PACKAGES = ("libc6-dev", "libssl-dev", "libstdc++-12-dev", "linux-libc-dev")

#: What a builder needs for it; Ubuntu has Debian's keys in a package, too.
PACKAGES = ("clang", "debian-archive-keyring", "lld", "mmdebstrap")
#: Runs programs for a CPU of another kind than this host's.
EMULATOR_PACKAGE = "qemu-user"

#: Free space that a sysroot is reckoned to take, in bytes (measured: 123 MB).
SYSROOT_BYTES = 192 << 20

#: A CPU that has the CPU class and no more, by qemu's names. Source: the boards' data sheets (BCM2711 of the Pi 4 has
#: Cortex-A72, BCM2712 of the Pi 5 Cortex-A76); Haswell is the first CPU with all of x86-64-v3.
CPU_MODELS = {"armv8-a": "cortex-a72", "armv8.2-a+dotprod+fp16": "cortex-a76", "x86-64-v3": "Haswell"}


@dataclass(frozen=True)
class Target:
    """An architecture that can be built for elsewhere.

    Attributes:
        architecture: By the kernel's names (`uname -m`), which are CMake's, too.
        debian: By Debian's names.
        triplet: By the compilers' names.
        sysroot: Directory of the other system's headers and libraries.
        toolchain: Path of the file that tells CMake about it.
    """

    architecture: str
    debian: str
    triplet: str
    sysroot: str = ""
    toolchain: str = ""

    @property
    def cmake_arguments(self) -> list[str]:
        """What configures a build for it. OpenMP is GCC's here; without it llama.cpp uses threads of its own."""
        return [f"-DCMAKE_TOOLCHAIN_FILE={self.toolchain}", "-DGGML_OPENMP=OFF"]

    def needs(self) -> dict[str, Any]:
        """Return what the role's tasks need."""
        return {**asdict(self), "suite": SUITE, "packages": list(SYSROOT_PACKAGES)}


_TARGETS = {
    "aarch64": ("arm64", "aarch64-linux-gnu"),
    "x86_64": ("amd64", "x86_64-linux-gnu"),
}


def possible(own: str, wanted: str) -> bool:
    """Return whether a host of one architecture can build for the other."""
    return own in _TARGETS and wanted in _TARGETS


def target(architecture: str, work: str) -> Target:
    """Return how an architecture is built for elsewhere.

    Args:
        architecture: One of those that are `possible`.
        work: Directory of builds.
    """
    debian, triplet = _TARGETS[architecture]
    return Target(
        architecture,
        debian,
        triplet,
        sysroot=os.path.join(work, f"sysroot-{SUITE}-{debian}"),
        toolchain=os.path.join(work, f"toolchain-{debian}.cmake"),
    )


@dataclass(frozen=True)
class Cross:
    """What making and testing a release takes that this host's CPU does not run; nothing where it does.

    Attributes:
        target: Another architecture that it is built for.
        emulator: The command before a program that runs it on a CPU of its class, and no more.
    """

    target: Target | None = None
    emulator: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of packages."""
        return (*(PACKAGES if self.target else ()), *((EMULATOR_PACKAGE,) if self.emulator else ()))

    @property
    def space(self) -> int:
        """Bytes that are going to be written beside the build."""
        return SYSROOT_BYTES if self.target and not os.path.isdir(self.target.sysroot) else 0

    def needs(self) -> dict[str, Any]:
        """Return what the role's tasks need."""
        return {"cross": self.target.needs() if self.target else {}, "emulator": list(self.emulator)}


def decide(own: str, wanted: str, cpu_class: str, work: str, runnable: bool) -> Cross:
    """Decide what a release for other hosts takes.

    Args:
        own: This host's architecture.
        wanted: The release's.
        cpu_class: What the release is built for.
        work: Directory of builds.
        runnable: Whether this host's CPU runs it.
    """
    made_for = target(wanted, work) if wanted != own else None
    if runnable:
        return Cross(made_for)
    libraries = ("-L", made_for.sysroot) if made_for else ()
    return Cross(made_for, (f"qemu-{wanted}", "-cpu", CPU_MODELS[cpu_class], *libraries))

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide how a builder makes and tests a release for CPUs that it does not have itself.

clang compiles for any architecture; what it lacks is the other system's headers and libraries: the sysroot, which is
made of Debian packages. Its Debian is the oldest that the fleet may run, since binaries need the symbol versions that
they were linked with: what is linked with Debian 12's C library needs GLIBC_2.34, which Debian 12 and 13 and Ubuntu
22.04 and later have.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest

#: The sysroot's release of Debian, and its packages: the C and C++ libraries, and OpenSSL for TLS in llama-server.
SUITE = "bookworm"
SYSROOT_PACKAGES = ("libc6-dev", "libssl-dev", "libstdc++-12-dev", "linux-libc-dev")

#: What compiles and links, and what makes the sysroot; Ubuntu has Debian's keys in a package, too.
COMPILER_PACKAGES = ("clang", "lld")
SYSROOT_TOOLS = ("debian-archive-keyring", "mmdebstrap")
#: Runs programs for a CPU of another kind than this host's.
EMULATOR_PACKAGE = "qemu-user"

#: Free space that making a sysroot is reckoned to take, in bytes (measured: 261 MiB at its peak, 123 MB in the end).
SYSROOT_BYTES = 320 << 20

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
    def cmake_options(self) -> dict[str, str]:
        """What configures a build for it. OpenMP is GCC's here; without it llama.cpp uses threads of its own."""
        return {"CMAKE_TOOLCHAIN_FILE": self.toolchain, "GGML_OPENMP": "OFF"}


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
        sysroot=os.path.join(work, f"sysroot-{SUITE}-{debian}-{digest(SYSROOT_PACKAGES)[:8]}"),
        toolchain=os.path.join(work, f"toolchain-{debian}.cmake"),
    )


@dataclass(frozen=True)
class Cross:
    """What it takes to make a release that is for other CPUs than this host's, and to test it here.

    Attributes:
        target: The architecture that it is built for, where that is another one.
        emulator: The command before a program that runs it on a CPU of its class, and no more.
    """

    target: Target | None = None
    emulator: tuple[str, ...] = ()

    def packages(self, build: bool) -> tuple[str, ...]:
        """Return the packages that a build takes, or a release that comes back from its own tarball."""
        return (
            *(COMPILER_PACKAGES if self.target and build else ()),
            *(SYSROOT_TOOLS if self.target else ()),
            *((EMULATOR_PACKAGE,) if self.emulator else ()),
        )

    @property
    def space(self) -> int:
        """Bytes that are going to be written beside the build."""
        return SYSROOT_BYTES if self.target and not os.path.isdir(self.target.sysroot) else 0

    def needs(self, mirror: str) -> dict[str, Any]:
        """Return what the role's tasks need."""
        made_of = {"suite": SUITE, "packages": list(SYSROOT_PACKAGES), "mirror": mirror}
        return {
            "cross": {**asdict(self.target), **made_of} if self.target else {},
            "emulator": list(self.emulator),
        }


def decide(own: str, wanted: str, cpu_class: str, work: str) -> Cross:
    """Decide what a release takes that is for another CPU class than this host's.

    Args:
        own: This host's architecture.
        wanted: The release's.
        cpu_class: What the release is built for.
        work: Directory of builds.
    """
    made_for = target(wanted, work) if wanted != own else None
    libraries = ("-L", made_for.sysroot) if made_for else ()
    return Cross(made_for, (f"qemu-{wanted}", "-cpu", CPU_MODELS[cpu_class], *libraries))

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release of llama.cpp for NVIDIA GPUs: for which of them, by which compiler, and what forbids it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpus

#: `86`, or `86-real` for machine code alone; the letters are those of GPUs without forward compatibility.
ARCHITECTURE = re.compile(r"(?P<number>[0-9]{2,3})[af]?(?:-real|-virtual)?")
#: What to do where no GPU can be used.
NO_GPU = "install NVIDIA's driver and reboot, or take the host for what it can serve without a GPU."
VERSION = re.compile(r"\brelease [0-9.]+, V([0-9.]+)")


@dataclass(frozen=True)
class Compiler:
    """nvcc as it is.

    Args:
        path: Where it is to be.
        version: Empty where it is not there or does not run.
        architectures: Numbers of those that it compiles for.
    """

    path: str
    version: str = ""
    architectures: tuple[str, ...] = ()

    def knows(self, architecture: str) -> bool:
        """Return whether it compiles for an architecture; one that does not list any is believed."""
        return not self.architectures or ARCHITECTURE.sub(r"\g<number>", architecture) in self.architectures


def parse_architectures(value: object, problems: Problems) -> tuple[str, ...]:
    """Cast the architectures that the operator names."""
    found = as_texts(value, "cuda_architectures", problems)
    for index, name in enumerate(found):
        if not ARCHITECTURE.fullmatch(name):
            problems.add(
                f"cuda_architectures[{index}]",
                f"{name!r} is not an architecture; give the compute capability without its dot, 86 for 8.6.",
            )
    return found


def parse_compiler(path: object, problems: Problems) -> str:
    """Cast where nvcc is."""
    found = str(path or "")
    if not re.fullmatch(r"/\S+/bin/nvcc", found):
        problems.add("cuda_compiler", f"{found!r} is not the path of nvcc; give for instance /usr/local/cuda/bin/nvcc.")
    return found


def read_compiler(path: str) -> Compiler:
    """Ask a host's nvcc."""
    version = VERSION.search(output_of([path, "--version"]))
    listed = re.findall(r"^compute_([0-9]+)", output_of([path, "--list-gpu-arch"]), flags=re.MULTILINE)
    return Compiler(path, version[1] if version else "", tuple(listed))


@dataclass(frozen=True)
class Target:
    """What a release for GPUs is built with on this host.

    Args:
        named: Architectures that the operator names.
        gpus: Those of the host.
        compiler: Its nvcc.
    """

    named: tuple[str, ...]
    gpus: Gpus
    compiler: Compiler

    @property
    def architectures(self) -> list[str]:
        """What is compiled for: what the operator names, else what the host's GPUs are."""
        return list(self.named) or self.gpus.architectures

    @property
    def unfit(self) -> list[str]:
        """Why this host cannot build such a release, or use it."""
        if self.gpus.problem:
            return [f"llama_cpp_cuda: {self.gpus.problem}; {NO_GPU}"]
        compiler = self.compiler
        if not compiler.version:
            return [
                f"llama_cpp_cuda_compiler: {compiler.path} is not there or does not run; install NVIDIA's CUDA "
                "toolkit, or say where its nvcc is."
            ]
        unknown = [name for name in self.architectures if not compiler.knows(name)]
        if unknown:
            return [
                f"llama_cpp_cuda_compiler: nvcc {compiler.version} does not compile for {', '.join(unknown)}, but for "
                f"{', '.join(compiler.architectures)}; install a CUDA toolkit that does, or name others in "
                "llama_cpp_cuda_architectures."
            ]
        return []

    @property
    def cmake_options(self) -> dict[str, str]:
        """The options of the build.

        CUDAToolkit_ROOT as well as the compiler: ggml looks for the toolkit before it turns the language on, and takes
        the first nvcc in PATH, or none (seen, tag b11434).
        """
        return {
            "GGML_CUDA": "ON",
            "CMAKE_CUDA_ARCHITECTURES": ";".join(self.architectures),
            "CMAKE_CUDA_COMPILER": self.compiler.path,
            "CUDAToolkit_ROOT": os.path.dirname(os.path.dirname(self.compiler.path)),
        }

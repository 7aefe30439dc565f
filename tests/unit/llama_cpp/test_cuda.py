"""What a release for GPUs is built with, and what forbids it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import cuda
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.cuda import Compiler, Target

T4 = Gpus((Gpu("Tesla T4", 15360, "7.5"),))
P100 = Gpus((Gpu("Tesla P100", 16384, "6.0"),))
MIXED = Gpus((Gpu("RTX 3090", 24576, "8.6"), Gpu("RTX 5090", 32607, "12.0"), Gpu("RTX 3090", 24576, "8.6")))
NVCC = Compiler("/usr/local/cuda/bin/nvcc", "13.5.37", ("75", "80", "86", "120"))

#: As nvcc 13.5 prints it.
VERSION = """\
nvcc: NVIDIA (R) Cuda compiler driver
Cuda compilation tools, release 13.5, V13.5.37
Build cuda_13.5.r13.5/compiler.39125733_0
"""


@pytest.mark.parametrize(
    ("named", "gpus", "compiler", "parts"),
    [
        ((), T4, NVCC, []),
        ((), MIXED, NVCC, []),
        (("86-real", "120a"), P100, NVCC, []),
        # An nvcc that lists nothing is believed.
        ((), P100, Compiler(NVCC.path, "10.2.89"), []),
        ((), Gpus(problem="no NVIDIA GPU was found"), NVCC, ["llama_cpp_cuda: no NVIDIA GPU was found; install"]),
        ((), T4, Compiler("/opt/cuda/bin/nvcc"), ["llama_cpp_cuda_compiler: /opt/cuda/bin/nvcc is not there"]),
        ((), P100, NVCC, ["nvcc 13.5.37 does not compile for 60, but for 75, 80, 86, 120", "_cuda_architectures"]),
        (("90-virtual", "86"), T4, NVCC, ["does not compile for 90-virtual, but"]),
    ],
)
def test_unfit(named: tuple[str, ...], gpus: Gpus, compiler: Compiler, parts: list[str]) -> None:
    found = "".join(Target(named, gpus, compiler).unfit)
    assert bool(found) == bool(parts)
    assert [part for part in parts if part not in found] == []


@pytest.mark.parametrize(
    ("named", "gpus", "architectures"), [((), T4, "75"), ((), MIXED, "86;120"), (("75", "86-real"), T4, "75;86-real")]
)
def test_options(named: tuple[str, ...], gpus: Gpus, architectures: str) -> None:
    assert Target(named, gpus, NVCC).cmake_options == {
        "GGML_CUDA": "ON",
        "CMAKE_CUDA_ARCHITECTURES": architectures,
        "CMAKE_CUDA_COMPILER": "/usr/local/cuda/bin/nvcc",
        "CUDAToolkit_ROOT": "/usr/local/cuda",
    }


def test_a_compiler_is_asked(tmp_path: Path) -> None:
    nvcc = tmp_path / "nvcc"
    nvcc.write_text(
        f"#!/bin/sh\n[ $1 = --version ] && cat <<'END' || printf 'compute_75\ncompute_120\n'\n{VERSION}END\n"
    )
    nvcc.chmod(0o755)
    assert cuda.read_compiler(str(nvcc)) == Compiler(str(nvcc), "13.5.37", ("75", "120"))
    assert cuda.read_compiler(str(tmp_path / "other")) == Compiler(str(tmp_path / "other"))


@pytest.mark.parametrize(
    ("names", "path", "sentence"),
    [
        (["75", "86-real", "120a-virtual"], "/usr/local/cuda-12.8/bin/nvcc", ""),
        ([], "/usr/bin/nvcc", ""),
        (["8.6"], "/usr/bin/nvcc", "llama_cpp_cuda_architectures[0]: '8.6' is not an architecture"),
        (["75", "native"], "/usr/bin/nvcc", "llama_cpp_cuda_architectures[1]: 'native'"),
        ([], "nvcc", "llama_cpp_cuda_compiler: 'nvcc' is not the path of nvcc"),
        ([], "/usr/local/cuda", "llama_cpp_cuda_compiler: '/usr/local/cuda' is not the path"),
    ],
)
def test_inputs(names: list[str], path: str, sentence: str) -> None:
    problems = Problems(prefix="llama_cpp_")
    cuda.parse_architectures(names, problems)
    cuda.parse_compiler(path, problems)
    assert len(problems.found) == bool(sentence)
    assert sentence in "".join(problems.found)

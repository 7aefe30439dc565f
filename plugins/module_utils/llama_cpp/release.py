# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what one release of llama.cpp is: its source, its build options, and the key that names it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import cross, cuda, linkage

#: What a release carries. llama-fit-params and the rest of upstream's tools are left out.
TARGETS = ("llama-server", "llama-quantize", "llama-bench", "llama-imatrix", "llama-perplexity", "llama-gguf-split")

#: Options of every build: one static program a tool, nothing fetched behind our back (the UI least of all).
BASE_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    # Without symbols: a release is sent to every device.
    "CMAKE_EXE_LINKER_FLAGS_RELEASE": "-s",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    # TLS. Upstream goes on without it where OpenSSL's headers are missing; here that is a failure.
    "LLAMA_OPENSSL": "ON",
    "CMAKE_REQUIRE_FIND_PACKAGE_OpenSSL": "ON",
}

#: Memory of one compile job and what is left for everything else, in MiB (measured: up to 1 GB a job).
JOB_MEMORY_MIB = 1024
RESERVED_MEMORY_MIB = 512

UI_CHOICES = ("npm", "prebuilt", "none")
TORCH_CHOICES = ("apt", "pip")
STATES = ("present", "absent")

#: What every host needs: resumable, verified downloads, and the libraries that the binaries are linked with.
BASE_PACKAGES = ("aria2", "ca-certificates", "libgomp1", "openssl")
#: What a build needs beside the sources. Ninja for its job control, ccache so that the next class or commit is quick.
BUILD_PACKAGES = ("build-essential", "ccache", "cmake", "git", "libssl-dev", "ninja-build")
NPM_PACKAGES = ("nodejs", "npm")
CONVERTER_PACKAGES = ("python3-packaging", "python3-venv")
TORCH_PACKAGE = "python3-torch"

#: Free space that is asked for before anything is started, in bytes (measured: a release has 50 MB and its tarball 22,
#: sources, web UI and objects of one build 700 MB).
RELEASE_BYTES = 128 << 20
BUILD_BYTES = 1 << 30
#: The same of a release for GPUs: each of its programs holds the machine code of every kernel (reckoned from objects
#: for one architecture).
CUDA_RELEASE_BYTES = 512 << 20


@dataclass(frozen=True)
class CpuClass:
    """What one binary may run on: a `uname -m` ('' = any) and the CMake options that aim at it."""

    architecture: str
    options: Mapping[str, str]


#: Source: upstream's ggml/CMakeLists.txt (GGML_NATIVE, GGML_CPU_ARM_ARCH, GGML_AVX…).
CPU_CLASSES = {
    "native": CpuClass("", {"GGML_NATIVE": "ON"}),
    "armv8-a": CpuClass("aarch64", {"GGML_NATIVE": "OFF", "GGML_CPU_ARM_ARCH": "armv8-a"}),
    "armv8.2-a+dotprod+fp16": CpuClass(
        "aarch64", {"GGML_NATIVE": "OFF", "GGML_CPU_ARM_ARCH": "armv8.2-a+dotprod+fp16"}
    ),
    "x86-64-v3": CpuClass(
        "x86_64",
        {
            "GGML_NATIVE": "OFF",
            "GGML_AVX": "ON",
            "GGML_AVX2": "ON",
            "GGML_BMI2": "ON",
            "GGML_F16C": "ON",
            "GGML_FMA": "ON",
        },
    ),
}

#: CPU classes whose binaries a CPU of the given class can run.
RUNS = {
    "armv8-a": {"armv8-a"},
    "armv8.2-a+dotprod+fp16": {"armv8-a", "armv8.2-a+dotprod+fp16"},
    "x86-64-v3": {"x86-64-v3"},
    "": set[str](),
}

HEX40 = re.compile(r"[0-9a-f]{40}")
HEX64 = re.compile(r"[0-9a-f]{64}")
#: A pinned Python package; environment markers are left out: what they come to is pip's to know.
REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([0-9A-Za-z][0-9A-Za-z.!+_-]*)")
#: Where an archive or a release may come from: a URL, or an absolute path.
PLACE = re.compile(r"(?:https?|file)://\S+|/\S.*")
MIRROR = re.compile(r"https?://[^\s@/][^\s@]*")
CREDENTIALS = re.compile(r"https?://[^/?#]*@")
OPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_SOURCE_KEYS = {
    "git": {"git", "commit"},
    "archive": {"archive", "sha256", "version", "subdirectory"},
    "release": {"release", "sha256", "key", "size", "requires"},
}


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast and checked."""

    state: str
    source: Mapping[str, Any]
    cpu_class: str
    cmake_options: Mapping[str, str]
    cuda: bool
    cuda_architectures: tuple[str, ...]
    cuda_compiler: str
    jobs: int
    ui: str
    ui_archive: str
    ui_sha256: str
    converter: bool
    converter_torch: str
    converter_requirements: tuple[str, ...]
    activate: bool
    keep: int
    publish: bool
    sysroot_mirror: str
    root: str
    cache: str
    publish_path: str
    #: The release comes from a builder, whose inputs these are: nothing is built here.
    received: bool

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name, and check them.

        Where the state is `absent` only paths matter.
        """
        state = str(values["state"])
        paths = [_as_path(values[name], name, problems) for name in ("root", "cache", "publish_path")]
        if state not in STATES:
            problems.add("state", f"{state!r} is not one of {', '.join(STATES)}.")
        judged = Problems(prefix=problems.prefix) if state == "absent" else problems
        inputs = cls(
            state=state,
            source=_as_mapping(values["source"], "source", judged),
            cpu_class=str(values["cpu_class"]),
            cmake_options=_as_options(values["cmake_options"], judged),
            cuda=as_bool(values["cuda"], "cuda", judged),
            cuda_architectures=cuda.parse_architectures(values["cuda_architectures"], judged),
            cuda_compiler=cuda.parse_compiler(values["cuda_compiler"], judged),
            jobs=as_int(values["jobs"], "jobs", 0, 1024, judged),
            ui=str(values["ui"]),
            ui_archive=str(values["ui_archive"] or ""),
            ui_sha256=str(values["ui_sha256"] or ""),
            converter=as_bool(values["converter"], "converter", judged),
            converter_torch=str(values["converter_torch"]),
            converter_requirements=as_texts(values["converter_requirements"], "converter_requirements", judged),
            activate=as_bool(values["activate"], "activate", judged),
            keep=as_int(values["keep"], "keep", 1, 1000, judged),
            publish=as_bool(values["publish"], "publish", judged),
            sysroot_mirror=str(values["sysroot_mirror"] or ""),
            root=paths[0],
            cache=paths[1],
            publish_path=paths[2],
            received=bool(values.get("received")),
        )
        check_source(inputs.source, judged)
        if inputs.cuda and inputs.mode != "build":
            judged.add("cuda", "is built on the host that has the GPU; give git or archive as the source.")
        check_ui(inputs, judged)
        check_converter(inputs, judged)
        if not MIRROR.fullmatch(inputs.sysroot_mirror):
            judged.add(
                "sysroot_mirror", "must be the URL of a mirror of Debian, without a login: it is in process lists."
            )
        if inputs.cpu_class not in ("auto", *CPU_CLASSES):
            judged.add("cpu_class", f"{inputs.cpu_class!r} is not one of auto, {', '.join(CPU_CLASSES)}.")
        return inputs

    @property
    def mode(self) -> str:
        """Whether the release is built here or comes from a builder."""
        return "receive" if self.received or source_kind(self.source) == "release" else "build"


@dataclass(frozen=True)
class Release:
    """What is to be on the host in the end, and what it is made with.

    Attributes:
        key: Name of the release; equal keys mean equal inputs.
        cpu_class: What the binaries may run on; `auto` is resolved.
        architecture: What they are built for (`uname -m`).
        source_id: Name of the source tree; releases that differ only in options, class or UI share it.
        cmake_options: Options to configure the build with (empty for a builder's tarball).
        jobs: Compile jobs at a time.
        runnable: Whether this host's CPU can run the result.
    """

    key: str
    cpu_class: str
    architecture: str
    source_id: str
    cmake_options: Mapping[str, str]
    jobs: int
    runnable: bool


def cmake_arguments(options: Mapping[str, str]) -> list[str]:
    """Return options as CMake's command line has them, sorted."""
    return [f"-D{name}={value}" for name, value in sorted(options.items())]


def _as_path(value: object, variable: str, problems: Problems) -> str:
    """Cast a directory's path, or add a problem. What is below it is removed at times: not one of the system's own."""
    path = str(value or "")
    if not re.fullmatch(r"/[^/\0]+(/[^/\0]+)+/?", path) or {".", ".."} & set(path.split("/")):
        problems.add(variable, f"{path!r} is not an absolute path at least two directories deep; choose another.")
    return path.rstrip("/")


def _as_mapping(value: object, variable: str, problems: Problems) -> Mapping[str, Any]:
    """Cast a dictionary, or add a problem and return an empty one."""
    if isinstance(value, Mapping):
        return value
    problems.add(variable, f"must be a dictionary; it is {value!r}.")
    return {}


def _as_options(value: object, problems: Problems) -> dict[str, str]:
    """Cast CMake options."""
    options = _as_mapping(value or {}, "cmake_options", problems)
    for name in options:
        if not OPTION_NAME.fullmatch(str(name)):
            problems.add("cmake_options", f"{name!r} is not a CMake option's name.")
    return {str(name): str(option) for name, option in options.items()}


def parallel_jobs(requested: int, cores: int, memory_mib: int) -> int:
    """Return how many compile jobs to run: as asked (> 0), else what cores and memory allow, at least one."""
    if requested > 0:
        return requested
    return max(1, min(cores, (memory_mib - RESERVED_MEMORY_MIB) // JOB_MEMORY_MIB))


def source_kind(source: Mapping[str, Any]) -> str:
    """Return `git`, `archive` or `release`, or '' when it is none or more than one of them."""
    kinds = [kind for kind in _SOURCE_KEYS if source.get(kind)]
    return kinds[0] if len(kinds) == 1 else ""


def pinned(source: Mapping[str, Any]) -> str:
    """Return what a source is known by, wherever it is fetched from."""
    return str(source.get("commit") or source.get("sha256") or "")


def check_source(source: Mapping[str, Any], problems: Problems) -> None:
    """Check llama_cpp_source."""
    kind = source_kind(source)
    if not kind:
        if not problems.found or not problems.found[-1].startswith(f"{problems.prefix}source:"):
            problems.add("source", "give exactly one of git, archive and release.")
        return
    if CREDENTIALS.match(str(source[kind])):
        problems.add(
            f"source.{kind}",
            "holds credentials, which would be in release.json and in the process table for everybody to read; leave "
            "them out, and take a mirror that needs none.",
        )
        return
    for name in sorted(set(map(str, source)) - _SOURCE_KEYS[kind]):
        problems.add(f"source.{name}", f"is not known beside {kind}; it takes {', '.join(sorted(_SOURCE_KEYS[kind]))}.")
    known = len(problems.found)
    for name in sorted(source.keys() - {"size", "requires"}):
        check(f"source.{name}", source[name], {"type": "str"}, problems)
    if len(problems.found) > known:
        return
    if kind == "git" and not HEX40.fullmatch(str(source.get("commit", ""))):
        problems.add(
            "source.commit",
            "must be a full commit hash (40 lower-case hex digits); branches and tags move, `git ls-remote URL TAG` "
            "prints the hash.",
        )
    if kind in ("archive", "release"):
        if not HEX64.fullmatch(str(source.get("sha256", ""))):
            problems.add("source.sha256", "must be 64 lower-case hex digits, as `sha256sum FILE` prints.")
        if not PLACE.fullmatch(str(source[kind])):
            problems.add(f"source.{kind}", f"{source[kind]!r} is neither a URL nor an absolute path.")
    if kind == "archive" and not LABEL.fullmatch(str(source.get("version", ""))):
        problems.add("source.version", "name what the archive holds, for example b11434.")
    if kind == "release":
        if not LABEL.fullmatch(str(source.get("key", ""))):
            problems.add("source.key", "must be the key in the release's descriptor.")
        as_int(source.get("size") or 0, "source.size", 0, 1 << 40, problems)
        requires = _as_mapping(source.get("requires") or {}, "source.requires", problems)
        if requires and not linkage.is_well_formed(requires):
            problems.add("source.requires", "must be as the builder's descriptor has it: architecture and libraries.")


def check_ui(inputs: Inputs, problems: Problems) -> None:
    """Check the web UI's inputs."""
    if inputs.ui not in UI_CHOICES:
        problems.add("ui", f"{inputs.ui!r} is not one of {', '.join(UI_CHOICES)}.")
    # What a builder has built has its UI, or none, whatever is set here: release.json says which.
    if inputs.ui != "prebuilt" or inputs.mode != "build":
        return
    if not PLACE.fullmatch(inputs.ui_archive):
        problems.add("ui_archive", "with llama_cpp_ui: prebuilt, must be the URL or absolute path of a dist.tar.gz.")
    if not HEX64.fullmatch(inputs.ui_sha256):
        problems.add("ui_sha256", "must be the archive's sha256, 64 lower-case hex digits.")


def check_converter(inputs: Inputs, problems: Problems) -> None:
    """Check the inputs of the converter's environment."""
    if inputs.converter_torch not in TORCH_CHOICES:
        problems.add("converter_torch", f"{inputs.converter_torch!r} is not one of {', '.join(TORCH_CHOICES)}.")
    for index, requirement in enumerate(inputs.converter_requirements):
        if not REQUIREMENT.fullmatch(requirement):
            problems.add(f"converter_requirements[{index}]", f"{requirement!r} is not pinned; write NAME==VERSION.")


def own_class(inputs: Inputs, device: Mapping[str, Any]) -> str:
    """Return the CPU class of the release; empty where this CPU has none.

    An older PC, which has none, builds for itself all the same: as a builder it converts and quantises.
    """
    if inputs.cpu_class != "auto":
        return inputs.cpu_class
    alone = inputs.mode == "build" and device["architecture"] == "x86_64"
    return str(device["cpu_class"]) or ("native" if alone else "")


def is_runnable(cpu_class: str, device: Mapping[str, Any]) -> bool:
    """Return whether a host's CPU can run what is built for a class."""
    return cpu_class == "native" or cpu_class in RUNS[str(device["cpu_class"])]


def unfit(inputs: Inputs, device: Mapping[str, Any], target: cuda.Target | None = None) -> list[str]:
    """Return what this host cannot be: its CPU is of no class, or cannot run or make the chosen one; it has no GPU."""
    chosen, architecture = own_class(inputs, device), device["architecture"]
    if not chosen and inputs.received:
        return [
            f"this CPU ({architecture}): a builder makes releases for arm64 with a 64-bit system, and for x86-64 with "
            "AVX2; install a 64-bit system, or take the host out of the inventory."
        ]
    if not chosen:
        return [
            f"llama_cpp_cpu_class: no class is known for this CPU ({architecture}); set one of "
            f"{', '.join(CPU_CLASSES)}."
        ]
    wanted = CPU_CLASSES[chosen].architecture or architecture
    if inputs.activate and not is_runnable(chosen, device):
        own = f"is of class {device['cpu_class']}" if device["cpu_class"] else f"({architecture}) is of no known class"
        return [
            f"llama_cpp_cpu_class: this CPU {own} and does not run {chosen}; choose auto, or set llama_cpp_activate: "
            "false where the release is for other hosts."
        ]
    if inputs.mode == "build" and wanted != architecture and not cross.possible(architecture, wanted):
        return [
            f"llama_cpp_cpu_class: a host that is {architecture} does not build {chosen} ({wanted}); put a builder "
            "that is x86_64 or aarch64 into the inventory, or none, so that devices build for themselves."
        ]
    if inputs.cuda and wanted != architecture:
        return [f"llama_cpp_cuda: is built for this host's own GPUs ({architecture}), not for {chosen}."]
    return target.unfit if target else []


def _in_key(cpu_class: str) -> str:
    """Return a CPU class as it is written in a release's key."""
    return cpu_class.replace("+", "-")


def wanted_release(inputs: Inputs, device: Mapping[str, Any], target: cuda.Target | None = None) -> Release:
    """Decide what release a host that is fit for it is to have.

    Args:
        inputs: Inputs without problems.
        device: What the host is (host/device.py).
        target: What it is built with for GPUs; None for the CPU.
    """
    chosen = own_class(inputs, device)
    architecture = CPU_CLASSES[chosen].architecture or str(device["architecture"])
    runnable = is_runnable(chosen, device)
    kind, source = source_kind(inputs.source), inputs.source
    if kind == "release":
        return Release(str(source["key"]), chosen, architecture, "", {}, 0, runnable)
    label = str(source["commit"])[:12] if kind == "git" else str(source["version"])
    options = {
        **BASE_OPTIONS,
        **CPU_CLASSES[chosen].options,
        **({"LLAMA_BUILD_COMMIT": label} if kind == "archive" else {}),
        **(target.cmake_options if target else {}),
        **inputs.cmake_options,
    }
    named = {
        "source": pinned(source),
        "cpu_class": chosen,
        "options": options,
        "ui": inputs.ui,
        "ui_sha256": inputs.ui_sha256 if inputs.ui == "prebuilt" else "",
        "targets": TARGETS,
        # Its programs are linked with the libraries of one CUDA: another one's take their place only in a new build.
        **({"nvcc": target.compiler.version} if target else {}),
    }
    return Release(
        key=f"{label}-{_in_key(chosen)}-{digest(named)[:10]}",
        cpu_class=chosen,
        architecture=architecture,
        source_id=f"{label}-{pinned(source)[:12]}",
        cmake_options=options,
        jobs=parallel_jobs(inputs.jobs, int(device["cores"]), int(device["memory_mib"])),
        runnable=runnable,
    )


def pinned_packages(inputs: Inputs) -> dict[str, str]:
    """Return the Python packages of the converter's environment with their versions; of torch any will do."""
    found = [REQUIREMENT.fullmatch(requirement) for requirement in inputs.converter_requirements]
    versions = {package_name(match[1]): match[2] for match in found if match}
    return versions if inputs.converter_torch == "apt" or "torch" in versions else {**versions, "torch": ""}


def package_name(name: str) -> str:
    """Return a Python package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_version(one: str, other: str) -> bool:
    """Return whether two versions of a Python package are the same: 2.0 is 2.0.0."""
    short = [re.sub(r"(\.0)+$", "", version.lower()) for version in (one, other)]
    return short[0] == short[1]


def class_of(key: str) -> str:
    """Return the CPU class of a release by its key; empty where it names none."""
    return next(
        (name for name in CPU_CLASSES if re.fullmatch(rf".+-{re.escape(_in_key(name))}-[0-9a-f]{{10}}", key)), ""
    )


def beyond_keep(ages: Mapping[str, float], in_use: Collection[str], keep: int) -> list[str]:
    """Return the oldest releases of one CPU class beyond those that are kept.

    Args:
        ages: Modification time of every release of the class, by key.
        in_use: Keys that always stay.
        keep: How many stay, those in use among them.
    """
    spare = max(0, keep - len(set(in_use) & ages.keys()))
    return [key for key in sorted(ages, key=lambda key: ages[key], reverse=True) if key not in in_use][spare:]

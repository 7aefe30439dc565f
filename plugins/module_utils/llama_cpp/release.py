# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide what one release of llama.cpp is: its source, its build options, and the key that names it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest

#: What a release carries. llama-fit-params and the rest of upstream's tools are left out.
TARGETS = ("llama-server", "llama-quantize", "llama-bench", "llama-imatrix", "llama-gguf-split")

#: Options of every build: one static program a tool, nothing fetched behind our back (the UI least of all).
BASE_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
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
OPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_SOURCE_KEYS = {
    "git": {"git", "commit"},
    "archive": {"archive", "sha256", "version", "subdirectory"},
    "release": {"release", "sha256", "key", "size"},
}


class ReleaseError(ValueError):
    """Inputs that cannot make a release. `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class ReleasePlan:
    """What is to lie on the host in the end, and how it gets there.

    Attributes:
        mode: `build` from source or `receive` a release that a builder made.
        key: Name of the release; equal keys mean equal inputs.
        cpu_class: What the binaries may run on; `auto` is resolved.
        source_id: Name of the source tree; releases that differ only in options, class or UI share it.
        cmake_options: Options to configure the build with (empty when received).
        jobs: Compile jobs at a time.
        runnable: Whether this host's CPU can run the result, so whether a self-test is possible here.
    """

    mode: str
    key: str
    cpu_class: str
    source_id: str
    cmake_options: dict[str, str]
    jobs: int
    runnable: bool

    @property
    def cmake_arguments(self) -> list[str]:
        """The options as `-DNAME=VALUE`, sorted."""
        return [f"-D{name}={value}" for name, value in sorted(self.cmake_options.items())]


def parallel_jobs(requested: int, cores: int, memory_mib: int) -> int:
    """Return how many compile jobs to run: as asked (> 0), else what cores and memory allow, at least one."""
    if requested > 0:
        return requested
    return max(1, min(cores, (memory_mib - RESERVED_MEMORY_MIB) // JOB_MEMORY_MIB))


def source_kind(source: Mapping[str, Any]) -> str:
    """Return `git`, `archive` or `release`, or '' when it is none or more than one of them."""
    kinds = [kind for kind in _SOURCE_KEYS if source.get(kind)]
    return kinds[0] if len(kinds) == 1 else ""


def check_source(source: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with llama_cpp_source, one sentence each."""
    kind = source_kind(source)
    if not kind:
        return ["llama_cpp_source: give exactly one of git, archive and release."]
    problems = [
        f"llama_cpp_source.{name}: not known beside {kind}; it takes {', '.join(sorted(_SOURCE_KEYS[kind]))}."
        for name in sorted(set(source) - _SOURCE_KEYS[kind])
    ]
    if kind == "git" and not HEX40.fullmatch(str(source.get("commit", ""))):
        problems.append(
            "llama_cpp_source.commit: must be a full commit hash (40 lower-case hex digits); "
            "branches and tags move, `git ls-remote URL TAG` tells the hash."
        )
    if kind in ("archive", "release") and not HEX64.fullmatch(str(source.get("sha256", ""))):
        problems.append("llama_cpp_source.sha256: must be 64 lower-case hex digits, as `sha256sum FILE` prints.")
    if kind == "archive" and not LABEL.fullmatch(str(source.get("version", ""))):
        problems.append("llama_cpp_source.version: name what the archive holds, for example b11434.")
    if kind == "release" and not LABEL.fullmatch(str(source.get("key", ""))):
        problems.append("llama_cpp_source.key: must be the key in the release's descriptor.")
    return problems


def check_ui(ui: str, archive: str, sha256: str) -> list[str]:
    """Return what is wrong with the web UI's inputs, one sentence each."""
    if ui not in UI_CHOICES:
        return [f"llama_cpp_ui: {ui!r} is not one of {', '.join(UI_CHOICES)}."]
    problems = []
    if ui == "prebuilt" and not archive:
        problems.append("llama_cpp_ui_archive: needed with llama_cpp_ui: prebuilt (URL or path of a dist.tar.gz).")
    if ui == "prebuilt" and not HEX64.fullmatch(sha256):
        problems.append("llama_cpp_ui_sha256: must be the archive's sha256, 64 lower-case hex digits.")
    return problems


def plan_release(
    *,
    source: Mapping[str, Any],
    cpu_class: str,
    extra_options: Mapping[str, Any],
    ui: str,
    ui_archive: str,
    ui_sha256: str,
    jobs: int,
    device: Mapping[str, Any],
) -> ReleasePlan:
    """Decide what release a host is to have.

    Args:
        source: The role's llama_cpp_source.
        cpu_class: A key of CPU_CLASSES, or `auto` for the device's own.
        extra_options: Further CMake options; they win over the role's own.
        ui: One of UI_CHOICES.
        ui_archive: With ui=prebuilt, where the archive is.
        ui_sha256: With ui=prebuilt, the archive's sha256.
        jobs: Compile jobs at a time; 0 lets memory and cores decide.
        device: Facts of edge_slm.fleet.device_facts.

    Returns:
        The plan.

    Raises:
        ReleaseError: With every problem found, each naming the variable and the mend.
    """
    problems = check_source(source) + check_ui(ui, ui_archive, ui_sha256)
    own_class, architecture = str(device["cpu_class"]), str(device["architecture"])
    chosen = own_class if cpu_class == "auto" else cpu_class
    if chosen not in CPU_CLASSES:
        known = ", ".join(CPU_CLASSES)
        problems.append(
            f"llama_cpp_cpu_class: no class is known for this CPU ({architecture}); set one of {known}."
            if cpu_class == "auto"
            else f"llama_cpp_cpu_class: {cpu_class!r} is not one of auto, {known}."
        )
    kind = source_kind(source)
    wanted = CPU_CLASSES[chosen].architecture if chosen in CPU_CLASSES else ""
    if kind != "release" and wanted and wanted != architecture:
        problems.append(
            f"llama_cpp_cpu_class: {chosen} is built on {wanted}, this host is {architecture}; "
            f"put a builder of that architecture into the inventory, or none, so that devices build for themselves."
        )
    for name in extra_options:
        if not OPTION_NAME.fullmatch(str(name)):
            problems.append(f"llama_cpp_cmake_options: {name!r} is not a CMake option's name.")
    if jobs < 0:
        problems.append("llama_cpp_jobs: must be 0 (decide by memory and cores) or a number of jobs.")
    if problems:
        raise ReleaseError(problems)

    runnable = chosen == "native" or chosen in RUNS[own_class]
    if kind == "release":
        return ReleasePlan("receive", str(source["key"]), chosen, "", {}, 0, runnable)
    label = str(source["commit"])[:12] if kind == "git" else str(source["version"])
    options = {
        **BASE_OPTIONS,
        **CPU_CLASSES[chosen].options,
        **({"LLAMA_BUILD_COMMIT": label} if kind == "archive" else {}),
        **{str(name): str(value) for name, value in extra_options.items()},
    }
    pinned = str(source["commit"]) if kind == "git" else str(source["sha256"])
    inputs = {
        "source": pinned,
        "cpu_class": chosen,
        "options": options,
        "ui": ui,
        "ui_sha256": ui_sha256 if ui == "prebuilt" else "",
        "targets": TARGETS,
    }
    key = f"{label}-{chosen.replace('+', '-')}-{digest(inputs)[:10]}"
    return ReleasePlan(
        "build",
        key,
        chosen,
        f"{label}-{pinned[:12]}",
        options,
        parallel_jobs(jobs, int(device["cores"]), int(device["memory_mib"])),
        runnable,
    )


def releases_to_remove(ages: Mapping[str, float], in_use: set[str], keep: int) -> list[str]:
    """Decide which directories beside the releases in use go.

    Args:
        ages: Modification time of every directory in releases/, by name.
        in_use: Names that always stay.
        keep: How many whole releases stay, those in use among them.

    Returns:
        Names: half-made ones (`.part`) and the oldest beyond `keep`.
    """
    half_made = [name for name in ages if name.endswith(".part")]
    whole = [name for name in sorted(ages, key=lambda name: ages[name], reverse=True) if name not in half_made]
    spare = max(0, keep - len(in_use & set(whole)))
    return sorted(half_made + [name for name in whole if name not in in_use][spare:])

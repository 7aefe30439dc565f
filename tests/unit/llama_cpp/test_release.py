"""What a release of llama.cpp is: what is refused and how, what its key depends on, what is removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.cuda import Compiler, Target
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import (
    CPU_CLASSES,
    RUNS,
    UI_CHOICES,
    Inputs,
    Release,
    beyond_keep,
    class_of,
    cmake_arguments,
    parallel_jobs,
    pinned_packages,
    same_version,
    source_kind,
    unfit,
    wanted_release,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "0123456789abcdef" * 4
GIT = {"git": "https://example.org/llama.cpp.git", "commit": COMMIT}
ARCHIVE = {"archive": "/srv/llama.cpp.tar.gz", "sha256": SHA256, "version": "b11434"}
RELEASE = {"release": "http://builder/releases/k.tar.gz", "sha256": SHA256, "key": "b11434-armv8-a-0123456789"}

DOTPROD = "armv8.2-a+dotprod+fp16"
PI_4 = {"cpu_class": "armv8-a", "architecture": "aarch64", "cores": 4, "memory_mib": 3792}
PI_5 = {**PI_4, "cpu_class": DOTPROD, "memory_mib": 8062}
PC = {**PI_4, "cpu_class": "x86-64-v3", "architecture": "x86_64"}
OLD_PC = {**PC, "cpu_class": ""}
RISC_V = {**OLD_PC, "architecture": "riscv64"}
#: Of a release that is made and not used on this host.
FOR_OTHERS = {"activate": False}

ROLE = Path(__file__).resolve().parents[3] / "roles" / "llama_cpp"
DEFAULTS = {
    name.removeprefix("llama_cpp_"): value
    for name, value in yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")).items()
}


def without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def cast(**changes: Any) -> tuple[Inputs, list[str]]:
    problems = Problems(prefix="llama_cpp_")
    return Inputs.of({**DEFAULTS, "source": GIT, "ui": "none", **changes}, problems), problems.found


NVCC = Compiler("/usr/local/cuda/bin/nvcc", "13.5.37", ("75", "86"))
TARGET = Target((), Gpus((Gpu("Tesla T4", 15360, "7.5"),)), NVCC)


def plan(device: dict[str, Any] = PI_5, target: Target | None = None, **changes: Any) -> Release:
    inputs, problems = cast(**changes)
    assert (problems, unfit(inputs, device, target)) == ([], [])
    return wanted_release(inputs, device, target)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (GIT, "git"),
        (ARCHIVE, "archive"),
        (RELEASE, "release"),
        ({}, ""),
        ({"git": "", "commit": COMMIT}, ""),
        ({**GIT, **ARCHIVE}, ""),
    ],
)
def test_source_kind(source: dict[str, str], kind: str) -> None:
    assert source_kind(source) == kind


@pytest.mark.parametrize(
    ("changes", "variable", "remedy"),
    [
        ({"source": {}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**GIT, **ARCHIVE}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**ARCHIVE, **RELEASE}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**GIT, "comit": "x"}}, "llama_cpp_source.comit", "beside git; it takes commit, git."),
        ({"source": {**GIT, "sha256": SHA256}}, "llama_cpp_source.sha256", "not known beside git"),
        (
            {"source": {**ARCHIVE, "key": "k"}},
            "llama_cpp_source.key",
            "it takes archive, sha256, subdirectory, version",
        ),
        (
            {"source": {**RELEASE, "version": "1"}},
            "llama_cpp_source.version",
            "it takes key, release, requires, sha256, size",
        ),
        ({"source": {**GIT, "commit": COMMIT[:12]}}, "llama_cpp_source.commit", "40 lower-case hex digits"),
        ({"source": {**GIT, "commit": "master"}}, "llama_cpp_source.commit", "git ls-remote URL TAG"),
        ({"source": {**GIT, "commit": COMMIT.upper()}}, "llama_cpp_source.commit", "lower-case"),
        ({"source": without(GIT, "commit")}, "llama_cpp_source.commit", "40 lower-case hex digits"),
        ({"source": without(ARCHIVE, "sha256")}, "llama_cpp_source.sha256", "sha256sum FILE"),
        ({"source": {**ARCHIVE, "sha256": SHA256[:-1]}}, "llama_cpp_source.sha256", "64 lower-case hex digits"),
        ({"source": without(RELEASE, "sha256")}, "llama_cpp_source.sha256", "sha256sum FILE"),
        ({"source": without(ARCHIVE, "version")}, "llama_cpp_source.version", "for example b11434"),
        ({"source": {**GIT, "git": "https://me:hunter2@git.lan/x"}}, "llama_cpp_source.git", "holds credentials"),
        ({"source": {**ARCHIVE, "archive": "https://tok@git.lan/x"}}, "llama_cpp_source.archive", "holds credentials"),
        ({"source": {**ARCHIVE, "version": 1.1}}, "llama_cpp_source.version", "YAML has taken it for 1.1: quote it"),
        ({"source": {**ARCHIVE, "version": "../x"}}, "llama_cpp_source.version", "name what the archive holds"),
        ({"source": without(RELEASE, "key")}, "llama_cpp_source.key", "the release's descriptor"),
        ({"source": {**RELEASE, "key": "a/b"}}, "llama_cpp_source.key", "the release's descriptor"),
        ({"cpu_class": "armv9"}, "llama_cpp_cpu_class", "'armv9' is not one of auto, native, armv8-a"),
        ({"source": "b11434"}, "llama_cpp_source", "must be a dictionary; it is 'b11434'."),
        ({"source": {**ARCHIVE, "archive": "srv/a.tar.gz"}}, "llama_cpp_source.archive", "nor an absolute path"),
        ({"source": {**RELEASE, "size": "5 MB"}}, "llama_cpp_source.size", "must be a whole number"),
        ({"cmake_options": {"GGML CUDA": "ON"}}, "llama_cpp_cmake_options", "'GGML CUDA' is not a CMake option's name"),
        ({"cmake_options": {"-DGGML_CUDA": "ON"}}, "llama_cpp_cmake_options", "is not a CMake option's name"),
        ({"cmake_options": ["-DGGML_CUDA=ON"]}, "llama_cpp_cmake_options", "must be a dictionary"),
        ({"jobs": -1}, "llama_cpp_jobs", "must be a whole number from 0 to 1024; it is -1."),
        ({"keep": 0}, "llama_cpp_keep", "must be a whole number from 1"),
        ({"publish": "maybe"}, "llama_cpp_publish", "'maybe' is not a boolean"),
        ({"state": "gone"}, "llama_cpp_state", "'gone' is not one of present, absent."),
        ({"root": "llama.cpp"}, "llama_cpp_root", "'llama.cpp' is not an absolute path"),
        ({"root": "/opt"}, "llama_cpp_root", "at least two directories deep"),
        ({"cache": "/var/../etc"}, "llama_cpp_cache", "is not an absolute path"),
        ({"converter_torch": "conda"}, "llama_cpp_converter_torch", "'conda' is not one of apt, pip."),
        (
            {"converter_requirements": ["protobuf==7.36.2", "transformers>=5"]},
            "llama_cpp_converter_requirements[1]",
            "'transformers>=5' is not pinned; write NAME==VERSION.",
        ),
        ({"ui": "yes"}, "llama_cpp_ui", "'yes' is not one of npm, prebuilt, none"),
        (
            {"ui": "prebuilt", "ui_sha256": SHA256},
            "llama_cpp_ui_archive",
            "with llama_cpp_ui: prebuilt, must be the URL",
        ),
        ({"ui": "prebuilt", "ui_archive": "/srv/ui.tar.gz"}, "llama_cpp_ui_sha256", "64 lower-case hex digits"),
        ({"cuda": True, "source": RELEASE}, "llama_cpp_cuda", "is built on the host that has the GPU"),
        ({"cuda": True, "received": True}, "llama_cpp_cuda", "give git or archive"),
        ({"cuda_architectures": ["8.6"]}, "llama_cpp_cuda_architectures[0]", "86 for 8.6"),
        ({"cuda_compiler": "nvcc"}, "llama_cpp_cuda_compiler", "/usr/local/cuda/bin/nvcc"),
    ],
)
def test_refusals_name_the_variable_and_the_remedy(changes: dict[str, Any], variable: str, remedy: str) -> None:
    (line,) = cast(**changes)[1]
    assert line.partition(": ")[0] == variable
    assert remedy in line


@pytest.mark.parametrize("ui", UI_CHOICES)
def test_a_received_release_brings_its_own_web_ui(ui: str) -> None:
    inputs, problems = cast(source=RELEASE, ui=ui)
    assert problems == []
    assert inputs.mode == "receive"


def test_the_self_test_of_a_received_release_reads_whether_it_has_a_web_ui() -> None:
    tasks = yaml.safe_load((ROLE / "tasks/admit.yml").read_text(encoding="utf-8"))
    (asked,) = [task["edge_slm.fleet.llama_cpp_selftest"]["ui"] for task in tasks if "Test the release" in task["name"]]
    assert asked.endswith("if __llama_cpp_plan.needs.mode == 'build' else omit }}")


def test_all_problems_at_once() -> None:
    found = cast(source={"git": "x"}, ui="x", cpu_class="x", cmake_options={"a b": 1}, jobs=-1)[1]
    assert [line.partition(": ")[0] for line in found] == [
        "llama_cpp_cmake_options",
        "llama_cpp_jobs",
        "llama_cpp_source.commit",
        "llama_cpp_ui",
        "llama_cpp_cpu_class",
    ]


def test_absent_needs_paths_only() -> None:
    assert cast(state="absent", source="x", jobs="many", ui="x", keep=-1)[1] == []
    assert len(cast(state="absent", root="/", cache="")[1]) == 2


@pytest.mark.parametrize(
    ("changes", "device", "sentence"),
    [
        ({}, PI_5, ""),
        ({"cpu_class": "native"}, OLD_PC, ""),
        (
            {"cpu_class": "x86-64-v3"},
            PI_5,
            f"llama_cpp_cpu_class: this CPU is of class {DOTPROD} and does not run x86-64-v3; choose auto, or set",
        ),
        ({"cpu_class": DOTPROD}, PI_4, f"llama_cpp_cpu_class: this CPU is of class armv8-a and does not run {DOTPROD}"),
        ({"cpu_class": "armv8-a"}, OLD_PC, "llama_cpp_cpu_class: this CPU (x86_64) is of no known class and does not"),
        ({"cpu_class": "armv8-a", "source": RELEASE}, PC, "llama_cpp_cpu_class: this CPU is of class x86-64-v3 and"),
        # For others: either architecture builds for the other, and nothing else does.
        ({"cpu_class": "armv8-a", **FOR_OTHERS}, PC, ""),
        ({"cpu_class": "x86-64-v3", **FOR_OTHERS}, PI_4, ""),
        (
            {"cpu_class": "armv8-a", **FOR_OTHERS},
            RISC_V,
            "llama_cpp_cpu_class: a host that is riscv64 does not build armv8-a (aarch64); put a builder that is",
        ),
        (
            {"cpu_class": "armv8-a", "cuda": True, **FOR_OTHERS},
            PC,
            "llama_cpp_cuda: is built for this host's own GPUs (x86_64), not for armv8-a.",
        ),
        (
            {"received": True},
            RISC_V,
            "this CPU (riscv64): a builder makes releases for arm64 with a 64-bit system, and",
        ),
        ({}, RISC_V, "llama_cpp_cpu_class: no class is known for this CPU (riscv64); set one of native"),
        ({}, OLD_PC, ""),
        (
            {"source": RELEASE},
            OLD_PC,
            "llama_cpp_cpu_class: no class is known for this CPU (x86_64); set one of native",
        ),
        # What is received is not built here.
        ({"cpu_class": "armv8-a", "source": RELEASE, **FOR_OTHERS}, PC, ""),
    ],
)
def test_unfit(changes: dict[str, Any], device: dict[str, Any], sentence: str) -> None:
    found = unfit(cast(**changes)[0], device)
    assert "".join(found).startswith(sentence)
    assert bool(found) == bool(sentence)


PREBUILT = {"ui": "prebuilt", "ui_archive": "/srv/ui.tar.gz", "ui_sha256": SHA256}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({}, {"jobs": 7}, True),
        ({}, {"source": {**GIT, "git": "https://mirror.example/llama.cpp.git"}}, True),
        ({}, {"device": {**PI_5, "memory_mib": 16384, "cores": 2}}, True),
        ({}, {"cpu_class": DOTPROD}, True),
        ({}, {"ui_sha256": SHA256}, True),
        ({}, {"source": {**GIT, "commit": COMMIT[::-1]}}, False),
        ({}, {"source": {**GIT, "commit": COMMIT[:12] + COMMIT[12:][::-1]}}, False),
        ({}, {"cpu_class": "armv8-a"}, False),
        ({}, {"cpu_class": "native"}, False),
        ({}, {"device": PI_4}, False),
        ({}, {"cmake_options": {"GGML_CUDA": "ON"}}, False),
        ({}, {"ui": "npm"}, False),
        ({}, PREBUILT, False),
        ({"cmake_options": {"GGML_CUDA": "ON"}}, {"cmake_options": {"GGML_CUDA": "OFF"}}, False),
        ({"cmake_options": {"A": "1", "B": "2"}}, {"cmake_options": {"B": 2, "A": 1}}, True),
        (PREBUILT, {**PREBUILT, "ui_archive": "https://mirror.example/ui.tar.gz"}, True),
        (PREBUILT, {**PREBUILT, "ui_sha256": SHA256[::-1]}, False),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "archive": "https://mirror.example/a.tar.gz"}}, True),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "sha256": SHA256[::-1]}}, False),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "version": "b11435"}}, False),
        ({}, {"cuda_architectures": ["75"], "cuda_compiler": "/opt/cuda/bin/nvcc"}, True),
        ({}, {"target": TARGET}, False),
        ({"target": TARGET}, {"target": replace(TARGET, named=("86",))}, False),
        ({"target": TARGET}, {"target": replace(TARGET, compiler=replace(NVCC, version="13.6"))}, False),
        # Another GPU of the same kind.
        ({"target": TARGET}, {"target": replace(TARGET, gpus=Gpus((Gpu("RTX 2070", 8192, "7.5"),)))}, True),
    ],
)
def test_the_key_changes_with_what_matters_and_nothing_else(
    before: dict[str, Any], after: dict[str, Any], same: bool
) -> None:
    assert (plan(**before).key == plan(**after).key) is same


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "0123456789ab-armv8.2-a-dotprod-fp16-"),
        ({"cpu_class": "armv8-a"}, "0123456789ab-armv8-a-"),
        ({"source": ARCHIVE, "device": PC}, "b11434-x86-64-v3-"),
    ],
)
def test_a_key_can_be_read(changes: dict[str, Any], start: str) -> None:
    key = plan(**changes).key
    assert key.startswith(start)
    assert len(key) == len(start) + 10


def test_releases_of_one_source_share_its_tree_unless_their_pages_differ() -> None:
    assert plan().source_id == plan(cpu_class="armv8-a", cmake_options={"GGML_CUDA": "ON"}).source_id
    assert plan().source_id == plan(ui="npm").source_id
    assert plan(source=ARCHIVE).source_id == f"b11434-{SHA256[:12]}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"GGML_NATIVE": "OFF", "GGML_CPU_ARM_ARCH": DOTPROD, "LLAMA_BUILD_UI": "OFF"}),
        ({"cpu_class": "native"}, {"GGML_NATIVE": "ON"}),
        ({"device": PC}, {"GGML_NATIVE": "OFF", "GGML_AVX2": "ON"}),
        ({"source": ARCHIVE}, {"LLAMA_BUILD_COMMIT": "b11434"}),
        ({"cmake_options": {"GGML_CUDA": "ON", "GGML_NATIVE": "ON"}}, {"GGML_CUDA": "ON", "GGML_NATIVE": "ON"}),
        ({"cmake_options": {"N": 3}}, {"N": "3"}),
        ({"device": PC, "target": TARGET}, {"GGML_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": "75", "GGML_AVX2": "ON"}),
        ({"target": TARGET, "cmake_options": {"CUDAToolkit_ROOT": "/usr"}}, {"CUDAToolkit_ROOT": "/usr"}),
        ({"cuda_architectures": ["75"]}, {"GGML_CUDA": None, "CMAKE_CUDA_ARCHITECTURES": None}),
    ],
)
def test_options(changes: dict[str, Any], expected: dict[str, str]) -> None:
    found = plan(**changes)
    assert {name: found.cmake_options.get(name) for name in expected} == expected
    arguments = cmake_arguments(found.cmake_options)
    assert arguments == [f"-D{name}={found.cmake_options[name]}" for name in sorted(found.cmake_options)]


def test_a_commit_is_identified_by_git_itself() -> None:
    assert "LLAMA_BUILD_COMMIT" not in plan().cmake_options


@pytest.mark.parametrize(
    ("cpu_class", "device", "runnable"),
    [
        ("auto", PI_4, True),
        ("auto", PI_5, True),
        ("auto", PC, True),
        ("auto", OLD_PC, True),
        ("native", OLD_PC, True),
        ("armv8-a", PI_5, True),
        (DOTPROD, PI_4, False),
        ("x86-64-v3", OLD_PC, False),
    ],
)
def test_a_release_is_used_where_the_cpu_runs_it(cpu_class: str, device: dict[str, Any], runnable: bool) -> None:
    assert plan(cpu_class=cpu_class, device=device, **FOR_OTHERS).runnable is runnable


def test_every_class_that_something_runs_can_be_built() -> None:
    assert set().union(*RUNS.values()) == set(CPU_CLASSES) - {"native"}


def test_receiving_takes_the_key_as_given_and_builds_nothing() -> None:
    assert plan(source={**RELEASE, "size": 5}, jobs=4, cmake_options={"GGML_CUDA": "ON"}) == Release(
        key=RELEASE["key"],
        cpu_class=DOTPROD,
        architecture="aarch64",
        source_id="",
        cmake_options={},
        jobs=0,
        runnable=True,
    )


def test_a_release_of_another_class_may_be_received_but_not_proven() -> None:
    found = plan(source=RELEASE, cpu_class="x86-64-v3", **FOR_OTHERS)
    assert (found.cpu_class, found.architecture, found.runnable) == ("x86-64-v3", "x86_64", False)


def test_a_release_has_one_name_wherever_it_is_made() -> None:
    """Devices name the release that they are to have by the builder's inputs, and do not know its architecture."""
    names = {plan(device, cpu_class="armv8-a", **FOR_OTHERS).key for device in (PC, PI_4, PI_5)}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("changes", "mode"),
    [({}, "build"), ({"source": ARCHIVE}, "build"), ({"source": RELEASE}, "receive"), ({"received": True}, "receive")],
)
def test_mode(changes: dict[str, Any], mode: str) -> None:
    assert cast(**changes)[0].mode == mode


def test_a_device_names_its_release_by_the_builders_inputs() -> None:
    assert plan(received=True) == plan()


@pytest.mark.parametrize(
    ("changes", "packages"),
    [
        ({"converter_requirements": ["Foo_bar==1.0"]}, {"foo-bar": "1.0"}),
        ({"converter_requirements": ["a[x,y]==2"], "converter_torch": "pip"}, {"a": "2", "torch": ""}),
        ({"converter_requirements": ["torch==2.9.0"], "converter_torch": "pip"}, {"torch": "2.9.0"}),
    ],
)
def test_pinned_packages(changes: dict[str, Any], packages: dict[str, str]) -> None:
    assert pinned_packages(cast(**changes)[0]) == packages


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("2.4.0", "2.4", True), ("2.4.0", "2.4.0", True), ("2.40", "2.4", False), ("1.0RC1", "1.0rc1", True)],
)
def test_same_version(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same


@pytest.mark.parametrize(
    ("requested", "cores", "memory_mib", "expected"),
    [
        (3, 1, 512, 3),
        (0, 4, 8062, 4),
        (0, 4, 3792, 3),
        (0, 4, 1900, 1),
        (0, 4, 900, 1),
        (0, 4, 0, 1),
        (0, 16, 16384, 15),
        (0, 1, 65536, 1),
    ],
)
def test_parallel_jobs(requested: int, cores: int, memory_mib: int, expected: int) -> None:
    assert parallel_jobs(requested, cores, memory_mib) == expected


def test_the_plan_counts_jobs_by_the_device() -> None:
    assert (plan().jobs, plan(device=PI_4).jobs, plan(jobs=1).jobs) == (4, 3, 1)


#: Four whole releases, from the oldest to the newest.
AGES = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}


@pytest.mark.parametrize(
    ("ages", "in_use", "keep", "gone"),
    [
        ({}, set(), 3, ""),
        (AGES, {"d"}, 4, ""),
        (AGES, {"d"}, 3, "a"),
        (AGES, {"d"}, 1, "c b a"),
        (AGES, {"a"}, 2, "c b"),
        (AGES, {"a", "b"}, 2, "d c"),
        (AGES, {"a", "b"}, 1, "d c"),
        (AGES, set(), 3, "a"),
        (AGES, {"gone already"}, 3, "a"),
    ],
)
def test_beyond_keep(ages: dict[str, float], in_use: set[str], keep: int, gone: str) -> None:
    assert beyond_keep(ages, in_use, keep) == gone.split()


@pytest.mark.parametrize("name", CPU_CLASSES)
def test_a_key_names_its_class(name: str) -> None:
    device = {"cpu_class": name, "architecture": CPU_CLASSES[name].architecture, "cores": 4, "memory_mib": 4096}
    inputs = cast(cpu_class=name)[0]
    assert class_of(wanted_release(inputs, device if name != "native" else {**device, "cpu_class": ""}).key) == name
    assert class_of(f"somebodys-{name}") == ""

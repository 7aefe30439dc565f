"""What a release of llama.cpp is: what is refused and how, what its key depends on, what is removed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import (
    CPU_CLASSES,
    RUNS,
    ReleaseError,
    ReleasePlan,
    parallel_jobs,
    plan_release,
    releases_to_remove,
    source_kind,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SUM = "0123456789abcdef" * 4
GIT = {"git": "https://example.org/llama.cpp.git", "commit": COMMIT}
ARCHIVE = {"archive": "/srv/llama.cpp.tar.gz", "sha256": SUM, "version": "b11434"}
RELEASE = {"release": "http://builder/releases/k.tar.gz", "sha256": SUM, "key": "b11434-armv8-a-0123456789"}

DOTPROD = "armv8.2-a+dotprod+fp16"
PI_4 = {"cpu_class": "armv8-a", "architecture": "aarch64", "cores": 4, "memory_mib": 3792}
PI_5 = {**PI_4, "cpu_class": DOTPROD, "memory_mib": 8062}
PC = {**PI_4, "cpu_class": "x86-64-v3", "architecture": "x86_64"}
OLD_PC = {**PC, "cpu_class": ""}


def without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def plan(**changes: Any) -> ReleasePlan:
    given: dict[str, Any] = {
        "source": GIT,
        "cpu_class": "auto",
        "extra_options": {},
        "ui": "none",
        "ui_archive": "",
        "ui_sha256": "",
        "jobs": 0,
        "device": PI_5,
    }
    return plan_release(**{**given, **changes})


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
    ("changes", "variable", "mend"),
    [
        ({"source": {}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**GIT, **ARCHIVE}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**ARCHIVE, **RELEASE}}, "llama_cpp_source", "exactly one of git, archive and release"),
        ({"source": {**GIT, "comit": "x"}}, "llama_cpp_source.comit", "beside git; it takes commit, git."),
        ({"source": {**GIT, "sha256": SUM}}, "llama_cpp_source.sha256", "not known beside git"),
        (
            {"source": {**ARCHIVE, "key": "k"}},
            "llama_cpp_source.key",
            "it takes archive, sha256, subdirectory, version",
        ),
        ({"source": {**RELEASE, "version": "1"}}, "llama_cpp_source.version", "it takes key, release, sha256, size"),
        ({"source": {**GIT, "commit": COMMIT[:12]}}, "llama_cpp_source.commit", "40 lower-case hex digits"),
        ({"source": {**GIT, "commit": "master"}}, "llama_cpp_source.commit", "git ls-remote URL TAG"),
        ({"source": {**GIT, "commit": COMMIT.upper()}}, "llama_cpp_source.commit", "lower-case"),
        ({"source": without(GIT, "commit")}, "llama_cpp_source.commit", "40 lower-case hex digits"),
        ({"source": without(ARCHIVE, "sha256")}, "llama_cpp_source.sha256", "sha256sum FILE"),
        ({"source": {**ARCHIVE, "sha256": SUM[:-1]}}, "llama_cpp_source.sha256", "64 lower-case hex digits"),
        ({"source": without(RELEASE, "sha256")}, "llama_cpp_source.sha256", "sha256sum FILE"),
        ({"source": without(ARCHIVE, "version")}, "llama_cpp_source.version", "for example b11434"),
        ({"source": {**ARCHIVE, "version": "../x"}}, "llama_cpp_source.version", "name what the archive holds"),
        ({"source": without(RELEASE, "key")}, "llama_cpp_source.key", "the release's descriptor"),
        ({"source": {**RELEASE, "key": "a/b"}}, "llama_cpp_source.key", "the release's descriptor"),
        ({"cpu_class": "armv9"}, "llama_cpp_cpu_class", "'armv9' is not one of auto, native, armv8-a"),
        (
            {"cpu_class": "x86-64-v3"},
            "llama_cpp_cpu_class",
            "x86-64-v3 is built on x86_64, this host is aarch64; put a builder",
        ),
        ({"cpu_class": "armv8-a", "device": PC}, "llama_cpp_cpu_class", "armv8-a is built on aarch64"),
        ({"device": OLD_PC}, "llama_cpp_cpu_class", "no class is known for this CPU (x86_64); set one of native"),
        ({"extra_options": {"GGML CUDA": "ON"}}, "llama_cpp_cmake_options", "'GGML CUDA' is not a CMake option's name"),
        ({"extra_options": {"-DGGML_CUDA": "ON"}}, "llama_cpp_cmake_options", "is not a CMake option's name"),
        ({"jobs": -1}, "llama_cpp_jobs", "must be 0 (decide by memory and cores) or a number"),
        ({"ui": "yes"}, "llama_cpp_ui", "'yes' is not one of npm, prebuilt, none"),
        ({"ui": "prebuilt", "ui_sha256": SUM}, "llama_cpp_ui_archive", "needed with llama_cpp_ui: prebuilt"),
        ({"ui": "prebuilt", "ui_archive": "/srv/ui.tar.gz"}, "llama_cpp_ui_sha256", "64 lower-case hex digits"),
    ],
)
def test_refusals_name_the_variable_and_the_mend(changes: dict[str, Any], variable: str, mend: str) -> None:
    with pytest.raises(ReleaseError) as refusal:
        plan(**changes)
    (line,) = refusal.value.problems
    assert line.partition(": ")[0] == variable
    assert mend in line


def test_all_problems_at_once() -> None:
    with pytest.raises(ReleaseError) as refusal:
        plan(source={"git": "x"}, ui="x", cpu_class="x", extra_options={"a b": 1}, jobs=-1)
    names = [line.partition(": ")[0] for line in refusal.value.problems]
    assert names == [
        "llama_cpp_source.commit",
        "llama_cpp_ui",
        "llama_cpp_cpu_class",
        "llama_cpp_cmake_options",
        "llama_cpp_jobs",
    ]
    assert all(line in str(refusal.value) for line in refusal.value.problems)


PREBUILT = {"ui": "prebuilt", "ui_archive": "/srv/ui.tar.gz", "ui_sha256": SUM}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({}, {"jobs": 7}, True),
        ({}, {"source": {**GIT, "git": "https://mirror.example/llama.cpp.git"}}, True),
        ({}, {"device": {**PI_5, "memory_mib": 16384, "cores": 2}}, True),
        ({}, {"cpu_class": DOTPROD}, True),
        ({}, {"ui_sha256": SUM}, True),
        ({}, {"source": {**GIT, "commit": COMMIT[::-1]}}, False),
        ({}, {"source": {**GIT, "commit": COMMIT[:12] + COMMIT[12:][::-1]}}, False),
        ({}, {"cpu_class": "armv8-a"}, False),
        ({}, {"cpu_class": "native"}, False),
        ({}, {"device": PI_4}, False),
        ({}, {"extra_options": {"GGML_CUDA": "ON"}}, False),
        ({}, {"ui": "npm"}, False),
        ({}, PREBUILT, False),
        ({"extra_options": {"GGML_CUDA": "ON"}}, {"extra_options": {"GGML_CUDA": "OFF"}}, False),
        ({"extra_options": {"A": "1", "B": "2"}}, {"extra_options": {"B": 2, "A": 1}}, True),
        (PREBUILT, {**PREBUILT, "ui_archive": "https://mirror.example/ui.tar.gz"}, True),
        (PREBUILT, {**PREBUILT, "ui_sha256": SUM[::-1]}, False),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "archive": "https://mirror.example/a.tar.gz"}}, True),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "sha256": SUM[::-1]}}, False),
        ({"source": ARCHIVE}, {"source": {**ARCHIVE, "version": "b11435"}}, False),
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
    assert plan().source_id == plan(cpu_class="armv8-a", extra_options={"GGML_CUDA": "ON"}).source_id
    assert plan().source_id == plan(ui="npm").source_id
    assert plan(source=ARCHIVE).source_id == f"b11434-{SUM[:12]}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"GGML_NATIVE": "OFF", "GGML_CPU_ARM_ARCH": DOTPROD, "LLAMA_BUILD_UI": "OFF"}),
        ({"cpu_class": "native"}, {"GGML_NATIVE": "ON"}),
        ({"device": PC}, {"GGML_NATIVE": "OFF", "GGML_AVX2": "ON"}),
        ({"source": ARCHIVE}, {"LLAMA_BUILD_COMMIT": "b11434"}),
        ({"extra_options": {"GGML_CUDA": "ON", "GGML_NATIVE": "ON"}}, {"GGML_CUDA": "ON", "GGML_NATIVE": "ON"}),
        ({"extra_options": {"N": 3}}, {"N": "3"}),
    ],
)
def test_options(changes: dict[str, Any], expected: dict[str, str]) -> None:
    found = plan(**changes)
    assert {name: found.cmake_options.get(name) for name in expected} == expected
    assert found.cmake_arguments == [f"-D{name}={found.cmake_options[name]}" for name in sorted(found.cmake_options)]


def test_a_commit_is_told_by_git_itself() -> None:
    assert "LLAMA_BUILD_COMMIT" not in plan().cmake_options


@pytest.mark.parametrize(
    ("cpu_class", "device", "runnable"),
    [
        ("auto", PI_4, True),
        ("auto", PI_5, True),
        ("auto", PC, True),
        ("native", OLD_PC, True),
        ("armv8-a", PI_5, True),
        (DOTPROD, PI_4, False),
        ("x86-64-v3", OLD_PC, False),
    ],
)
def test_a_self_test_is_run_where_the_cpu_can(cpu_class: str, device: dict[str, Any], runnable: bool) -> None:
    assert plan(cpu_class=cpu_class, device=device).runnable is runnable


def test_every_class_that_something_runs_can_be_built() -> None:
    assert set().union(*RUNS.values()) == set(CPU_CLASSES) - {"native"}


def test_receiving_takes_the_key_as_given_and_builds_nothing() -> None:
    assert plan(source={**RELEASE, "size": 5}, jobs=4, extra_options={"GGML_CUDA": "ON"}) == ReleasePlan(
        mode="receive",
        key=RELEASE["key"],
        cpu_class=DOTPROD,
        source_id="",
        cmake_options={},
        jobs=0,
        runnable=True,
    )


def test_a_release_of_another_class_may_be_received_but_not_proven() -> None:
    found = plan(source=RELEASE, cpu_class="x86-64-v3")
    assert (found.mode, found.cpu_class, found.runnable) == ("receive", "x86-64-v3", False)


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
        (AGES, {"d"}, 1, "a b c"),
        (AGES, {"d"}, 0, "a b c"),
        (AGES, {"a"}, 2, "b c"),
        (AGES, {"a", "b"}, 2, "c d"),
        (AGES, {"a", "b"}, 1, "c d"),
        (AGES, set(), 3, "a"),
        (AGES, {"gone already"}, 3, "a"),
        ({**AGES, "e.part": 9.0}, {"d"}, 4, "e.part"),
        ({**AGES, "a.part": 0.5}, {"d"}, 3, "a a.part"),
    ],
)
def test_releases_to_remove(ages: dict[str, float], in_use: set[str], keep: int, gone: str) -> None:
    assert releases_to_remove(ages, in_use, keep) == gone.split()

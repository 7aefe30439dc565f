"""Releases for Pis that the x86-64 builder has made: what they need, and that each runs on the CPU that it is for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from devices import connect, managed
from testinfra.host import Host

PUBLISHED = "/var/lib/edge-slm/artifacts/releases"
RELEASES = "/opt/edge-slm/llama.cpp/releases"
PI_4, PI_5 = "armv8-a", "armv8.2-a+dotprod+fp16"
#: The CPUs of the boards, by qemu's names.
CORTEX = {PI_4: "cortex-a72", PI_5: "cortex-a76"}


@pytest.fixture(scope="module")
def builder() -> Host:
    return connect("builder-01")


def published(builder: Host, cpu_class: str) -> dict[str, Any]:
    return dict(json.loads(builder.file(f"{PUBLISHED}/{cpu_class}.json").content_string))


def emulated(builder: Host, cpu: str) -> list[str]:
    sysroot = builder.check_output("ls -d /var/cache/edge-slm/llama.cpp/sysroot-bookworm-arm64-*[!k]")
    return ["qemu-aarch64", "-cpu", cpu, "-L", sysroot]


def self_test(release: str, **changes: Any) -> dict[str, Any]:
    """Return what the self-test of a release says."""
    module = "edge_slm.fleet.llama_cpp_selftest"
    given = {"path": f"{RELEASES}/{release}", "architecture": "aarch64", **changes}
    return dict(managed("builder-01").ansible(module, json.dumps(given), check=False, become=True))


@pytest.mark.parametrize("cpu_class", CORTEX)
def test_a_release_for_each_pi_is_published(builder: Host, cpu_class: str) -> None:
    found = published(builder, cpu_class)
    tarball = f"{PUBLISHED}/{found['file']}"
    assert builder.check_output(f"sha256sum {tarball}").split()[0] == found["sha256"]
    assert "current" not in builder.check_output(f"readlink {RELEASES}/../current; ls {RELEASES}").splitlines()
    server = f"{RELEASES}/{found['key']}/bin/llama-server"
    header = builder.check_output(f"readelf --file-header --segments --wide {server}")
    assert re.search(r"Machine: +AArch64", header)
    assert {line.split()[-1] for line in header.splitlines() if line.startswith("  LOAD")} == {"0x10000"}


@pytest.mark.parametrize("cpu_class", CORTEX)
def test_what_a_release_needs_is_what_the_oldest_system_has(builder: Host, cpu_class: str) -> None:
    """As docs/operators/builder.md says. Ubuntu 22.04 has glibc 2.35 and GLIBCXX_3.4.30."""
    requires = published(builder, cpu_class)["requires"]
    assert requires["architecture"] == "aarch64"
    libraries = requires["libraries"]
    assert {"libssl.so.3", "libcrypto.so.3", "libc.so.6", "libstdc++.so.6"} <= set(libraries)
    for library, kind, newest in (("libc.so.6", "GLIBC", (2, 34)), ("libstdc++.so.6", "GLIBCXX", (3, 4, 30))):
        versions = [name.removeprefix(f"{kind}_") for name in libraries[library] if name.startswith(f"{kind}_")]
        assert max(tuple(map(int, version.split("."))) for version in versions) == newest


@pytest.mark.parametrize(
    ("cpu_class", "cpu", "runs"),
    [(PI_5, "cortex-a76", True), (PI_4, "cortex-a72", True), (PI_4, "cortex-a76", True), (PI_5, "cortex-a72", False)],
)
def test_each_release_runs_on_its_own_cpu(builder: Host, cpu_class: str, cpu: str, runs: bool) -> None:
    """A Pi 5 runs a Pi 4's release as well; a Pi 4 dies of a Pi 5's, when it takes its first token at the latest."""
    found = self_test(published(builder, cpu_class)["key"], emulator=emulated(builder, cpu))
    assert ("version" in found) is runs, found
    if runs:
        assert "11434" in found["version"]
        assert found["requires"] == published(builder, cpu_class)["requires"]
    else:
        assert "died with SIGILL: it was built for another CPU class than the one that it was tested on" in found["msg"]


def test_a_release_for_another_architecture_is_refused_without_being_run(builder: Host) -> None:
    found = self_test(published(builder, PI_4)["key"], architecture="x86_64")
    assert "llama-bench is for aarch64, not x86_64" in found["msg"]


@pytest.mark.parametrize("quantisation", ["Q8_0", "Q4_0", "Q5_1", "IQ4_NL"])
def test_a_model_is_the_same_whatever_quantised_it(builder: Host, quantisation: str) -> None:
    """Of these types, that is: docs/operators/builder.md has those that differ on a real model."""
    model = f"{RELEASES}/../current/selftest.gguf"
    run = f"/bin/llama-quantize --allow-requantize {model} /root/%s.gguf {quantisation}"
    builder.check_output(f"{RELEASES}/../current{run % 'x86'}")
    for cpu_class, cpu in CORTEX.items():
        key = published(builder, cpu_class)["key"]
        builder.check_output(" ".join(emulated(builder, cpu)) + f" {RELEASES}/{key}{run % cpu}")
    digests = builder.check_output("sha256sum /root/x86.gguf /root/cortex-a7?.gguf && rm /root/*.gguf")
    assert len({line.split()[0] for line in digests.splitlines()}) == 1, digests

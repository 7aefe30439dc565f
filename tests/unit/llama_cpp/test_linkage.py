"""What programs need of a system, and the sentences about a system that lacks it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.elf import read
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.linkage import (
    LinkageError,
    needed,
    provided,
    read_programs,
    unmet,
)
from elf_files import elf_file

#: Debian 12's, as far as they matter here.
BOOKWORM = {
    "libc.so.6": frozenset({"GLIBC_2.17", "GLIBC_2.34", "GLIBC_2.36", "GLIBC_PRIVATE"}),
    "libstdc++.so.6": frozenset(
        {"GLIBCXX_3.4", "GLIBCXX_3.4.9", "GLIBCXX_3.4.30", "CXXABI_1.3", "CXXABI_1.3.13", "CXXABI_FLOAT128"}
    ),
    "libssl.so.3": frozenset({"OPENSSL_3.0.0"}),
}


def needs(**libraries: list[str]) -> dict[str, Any]:
    names = {"libc": "libc.so.6", "cxx": "libstdc++.so.6", "ssl": "libssl.so.3", "gomp": "libgomp.so.1"}
    return {"architecture": "aarch64", "libraries": {names[name]: found for name, found in libraries.items()}}


@pytest.mark.parametrize(
    ("requires", "coming", "sentences"),
    [
        (needs(libc=["GLIBC_2.17", "GLIBC_2.34"], cxx=["CXXABI_1.3.13"], ssl=["OPENSSL_3.0.0"]), [], []),
        (
            needs(libc=["GLIBC_2.17", "GLIBC_2.38", "GLIBC_2.4"]),
            [],
            ["needs GLIBC_2.38 of libc.so.6, this host's goes up to GLIBC_2.36"],
        ),
        # 3.4.9 is older than 3.4.30.
        (
            needs(cxx=["GLIBCXX_3.4.32", "GLIBCXX_3.4.9", "CXXABI_1.3.15"]),
            [],
            [
                "needs CXXABI_1.3.15 of libstdc++.so.6, this host's goes up to CXXABI_1.3.13",
                "needs GLIBCXX_3.4.32 of libstdc++.so.6, this host's goes up to GLIBCXX_3.4.30",
            ],
        ),
        (
            needs(ssl=["OPENSSL_3.2.0"], libc=["GLIBC_ABI_DT_RELR"]),
            [],
            [
                "needs OPENSSL_3.2.0 of libssl.so.3, this host's goes up to OPENSSL_3.0.0",
                "needs GLIBC_ABI_DT_RELR of libc.so.6, this host's has none of that kind",
            ],
        ),
        (needs(gomp=["GOMP_1.0"]), [], ["needs the library libgomp.so.1, which this host does not have"]),
        (needs(gomp=["GOMP_1.0"]), ["libgomp1"], []),
        ({**needs(libc=[]), "architecture": "x86_64"}, [], ["is for x86_64, and this host is aarch64"]),
    ],
)
def test_unmet(requires: dict[str, Any], coming: list[str], sentences: list[str]) -> None:
    assert unmet(requires, "aarch64", BOOKWORM, coming) == sentences


def test_needed_is_what_all_programs_need(tmp_path: Path) -> None:
    (tmp_path / "server").write_bytes(elf_file({"libc.so.6": ["GLIBC_2.34"], "libssl.so.3": ["OPENSSL_3.0.0"]}))
    (tmp_path / "bench").write_bytes(elf_file({"libc.so.6": ["GLIBC_2.17"], "libm.so.6": []}))
    assert read_programs(str(tmp_path), "aarch64") == {
        "architecture": "aarch64",
        "libraries": {"libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"], "libm.so.6": [], "libssl.so.3": ["OPENSSL_3.0.0"]},
    }


@pytest.mark.parametrize(
    ("data", "architecture", "message"),
    [
        (elf_file(machine=62), "aarch64", r"^server is for x86_64, not aarch64$"),
        (elf_file(alignment=4096), "aarch64", r"aligned to 4096 bytes.* pages of 16384 bytes.*max-page-size=65536"),
        (b"#!/bin/sh\n", "aarch64", r"^server cannot be read as a program: it is not a 64-bit, little-endian program$"),
    ],
)
def test_programs_that_devices_cannot_load(tmp_path: Path, data: bytes, architecture: str, message: str) -> None:
    (tmp_path / "server").write_bytes(data)
    with pytest.raises(LinkageError, match=message):
        read_programs(str(tmp_path), architecture)


@pytest.mark.parametrize(("machine", "architecture", "alignment"), [(62, "x86_64", 4096), (183, "aarch64", 16384)])
def test_alignments_that_devices_load(tmp_path: Path, machine: int, architecture: str, alignment: int) -> None:
    (tmp_path / "server").write_bytes(elf_file(machine=machine, alignment=alignment))
    assert read_programs(str(tmp_path), architecture)["architecture"] == architecture


def test_this_machine_has_what_its_own_programs_need() -> None:
    own = os.uname().machine
    requires = needed({"python": read(os.path.realpath(sys.executable))}, own)
    has = provided(requires["libraries"], own)
    assert "libc.so.6" in has
    assert unmet(requires, own, has, []) == []
    requires["libraries"]["libc.so.6"].append("GLIBC_9.99")
    (sentence,) = unmet(requires, own, has, [])
    assert sentence.startswith("needs GLIBC_9.99 of libc.so.6, this host's goes up to GLIBC_2.")
    assert provided(["libthat-nobody-has.so.1"], own) == {}

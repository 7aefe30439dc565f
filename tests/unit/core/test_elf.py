"""What a program says of the system that it needs: small files made here, broken ones, and this machine's own."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.elf import Elf, ElfError, parse, read
from elf_files import elf_file

SERVER = {"libc.so.6": ("GLIBC_2.17", "GLIBC_2.34"), "libssl.so.3": ("OPENSSL_3.0.0",), "libplain.so.1": ()}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            elf_file(SERVER),
            Elf("aarch64", 0x10000, tuple(SERVER), {name: found for name, found in SERVER.items() if found}),
        ),
        (
            elf_file({"libc.so.6": ("GLIBC_2.38",)}, machine=62, alignment=4096),
            Elf("x86_64", 4096, ("libc.so.6",), {"libc.so.6": ("GLIBC_2.38",)}),
        ),
        (
            elf_file(defines=("libm.so.6", "GLIBC_2.17", "GLIBC_2.29")),
            Elf("aarch64", 0x10000, defines=("libm.so.6", "GLIBC_2.17", "GLIBC_2.29")),
        ),
        (elf_file(machine=243), Elf("machine 243", 0x10000)),
    ],
    ids=["program", "x86-64", "library", "another architecture"],
)
def test_parse(data: bytes, expected: Elf) -> None:
    assert parse(data) == expected


def test_a_library_and_program_of_this_machine() -> None:
    program = read(os.path.realpath(sys.executable))
    assert program.machine == os.uname().machine
    assert program.alignment >= os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/maps", encoding="utf-8") as maps:
        libc = next(line.split()[-1] for line in maps if line.rstrip().endswith("/libc.so.6"))
    library = read(libc)
    assert f"GLIBC_{os.confstr('CS_GNU_LIBC_VERSION').split()[1]}" in library.defines
    assert set(program.versions["libc.so.6"]) <= set(library.defines)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(100)], ids=["empty", "script", "32"])
def test_what_is_no_program(data: bytes) -> None:
    with pytest.raises(ElfError, match="not a 64-bit, little-endian program"):
        parse(data)


def test_broken_programs_are_errors_and_end() -> None:
    """Counts and offsets that are far too large: bits of a whole file are turned over, one after the other."""
    whole = elf_file(SERVER, ("A_1", "A_2"))
    for at in range(16, len(whole)):
        for wrong in (0x00, 0x7F, 0xFF):
            broken = bytearray(whole)
            broken[at] = wrong
            with suppress(ElfError):
                parse(bytes(broken))


def test_a_chain_ends_where_nothing_follows_whatever_its_count_says() -> None:
    whole = bytearray(elf_file(SERVER))
    (at,) = [at for at in range(0, len(whole) - 16) if whole[at : at + 8] == (0x6FFFFFFF).to_bytes(8, "little")]
    whole[at + 8 : at + 16] = (1 << 62).to_bytes(8, "little")
    assert parse(bytes(whole)) == parse(elf_file(SERVER))


def test_a_program_that_is_cut_off_anywhere() -> None:
    whole = elf_file(SERVER, ("A_1", "A_2"))
    for length in range(len(whole) - 16):
        with pytest.raises(ElfError):
            parse(whole[:length])

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what a program or shared library needs of the system that runs it, from the file itself.

On devices, before any package of ours is there: no readelf, no pyelftools. Only 64-bit little-endian files, which is
all that the fleet runs. Source of layouts and numbers: the System V ABI, chapters 4 and 5; for symbol versions the
Linux Standard Base Core specification, "Symbol Versioning".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

#: `uname -m` by e_machine.
MACHINES = {62: "x86_64", 183: "aarch64"}

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_VERDEF, _DT_VERDEFNUM, _DT_VERNEED, _DT_VERNEEDNUM = (
    1,
    5,
    0x6FFFFFFC,
    0x6FFFFFFD,
    0x6FFFFFFE,
    0x6FFFFFFF,
)


class ElfError(ValueError):
    """The file is not a 64-bit ELF file, or is broken."""


@dataclass(frozen=True)
class Elf:
    """What a dynamically linked file says of itself.

    Attributes:
        machine: Architecture by the kernel's names (`uname -m`); `machine N` where it has none here.
        alignment: Smallest alignment of its loadable segments, in bytes: pages may not be larger. 0 where it has none.
        libraries: Names of the shared libraries that it needs.
        versions: Symbol versions that it needs, by library.
        defines: Symbol versions that it defines, as a library.
    """

    machine: str
    alignment: int = 0
    libraries: tuple[str, ...] = ()
    versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defines: tuple[str, ...] = ()


class _File:
    """A file's bytes, and where its addresses lie in it."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\x7fELF" or data[4:6] != b"\x02\x01":
            raise ElfError("it is not a 64-bit, little-endian program")
        self._data = data
        machine, headers, size, count = *self.read("<H", 18), *self.read("<Q", 32), *self.read("<HH", 54)
        self.machine = MACHINES.get(machine, f"machine {machine}")
        #: Type, offset, address, size in the file, and alignment of each segment.
        self.segments = [
            (kind, offset, address, length, alignment)
            for kind, _flags, offset, address, _physical, length, _memory, alignment in (
                self.read("<IIQQQQQQ", headers + at * size) for at in range(count)
            )
        ]

    def read(self, layout: str, offset: int) -> tuple[int, ...]:
        """Return the numbers that lie at an offset."""
        try:
            return struct.unpack_from(layout, self._data, offset)
        except (struct.error, OverflowError) as error:
            raise ElfError("it is cut off") from error

    def offset(self, address: int) -> int:
        """Return where in the file lies what is loaded to an address."""
        for kind, offset, start, length, _alignment in self.segments:
            if kind == _PT_LOAD and start <= address < start + length:
                return offset + address - start
        raise ElfError("an address is outside of its segments")

    def text(self, offset: int) -> str:
        """Return the string at an offset."""
        end = self._data.find(b"\0", offset)
        if end < 0:
            raise ElfError("it is cut off")
        return self._data[offset:end].decode("utf-8", "replace")

    def dynamic(self) -> Iterator[tuple[int, int]]:
        """Return the entries of the dynamic section."""
        for kind, offset, _address, length, _alignment in self.segments:
            if kind == _PT_DYNAMIC:
                for at in range(offset, offset + length, 16):
                    tag, value = self.read("<QQ", at)
                    if not tag:
                        return
                    yield tag, value


def _records(file: _File, layout: str, start: int, count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield offset and numbers of each record of a chain, the last of which is the distance to the next one."""
    for _record in range(count):
        numbers = file.read(layout, start)
        yield start, numbers
        if not numbers[-1]:  # the last one, whatever the count says
            return
        start += numbers[-1]


def _needed(file: _File, start: int, count: int, strings: int) -> dict[str, tuple[str, ...]]:
    """Return the versions that a file needs, by library, from its chain of Verneed and Vernaux."""
    found: dict[str, tuple[str, ...]] = {}
    for at, (_version, auxiliaries, library, first, _next) in _records(file, "<HHIII", start, count):
        names = [numbers[3] for _at, numbers in _records(file, "<IHHII", at + first, auxiliaries)]
        found[file.text(strings + library)] = tuple(sorted(file.text(strings + name) for name in names))
    return found


def _defined(file: _File, start: int, count: int, strings: int) -> tuple[str, ...]:
    """Return the versions that a file defines, from its chain of Verdef; the first of each Verdaux is its name."""
    firsts = [at + numbers[5] for at, numbers in _records(file, "<HHHHIII", start, count)]
    return tuple(file.text(strings + file.read("<I", first)[0]) for first in firsts)


def parse(data: bytes) -> Elf:
    """Read an ELF file.

    Raises:
        ElfError: It is none, or is broken.
    """
    file = _File(data)
    alignments = [alignment for kind, _offset, _address, _length, alignment in file.segments if kind == _PT_LOAD]
    entries = list(file.dynamic())
    values = dict(entries)
    if entries and _DT_STRTAB not in values:
        raise ElfError("its dynamic section has no strings")
    strings = file.offset(values[_DT_STRTAB]) if entries else 0
    return Elf(
        machine=file.machine,
        alignment=min(alignments, default=0),
        libraries=tuple(file.text(strings + value) for tag, value in entries if tag == _DT_NEEDED),
        versions=_needed(file, file.offset(values[_DT_VERNEED]), values.get(_DT_VERNEEDNUM, 0), strings)
        if _DT_VERNEED in values
        else {},
        defines=_defined(file, file.offset(values[_DT_VERDEF]), values.get(_DT_VERDEFNUM, 0), strings)
        if _DT_VERDEF in values
        else (),
    )


def read(path: str) -> Elf:
    """Read the ELF file at a path.

    Raises:
        ElfError: It is none, or is broken.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return parse(file.read())

"""Small ELF files for tests: headers, a dynamic section and symbol versions, and no code."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

#: Where the one loadable segment starts.
ADDRESS = 0x400000


def elf_file(
    libraries: Mapping[str, Sequence[str]] | None = None,
    defines: Sequence[str] = (),
    machine: int = 183,
    alignment: int = 0x10000,
) -> bytes:
    """Return an ELF file.

    Args:
        libraries: What it needs: symbol versions by library.
        defines: Symbol versions that it defines.
        machine: 62 is x86-64, 183 is arm64.
        alignment: Of its segment, in bytes.
    """
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        strings.extend(value.encode() + b"\0")
        return len(strings) - len(value) - 1

    libraries = libraries or {}
    names = {library: text(library) for library in libraries}
    with_versions = [library for library in libraries if libraries[library]]
    needs = bytearray()
    for library in with_versions:
        versions = libraries[library]
        last = library == with_versions[-1]
        needs += struct.pack("<HHIII", 1, len(versions), names[library], 16, 0 if last else 16 + 16 * len(versions))
        for version in versions:
            needs += struct.pack("<IHHII", 0, 0, 2, text(version), 0 if version == versions[-1] else 16)
    definitions = bytearray()
    for index, version in enumerate(defines):
        definitions += struct.pack("<HHHHIII", 1, 0, index + 1, 1, 0, 20, 0 if version == defines[-1] else 28)
        definitions += struct.pack("<II", text(version), 0)
    start = 64 + 2 * 56
    at_strings, at_needs = start, start + len(strings)
    at_definitions = at_needs + len(needs)
    at_dynamic = at_definitions + len(definitions)
    tags = [(1, names[library]) for library in libraries]
    tags += [(5, ADDRESS + at_strings), (0x6FFFFFFE, ADDRESS + at_needs), (0x6FFFFFFF, len(with_versions))]
    tags += [(0x6FFFFFFC, ADDRESS + at_definitions), (0x6FFFFFFD, len(defines))]
    if not with_versions:
        tags = [tag for tag in tags if tag[0] not in (0x6FFFFFFE, 0x6FFFFFFF)]
    if not defines:
        tags = [tag for tag in tags if tag[0] not in (0x6FFFFFFC, 0x6FFFFFFD)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in [*tags, (0, 0)])
    size = at_dynamic + len(dynamic)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, ADDRESS, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, alignment)
    segments += struct.pack(
        "<IIQQQQQQ", 2, 4, at_dynamic, ADDRESS + at_dynamic, ADDRESS + at_dynamic, len(dynamic), len(dynamic), 8
    )
    return header + segments + bytes(strings) + bytes(needs) + bytes(definitions) + dynamic

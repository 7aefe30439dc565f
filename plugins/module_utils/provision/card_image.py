# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image of a card: its boot partition is read and written by mtools, as any user, without mounting anything."""

from __future__ import annotations

import lzma
import os
import struct
import subprocess
from collections.abc import Mapping

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    BLOCK,
    DurableError,
    finish,
    mib,
    read_json,
    remove,
    require_space,
    write_json,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import boot_partition, firstrun
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

SECTOR = 512
#: Types of FAT in a table of partitions.
FAT_TYPES = (0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E)
#: What else is common, to be named in a refusal.
TYPES = {0x07: "NTFS or exFAT", 0x83: "Linux", 0xEE: "GPT", 0xEF: "EFI"}
XZ = b"\xfd7zXZ\x00"


class CardImageError(DurableError):
    """An image is not what is needed. The message says what was found."""


def note(image: str) -> str:
    """Return the name of the file beside an image that says what it was made from."""
    return f"{image}.json"


def part(image: str) -> str:
    """Return the name that an image has while it is made."""
    return f"{image}.part"


def boot_offset(image: str) -> int:
    """Return where the first partition of an image begins, in bytes.

    Raises:
        CardImageError: It is not FAT, or there is none.
    """
    name = os.path.basename(image)
    with open(image, "rb") as file:
        table = file.read(SECTOR)
    if len(table) < SECTOR or table[510:] != b"\x55\xaa":
        raise CardImageError(f"{name} is not the image of a card: it has no table of partitions ({_begins(table)})")
    kind, start = table[446 + 4], struct.unpack_from("<I", table, 446 + 8)[0]
    if kind not in FAT_TYPES or not start:
        found = TYPES.get(kind, "none" if not kind else "unknown")
        raise CardImageError(
            f"{name} is not the image of a Raspberry Pi's card: its first partition is not FAT, "
            f"but of type 0x{kind:02x} ({found})"
        )
    return int(start) * SECTOR


def _begins(data: bytes) -> str:
    """Say how a file begins."""
    known = {b"\x1f\x8b": "gzip", b"PK": "zip", b"BZh": "bzip2", b"(\xb5/\xfd": "zstd"}
    kind = next((name for magic, name in known.items() if data.startswith(magic)), "")
    return f"it is packed by {kind}; unpack it, or give the .img.xz" if kind else f"it begins with {data[:8]!r}"


def mtools(program: str, image: str, *arguments: str, text: str = "") -> str:
    """Run a program of mtools on an image's boot partition; return what it prints.

    Args:
        program: mdir, mtype or mcopy.
        image: The image.
        arguments: Further arguments: names on the partition begin with `::`.
        text: What it reads from its standard input.

    Raises:
        CardImageError: It is missing or fails.
    """
    command = find_command(program)
    if not command:
        raise CardImageError(f"{program} is missing on the controller: install the package mtools")
    done = subprocess.run(
        [command, "-i", f"{image}@@{boot_offset(image)}", *arguments],
        input=text.encode(),
        capture_output=True,
        check=False,
        # Images are made by other programs than mtools expects: their geometry is not a disk's.
        env={**os.environ, "LC_ALL": "C.UTF-8", "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull},
    )
    if done.returncode:
        raise CardImageError(f"{program} on {os.path.basename(image)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def names_in_boot(image: str) -> list[str]:
    """Return the names of the files and directories at the top of an image's boot partition."""
    return [line[3:].rstrip("/") for line in mtools("mdir", image, "-b", "::").splitlines() if line.startswith("::/")]


def wanted_in(image: str, settings: Settings) -> dict[str, str]:
    """Return the files that an image is to have.

    Raises:
        CardImageError: It is not one of a Raspberry Pi's card.
    """
    names = names_in_boot(image)
    problem = boot_partition.lack(names)
    if problem:
        raise CardImageError(f"the first partition of {os.path.basename(image)} {problem}")
    return boot_partition.wanted(settings, names, mtools("mtype", image, f"::{firstrun.CMDLINE}"))


def difference(image: str, sha256: str, settings: Settings) -> str:
    """Return how a host's image differs from what it is to be, for people; '' where it does not."""
    if not os.path.isfile(image):
        return "is missing"
    if read_json(note(image)).get("sha256") != sha256:
        return "was made from another image"
    try:
        names = names_in_boot(image)
        for name, text in wanted_in(image, settings).items():
            if name not in names or mtools("mtype", image, f"::{name}") != text:
                return f"its {name} differs"
    except CardImageError as error:
        return str(error)
    return ""


def make(base: str, sha256: str, image: str, settings: Settings) -> None:
    """Make a host's image, for its owner's eyes only; it gets its name when it is whole.

    Args:
        base: The image to begin with, verified; it may be packed by xz.
        sha256: What it was verified by.
        image: The host's.
        settings: What to prepare.

    Raises:
        CardImageError: The image is not of a Raspberry Pi's card.
        DurableError: The disk is full.
        OSError: It cannot be written.
    """
    draft = part(image)
    remove(draft)
    try:
        _unpack(base, draft)
        write_files(draft, wanted_in(draft, settings))
        # Before the image has its name: one without a note is made again.
        remove(note(image))
        finish(draft, image)
    finally:
        remove(draft)
    write_json(note(image), {"sha256": sha256, "made_from": os.path.basename(base)}, 0o600)


def write_files(image: str, texts: Mapping[str, str]) -> None:
    """Write files to an image's boot partition; their texts are on no command line and in no other file."""
    for name, text in texts.items():
        mtools("mcopy", image, "-o", "-", f"::{name}", text=text)


def _unpack(base: str, draft: str) -> None:
    """Copy an image, unpacked, without writing what is empty in it."""
    with open(base, "rb") as packed:
        is_xz = packed.read(len(XZ)) == XZ
    require_space(draft, os.path.getsize(base), f"{os.path.basename(draft)} ({mib(os.path.getsize(base))} and more)")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as target, lzma.open(base) if is_xz else open(base, "rb") as source:
            for block in iter(lambda: source.read(BLOCK), b""):
                if block.strip(b"\0"):
                    target.write(block)
                else:
                    target.seek(len(block), os.SEEK_CUR)
            target.truncate()
    except (lzma.LZMAError, EOFError) as error:
        raise CardImageError(f"{os.path.basename(base)} cannot be unpacked: {error}") from error

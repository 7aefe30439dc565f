"""Images of cards: real mtools on a table of partitions and a FAT that stand in for those of Raspberry Pi OS."""

from __future__ import annotations

import hashlib
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import card_image
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.card_image import CardImageError

Make = Callable[..., Any]
Images = dict[str, Path]
SHA256 = "0" * 64


@pytest.mark.parametrize("release", ["trixie", "bookworm"])
def test_made_and_as_it_should_be(settings: Make, card_images: Images, tmp_path: Path, release: str) -> None:
    base, image, made = str(card_images[release]), str(tmp_path / "pi.img"), settings(keyboard="de")
    before = hashlib.sha256(card_images[release].read_bytes()).digest()
    assert card_image.difference(image, SHA256, made) == "is missing"
    card_image.make(base, SHA256, image, made)
    assert card_image.difference(image, SHA256, made) == ""
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "pi.img": 0o600,
        "pi.img.json": 0o600,
    }
    assert os.path.getsize(image) == os.path.getsize(base)
    assert os.stat(image).st_blocks * 512 < os.path.getsize(image) // 4, "what is empty takes no room"
    assert hashlib.sha256(card_images[release].read_bytes()).digest() == before, "the one to begin with stays"
    name = "user-data" if release == "trixie" else "firstrun.sh"
    assert card_image.difference(image, SHA256, settings(keyboard="fr")) == f"its {name} differs"
    assert card_image.difference(image, "1" * 64, made) == "was made from another image"


def test_what_is_packed_by_xz_is_unpacked(settings: Make, card_images: Images, tmp_path: Path) -> None:
    packed = tmp_path / "raspios.img.xz"
    packed.write_bytes(lzma.compress(card_images["trixie"].read_bytes(), preset=0))
    card_image.make(str(packed), SHA256, str(tmp_path / "pi.img"), settings())
    assert card_image.difference(str(tmp_path / "pi.img"), SHA256, settings()) == ""


def test_what_was_changed_by_hand_differs(settings: Make, card_images: Images, tmp_path: Path) -> None:
    image = str(tmp_path / "pi.img")
    card_image.make(str(card_images["trixie"]), SHA256, image, settings())
    card_image.write_files(image, {"user-data": "#cloud-config\n"})
    assert card_image.difference(image, SHA256, settings()) == "its user-data differs"


def with_table(kind: int, start: int = 2048) -> bytes:
    """Return the first sector of a disk with one partition."""
    entry = bytes([0, 0, 0, 0, kind, 0, 0, 0]) + start.to_bytes(4, "little") + (4096).to_bytes(4, "little")
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "it has no table of partitions (it begins with b'')"),
        (b"PK\x03\x04" + bytes(2000), "(it is packed by zip; unpack it, or give the .img.xz)"),
        (b"\x1f\x8b" + bytes(2000), "(it is packed by gzip; unpack it, or give the .img.xz)"),
        (with_table(0x83), "its first partition is not FAT, but of type 0x83 (Linux)"),
        (with_table(0xEE), "of type 0xee (GPT)"),
        (with_table(0), "of type 0x00 (none)"),
        (with_table(0x0C, start=0), "its first partition is not FAT"),
        (with_table(0x0C) + bytes(1 << 21), "mdir on pi.img.part: "),
    ],
)
def test_what_is_not_an_image_of_a_card_is_refused(settings: Make, tmp_path: Path, content: bytes, found: str) -> None:
    base = tmp_path / "base.img"
    base.write_bytes(content)
    with pytest.raises(CardImageError) as error:
        card_image.make(str(base), SHA256, str(tmp_path / "pi.img"), settings())
    assert found in str(error.value)
    assert os.listdir(tmp_path) == ["base.img"], "nothing is left of it"


def test_a_card_of_something_else_is_refused(settings: Make, card_images: Images, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(card_images["trixie"].read_bytes())
    card_image.mtools("mdel", str(other), "::cmdline.txt")
    with pytest.raises(CardImageError, match=r"is not a Raspberry Pi's boot partition, .* found: bcm2711-rpi-4-b.dtb,"):
        card_image.make(str(other), SHA256, str(tmp_path / "pi.img"), settings())
    assert os.listdir(tmp_path) == ["other.img"]


def test_a_torn_file_is_refused(settings: Make, tmp_path: Path) -> None:
    base = tmp_path / "base.img.xz"
    base.write_bytes(lzma.compress(os.urandom(4096))[:-40])
    with pytest.raises(CardImageError, match=r"base\.img\.xz cannot be unpacked"):
        card_image.make(str(base), SHA256, str(tmp_path / "pi.img"), settings())
    assert os.listdir(tmp_path) == ["base.img.xz"]


def test_secrets_are_in_no_command_and_no_environment(
    settings: Make, wifi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists processes sees nothing."""
    program = tmp_path / "mcopy"
    program.write_text(f'#!/bin/sh\n(echo "$@"; env) >>{tmp_path}/seen\ncat >>{tmp_path}/read\n')
    program.chmod(0o755)
    image = tmp_path / "pi.img"
    image.write_bytes(with_table(0x0C))
    monkeypatch.setattr(card_image, "find_command", lambda _name: str(program))
    card_image.write_files(str(image), {"network-config": f"password: {wifi['wifi_passphrase']}\n"})
    seen = (tmp_path / "seen").read_text()
    assert "::network-config" in seen
    assert wifi["wifi_passphrase"] not in seen
    assert wifi["wifi_passphrase"] in (tmp_path / "read").read_text()


def test_a_controller_without_mtools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_image, "find_command", lambda _name: "")
    with pytest.raises(CardImageError, match="install the package mtools"):
        card_image.names_in_boot(str(tmp_path / "pi.img"))

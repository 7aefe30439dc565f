# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Raspberry Pi's boot partition: what it is known by, and which files it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import cloud_init, firstrun
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

#: What no other partition has: the boot loader of a Pi 4 and before, the device trees of a Pi 4 and 5.
FIRMWARE = re.compile(r"start\w*\.elf|bcm27\d\d-rpi-[\w.-]+\.dtb", re.IGNORECASE)
#: How many names a refusal shows.
SHOWN = 6

MOUNTS = "/proc/self/mountinfo"
DEVICES = "/sys/dev/block"
#: Where systems mount their own boot partitions.
OWN_PLACES = ("/", "/boot", "/boot/efi", "/boot/firmware")


def lack(names: Collection[str]) -> str:
    """Return why a partition with files of these names is not a Raspberry Pi's boot partition; '' where it is one."""
    lower = {name.lower() for name in names}
    if {"config.txt", firstrun.CMDLINE} <= lower and any(map(FIRMWARE.fullmatch, names)):
        return ""
    found = ", ".join(sorted(names)[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return (
        f"is not a Raspberry Pi's boot partition, which has config.txt, {firstrun.CMDLINE} and the board's firmware; "
        f"found: {found or 'no files'}"
    )


def wanted(settings: Settings, names: Collection[str], cmdline: str) -> dict[str, str]:
    """Return the files that a boot partition is to have, by their names.

    Args:
        settings: What to prepare.
        names: The files that it has. The images of systems that start cloud-init bring a `user-data` to be filled in.
        cmdline: The text of its cmdline.txt.
    """
    if cloud_init.USER_DATA in {name.lower() for name in names}:
        return cloud_init.files(settings)
    return firstrun.files(settings, cmdline)


@dataclass(frozen=True)
class Mount:
    """A mounted file system. `number` is its device's, major:minor."""

    point: str
    number: str
    kind: str
    source: str


def parse_mounts(text: str) -> list[Mount]:
    """Return the mounted file systems in the text of /proc/self/mountinfo."""

    def plain(word: str) -> str:
        return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)

    found = []
    for line in text.splitlines():
        left, _dash, right = line.partition(" - ")
        words, kind = left.split(), right.split()
        if len(words) > 4 and len(kind) > 1:
            found.append(Mount(plain(words[4]), words[2], kind[0], plain(kind[1])))
    return found


def disk_of(number: str, devices: str = DEVICES) -> str:
    """Return the name of the disk that a device is, or is a partition of; the number where the kernel has no such."""
    path = os.path.realpath(f"{devices}/{number}")
    if not os.path.exists(path):
        return number
    return os.path.basename(os.path.dirname(path) if os.path.exists(f"{path}/partition") else path)


def mount_problem(path: str, mounts: Sequence[Mount], devices: str = DEVICES) -> str:
    """Return why nothing is written to a directory, and what to do; '' where it is a mounted card.

    Args:
        path: The directory, without links.
        mounts: All mounted file systems.
        devices: Where the kernel describes block devices.
    """
    here = [mount for mount in mounts if mount.point == path]
    if not here:
        below = [one for one in mounts if one.point == "/" or f"{path}/".startswith(f"{one.point}/")]
        on = max(below, key=lambda one: len(one.point), default=None)
        what = f"a directory of {on.source} ({on.kind}) at {on.point}" if on else "no directory that is known"
        return f"{path} is not a mounted partition, but {what}; mount the card's first partition and give that place."
    mount = here[-1]
    if mount.kind not in ("vfat", "msdos"):
        return (
            f"{path} is {mount.source} ({mount.kind}), not a Raspberry Pi's boot partition, which is FAT; "
            "give the card's first partition."
        )
    disk = disk_of(mount.number, devices)
    own = [other.point for other in mounts if other.point in OWN_PLACES and disk_of(other.number, devices) == disk]
    if own:
        return f"{path} is on {disk}, the disk that this machine itself runs from ({', '.join(own)}); give the card's."
    return ""

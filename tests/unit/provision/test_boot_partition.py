"""What a Raspberry Pi's boot partition is known by, and where nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import boot_partition
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.boot_partition import lack, mount_problem

PI = ["config.txt", "cmdline.txt", "bcm2712-rpi-5-b.dtb", "kernel_2712.img"]
#: A laptop with a card in its reader, and a second disk.
MOUNTS = """\
29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 29 259:1 / /boot/efi rw,relatime shared:2 - vfat /dev/nvme0n1p1 rw,fmask=0077
31 29 0:26 / /run rw,nosuid - tmpfs tmpfs rw
40 31 179:1 / /run/media/me/boot\\040fs rw,nosuid shared:3 - vfat /dev/mmcblk0p1 rw,fmask=0022
41 31 179:2 / /run/media/me/rootfs rw,nosuid shared:4 - ext4 /dev/mmcblk0p2 rw
"""
#: A Raspberry Pi as the controller: its own card, and another one in a reader.
ON_A_PI = """\
29 1 179:2 / / rw,noatime - ext4 /dev/mmcblk0p2 rw
30 29 179:1 / /boot/firmware rw,relatime - vfat /dev/mmcblk0p1 rw
31 29 179:1 / /mnt/again rw,relatime - vfat /dev/mmcblk0p1 rw
32 29 8:1 / /media/pi/bootfs rw,relatime - vfat /dev/sda1 rw
"""
DISKS = {"259:1": "nvme0n1", "259:2": "nvme0n1", "179:1": "mmcblk0", "179:2": "mmcblk0", "8:1": "sda"}


@pytest.fixture
def devices(tmp_path: Path) -> str:
    """Return what the kernel shows of these disks."""
    for number, disk in DISKS.items():
        partition = tmp_path / "devices" / disk / number.replace(":", "-")
        partition.mkdir(parents=True)
        (partition / "partition").write_text("1\n")
        (tmp_path / "block").mkdir(exist_ok=True)
        (tmp_path / "block" / number).symlink_to(partition)
    return str(tmp_path / "block")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (PI, ""),
        (["CONFIG.TXT", "CMDLINE.TXT", "START4.ELF"], ""),
        (["EFI", "bootmgr.efi"], "found: EFI, bootmgr.efi"),
        (["config.txt", "cmdline.txt"], "found: cmdline.txt, config.txt"),
        (["config.txt", "bcm2712-rpi-5-b.dtb"], "which has config.txt, cmdline.txt and the board's firmware"),
        ([], "found: no files"),
        ([str(number) for number in range(9)], "found: 0, 1, 2, 3, 4, 5, …"),
    ],
)
def test_what_it_is_known_by(names: list[str], found: str) -> None:
    assert found in lack(names)
    assert bool(found) == bool(lack(names))


def test_the_way_follows_from_what_is_there(settings: Callable[..., Any]) -> None:
    made = settings()
    assert set(boot_partition.wanted(made, [*PI, "user-data"], "")) == {"user-data", "network-config", "meta-data"}
    assert set(boot_partition.wanted(made, PI, "root=x")) == {"firstrun.sh", "cmdline.txt"}


@pytest.mark.parametrize(
    ("mounts", "path", "problem"),
    [
        (MOUNTS, "/run/media/me/boot fs", ""),
        (ON_A_PI, "/media/pi/bootfs", ""),
        (MOUNTS, "/home/me", "is not a mounted partition, but a directory of /dev/nvme0n1p2 (ext4) at /"),
        (MOUNTS, "/run/media/me", "is not a mounted partition, but a directory of tmpfs (tmpfs) at /run"),
        (MOUNTS, "/", "is /dev/nvme0n1p2 (ext4), not a Raspberry Pi's boot partition, which is FAT"),
        (MOUNTS, "/run/media/me/rootfs", "is /dev/mmcblk0p2 (ext4), not a Raspberry Pi's boot partition"),
        (MOUNTS, "/boot/efi", "is on nvme0n1, the disk that this machine itself runs from (/, /boot/efi)"),
        (ON_A_PI, "/boot/firmware", "is on mmcblk0, the disk that this machine itself runs from (/, /boot/firmware)"),
        (ON_A_PI, "/mnt/again", "is on mmcblk0, the disk that this machine itself runs from"),
        ("", "/media/card", "is not a mounted partition, but no directory that is known"),
    ],
)
def test_where_nothing_is_written(devices: str, mounts: str, path: str, problem: str) -> None:
    found = mount_problem(path, boot_partition.parse_mounts(mounts), devices)
    assert problem in found
    assert bool(problem) == bool(found)


def test_a_device_that_the_kernel_does_not_show_is_a_disk_of_its_own(devices: str) -> None:
    assert boot_partition.disk_of("0:26", devices) == "0:26"
    assert boot_partition.disk_of("8:1", devices) == "sda"

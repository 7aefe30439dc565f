"""What a device is, from files as the boards write them."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.device import (
    AUXV,
    PROBED_PATHS,
    cpu_class,
    describe,
    hwcap,
    parse_meminfo,
    parse_os_release,
)

TRIXIE = """\
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
VERSION_CODENAME=trixie
DEBIAN_VERSION_FULL=13.1
ID=debian
HOME_URL="https://www.debian.org/"
"""
BOOKWORM = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""
JAMMY = """\
PRETTY_NAME="Ubuntu 22.04.5 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.5 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
"""
CORTEX_A72 = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
CORTEX_A76 = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
CORTEX_A78AE = CORTEX_A76.replace("asimddp", "asimddp uscat ilrcpc flagm paca pacg").replace("d0b", "d42")
XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
flags\t\t: fpu vme de pse tsc msr sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c rdrand avx2 bmi2
"""


def auxv(hwcap: int) -> bytes:
    """Return an auxiliary vector as a 64-bit kernel writes it, others of its entries around what matters."""
    return struct.pack("=8Q", 33, 0xFFFF8000, 16, hwcap, 6, 4096, 0, 0)


#: AT_HWCAP of the boards' CPUs, bit by bit of the lines `Features` above.
HWCAP_A72 = 0b1000_1000_0111
HWCAP_A76 = HWCAP_A72 | 0b11111 << 3 | 0b0111_0111 << 8 | 1 << 15 | 1 << 16 | 1 << 20


def meminfo(total_kb: int, swap_kb: int = 0) -> str:
    """Return /proc/meminfo's lines that matter, among others."""
    return (
        f"MemTotal:       {total_kb:8} kB\nMemFree:          103456 kB\n"
        f"SwapTotal:      {swap_kb:8} kB\nHugePages_Total:       0\n"
    )


PI_4 = {
    "/etc/os-release": BOOKWORM,
    "/proc/meminfo": meminfo(3884248, 102396),
    "/proc/cpuinfo": CORTEX_A72,
    "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "/run/systemd/system": "",
    "/boot/firmware/cmdline.txt": "console=tty1 root=PARTUUID=4b5c2d1a-02 rootwait\n",
}
PI_5 = {
    "/etc/os-release": TRIXIE,
    "/proc/meminfo": meminfo(8255488, 2097136),
    "/proc/cpuinfo": CORTEX_A76,
    "/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "/run/systemd/system": "",
    "/boot/firmware/cmdline.txt": "console=tty1 root=PARTUUID=0a1b2c3d-02 rootwait\n",
}
ORIN_NANO = {
    "/etc/os-release": JAMMY,
    "/proc/meminfo": meminfo(7802880, 3901440),
    "/proc/cpuinfo": CORTEX_A78AE,
    "/proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "/run/systemd/system": "",
}
X86_CONTAINER = {
    "/etc/os-release": TRIXIE,
    "/proc/meminfo": meminfo(24689664),
    "/proc/cpuinfo": XEON,
    "/.dockerenv": "",
    "/run/systemd/system": "",
}


def facts(**changes: Any) -> dict[str, Any]:
    """Return a whole set of facts: a Pi 5 with some changes."""
    return {
        "os_id": "debian",
        "os_version": "13",
        "os_codename": "trixie",
        "architecture": "aarch64",
        "cpu_class": "armv8.2-a+dotprod+fp16",
        "cores": 4,
        "memory_mib": 8062,
        "swap_mib": 2047,
        "board_model": "Raspberry Pi 5 Model B Rev 1.0",
        "real_board": True,
        "container": False,
        "systemd": True,
        "boot_partition": "/boot/firmware",
    } | changes


NOTHING: dict[str, Any] = {
    name: type(value)() if name != "architecture" else "riscv64" for name, value in facts().items()
}


@pytest.mark.parametrize(
    ("files", "architecture", "cores", "expected"),
    [
        pytest.param(PI_5, "aarch64", 4, facts(), id="Pi 5"),
        pytest.param(
            PI_4,
            "aarch64",
            4,
            facts(
                os_version="12",
                os_codename="bookworm",
                cpu_class="armv8-a",
                memory_mib=3793,
                swap_mib=99,
                board_model="Raspberry Pi 4 Model B Rev 1.4",
            ),
            id="Pi 4",
        ),
        pytest.param(
            ORIN_NANO,
            "aarch64",
            6,
            facts(
                os_id="ubuntu",
                os_version="22.04",
                os_codename="jammy",
                cores=6,
                memory_mib=7620,
                swap_mib=3810,
                board_model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
                boot_partition="",
            ),
            id="Jetson Orin Nano",
        ),
        pytest.param(
            X86_CONTAINER,
            "x86_64",
            2,
            facts(
                architecture="x86_64",
                cpu_class="x86-64-v3",
                cores=2,
                memory_mib=24111,
                swap_mib=0,
                board_model="",
                real_board=False,
                container=True,
                boot_partition="",
            ),
            id="container on x86-64-v3",
        ),
        pytest.param(
            {path: text for path, text in X86_CONTAINER.items() if path != "/.dockerenv"},
            "x86_64",
            2,
            facts(
                architecture="x86_64",
                cpu_class="x86-64-v3",
                cores=2,
                memory_mib=24111,
                swap_mib=0,
                board_model="",
                real_board=False,
                boot_partition="",
            ),
            id="x86-64-v3 machine",
        ),
        pytest.param({}, "riscv64", 0, NOTHING, id="nothing readable"),
    ],
)
def test_describe(files: dict[str, str], architecture: str, cores: int, expected: dict[str, Any]) -> None:
    dotprod = expected["cpu_class"].startswith("armv8.2")
    found = describe(files, architecture, cores, auxv(HWCAP_A76 if dotprod else HWCAP_A72))
    assert found.as_dict() == expected


@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"])
def test_a_container_on_a_pi_is_not_a_real_board(mark: str) -> None:
    device = describe({**PI_5, mark: ""}, "aarch64", 4)
    assert (device.container, device.real_board) == (True, False)
    assert device.board_model == "Raspberry Pi 5 Model B Rev 1.0"


@pytest.mark.parametrize(
    ("present", "found"),
    [
        (["/boot/firmware/cmdline.txt"], "/boot/firmware"),
        (["/boot/cmdline.txt"], "/boot"),
        (["/boot/cmdline.txt", "/boot/firmware/cmdline.txt"], "/boot/firmware"),
        ([], ""),
    ],
)
def test_boot_partition(present: list[str], found: str) -> None:
    assert describe(dict.fromkeys(present, "rootwait"), "aarch64", 4).boot_partition == found


def test_every_path_that_is_looked_at_is_probed() -> None:
    """The module reads PROBED_PATHS; a path that only `describe` knew would never be there."""
    assert set(PI_4) | set(PI_5) | set(ORIN_NANO) | set(X86_CONTAINER) <= set(PROBED_PATHS)


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "vector", "expected"),
    [
        ("aarch64", CORTEX_A72, auxv(HWCAP_A72), "armv8-a"),
        ("aarch64", CORTEX_A76, auxv(HWCAP_A76), "armv8.2-a+dotprod+fp16"),
        # Emulated on a PC, whose /proc/cpuinfo is seen.
        ("aarch64", XEON, auxv(HWCAP_A76), "armv8.2-a+dotprod+fp16"),
        ("aarch64", XEON, auxv(HWCAP_A72), "armv8-a"),
        ("aarch64", "", auxv(HWCAP_A76 & ~(1 << 20)), "armv8-a"),
        ("aarch64", "", auxv(HWCAP_A76 & ~(1 << 10)), "armv8-a"),
        ("aarch64", "", auxv(HWCAP_A76 & ~(1 << 9)), "armv8-a"),
        ("aarch64", CORTEX_A76, b"", "armv8-a"),
        ("x86_64", XEON, auxv(0xFFFFFFFF), "x86-64-v3"),
        ("x86_64", XEON.replace("avx2", ""), auxv(0xFFFFFFFF), ""),
        ("armv7l", CORTEX_A72, b"", ""),
        ("armhf", CORTEX_A76, b"", ""),
        ("riscv64", "", b"", ""),
    ],
)
def test_cpu_class(architecture: str, cpuinfo: str, vector: bytes, expected: str) -> None:
    assert cpu_class(architecture, cpuinfo, vector) == expected


def test_the_auxiliary_vector_of_a_real_process() -> None:
    with open(AUXV, "rb") as file:
        found = file.read()
    assert hwcap(found) > 0
    assert hwcap(found[:-3]) == hwcap(found)
    assert os.uname().machine != "x86_64" or hwcap(found) & 1, "every x86-64 CPU has an FPU, its first bit"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# ID=no\n\nID=debian\n", {"ID": "debian"}),
        ("VERSION_ID=\"13\"\nNAME='A B'\n", {"VERSION_ID": "13", "NAME": "A B"}),
        ("URL=https://x/?a=b\n", {"URL": "https://x/?a=b"}),
        ("garbage", {}),
    ],
)
def test_parse_os_release(text: str, expected: dict[str, str]) -> None:
    assert parse_os_release(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("MemTotal:        2048 kB\nHugePages_Total:       7\n", {"MemTotal": 2}),
        ("MemTotal:        1023 kB\n", {"MemTotal": 0}),
    ],
)
def test_parse_meminfo(text: str, expected: dict[str, int]) -> None:
    assert parse_meminfo(text) == expected

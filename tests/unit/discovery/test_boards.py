"""Which hosts are boards, and which addresses are one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import (
    MAKERS,
    Neighbour,
    Sighting,
    boards,
    is_candidate,
    is_factory_name,
    kind_of,
    neighbours,
    plain_name,
    system_of,
)

DEBIAN = "SSH-2.0-OpenSSH_10.0p2 Debian-7"
UBUNTU = "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.13"
PI_MAC, OTHER_PI_MAC, JETSON_MAC, PC_MAC = (
    "2c:cf:67:01:02:03",
    "2c:cf:67:01:02:04",
    "48:b0:2d:01:02:03",
    "a8:a1:59:01:02:03",
)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        ({"mac": PI_MAC}, "pi"),
        ({"mac": PI_MAC, "banner": UBUNTU}, "pi"),
        ({"mac": JETSON_MAC, "banner": UBUNTU}, "jetson"),
        ({"mac": JETSON_MAC}, ""),  # a television has such a one as well
        ({"mac": PC_MAC, "banner": DEBIAN}, ""),
        ({"mac": PC_MAC, "banner": "SSH-2.0-OpenSSH_9.2p1 Raspbian-2+deb12u3"}, "pi"),
        ({"mdns": "raspberrypi"}, "pi"),
        ({"mdns": "raspberrypi-2"}, "pi"),
        ({"dns": "raspberrypi.fritz.box"}, "pi"),
        ({"mdns": "tegra-ubuntu"}, "jetson"),
        ({"mdns": "ubuntu"}, ""),
        ({"mdns": "jetson-01"}, ""),  # somebody's own name for something
        ({"mdns": "nas", "dns": "RaspberryPi.lan"}, "pi"),
        ({"mdns": "raspberrypi-fan"}, ""),
        ({}, ""),
    ],
)
def test_kind(seen: dict[str, str], kind: str) -> None:
    found, why = kind_of(Sighting("192.168.1.9", **seen))  # type: ignore[arg-type]
    assert found == kind
    assert bool(why) == bool(kind) or seen.get("mac") == JETSON_MAC


@pytest.mark.parametrize("prefix", sorted(MAKERS))
def test_prefixes_are_as_the_neighbour_table_has_them(prefix: str) -> None:
    assert is_candidate(Sighting("192.168.1.9", mac=f"{prefix}:00:00:01"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raspberrypi", True),
        ("raspberrypi-3", True),
        ("ubuntu", True),
        ("llmpi-01", False),
        ("jetson-01", False),
        ("", False),
    ],
)
def test_names_that_systems_come_with(name: str, expected: bool) -> None:
    assert is_factory_name(name) is expected


@pytest.mark.parametrize(
    ("banner", "system"),
    [
        (DEBIAN, "Debian"),
        (UBUNTU, "Ubuntu"),
        ("SSH-2.0-OpenSSH_9.6", "OpenSSH_9.6"),
        ("SSH-2.0-dropbear_2022.83", "dropbear_2022.83"),
        ("", ""),
    ],
)
def test_system(banner: str, system: str) -> None:
    assert system_of(banner) == system


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llmpi-01.lan", "llmpi-01.lan"),
        ("pi_1", "pi_1"),
        ("\x1b[31mred", ""),
        ("a b", ""),
        ("a\nb", ""),
        ("a\n", ""),
        ("ü", ""),
        ("a" * 300, ""),
        ("", ""),
    ],
)
def test_only_names_that_hosts_have_are_taken(name: str, expected: str) -> None:
    assert plain_name(name) == expected


def test_neighbours_are_those_with_an_address_for_all() -> None:
    listing: list[dict[str, Any]] = [
        {"dst": "192.168.1.9", "lladdr": "2C:CF:67:01:02:03", "state": ["REACHABLE"], "confirmed": 3},
        {"dst": "192.168.1.10", "state": ["FAILED"]},
        {"dst": "192.168.1.11", "lladdr": PC_MAC, "state": ["FAILED"], "confirmed": 3},
        {"dst": "192.168.1.12", "state": ["INCOMPLETE"]},
        {"dst": "192.168.1.13", "lladdr": PC_MAC, "state": ["DELAY"], "confirmed": 3},
        {"dst": "fe80::1", "lladdr": PI_MAC, "state": ["STALE"]},
        {"dst": "fd00::9", "lladdr": PI_MAC, "state": ["STALE"]},
        {"dst": "224.0.0.251", "lladdr": "01:00:5e:00:00:fb", "state": ["NOARP"]},
    ]
    assert neighbours(listing) == {
        "192.168.1.9": Neighbour(PI_MAC, silent=3),
        "192.168.1.10": Neighbour(""),
        "192.168.1.11": Neighbour(""),
        "192.168.1.12": Neighbour("", asked=True),
        "192.168.1.13": Neighbour(PC_MAC, asked=True),
        "fd00::9": Neighbour(PI_MAC),
    }


def test_both_families_of_one_interface_are_one_board_reached_by_ipv4() -> None:
    keys = {"ssh-ed25519": "A"}
    found, _ = boards(
        [
            Sighting("fd00::9", mac=PI_MAC, banner=DEBIAN, keys=keys),
            Sighting("192.168.1.9", mac=PI_MAC, banner=DEBIAN, keys=keys, mdns="llmpi-01"),
        ]
    )
    assert [(board.address, board.others, board.macs) for board in found] == [("192.168.1.9", ("fd00::9",), (PI_MAC,))]


def test_cable_and_wifi_of_one_pi_are_one_board() -> None:
    keys = {"ssh-ed25519": "A"}
    found, _ = boards(
        [
            Sighting("192.168.1.30", mac=OTHER_PI_MAC, banner=DEBIAN, keys=keys, mdns="llmpi-01"),
            Sighting("192.168.1.9", mac=PI_MAC, banner=DEBIAN, keys=keys, dns="llmpi-01.lan"),
        ]
    )
    assert [(board.address, board.others, board.macs) for board in found] == [
        ("192.168.1.9", ("192.168.1.30",), (PI_MAC, OTHER_PI_MAC))
    ]


def test_a_copied_card_is_in_two_boards() -> None:
    keys = {"ssh-ed25519": "A"}
    found, _ = boards(
        [
            Sighting("192.168.1.9", mac=PI_MAC, keys=keys, mdns="raspberrypi"),
            Sighting("192.168.1.30", mac=OTHER_PI_MAC, keys=keys, mdns="raspberrypi-2"),
        ]
    )
    assert [board.address for board in found] == ["192.168.1.9", "192.168.1.30"]


def test_boards_whose_mac_address_is_not_known_are_not_one() -> None:
    found, _ = boards([Sighting("10.0.0.9", dns="raspberrypi.lan"), Sighting("10.0.1.9", mdns="raspberrypi-2")])
    assert [board.address for board in found] == ["10.0.0.9", "10.0.1.9"]


def test_an_address_without_ssh_is_not_the_one_to_connect_to() -> None:
    found, _ = boards(
        [
            Sighting("192.168.1.9", mac=PI_MAC),
            Sighting("192.168.1.30", mac=PI_MAC, banner=DEBIAN, keys={"ssh-rsa": "A"}),
        ]
    )
    assert [(board.address, board.system) for board in found] == [("192.168.1.30", "Debian")]


def test_what_is_of_nvidia_and_silent_is_said_to_be() -> None:
    found, notes = boards([Sighting("192.168.1.40", mac=JETSON_MAC), Sighting("192.168.1.2", mac=PC_MAC)])
    assert found == []
    assert len(notes) == 1
    assert notes[0].startswith("192.168.1.40: its MAC address is NVIDIA's, but SSH does not answer")

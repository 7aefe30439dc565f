"""Names of boards, refused host keys, and the inventory."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import Board
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.decision import (
    SILENT,
    addresses_of,
    decide,
    inventory_of,
    table,
)

KEY, OTHER_KEY = {"ssh-ed25519": "AAAA"}, {"ssh-ed25519": "CCCC"}
PIN = "llmpi-01 ssh-ed25519 AAAA\n"


def board(address: str = "192.168.1.9", own_name: str = "", **more: Any) -> Board:
    tail = address.rpartition(".")[2].zfill(2)
    given = {
        "kind": "pi",
        "others": (),
        "macs": (f"2c:cf:67:00:00:{tail}",),
        "system": "Debian",
        "keys": KEY,
        "why": "",
    }
    return Board(address=address, own_name=own_name, **{**given, **more})


@pytest.mark.parametrize(
    ("found", "known_hosts", "inventory", "names"),
    [
        ([board(own_name="llmpi-07")], "", {}, ["llmpi-07"]),
        ([board(own_name="raspberrypi")], "", {}, ["pi-000009"]),
        ([board(own_name="raspberrypi-2")], "", {}, ["pi-000009"]),
        ([board(own_name="bad_name")], "", {}, ["pi-000009"]),
        ([board()], "", {}, ["pi-000009"]),
        ([board(macs=())], "", {}, ["pi-192-168-1-9"]),
        ([board(address="fd00::9", macs=(), kind="jetson")], "", {}, ["jetson-fd00--9"]),
        # Two of one name: neither has it.
        (
            [board(own_name="llm"), board("192.168.1.10", own_name="llm", keys=OTHER_KEY)],
            "",
            {},
            ["pi-000009", "pi-000010"],
        ),
        # The inventory's name for the address comes before the board's own, and the pinned key's before both.
        ([board(own_name="llmpi-07")], "", {"kitchen": "192.168.1.9"}, ["kitchen"]),
        ([board(own_name="llmpi-07", others=("fd00::9",))], "", {"kitchen": "fd00::9"}, ["kitchen"]),
        ([board(own_name="llmpi-07")], PIN, {"kitchen": "192.168.1.9"}, ["llmpi-01"]),
        ([board()], "192.168.1.9,[x]:2222 ssh-ed25519 AAAA\n", {}, ["pi-000009"]),
        ([board()], "a ssh-ed25519 AAAA\npi_1.lan ssh-ed25519 AAAA\n", {"pi_1.lan": "192.168.1.9"}, ["pi_1.lan"]),
        # Another board got the address of llmpi-01.
        (
            [board(keys=OTHER_KEY), board("192.168.1.10")],
            PIN,
            {"llmpi-01": "192.168.1.9"},
            ["pi-000009", "llmpi-01"],
        ),
        (
            [board(macs=("2c:cf:67:00:00:01",)), board("192.168.1.10", macs=("b8:27:eb:00:00:01",))],
            "",
            {},
            ["pi-000001", "pi-000001-1"],
        ),
    ],
)
def test_names(found: list[Board], known_hosts: str, inventory: dict[str, str], names: list[str]) -> None:
    decided = decide(found, known_hosts, inventory)
    assert [named.name for named in decided.boards] == names
    assert decided.refusals == []


@pytest.mark.parametrize(
    ("found", "inventory"),
    [
        (board(own_name="llmpi-01", keys=OTHER_KEY), {}),
        (board(keys=OTHER_KEY), {"llmpi-01": "192.168.1.9"}),
        (board(own_name="llmpi-01", keys={"ssh-rsa": "AAAA"}), {}),
    ],
)
def test_a_replaced_board_is_refused_until_it_is_accepted(found: Board, inventory: dict[str, str]) -> None:
    decided = decide([found], PIN, inventory)
    assert len(decided.refusals) == 1
    assert decided.refusals[0].startswith("llmpi-01: the board at 192.168.1.9 has another host key")
    assert decided.refusals[0].count("SHA256:") == 2
    assert "-e edge_slm_discover_accept=llmpi-01." in decided.refusals[0]
    assert decide([found], PIN, inventory, ["llmpi-01"]).refusals == []


def test_a_name_that_is_not_found_cannot_be_accepted() -> None:
    assert "no board is called llmpi-09" in decide([board()], PIN, {}, ["llmpi-09"]).refusals[0]


def test_a_board_that_has_moved_keeps_its_name_and_is_told() -> None:
    decided = decide([board("192.168.1.30")], PIN, {"llmpi-01": "192.168.1.9"})
    assert decided.boards[0].state == "pinned"
    assert decided.notes == ["llmpi-01 is not at 192.168.1.9 any more, but at 192.168.1.30: change its ansible_host."]


def test_copied_cards_are_told() -> None:
    decided = decide([board(), board("192.168.1.10")])
    assert "192.168.1.9 and 192.168.1.10 have one host key" in decided.notes[0]


def test_a_board_without_ssh_is_shown_and_not_written() -> None:
    decided = decide([board(keys={}, own_name="llmpi-01")], PIN)
    assert decided.boards[0].state == SILENT
    assert decided.refusals == []
    assert "llmpi-01 at 192.168.1.9: SSH does not answer" in decided.notes[0]
    assert decided.pins == {}
    assert yaml.safe_load(inventory_of(decided.boards))["all"]["children"] is None


def test_the_inventory_is_what_it_is_read_as() -> None:
    found = [board(), board("fd00::10", own_name="123", kind="jetson", macs=(), keys=OTHER_KEY)]
    read = yaml.safe_load(inventory_of(decide(found).boards))
    assert addresses_of(read) == {"pi-000009": "192.168.1.9", "jetson-fd00--10": "fd00::10"}
    assert set(read["all"]["children"]) == {"pi", "jetson"}
    assert "{{ inventory_dir }}/known_hosts" in read["all"]["vars"]["ansible_ssh_common_args"]


@pytest.mark.parametrize(
    ("inventory", "expected"),
    [
        (None, {}),
        ("text", {}),
        ({"pi": {"hosts": {"a": {"ansible_host": "192.168.1.9"}, "b": None}}}, {"a": "192.168.1.9"}),
        (
            {"all": {"children": {"pi": {"hosts": {"a": {"ansible_host": "10.0.0.1"}}}}, "vars": {"hosts": {"x": {}}}}},
            {"a": "10.0.0.1"},
        ),
        ({"all": {"children": None}}, {}),
    ],
)
def test_addresses_in_an_inventory(inventory: object, expected: dict[str, str]) -> None:
    assert addresses_of(inventory) == expected


def test_the_table_has_a_line_for_each_board() -> None:
    lines = table(decide([board(own_name="llmpi-01"), board("192.168.1.10", keys={})]).boards)
    assert len(lines) == 3
    assert lines[1].split()[:4] == ["llmpi-01", "pi", "192.168.1.9", "2c:cf:67:00:00:09"]
    assert lines[1].endswith("new")
    assert lines[2].endswith(SILENT)

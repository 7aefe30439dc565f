# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of the boards that were found: their names, their host keys beside the pinned ones, an inventory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.names import host_name_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery import host_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import (
    JETSON,
    PI,
    Board,
    is_factory_name,
)

#: How ssh is told to take the pinned keys, by the host's name in the inventory, and no others.
SSH_ARGUMENTS = (
    "-o HostKeyAlias={{ inventory_hostname }}",
    """-o 'UserKnownHostsFile="{{ inventory_dir }}/known_hosts"' -o GlobalKnownHostsFile=/dev/null""",
    "-o StrictHostKeyChecking=yes",
)
#: What a board's host keys can be beside what `host_keys.compared` says.
SILENT = "SSH is silent"


@dataclass(frozen=True)
class Named:
    """A board under its name in the inventory; `state` says what its host keys are."""

    name: str
    board: Board
    state: str


@dataclass
class Decision:
    """All boards with their names, what is refused, and what else there is to say."""

    boards: list[Named] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def pins(self) -> dict[str, Mapping[str, str]]:
        """The host keys to pin, by name; a board whose SSH does not answer has none."""
        return {named.name: named.board.keys for named in self.boards if named.board.keys}


def decide(
    found: Sequence[Board],
    known_hosts: str = "",
    inventory: Mapping[str, str] | None = None,
    accepted: Collection[str] = (),
) -> Decision:
    """Name the boards and compare their host keys.

    Args:
        found: The boards.
        known_hosts: The text of the inventory's known_hosts.
        inventory: The addresses in the inventory, by name.
        accepted: Names under which another board, or the same one with a new card, is accepted.
    """
    pins = host_keys.pinned(known_hosts)
    decision = Decision(notes=_copied_cards(found))
    names = _names(found, pins, inventory or {})
    for number, board in enumerate(found):
        name = names[number]
        state = host_keys.compared(pins.get(name, {}), board.keys) if board.keys else SILENT
        if state == host_keys.CHANGED and name not in accepted:
            decision.refusals.append(_replaced(name, board, pins[name]))
        moved = (inventory or {}).get(name, board.address)
        if moved not in (board.address, *board.others):
            decision.notes.append(
                f"{name} is not at {moved} any more, but at {board.address}: change its ansible_host."
            )
        if state == SILENT:
            decision.notes.append(
                f"{name} at {board.address}: SSH does not answer; turn it on (docs/operators/discover.md)."
            )
        decision.boards.append(Named(name, board, state))
    unknown = set(accepted) - {named.name for named in decision.boards}
    if unknown:
        decision.refusals.append(
            f"edge_slm_discover_accept: no board is called {', '.join(sorted(unknown))}; the names are in the table."
        )
    return decision


def _replaced(name: str, board: Board, pinned: Mapping[str, str]) -> str:
    return (
        f"{name}: the board at {board.address} has another host key than the one that is pinned under this name "
        f"({host_keys.fingerprint(board.keys)}, pinned is {host_keys.fingerprint(pinned)}). If you have replaced the "
        "board or its card, compare the fingerprint with the one that the board itself shows (ssh-keygen -lf "
        "/etc/ssh/ssh_host_ed25519_key.pub), then run the same again with -e edge_slm_discover_accept="
        f"{name}. If you have not, somebody else answers in its place."
    )


def _names(found: Sequence[Board], pins: Mapping[str, Mapping[str, str]], inventory: Mapping[str, str]) -> list[str]:
    """Return each board's name: of its pinned host key, else of its address in the inventory, else its own, else one
    made of its MAC address. What is surer comes first for all boards: no board takes the name of another one's key.
    """
    own_names = Counter(board.own_name for board in found)

    def by_key(board: Board) -> str:
        same = [name for name in sorted(pins) if host_keys.compared(pins[name], board.keys) == host_keys.SAME]
        # A known_hosts that ssh itself has written to has addresses.
        named = [name for name in same if name in inventory] + [name for name in same if not host_name_problem(name)]
        return named[0] if named else ""

    def by_address(board: Board) -> str:
        return next((name for name, at in inventory.items() if at in (board.address, *board.others)), "")

    def by_own_name(board: Board) -> str:
        name = board.own_name
        good = name and own_names[name] == 1 and not is_factory_name(name) and not host_name_problem(name)
        return name if good else ""

    def by_mac(board: Board) -> str:
        tail = board.macs[0].replace(":", "")[-6:] if board.macs else board.address.replace(".", "-").replace(":", "-")
        return f"{board.kind}-{tail}"

    names: dict[int, str] = {}
    for name_of in (by_key, by_address, by_own_name, by_mac):
        for number, board in enumerate(found):
            if number not in names:
                name = name_of(board)
                if name and name not in names.values():
                    names[number] = name
    # Two MAC addresses may end alike.
    return [names.get(number, f"{by_mac(board)}-{number}") for number, board in enumerate(found)]


def _copied_cards(found: Sequence[Board]) -> list[str]:
    """Return a sentence for each host key that several boards have."""
    by_key: dict[str, list[Board]] = {}
    for board in found:
        if board.keys:
            by_key.setdefault(host_keys.fingerprint(board.keys), []).append(board)
    return [
        f"{' and '.join(board.address for board in same)} have one host key, {key}: their cards are copies of one that "
        "had been started. Give each its own: sudo rm /etc/ssh/ssh_host_*, then sudo ssh-keygen -A, and restart it."
        for key, same in by_key.items()
        if len(same) > 1
    ]


def addresses_of(inventory: object) -> dict[str, str]:
    """Return `ansible_host` by host of an inventory as its YAML file has it, whatever its groups."""
    return dict(_hosts_in(inventory))


def _hosts_in(node: object) -> Iterator[tuple[str, str]]:
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        if key == "hosts" and isinstance(value, Mapping):
            for host, variables in value.items():
                if isinstance(variables, Mapping) and "ansible_host" in variables:
                    yield str(host), str(variables["ansible_host"])
        elif key != "vars":
            yield from _hosts_in(value)


def inventory_of(boards: Sequence[Named]) -> str:
    """Return an inventory of the boards that can be logged in to, as YAML."""
    lines = [
        "---",
        "# Written by playbooks/discover.yml of edge_slm.fleet; yours to edit. The host keys in known_hosts, beside",
        "# this file, are pinned by these names: who renames a host renames it there, too.",
        "all:",
        "  vars:",
        "    ansible_ssh_common_args: >-",
        *(f"      {line}" for line in SSH_ARGUMENTS),
        "  children:",
    ]
    for kind in (PI, JETSON):
        members = [named for named in boards if named.board.kind == kind and named.state != SILENT]
        if members:
            lines += [f"    {kind}:", "      hosts:"]
            for named in members:
                lines += host_lines(named, " " * 8)
    return "\n".join(lines) + "\n"


def host_lines(named: Named, indent: str = "") -> list[str]:
    """Return a board's lines in an inventory."""
    remark = " ".join(filter(None, [", ".join(named.board.macs), named.board.system]))
    # Quoted: a name of digits, or an IPv6 address, is something else in YAML.
    return [
        f'{indent}"{named.name}":{f" # {remark}" if remark else ""}',
        f'{indent}  ansible_host: "{named.board.address}"',
    ]


def table(boards: Sequence[Named]) -> list[str]:
    """Return the table of the boards, a line each."""
    head = ("name", "kind", "address", "MAC address", "calls itself", "system", "host key", "")
    rows = [
        (
            named.name,
            named.board.kind,
            named.board.address,
            " ".join(named.board.macs) or "-",
            named.board.own_name or "-",
            named.board.system or "-",
            host_keys.fingerprint(named.board.keys) or "-",
            named.state,
        )
        for named in boards
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)).rstrip() for row in (head, *rows)]


def as_data(named: Named) -> dict[str, Any]:
    """Return a board as a dictionary, for a module's result."""
    board = named.board
    return {
        "name": named.name,
        "kind": board.kind,
        "address": board.address,
        "other_addresses": list(board.others),
        "macs": list(board.macs),
        "own_name": board.own_name,
        "system": board.system,
        "fingerprint": host_keys.fingerprint(board.keys),
        "host_key": named.state,
        "why": board.why,
    }

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who listens on this host's TCP ports."""

from __future__ import annotations

import ipaddress
import os
import pwd
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text

#: What the kernel calls a socket that listens.
LISTEN = "0A"


class Listener(NamedTuple):
    """A TCP socket that listens, as the kernel shows it to everyone."""

    address: str
    port: int
    uid: int
    inode: int


def parse_listeners(table: str) -> list[Listener]:
    """Read /proc/net/tcp or tcp6; returns the sockets that listen."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 10 or columns[3] != LISTEN:
            continue
        address, _unused, port = columns[1].partition(":")
        # The kernel prints each 32-bit word in the machine's order, little-endian on all boards there are.
        raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
        found.append(Listener(str(ipaddress.ip_address(raw)), int(port, 16), int(columns[7]), int(columns[9])))
    return found


def read_listeners() -> list[Listener]:
    """Return the sockets of this host that listen, on IPv4 and IPv6."""
    return [one for table in ("tcp", "tcp6") for one in parse_listeners(read_text(f"/proc/net/{table}"))]


def overlap(one: str, other: str) -> bool:
    """Return whether two addresses cannot both be listened on at one port."""
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    # `::` is bound for IPv4 as well, here and in nearly every other program.
    for wild, fixed in ((first, second), (second, first)):
        if wild.is_unspecified and (wild.version == 6 or fixed.version == 4 or fixed.is_unspecified):
            return True
    return first == second


def processes_with(listeners: Iterable[Listener]) -> list[int]:
    """Return the processes that hold any of these sockets, as far as the kernel shows them."""
    targets = {f"socket:[{listener.inode}]" for listener in listeners}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(descriptor) in targets for descriptor in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:  # it ended while it was looked at, or belongs to somebody else in a container
            continue
    return sorted(found)


def holder(listener: Listener) -> str:
    """Return the process that holds a socket, for people; its user where the kernel does not show more."""
    for pid in processes_with([listener]):
        return f"{read_text(f'/proc/{pid}/comm').strip()} (process {pid})"
    try:
        return f"a program of the user {pwd.getpwuid(listener.uid).pw_name}"
    except KeyError:
        return f"a program of the user {listener.uid}"

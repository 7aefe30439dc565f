# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who listens on this host's TCP ports."""

from __future__ import annotations

import ipaddress
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

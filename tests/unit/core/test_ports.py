"""The kernel's tables of sockets."""

from __future__ import annotations

import os
import pwd
import socket

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import (
    Listener,
    holder,
    overlap,
    parse_listeners,
    read_listeners,
)

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
NOTHING = "00000000:00000000 00:00000000 00000000"


@pytest.mark.parametrize(
    ("rows", "listeners"),
    [
        ([], []),
        (
            [
                f"   0: 0100007F:2CAB 00000000:0000 0A {NOTHING}  1000        0 4711 1 0",
                f"   1: 0100007F:2CAB 0100007F:9C40 01 {NOTHING}  1000        0 4712 1 0",
                f"   2: 00000000:0016 00000000:0000 0A {NOTHING}     0        0 999 1 0 100 0 0 10 0",
            ],
            [Listener("127.0.0.1", 11435, 1000, 4711), Listener("0.0.0.0", 22, 0, 999)],  # noqa: S104
        ),
        (
            [
                "   0: 00000000000000000000000001000000:2CAA 00000000000000000000000000000000:0000 0A "
                f"{NOTHING}     0        0 815 1 0",
            ],
            [Listener("::1", 11434, 0, 815)],
        ),
        (["   0: 0100007F:2CAB 00000000:0000 0A"], []),
    ],
)
def test_listeners(rows: list[str], listeners: list[Listener]) -> None:
    assert parse_listeners(HEAD + "\n".join(rows)) == listeners


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        ("0.0.0.0", "::1", False),  # noqa: S104
        ("0.0.0.0", "::", True),  # noqa: S104
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_addresses_that_share_a_port(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_who_holds_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (listener,) = [one for one in read_listeners() if one.port == port]
        assert holder(listener).endswith(f"(process {os.getpid()})")
    assert holder(listener._replace(inode=0)) == f"a program of the user {pwd.getpwuid(os.getuid()).pw_name}"
    assert holder(listener._replace(inode=0, uid=4000000)) == "a program of the user 4000000"

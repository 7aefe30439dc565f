"""What is asked of hosts, with sockets of this machine in their place."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.networks import Attached
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import discovering


@contextmanager
def speaking(line: bytes) -> Iterator[int]:
    """Listen on a port that says something to whoever connects, once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("line", "banner"),
    [
        (b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n", "SSH-2.0-OpenSSH_10.0p2 Debian-7"),
        (b"220 mail.example\r\n", ""),
        (b"SSH-2.0-\x1b[31mred\r\n", ""),
        (b"", ""),
        (b"x" * 100_000, ""),
    ],
)
def test_banners(line: bytes, banner: str) -> None:
    with speaking(line) as port:
        assert asyncio.run(discovering.banners(["127.0.0.1"], port)) == {"127.0.0.1": banner}


def test_a_host_that_refuses_is_there_all_the_same() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert asyncio.run(discovering.banners(["127.0.0.1"], port)) == {"127.0.0.1": ""}


def test_nobody_is_asked_for_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and says nothing
        assert asyncio.run(discovering.banners(["127.0.0.1"], server.getsockname()[1])) == {"127.0.0.1": ""}


def test_it_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "RATE", 20)
    begun = asyncio.new_event_loop().time()
    asyncio.run(discovering.banners(["127.0.0.1"] * 10, 1))
    assert asyncio.new_event_loop().time() - begun >= 0.5


@pytest.mark.parametrize(
    ("pointer", "address"),
    [
        ("9.1.168.192.in-addr.arpa.", "192.168.1.9"),
        (f"{'9.' + '0.' * 27}0.0.d.f.ip6.arpa.", "fd00::9"),
        ("1.168.192.in-addr.arpa.", ""),
        ("x.1.168.192.in-addr.arpa.", ""),
    ],
)
def test_address_of_a_pointer(pointer: str, address: str) -> None:
    assert discovering._address_of(pointer) == address


@pytest.mark.parametrize(
    ("seconds", "refused"), [(5, False), (0.5, False), (60, False), (0, True), (61, True), (-1, True)]
)
def test_seconds(seconds: float, refused: bool) -> None:
    problems = Problems()
    discovering.seconds_problem(seconds, "seconds", problems)
    assert bool(problems.found) is refused


def test_names_are_not_asked_for_where_they_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    assert discovering.mdns_names([], (), 1, notes) == {}
    own = (Attached("lo", "127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8")),)
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    assert discovering.mdns_names([], own, 1, notes) == {}
    assert ["in no network" in notes[0], "pip install zeroconf" in notes[1]] == [True, True]


def test_the_resolvers_name_of_an_address() -> None:
    assert discovering.reverse_name("127.0.0.1")
    assert discovering.reverse_name("not an address") == ""

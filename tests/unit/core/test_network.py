"""Tables of networks as operators write them."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import network
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import (
    as_networks,
    as_proxies,
    proxy_environment,
    url_host,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems


@pytest.mark.parametrize(
    ("given", "networks", "problems"),
    [
        (["10.0.0.0/8", "fd00::/8"], ("10.0.0.0/8", "fd00::/8"), []),
        (("192.168.1.7", "2001:db8::7"), ("192.168.1.7", "2001:db8::7"), []),
        (["0.0.0.0/0", "::/0"], ("0.0.0.0/0", "::/0"), []),
        ([], (), ["v: is empty: nobody could connect; give a network such as"]),
        (None, (), ["v: is empty: nobody could connect"]),
        ("10.0.0.0/8", (), ["v: is not a list; write ['10.0.0.0/8']."]),
        (7, (), ["v: is not a list"]),
        (["10.0.0.0/8", "10.0.0.1/8"], ("10.0.0.0/8",), ["v[1]: '10.0.0.1/8' is not a network (10.0.0.1/8 has host"]),
        (["x", "10.0.0.0/8; allow all"], (), ["v[0]: 'x' is not", "v[1]: '10.0.0.0/8; allow all' is not"]),
        (["fd00::1/64"], (), ["v[0]: 'fd00::1/64' is not a network"]),
        (
            ["fe80::1%eth0"],
            (),
            ["v[0]: 'fe80::1%eth0' is not a network (a zone belongs to one host)"],
        ),
        ([{"cidr": "10.0.0.0/8"}, True, None], (), ["v[0]: ", "v[1]: ", "v[2]: "]),
    ],
)
def test_networks(given: object, networks: tuple[str, ...], problems: list[str]) -> None:
    found = Problems()
    assert as_networks(given, "v", found) == networks
    assert len(found.found) == len(problems)
    for sentence, start in zip(found.found, problems, strict=True):
        assert sentence.startswith(start)


def test_host_bits_are_corrected() -> None:
    found = Problems()
    as_networks(["192.168.1.7/24"], "v", found)
    assert found.found[0].endswith("write 192.168.1.0/24.")


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("pi.lan", "pi.lan"),
        ("fd00::7", "[fd00::7]"),
        ("[fd00::7]", "[fd00::7]"),
    ],
)
def test_a_host_in_a_url(address: str, host: str) -> None:
    assert url_host(address) == host


@pytest.mark.parametrize(
    ("ipv6", "given", "used"),
    [
        (True, "::", "::"),
        (False, "::", "0.0.0.0"),  # noqa: S104
        (False, "fd00::7", "fd00::7"),
        (True, "192.168.1.7", "192.168.1.7"),
    ],
)
def test_a_kernel_without_ipv6_has_no_address_of_it(
    monkeypatch: pytest.MonkeyPatch, ipv6: bool, given: str, used: str
) -> None:
    monkeypatch.setattr(network, "has_ipv6", lambda: ipv6)
    assert network.listening(given) == used


@pytest.mark.parametrize(
    ("given", "proxies", "problems"),
    [
        (None, {}, []),
        ({}, {}, []),
        ({"https_proxy": None, "http_proxy": ""}, {}, []),
        ({"HTTPS_PROXY": "http://p:3128/"}, {"https_proxy": "http://p:3128"}, []),
        ({"http_proxy": "http://[fd00::1]:3128"}, {"http_proxy": "http://[fd00::1]:3128"}, []),
        ({"no_proxy": " a.lan, .b.lan  c "}, {"no_proxy": "a.lan,.b.lan,c"}, []),
        # As the look hands them on.
        ({"no_proxy": "a", "NO_PROXY": "a"}, {"no_proxy": "a"}, []),
        ({"no_proxy": "a", "NO_PROXY": "b"}, {"no_proxy": "a"}, ["v.NO_PROXY: is given twice"]),
        ("http://p:3128", {}, ["v: is not a dictionary"]),
        ({"https_proxy": "p:3128"}, {}, ["v.https_proxy: 'p:3128' is not valid; give a URL such as"]),
        ({"https_proxy": "socks5://p:1"}, {}, ["v.https_proxy: 'socks5://p:1' is not valid"]),
        ({"https_proxy": 3128}, {}, ["v.https_proxy: must be a text"]),
        ({"no_proxy": ["a", "b"]}, {}, ["v.no_proxy: must be a text; names are separated by commas"]),
        ({"all_proxy": "http://p:1"}, {}, ["v.all_proxy: is not known"]),
        ({"https_proxy": "http://me:s3cret@p:1"}, {}, ["v.https_proxy: has a login"]),
    ],
)
def test_proxies(given: object, proxies: dict[str, str], problems: list[str]) -> None:
    found = Problems()
    assert as_proxies(given, "v", found) == proxies
    assert len(found.found) == len(problems)
    for sentence, start in zip(found.found, problems, strict=True):
        assert sentence.startswith(start)
        assert "s3cret" not in sentence


@pytest.mark.parametrize(
    ("proxies", "direct", "environment"),
    [
        ({}, ["builder"], {}),
        ({"no_proxy": "a"}, [], {}),
        (
            {"https_proxy": "http://p:1"},
            ["builder", "localhost"],
            {
                "https_proxy": "http://p:1",
                "HTTPS_PROXY": "http://p:1",
                "no_proxy": "localhost,127.0.0.1,::1,builder",
                "NO_PROXY": "localhost,127.0.0.1,::1,builder",
            },
        ),
    ],
)
def test_the_way_out(proxies: dict[str, str], direct: list[str], environment: dict[str, str]) -> None:
    assert proxy_environment(proxies, direct) == environment

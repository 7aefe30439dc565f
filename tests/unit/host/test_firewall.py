"""The ruleset of the firewall."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.firewall import (
    KERNEL_OPTIONS,
    loaded,
    missing_kernel_options,
    render,
    rule_problems,
)

EVERYBODY = ["0.0.0.0/0", "::/0"]


def lines(**changes: Any) -> list[str]:
    arguments: dict[str, Any] = {
        "rules": [],
        "ssh_ports": [22],
        "ssh_cidrs": EVERYBODY,
        "controller": "",
        "mdns": True,
        **changes,
    }
    return [line.strip() for line in render(**arguments).splitlines()]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 'meta nfproto ipv4 tcp dport { 22 } accept comment "SSH"'),
        ({}, 'meta nfproto ipv6 tcp dport { 22 } accept comment "SSH"'),
        ({"ssh_ports": [2222, 22]}, 'meta nfproto ipv4 tcp dport { 22, 2222 } accept comment "SSH"'),
        # The controller is let in whatever the networks are, and does not overlap with one that holds it.
        (
            {"ssh_cidrs": ["10.0.0.0/8"], "controller": "192.168.1.9"},
            'ip saddr { 10.0.0.0/8, 192.168.1.9/32 } tcp dport { 22 } accept comment "SSH"',
        ),
        (
            {"ssh_cidrs": ["10.0.0.0/8"], "controller": "10.1.1.1"},
            'ip saddr { 10.0.0.0/8 } tcp dport { 22 } accept comment "SSH"',
        ),
        (
            {"ssh_cidrs": [], "controller": "fe80::1"},
            'ip6 saddr { fe80::1/128 } tcp dport { 22 } accept comment "SSH"',
        ),
        (
            {"rules": [{"ports": [8080, "8081", "9000-9010"], "cidrs": ["192.168.0.0/16", "192.168.2.0/24"]}]},
            "ip saddr { 192.168.0.0/16 } tcp dport { 8080-8081, 9000-9010 } accept",
        ),
        (
            {"rules": [{"ports": [53], "cidrs": EVERYBODY, "protocol": "udp", "comment": 'na"me}'}]},
            'meta nfproto ipv6 udp dport { 53 } accept comment "name"',
        ),
    ],
)
def test_rules(changes: dict[str, Any], expected: str) -> None:
    assert expected in lines(**changes)


def test_only_its_own_table_is_touched() -> None:
    text = render([], [22], EVERYBODY, "", False)
    assert "flush" not in text
    assert "5353" not in text
    assert all("edge_slm" in line for line in text.splitlines() if "table" in line and not line.startswith("#"))


#: As nft 1.1 lists the ruleset that is made below; the checksum is put in by the test.
LISTING = """\
table inet edge_slm {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state { established, related } accept comment "IDENTITY"
		ct state invalid drop
		iif "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept comment "ICMP"
		udp sport 67 udp dport 68 accept comment "DHCP"
		udp sport 547 udp dport 546 accept comment "DHCPv6"
		udp dport 5353 accept comment "mDNS"
		meta nfproto ipv4 tcp dport 22 accept comment "SSH"
		meta nfproto ipv6 tcp dport 22 accept comment "SSH"
		ip saddr { 10.0.0.0/8, 192.168.0.0/16 } tcp dport 8080 accept comment "accept and drop"
	}
}
"""
SSH = '		meta nfproto ipv4 tcp dport 22 accept comment "SSH"\n'


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("", "", True),
        (SSH, "", False),
        (SSH, SSH + "		tcp dport 9999 accept\n", False),
        ("		ct state invalid drop\n", "		ct state invalid accept\n", False),
        ("policy drop", "policy accept", False),
        (SSH, SSH + "		jump somewhere\n", False),
        (LISTING, "", False),
        ("IDENTITY", "edge-slm 0123456789abcdef", False),
    ],
)
def test_rules_in_the_kernel_are_compared(old: str, new: str, same: bool) -> None:
    rule = {"ports": [8080], "cidrs": ["10.0.0.0/8", "192.168.0.0/16"], "comment": "accept and drop"}
    ruleset = render([rule], [22], EVERYBODY, "", True)
    listing = LISTING.replace(old, new) if old else LISTING
    identity = ruleset.split('comment "', 1)[1].split('"')[0]
    assert loaded(ruleset, listing.replace("IDENTITY", identity)) is same


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ({"ports": [0], "cidrs": ["10.0.0.0/8"]}, "rules[0].ports: 0 is outside 1 to 65535"),
        ({"ports": ["90-80"], "cidrs": ["10.0.0.0/8"]}, "runs backwards"),
        ({"ports": ["http"], "cidrs": ["10.0.0.0/8"]}, "neither a port"),
        ({"ports": [True], "cidrs": ["10.0.0.0/8"]}, "neither a port"),
        ({"ports": [], "cidrs": ["10.0.0.0/8"]}, "rules[0].ports: is empty"),
        ({"ports": [80]}, "rules[0].cidrs: is empty or not a list; list who"),
        ({"ports": [80], "cidrs": ["10.0.0.1/8"]}, "has host bits set"),
        ({"ports": [80], "cidrs": ["somewhere"]}, "does not appear to be"),
        ({"ports": [80], "cidrs": ["10.0.0.0/8"], "protocol": "sctp"}, "use tcp or udp"),
        ({"ports": [80], "cidrs": ["10.0.0.0/8"], "port": 1}, "port is not known"),
        ("8080", "is not a mapping"),
    ],
)
def test_bad_rules_are_refused(rule: object, part: str) -> None:
    assert part in " ".join(rule_problems("rules", [rule]))


def test_good_rule_is_taken() -> None:
    assert not rule_problems("rules", [{"ports": ["8080"], "cidrs": ["::/0"], "comment": "x"}])


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ("", []),
        ("CONFIG_NF_TABLES=m\nCONFIG_NF_TABLES_INET=y\nCONFIG_NFT_CT=m\n", []),
        ("CONFIG_NF_TABLES=m\nCONFIG_NF_TABLES_INET=y\n# CONFIG_NFT_CT is not set\n", ["CONFIG_NFT_CT"]),
        ("CONFIG_NETFILTER=y\n# CONFIG_NF_TABLES is not set\n", list(KERNEL_OPTIONS)),
    ],
)
def test_kernels_without_nftables_are_known(config: str, missing: list[str]) -> None:
    assert missing_kernel_options(config) == missing

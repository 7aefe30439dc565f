"""What HAProxy in front of the chat page is configured with; the scenario chat_frontend shows how it behaves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.door import config_text

INPUTS: dict[str, Any] = {
    "listen": "::",
    "port": 8000,
    "backend_port": 8001,
    "key_map": "/etc/keys.map",
    "pem": "",
    "timeout": 600,
}


def lines(**changes: Any) -> list[str]:
    return [line.strip() for line in config_text(**{**INPUTS, **changes}).splitlines()]


@pytest.mark.parametrize(
    ("changes", "bind"),
    [
        ({}, "bind 0.0.0.0:8000,[::]:8000 v6only"),
        ({"listen": "192.168.1.7"}, "bind 192.168.1.7:8000"),
        ({"listen": "fd00::7", "port": 9000}, "bind [fd00::7]:9000"),
        ({"pem": "/etc/tls.pem"}, "bind 0.0.0.0:8000,[::]:8000 v6only ssl crt /etc/tls.pem alpn http/1.1"),
    ],
)
def test_where_the_page_is(changes: dict[str, Any], bind: str) -> None:
    assert [line for line in lines(**changes) if line.startswith("bind")] == [bind]
    assert any("ssl-min-ver TLSv1.2" in line for line in lines(**changes)) == ("pem" in changes)


def test_who_is_asked_for_a_key_is_asked_before_anything_is_passed_on() -> None:
    rules = [line for line in lines() if line.startswith(("http-request", "default_backend"))]
    refusal = next(index for index, rule in enumerate(rules) if "status 401" in rule)
    assert 'hdr WWW-Authenticate \'Basic realm="Chat page of the fleet"' in rules[refusal]
    assert rules[refusal].endswith("unless { var(txn.key) -m found }")
    assert all("/healthz" in rule for rule in rules[:refusal] if "return" in rule)
    assert rules.index("http-request del-header Authorization") > refusal
    assert rules[-1] == "default_backend chat"


def test_sillytavern_is_asked_on_loopback_alone() -> None:
    assert [line for line in lines() if line.startswith("server ")] == [
        "server sillytavern 127.0.0.1:8001 check inter 2s fall 5 rise 1"
    ]

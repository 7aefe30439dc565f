"""What HAProxy in front of the chat page is configured with; the scenario chat_frontend shows how it behaves."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat import open_webui, sillytavern
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.door import config_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey

INPUTS: dict[str, Any] = {
    "page": sillytavern.PAGE,
    "listen": "::",
    "port": 8000,
    "backend_port": 8001,
    "keys": [ApiKey("ann", "key-of-ann-000000001", "admin"), ApiKey("bob", "key-of-bob-000000001")],
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
    removal = next(
        index for index, rule in enumerate(rules) if rule.startswith("http-request del-header Authorization")
    )
    assert removal > refusal
    assert rules[-1] == "default_backend chat"


@pytest.mark.parametrize(
    ("page", "health"), [(sillytavern.PAGE, "HEAD /favicon.ico"), (open_webui.PAGE, "GET /health")]
)
def test_the_page_is_asked_on_loopback_alone(page: object, health: str) -> None:
    assert [line for line in lines(page=page) if line.startswith(("server ", "option httpchk"))] == [
        f"option httpchk {health}",
        "server page 127.0.0.1:8001 check inter 2s fall 5 rise 1",
    ]


def test_a_page_without_accounts_is_told_nobodys_name_and_sets_no_cookie() -> None:
    assert not [line for line in lines() if "Cookie" in line or "X-Edge-Slm" in line]


@pytest.mark.parametrize(("pem", "attributes"), [("", "SameSite=Strict"), ("/etc/tls.pem", "SameSite=Strict; Secure")])
def test_a_page_with_accounts_is_told_who_asks(pem: str, attributes: str) -> None:
    found = lines(page=open_webui.PAGE, pem=pem)
    refusal = next(index for index, line in enumerate(found) if "status 401" in line)
    told = [line for line in found[refusal:] if "set-header" in line]
    assert told == [
        "http-request set-header Cookie token=%[var(txn.token)] if { var(txn.token) -m found }",
        "http-request set-header X-Edge-Slm-Email %[var(txn.key)]@fleet.internal",
        "http-request set-header X-Edge-Slm-Name %[var(txn.key)]",
        "http-request set-header X-Edge-Slm-Role user",
        "http-request set-header X-Edge-Slm-Role admin if { var(txn.key) -m str ann }",
    ]
    (cookie,) = [line for line in found if "add-header Set-Cookie" in line]
    assert f'%[var(txn.login)]; Path=/; HttpOnly; {attributes}" if' in cookie
    assert found.index("http-request del-header Cookie") > refusal
    # systemd keeps HAProxy from compiling them.
    assert not [line for line in found if "replace-" in line or "regsub" in line or "-m reg" in line]

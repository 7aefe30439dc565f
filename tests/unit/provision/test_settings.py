"""What is prepared of the inputs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Address, Settings, derived_psk

Make = Callable[..., Any]
KEY = f"ssh-ed25519 {'A' * 68} me"


@pytest.mark.parametrize(
    ("ssid", "passphrase", "psk"),
    [
        # IEEE 802.11i, H.4.2.
        ("IEEE", "password", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        ("ThisIsASSID", "ThisIsAPassword", "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"),
        ("any", "AB" * 32, "ab" * 32),
    ],
)
def test_the_key_of_a_network(ssid: str, passphrase: str, psk: str) -> None:
    assert derived_psk(ssid, passphrase) == psk


def test_a_fixed_address_is_of_wifi_where_there_is_some(settings: Make, wifi: Any, fixed: Any) -> None:
    assert settings(**fixed).interface == "eth0"
    assert settings(**fixed, **wifi).interface == "wlan0"
    assert settings(**fixed).address == Address("192.168.1.21/24", "192.168.1.1", ("192.168.1.1",))


def test_what_the_fleet_has_is_not_missed_by_a_host_with_dhcp(settings: Make) -> None:
    found = settings(gateway="192.168.1.1", nameservers=["192.168.1.1"], wifi_country="DE", wifi_passphrase="12345678")
    assert (found.address, found.wifi) == (None, None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user_keys": []}, "user_keys: is empty, and no password logs in: nobody could"),
        ({"user_keys": [f"{KEY}\n{KEY}"]}, "user_keys[0]: is more than one line; make it two."),
        ({"user": "root"}, "user: is root"),
        ({"ssh_password_login": True}, "ssh_password_login: needs a password; set provision_password_hash"),
        ({"password_hash": "raspberry"}, "password_hash: is not what crypt(3) makes"),
        ({"password_hash": "$1$old$0123456789012345678901"}, "password_hash: is not what crypt(3) makes"),
        ({"wifi_country": ""}, "wifi_country: is empty: without it the radio stays off"),
        ({"wifi_passphrase": ""}, "wifi_passphrase: is empty"),
        ({"wifi_passphrase": "1234567"}, "wifi_passphrase: is not one of WPA"),
        ({"wifi_passphrase": "ä" * 8}, "wifi_passphrase: is not one of WPA"),
        ({"wifi_ssid": "ä" * 17}, "wifi_ssid: "),
        ({"address": "192.168.1.21"}, "address: '192.168.1.21' is not valid; give address and prefix"),
        ({"gateway": "192.168.2.1"}, "gateway: '192.168.2.1' is not in 192.168.1.0/24"),
        ({"gateway": ""}, "gateway: '' is not in 192.168.1.0/24"),
        ({"gateway": "fd00::1"}, "gateway: 'fd00::1' is not in 192.168.1.0/24"),
        ({"nameservers": []}, "nameservers: is empty, and with a fixed address DHCP gives none"),
        ({"timezone": "../../etc/shadow"}, "timezone: '../../etc/shadow' is not valid"),
        ({"keyboard": "de; reboot"}, "keyboard: 'de; reboot' is not valid"),
        ({"locale": "de_DE"}, "locale: 'de_DE' is not valid; give one such as en_GB.UTF-8"),
    ],
)
def test_refused(inputs: Make, wifi: Any, fixed: Any, changes: dict[str, Any], problem: str) -> None:
    problems = Problems()
    Settings.of(inputs(**{**wifi, **fixed, **changes}), problems)
    (found,) = problems.found
    assert found.startswith(problem)


def test_no_refusal_shows_a_secret(inputs: Make) -> None:
    problems = Problems()
    Settings.of(inputs(password_hash="geheim", wifi_ssid="a", wifi_country="DE", wifi_passphrase="kurz"), problems)
    assert len(problems.found) == 2
    assert not [sentence for sentence in problems.found if "geheim" in sentence or "kurz" in sentence]

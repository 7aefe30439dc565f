"""The files that cloud-init reads. Its own schema is asked in molecule/provision."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import cloud_init
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

Make = Callable[..., Settings]
HASH = "$6$standinsalt$804QsL4ZV0GFtDk9wAPQdkEg4lENZ404aNuVMCkxReuxZmk"
ETHERNET = {"eth0": {"dhcp4": True, "optional": True}}


def parsed(settings: Settings) -> dict[str, Any]:
    """Return the files as cloud-init reads them: YAML."""
    return {name: yaml.safe_load(text) for name, text in cloud_init.files(settings).items()}


def test_keys_alone(settings: Make) -> None:
    made = settings()
    user_data = parsed(made)["user-data"]
    assert cloud_init.files(made)["user-data"].startswith("#cloud-config\n")
    (user,) = user_data["users"]
    assert user["ssh_authorized_keys"] == list(made.keys)
    assert (user["name"], user["lock_passwd"], "hashed_passwd" in user) == ("me", True, False)
    assert user_data["ssh_pwauth"] is False
    assert user_data["runcmd"][0] == ["systemctl", "enable", "--now", "ssh.service"]
    assert not {"timezone", "locale", "keyboard", "write_files"} & set(user_data), "the image's own stay"


def test_a_password(settings: Make) -> None:
    user_data = parsed(settings(password_hash=HASH, ssh_password_login="yes"))["user-data"]
    assert user_data["users"][0]["hashed_passwd"] == HASH
    assert user_data["users"][0]["lock_passwd"] is False
    assert user_data["ssh_pwauth"] is True


def test_language(settings: Make) -> None:
    user_data = parsed(settings(locale="de_DE.UTF-8", timezone="Europe/Berlin", keyboard="de"))["user-data"]
    assert (user_data["timezone"], user_data["keyboard"]) == ("Europe/Berlin", {"layout": "de"})
    assert user_data["locale"] == "de_DE.UTF-8"
    assert user_data["write_files"] == [{"path": "/etc/locale.gen", "content": "de_DE.UTF-8 UTF-8\n", "append": True}]


def test_only_keys_that_cloud_init_has(settings: Make) -> None:
    """Of Raspberry Pi OS alone are enable_ssh and rpi; Debian's schema knows neither."""
    assert not {"enable_ssh", "rpi"} & set(parsed(settings())["user-data"])


def test_the_cable_alone(settings: Make) -> None:
    assert parsed(settings())["network-config"] == {"network": {"version": 2, "ethernets": ETHERNET}}


def test_wifi(settings: Make, wifi: Any) -> None:
    network = parsed(settings(**wifi, wifi_hidden=True))["network-config"]["network"]
    point = network["wifis"]["wlan0"]["access-points"]["Café; 'x'"]
    assert re.fullmatch(r"[0-9a-f]{64}", point["password"])
    assert point["hidden"] is True
    assert network["wifis"]["wlan0"]["regulatory-domain"] == "DE"
    assert network["ethernets"] == ETHERNET
    assert wifi["wifi_passphrase"] not in "".join(cloud_init.files(settings(**wifi)).values())


@pytest.mark.parametrize(
    ("address", "gateway", "dhcp4"), [("192.168.1.21/24", "192.168.1.1", False), ("fd00::21/64", "fd00::1", True)]
)
def test_a_fixed_address(settings: Make, fixed: Any, address: str, gateway: str, *, dhcp4: bool) -> None:
    made = settings(**{**fixed, "address": address, "gateway": gateway})
    assert parsed(made)["network-config"]["network"]["ethernets"]["eth0"] == {
        "dhcp4": dhcp4,
        "optional": True,
        "addresses": [address],
        "routes": [{"to": "default", "via": gateway}],
        "nameservers": {"addresses": ["192.168.1.1"]},
    }


def test_other_settings_are_another_instance(settings: Make, wifi: Any) -> None:
    made = [
        parsed(settings(**changes))["meta-data"]["instance-id"]
        for changes in ({}, {}, {"keyboard": "de"}, wifi, {**wifi, "wifi_passphrase": "another one"})
    ]
    assert made[0] == made[1]
    assert len(set(made)) == 4
    assert all(name.startswith("llmpi-01-") for name in made)


def test_its_own_commands_take_the_secrets_away(settings: Make, wifi: Any, tmp_path: Path) -> None:
    """What is left must be YAML still: cloud-init reads it at every start."""
    made = settings(**wifi, password_hash=HASH)
    before = parsed(made)
    for name, text in cloud_init.files(made).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in before["user-data"]["runcmd"][1:]:
        subprocess.run([word.replace(cloud_init.FIRMWARE, str(tmp_path)) for word in command], check=True)
    left = {name: (tmp_path / name).read_text(encoding="utf-8") for name in before}
    after = {name: yaml.safe_load(text) for name, text in left.items()}
    assert before["user-data"]["users"][0].pop("hashed_passwd") == HASH
    psk = before["network-config"]["network"]["wifis"]["wlan0"]["access-points"]["Café; 'x'"].pop("password")
    assert after == before, "nothing else is gone"
    assert not [secret for secret in (HASH, psk) if secret in "".join(left.values())]

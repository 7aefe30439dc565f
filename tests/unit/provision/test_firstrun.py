"""The script of the older way. It is run for real in molecule/provision."""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import firstrun
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

Make = Callable[..., Settings]
CMDLINE = "console=tty1 root=PARTUUID=1-02 rootwait\n"
HASH = "$6$standinsalt$804QsL4ZV0GFtDk9wAPQdkEg4lENZ404aNuVMCkxReuxZmk"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_shell_can_read_it(settings: Make, wifi: Any, fixed: Any, shell: str) -> None:
    text = firstrun.script(settings(**wifi, **fixed, password_hash=HASH, locale="de_DE.UTF-8", keyboard="de"))
    done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_kernels_command_line(settings: Make, wifi: Any) -> None:
    made = settings(**wifi)
    words = firstrun.files(made, CMDLINE)["cmdline.txt"]
    assert words == (
        f"{CMDLINE.strip()} cfg80211.ieee80211_regdom=DE systemd.run=/boot/firmware/firstrun.sh "
        "systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\n"
    )
    assert firstrun.files(made, words)["cmdline.txt"] == words, "a second run adds nothing"
    assert "cfg80211" not in firstrun.files(settings(), CMDLINE)["cmdline.txt"]


def test_what_is_empty_stays_as_the_image_has_it(settings: Make) -> None:
    text = firstrun.script(settings())
    for word in ("chpasswd", "localtime", "locale.gen", "XKBLAYOUT", "rfkill", "nmconnection"):
        assert word not in text
    assert "PasswordAuthentication no" in text


def test_secrets_are_arguments_of_the_shells_own_commands_alone(settings: Make, wifi: Any) -> None:
    made = settings(**wifi, password_hash=HASH, ssh_password_login=True)
    assert made.wifi is not None
    lines = [line for line in firstrun.script(made).splitlines() if HASH in line or made.wifi.psk in line]
    assert [line.split()[0] for line in lines] == ["printf", "write"]


def test_the_connection(settings: Make, wifi: Any, fixed: Any) -> None:
    made = settings(**wifi, **fixed, wifi_hidden=True)
    assert made.wifi is not None
    found = configparser.ConfigParser(interpolation=None)
    found.read_string("\n".join(firstrun.connection(made)))
    assert bytes(int(byte) for byte in found["wifi"]["ssid"].split(";") if byte).decode() == "Café; 'x'"
    assert (found["wifi"]["hidden"], found["wifi-security"]["psk"]) == ("true", made.wifi.psk)
    assert dict(found["ipv4"]) == {
        "method": "manual",
        "address1": "192.168.1.21/24,192.168.1.1",
        "dns": "192.168.1.1;",
    }
    assert dict(found["ipv6"]) == {"method": "auto"}


def test_a_fixed_address_of_the_cable(settings: Make) -> None:
    made = settings(address="fd00::21/64", gateway="fd00::1", nameservers=["fd00::1", "9.9.9.9"])
    found = configparser.ConfigParser(interpolation=None)
    found.read_string("\n".join(firstrun.connection(made)))
    assert (found["connection"]["type"], found["connection"]["interface-name"]) == ("ethernet", "eth0")
    assert dict(found["ipv6"]) == {"method": "manual", "address1": "fd00::21/64,fd00::1", "dns": "fd00::1;"}
    assert dict(found["ipv4"]) == {"method": "auto"}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The three files that cloud-init's data source NoCloud reads from a boot partition.

For Raspberry Pi OS from trixie on, and Ubuntu Server. They are JSON, which is YAML as well, so that no name of a
network or person can mean something else there. Only keys that cloud-init itself has are used, none of those that
Raspberry Pi OS adds (`enable_ssh`, `rpi`): other systems ignore them with a warning, and `systemctl` does the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

USER_DATA, NETWORK_CONFIG, META_DATA = "user-data", "network-config", "meta-data"

#: Groups of the first user of Raspberry Pi OS; cloud-init makes those that a system lacks.
GROUPS = (
    *("adm", "audio", "cdrom", "dialout", "games", "gpio", "i2c", "input", "netdev", "plugdev", "render", "spi"),
    *("sudo", "users", "video"),
)
#: Where the files are once the board has started: readable for every user there, so what is secret goes after use.
FIRMWARE = "/boot/firmware"
#: The key of each file's secret.
SECRETS = {USER_DATA: "hashed_passwd", NETWORK_CONFIG: "password"}


def files(settings: Settings) -> dict[str, str]:
    """Return the files' texts by their names."""
    user_data = "#cloud-config\n" + _json(_user_data(settings))
    network_config = _json({"network": _network(settings)})
    # cloud-init does its work once for each instance: other settings are another one, so that a card that has been
    # started before takes them, too. To guess a passphrase from this is as slow as from the network itself.
    digest = hashlib.sha256((user_data + network_config).encode()).hexdigest()[:12]
    meta_data = {"instance-id": f"{settings.hostname}-{digest}", "local-hostname": settings.hostname}
    return {USER_DATA: user_data, NETWORK_CONFIG: network_config, META_DATA: _json(meta_data)}


def to_write(texts: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Return those of the files that a card lacks.

    One that has been started with these settings has given up its secrets. They would not be used a second time, and
    nothing would take them away again.
    """
    if found.get(META_DATA) != texts.get(META_DATA):
        return dict(texts)
    return {name: text for name, text in texts.items() if found.get(name) not in (text, _used(name, text))}


def _used(name: str, text: str) -> str:
    """Return a file's text without its secret."""
    key = f'"{SECRETS.get(name, "")}":'
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(key))


def _json(content: object) -> str:
    """Return JSON with one key a line, which the commands of _user_data rely on."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _user_data(settings: Settings) -> dict[str, Any]:
    """Return the settings of everything but the network."""
    user: dict[str, Any] = {
        "name": settings.user,
        "groups": list(GROUPS),
        "shell": "/bin/bash",
        # As host_baseline_admin_sudo: Ansible logs in as this user.
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": not settings.password_hash,
    }
    if settings.password_hash:
        # Unlike `passwd` it is also for a user that is there already: of a card that has been started before.
        user["hashed_passwd"] = settings.password_hash
    if settings.keys:
        user["ssh_authorized_keys"] = list(settings.keys)
    found: dict[str, Any] = {
        "hostname": settings.hostname,
        "manage_etc_hosts": "localhost",
        "users": [user],
        "ssh_pwauth": settings.ssh_password_login,
    }
    if settings.timezone:
        found["timezone"] = settings.timezone
    if settings.locale:
        found["locale"] = settings.locale
        # Debian's locale-gen, unlike Ubuntu's, makes what is listed there, not what cloud-init names to it.
        listed = {"path": "/etc/locale.gen", "content": f"{settings.locale} UTF-8\n", "append": True}
        found["write_files"] = [listed]
    if settings.keyboard:
        found["keyboard"] = {"layout": settings.keyboard}
    found["runcmd"] = [
        ["systemctl", "enable", "--now", "ssh.service"],
        *(["sed", "-i", f'/^ *"{key}":/d', f"{FIRMWARE}/{name}"] for name, key in SECRETS.items()),
    ]
    return found


def _network(settings: Settings) -> dict[str, Any]:
    """Return the network as netplan wants it; neither interface keeps the board from starting when it is not there."""
    interfaces: dict[str, dict[str, Any]] = {"eth0": {"dhcp4": True, "optional": True}}
    wifi = settings.wifi
    if wifi:
        point: dict[str, Any] = {"password": wifi.psk, **({"hidden": True} if wifi.hidden else {})}
        interfaces["wlan0"] = {
            "dhcp4": True,
            "optional": True,
            "regulatory-domain": wifi.country,
            "access-points": {wifi.ssid: point},
        }
    address = settings.address
    if address:
        interfaces[settings.interface].update(
            {
                "dhcp4": ":" in address.address,
                "addresses": [address.address],
                "routes": [{"to": "default", "via": address.gateway}],
                "nameservers": {"addresses": list(address.nameservers)},
            }
        )
    found: dict[str, Any] = {"version": 2, "ethernets": {"eth0": interfaces.pop("eth0")}}
    return {**found, "wifis": interfaces} if interfaces else found

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Raspberry Pi is told before its first start: what Raspberry Pi Imager's settings page asks for."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_texts, plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.names import (
    host_name_problem,
    public_key_problem,
    user_name_problem,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: What crypt(3) makes: $type$salt$hash, of bcrypt $2b$rounds$hash.
CRYPT = re.compile(r"\$(y|gy|7|6|5|2[abxy])\$[./A-Za-z0-9$,=-]{8,}")
PSK = re.compile(r"[0-9a-fA-F]{64}")

#: Texts that are words of other programs, with an example; empty leaves the image's own.
WORDS = {
    "timezone": (re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"), "Europe/Berlin"),
    "locale": (re.compile(r"(C|[a-z]{2,3}(_[A-Z]{2})?)\.UTF-8"), "en_GB.UTF-8"),
    "keyboard": (re.compile(r"[a-z]{2,10}"), "gb"),
}


@dataclass(frozen=True)
class Wifi:
    """A WPA network: its key is derived from name and passphrase, which itself never leaves the controller."""

    ssid: str
    psk: str
    country: str
    hidden: bool


@dataclass(frozen=True)
class Address:
    """An address that does not come from DHCP, with the length of its network's prefix."""

    address: str
    gateway: str
    nameservers: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """All that is prepared; what is empty stays as the image has it."""

    hostname: str
    user: str
    keys: tuple[str, ...]
    password_hash: str
    ssh_password_login: bool
    timezone: str
    locale: str
    keyboard: str
    wifi: Wifi | None = None
    address: Address | None = None

    @property
    def interface(self) -> str:
        """The interface that a fixed address is for: Wi-Fi where there is some, else the cable."""
        return "wlan0" if self.wifi else "eth0"

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Settings:
        """Cast raw values, which are named like the role's inputs without its name, or add problems."""
        keys = as_texts(values["user_keys"], "user_keys", problems)
        found = cls(
            hostname=str(values["hostname"]),
            user=str(values["user"]),
            keys=tuple(key.strip() for key in keys),
            password_hash=plain_secret(str(values["password_hash"])),
            ssh_password_login=as_bool(values["ssh_password_login"], "ssh_password_login", problems),
            timezone=str(values["timezone"]),
            locale=str(values["locale"]),
            keyboard=str(values["keyboard"]),
            wifi=_wifi(values, problems),
            address=_address(values, problems),
        )
        found._judge_login(problems)
        for name, (word, example) in WORDS.items():
            value = getattr(found, name)
            if value and not word.fullmatch(value):
                problems.add(name, f"{value!r} is not valid; give one such as {example}, or '' for the image's own.")
        return found

    def _judge_login(self, problems: Problems) -> None:
        """Add what would keep everybody out, or the wrong ones in."""
        wrong = {"hostname": host_name_problem(self.hostname), "user": user_name_problem(self.user)}
        if self.user == "root":
            wrong["user"] = "is root, who is not let in by passwords or made by an image; give another name."
        for name, problem in wrong.items():
            if problem:
                problems.add(name, problem)
        for index, key in enumerate(self.keys):
            problem = public_key_problem(key) or ("is more than one line; make it two." if "\n" in key else "")
            if problem:
                problems.add(f"user_keys[{index}]", problem)
        if self.password_hash and not CRYPT.fullmatch(self.password_hash):
            problems.add(
                "password_hash",
                "is not what crypt(3) makes, such as $6$…; `openssl passwd -6` asks for a password and prints it.",
            )
        if self.ssh_password_login and not self.password_hash:
            problems.add("ssh_password_login", "needs a password; set provision_password_hash, or leave it false.")
        if not self.keys and not self.ssh_password_login:
            problems.add(
                "user_keys", "is empty, and no password logs in: nobody could; give the line of your .pub file."
            )


def derived_psk(ssid: str, passphrase: str) -> str:
    """Return the key of a WPA network: 64 hexadecimal digits, which a passphrase of that length is already."""
    if PSK.fullmatch(passphrase):
        return passphrase.lower()
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()


def _wifi(values: Mapping[str, Any], problems: Problems) -> Wifi | None:
    """Return the Wi-Fi network, or None where none is wanted."""
    ssid = str(values["wifi_ssid"])
    passphrase = plain_secret(str(values["wifi_passphrase"]))
    country = str(values["wifi_country"])
    hidden = as_bool(values["wifi_hidden"], "wifi_hidden", problems)
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        problems.add("wifi_country", f"{country!r} is not valid; give the two capital letters of ISO 3166, such as GB.")
    if passphrase and not (PSK.fullmatch(passphrase) or re.fullmatch(r"[ -~]{8,63}", passphrase)):
        problems.add("wifi_passphrase", "is not one of WPA: 8 to 63 characters of ASCII, or 64 hexadecimal digits.")
    if not ssid:
        return None
    if len(ssid.encode()) > 32 or any(ord(character) < 32 for character in ssid):
        problems.add("wifi_ssid", f"{ssid!r} is not the name of a network: at most 32 bytes, none of them a control.")
    if not country:
        problems.add("wifi_country", "is empty: without it the radio stays off; give two letters such as GB.")
    if not passphrase:
        problems.add("wifi_passphrase", "is empty; open networks are not for a server, give the passphrase.")
    return Wifi(ssid, derived_psk(ssid, passphrase), country, hidden)


def _address(values: Mapping[str, Any], problems: Problems) -> Address | None:
    """Return the fixed address, or None where DHCP gives one."""
    servers = as_texts(values["nameservers"], "nameservers", problems)
    for index, server in enumerate(servers):
        if not _is_address(server):
            problems.add(f"nameservers[{index}]", f"{server!r} is not an address; give one such as 192.168.1.1.")
    text, gateway = str(values["address"]), str(values["gateway"])
    if gateway and not _is_address(gateway):
        problems.add("gateway", f"{gateway!r} is not an address; give one such as 192.168.1.1.")
        return None
    if not text:
        return None
    try:
        interface = ipaddress.ip_interface(text if "/" in text else "no prefix")
    except ValueError:
        problems.add("address", f"{text!r} is not valid; give address and prefix, such as 192.168.1.21/24.")
        return None
    if not gateway or ipaddress.ip_address(gateway) not in interface.network:
        problems.add("gateway", f"{gateway!r} is not in {interface.network}; give the router's address there.")
    if not servers:
        problems.add("nameservers", "is empty, and with a fixed address DHCP gives none; give the router's, say.")
    return Address(text, gateway, servers)


def _is_address(text: str) -> bool:
    """Return whether a text is an address, IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

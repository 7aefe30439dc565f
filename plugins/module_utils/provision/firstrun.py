# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The older way: a script that systemd runs once, before everything else, and then reboots.

Raspberry Pi OS 12 (bookworm) has no cloud-init. Raspberry Pi Imager writes a `firstrun.sh` and names it on the kernel's
command line by `systemd.run` (rpi-imager, src/customization_generator.cpp, `generateSystemdScript`); so does this. The
other way, `custom.toml`, was an experiment of raspberrypi-sys-mods that its authors never supported (its issue 82),
and it has no locale and no fixed address.

The script needs nothing but Debian's own programs, and userconf-pi where that is there: it ends the dialogue for the
first user. What is secret is written by the shell itself and is no argument of any program.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import with_kernel_parameters
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

SCRIPT, CMDLINE = "firstrun.sh", "cmdline.txt"
#: Where bookworm has its boot partition.
FIRMWARE = "/boot/firmware"
PARAMETERS = (
    f"systemd.run={FIRMWARE}/{SCRIPT}",
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
)
SSHD = "/etc/ssh/sshd_config"
CONNECTIONS = "/etc/NetworkManager/system-connections"

BEGIN = """\
#!/bin/sh
# Written by edge_slm.fleet.provision. systemd runs it once, as root, at the first start, and reboots.
set -u
write() { # PATH MODE LINE...
  path=$1 mode=$2
  shift 2
  mkdir -p "${path%/*}"
  (umask 077 && printf '%s\\n' "$@" >"$path")
  chmod "$mode" "$path"
}
"""

#: The first user has the number 1000 in the image; its name there is pi. `!` is no password until one is set below.
USER = """\
old=$(getent passwd 1000 | cut -d: -f1)
if [ -x /usr/lib/userconf-pi/userconf ]; then
  /usr/lib/userconf-pi/userconf "$user" '!'
elif [ -z "$old" ]; then
  useradd --create-home --shell /bin/bash --uid 1000 --groups sudo,video "$user"
elif [ "$old" != "$user" ]; then
  usermod --login "$user" --home "/home/$user" --move-home "$old"
  groupmod --new-name "$user" "$(id -gn "$user")"
fi
write "/etc/sudoers.d/010_$user-nopasswd" 0440 "$user ALL=(ALL) NOPASSWD: ALL"
"""

#: Last: after a power cut before it all of the script runs again. What has failed until then stays so.
END = f"""\
sed -i 's| systemd\\.[^ ]*||g' {FIRMWARE}/{CMDLINE}
rm -f {FIRMWARE}/{SCRIPT}
sync
exit 0
"""

KEYS_END = """\
chown -R "$user:" "/home/$user/.ssh"
chmod 0700 "/home/$user/.ssh"
"""

RADIO = """\
for file in /var/lib/systemd/rfkill/*:wlan; do
  [ ! -e "$file" ] || echo 0 >"$file"
done
"""


def files(settings: Settings, cmdline: str) -> dict[str, str]:
    """Return the files' texts by their names.

    Args:
        settings: What to prepare.
        cmdline: The text of cmdline.txt as it is.
    """
    country = [f"cfg80211.ieee80211_regdom={settings.wifi.country}"] if settings.wifi else []
    return {SCRIPT: script(settings), CMDLINE: with_kernel_parameters(cmdline, [*country, *PARAMETERS])}


def script(settings: Settings) -> str:
    """Return the script."""
    parts = [BEGIN, _hostname(settings.hostname), f"user={shlex.quote(settings.user)}\n", USER]
    if settings.keys:
        parts += [_write('"/home/$user/.ssh/authorized_keys"', "0600", settings.keys), KEYS_END]
    if settings.password_hash:
        # printf is the shell's own.
        parts.append(f"printf '%s:%s\\n' \"$user\" {shlex.quote(settings.password_hash)} | chpasswd --encrypted\n")
    login = "yes" if settings.ssh_password_login else "no"
    parts += [
        rf"sed -i 's/^[#[:space:]]*PasswordAuthentication[[:space:]].*/PasswordAuthentication {login}/' {SSHD}" + "\n",
        "systemctl enable ssh.service\n",
    ]
    if settings.timezone:
        parts += [
            f"ln -sf {shlex.quote(f'/usr/share/zoneinfo/{settings.timezone}')} /etc/localtime\n",
            _write("/etc/timezone", "0644", [settings.timezone]),
        ]
    if settings.locale:
        parts += [
            f"printf '%s UTF-8\\n' {shlex.quote(settings.locale)} >>/etc/locale.gen\n",
            "[ ! -x /usr/sbin/locale-gen ] || locale-gen\n",
            _write("/etc/default/locale", "0644", [f"LANG={settings.locale}"]),
        ]
    if settings.keyboard:
        parts.append(
            _write(
                "/etc/default/keyboard", "0644", ["XKBMODEL=pc105", f"XKBLAYOUT={settings.keyboard}", "BACKSPACE=guess"]
            )
        )
    if settings.wifi:
        parts.append(RADIO)
    if settings.wifi or settings.address:
        path = f"{CONNECTIONS}/edge-slm-{settings.interface}.nmconnection"
        parts.append(_write(path, "0600", connection(settings)))
    return "".join([*parts, END])


def connection(settings: Settings) -> list[str]:
    """Return the lines of NetworkManager's connection on the interface that has Wi-Fi or a fixed address."""
    wifi = settings.wifi
    lines = ["[connection]", f"id=edge-slm-{settings.interface}", f"interface-name={settings.interface}"]
    if wifi:
        # The bytes of the name, as numbers: a keyfile gives other characters a meaning.
        ssid = "".join(f"{byte};" for byte in wifi.ssid.encode())
        lines += [
            "type=wifi",
            "",
            "[wifi]",
            "mode=infrastructure",
            f"ssid={ssid}",
            f"hidden={str(wifi.hidden).lower()}",
        ]
        lines += ["", "[wifi-security]", "key-mgmt=wpa-psk", f"psk={wifi.psk}"]
    else:
        lines.append("type=ethernet")
    for family, sign in (("ipv4", "."), ("ipv6", ":")):
        lines += ["", f"[{family}]"]
        address = settings.address
        if address and sign in address.address:
            servers = "".join(f"{server};" for server in address.nameservers if sign in server)
            lines += ["method=manual", f"address1={address.address},{address.gateway}", f"dns={servers}"]
        else:
            lines.append("method=auto")
    return lines


def _hostname(name: str) -> str:
    """Return how the host gets its name: Debian's line 127.0.1.1 of /etc/hosts has it, too."""
    return (
        _write("/etc/hostname", "0644", [name])
        + "sed -i '/^127\\.0\\.1\\.1[[:space:]]/d' /etc/hosts\n"
        + f"printf '127.0.1.1\\t%s\\n' {name} >>/etc/hosts\n"
    )


def _write(path: str, mode: str, lines: Iterable[str]) -> str:
    """Return the command that writes a file; the path is already quoted where it must be."""
    return f"write {path} {mode} {' '.join(map(shlex.quote, lines))}\n"

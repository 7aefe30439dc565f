# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What systemd reports of units."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of

#: Where systemd's manager is on D-Bus: its service, object and interface, as busctl takes them.
MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")

#: Where a unit that is hardened like ours sees nothing of the host (systemd.exec(5): ProtectHome, PrivateTmp).
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # noqa: S108


def parse_properties(text: str) -> list[dict[str, str]]:
    """Return the properties of each unit from the output of `systemctl show`: units apart by an empty line."""
    blocks = ([line.partition("=") for line in block.splitlines()] for block in text.strip().split("\n\n"))
    units = [{name: value for name, separator, value in block if separator} for block in blocks]
    return [unit for unit in units if unit]


def show(properties: Iterable[str], units: Iterable[str]) -> list[dict[str, str]]:
    """Return those properties of units by one call; none where systemd does not run."""
    return parse_properties(output_of(["systemctl", "show", "--property", ",".join(properties), *units]))

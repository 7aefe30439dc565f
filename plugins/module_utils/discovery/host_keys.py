# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Host keys: what boards show, compared with what is pinned in the known_hosts of an inventory.

Keys are pinned by the host's name in the inventory, not by its address (ssh's HostKeyAlias): a board keeps its name
when the router gives it another address, and another board at the old address does not pass for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Container, Mapping

#: Types that are asked for, the best one first.
TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")

NEW, SAME, CHANGED = "new", "pinned", "changed"


def scanned(printed: str) -> dict[str, dict[str, str]]:
    """Return host keys by address and type, from what ssh-keyscan prints."""
    found: dict[str, dict[str, str]] = {}
    for line in printed.splitlines():
        fields = line.split()
        if len(fields) == 3 and not line.startswith("#") and fields[1] in TYPES and _blob(fields[2]):
            found.setdefault(fields[0], {})[fields[1]] = fields[2]
    return found


def pinned(known_hosts: str) -> dict[str, dict[str, str]]:
    """Return the keys that a known_hosts has, by name and type. Hashed names and lines with a marker are not read."""
    found: dict[str, dict[str, str]] = {}
    for line in known_hosts.splitlines():
        for name in _names(line):
            kind, key = line.split()[1:3]
            found.setdefault(name, {})[kind] = key
    return found


def fingerprint(keys: Mapping[str, str]) -> str:
    """Return the fingerprint of the best key as ssh shows it, with the key's type; '' without keys."""
    for kind in TYPES:
        if kind in keys:
            digest = base64.b64encode(hashlib.sha256(_blob(keys[kind])).digest()).decode().rstrip("=")
            return f"SHA256:{digest} ({kind.removeprefix('ssh-').partition('-')[0].upper()})"
    return ""


def compared(known: Mapping[str, str], shown: Mapping[str, str]) -> str:
    """Return whether a board's keys are new, the same or changed, by the keys that are pinned under its name."""
    if not known:
        return NEW
    common = set(known) & set(shown)
    return SAME if common and all(known[kind] == shown[kind] for kind in common) else CHANGED


def with_pins(known_hosts: str, pins: Mapping[str, Mapping[str, str]], replaced: Container[str] = ()) -> str:
    """Return a known_hosts with further pins; lines that are there stay as they are.

    Args:
        known_hosts: Its text.
        pins: Keys by name and type.
        replaced: Names whose old keys are to go.
    """
    lines = []
    for line in known_hosts.splitlines():
        names = _names(line)
        kept = [name for name in names if name not in replaced]
        if kept == names:
            lines.append(line)
        elif kept:
            lines.append(" ".join([",".join(kept), *line.split()[1:]]))
    there = pinned("\n".join(lines))
    for name in sorted(pins):
        lines += [
            f"{name} {kind} {pins[name][kind]}"
            for kind in TYPES
            if kind in pins[name] and kind not in there.get(name, {})
        ]
    return "".join(f"{line}\n" for line in lines)


def _names(line: str) -> list[str]:
    """Return the names that a line of a known_hosts has a key for; none of a line that is not read."""
    fields = line.split()
    return fields[0].split(",") if len(fields) >= 3 and not line.startswith(("#", "@", "|")) else []


def _blob(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return b""

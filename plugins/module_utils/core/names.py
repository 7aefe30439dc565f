# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of hosts and users, and public keys, as operators write them."""

from __future__ import annotations

import re

#: A line of authorized_keys or of a .pub file: options may come before the type.
PUBLIC_KEY = re.compile(r"(?:^|\s)(?:ssh-|ecdsa-|sk-)\S+\s+([A-Za-z0-9+/=]{40,})(?:\s|$)")


def host_name_problem(name: str) -> str:
    """Return what is wrong with a host's name without a domain, and what to do; '' where nothing is."""
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", name):
        return f"{name!r} is not a host name; use up to 63 letters, digits and hyphens, no dots."
    return f"is {name!r}, part of an address; give the host a name." if name.isdigit() else ""


def user_name_problem(name: str) -> str:
    """Return what is wrong with a user's name, and what to do; '' where nothing is."""
    if re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", name):
        return ""
    return f"{name!r} is not a user name; use lower-case letters, digits, _ and -."


def public_key_problem(line: str) -> str:
    """Return what is wrong with a line of a .pub file, and what to do; '' where nothing is. It shows no key."""
    if "PRIVATE KEY" in line:
        return "is a private key; give the public one (the file ending in .pub)."
    if not PUBLIC_KEY.search(line):
        return "is not a public key; give the line of a .pub file, as in 'ssh-ed25519 AAAA… me'."
    return ""

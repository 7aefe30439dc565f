# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The system account that a service runs as: a user, and a group of the same name."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """An account as it is.

    Attributes:
        name: Of user and group alike.
        primary_group: Name of the user's group, its number where it has no name; empty where there is no such user.
        group: Whether the group is there.
    """

    name: str
    primary_group: str = ""
    group: bool = False

    def missing(self) -> list[str]:
        """Return what has to be created or changed, one sentence each."""
        found = [] if self.group else [f"group {self.name}: is missing"]
        if not self.primary_group:
            found.append(f"user {self.name}: is missing")
        elif self.primary_group != self.name and self.group:
            found.append(f"user {self.name}: its group is {self.primary_group}, not {self.name}")
        return found

    def left(self) -> list[str]:
        """Return what has to be removed, one sentence each."""
        kinds = ["user"] * bool(self.primary_group) + ["group"] * self.group
        return [f"{kind} {self.name}: is no longer wanted" for kind in kinds]


def read_account(name: str) -> Account:
    """Return the account of that name."""
    try:
        grp.getgrnam(name)
        group = True
    except KeyError:
        group = False
    return Account(name, primary_group(name), group)


def user_number(name: str) -> int | None:
    """Return a user's number; None where there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def primary_group(user: str) -> str:
    """Return the name of a user's group, its number where it has no name; empty where there is no such user."""
    try:
        number = pwd.getpwnam(user).pw_gid
    except KeyError:
        return ""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)

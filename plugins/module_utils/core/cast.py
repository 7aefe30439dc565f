# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts, booleans and numbers of inputs: Ansible checks the types of a role's inputs, but does not convert them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: What Ansible itself accepts as booleans.
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1", "y", "t"), True),
    **dict.fromkeys(("false", "no", "off", "0", "n", "f"), False),
}


def plain_text(text: str) -> str:
    """Return a text without a byte order mark and with lines that end in LF, whatever editor has written it.

    It is for every text that a person hands over, in a file or as a value, before it is compared, sent or written.
    """
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def plain_secret(text: str) -> str:
    """Return a secret without what an editor, or the line end of its file, has added."""
    return plain_text(text).strip()


def as_bool(value: object, variable: str, problems: Problems, default: bool = False) -> bool:
    """Cast a boolean, or add a problem and return the default."""
    if isinstance(value, bool):
        return value
    # 1 and 1.0 are what 1 is in a template; other numbers are none.
    text = str(int(value)) if isinstance(value, float) and value in (0, 1) else str(value)
    found = BOOLEANS.get(text.strip().lower())
    if found is None:
        problems.add(variable, f"{value!r} is not a boolean (true or false).")
        return default
    return found


def as_int(value: object, variable: str, low: int, high: int, problems: Problems, default: int | None = None) -> int:
    """Cast a whole number from low to high, or add a problem and return the default (the lowest where none is given).

    A boolean is not a number, and neither is 1.0: both are slips of whoever wrote them.
    """
    text = str(value).strip()
    if not isinstance(value, bool) and re.fullmatch(r"[+-]?[0-9]+", text) and low <= int(text) <= high:
        return int(text)
    problems.add(variable, f"must be a whole number from {low} to {high}; it is {value!r}.")
    return low if default is None else default


def as_float(value: object, variable: str, problems: Problems, default: float = 0.0) -> float:
    """Cast a finite number, or add a problem and return the default."""
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    problems.add(variable, f"must be a number; it is {value!r}.")
    return default


def as_path(value: object, variable: str, names: int, problems: Problems) -> str:
    """Cast an absolute path of at least so many names, or add a problem and return it all the same."""
    path = str(value or "")
    if not path.startswith("/") or len([part for part in path.split("/") if part]) < names:
        problems.add(variable, f"{path!r} is not valid; give an absolute path of {names} or more names.")
    return path


def as_texts(value: object, variable: str, problems: Problems) -> tuple[str, ...]:
    """Cast a list of texts (numbers are taken as such), or add a problem and return none; nothing at all is none."""
    if value is None or value == "":
        return ()
    if not isinstance(value, (list, tuple)):
        problems.add(variable, f"is not a list; write [{value!r}].")
        return ()
    for index, item in enumerate(value):
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            problems.add(f"{variable}[{index}]", f"must be a text; it is {item!r}.")
            return ()
    return tuple(str(item) for item in value)


def as_entries(
    value: object, variable: str, known: Iterable[str], form: str, problems: Problems
) -> list[tuple[int, Mapping[str, Any]]]:
    """Cast a list of dictionaries; returns those that are some, with their numbers, and adds every problem.

    Args:
        value: As it is in the inventory.
        variable: What the operator calls it.
        known: The keys that an entry may have.
        form: How an entry is written, for messages.
        problems: Where problems are noted.
    """
    if not isinstance(value, (list, tuple)):
        problems.add(variable, f"is not a list; write [{form}].")
        return []
    entries = []
    names = list(known)
    for number, entry in enumerate(value):
        where = f"{variable}[{number}]"
        if isinstance(entry, Mapping):
            problems.unknown_keys(where, entry, names)
            entries.append((number, entry))
        else:
            problems.add(where, f"is not a dictionary; write {form}.")
    return entries

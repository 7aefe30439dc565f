# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check a value by its specification: the roles' argument specs, and meta/fleet_variables.yml of the same form.

A key without a value (null) is as if it were not there. A text must be one: YAML makes numbers of 0123 and 12:30, and
true of yes, and what was written is not known any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: What values are called that are not shown. A boolean is a number to Python.
KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    dict: "a dictionary",
    list: "a list",
}


def without_nulls(value: Any) -> Any:  # noqa: ANN401  (of the same type)
    """Return a value without those keys of its dictionaries that have no value."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, (list, tuple)) else value


def check(name: str, value: object, spec: Mapping[str, Any], problems: Problems) -> None:
    """Add what is wrong with a value; null is a value that is not given.

    Numbers without limits here are left to what casts them, with its limits; so are keys that are not known.

    Args:
        name: What the operator calls it.
        value: As it is in the inventory, templates evaluated.
        spec: `type`, `elements`, `choices`, `options` as in an argument spec; `pattern`, `minimum`, `maximum`.
        problems: Where problems are noted. None of them shows a value that is `no_log`.
    """
    kind = spec["type"]
    if value is None:
        return
    if kind == "bool":
        as_bool(value, name, problems)
    elif kind == "int" and "minimum" in spec:
        as_int(value, name, spec["minimum"], spec["maximum"], problems)
    elif kind == "list":
        _check_list(name, value, spec, problems)
    elif kind == "dict":
        _check_dict(name, value, spec.get("options", {}), problems)
    elif kind in ("str", "path"):
        _check_text(name, value, spec, problems)


def _check_list(name: str, value: object, spec: Mapping[str, Any], problems: Problems) -> None:
    """Check a list and what is in it."""
    if not isinstance(value, (list, tuple)):
        problems.add(name, f"is not a list; {_shown(value, spec, 'write [{}]')}.")
        return
    for index, item in enumerate(value):
        if item is None:
            problems.add(f"{name}[{index}]", "is empty; give a value, or remove the line.")
        check(f"{name}[{index}]", item, {**spec, "type": spec.get("elements", "raw")}, problems)


def _check_dict(name: str, value: object, options: Mapping[str, Any], problems: Problems) -> None:
    """Check a dictionary and what is in it."""
    if not isinstance(value, Mapping):
        problems.add(name, f"is not a dictionary; {_shown(value, {'options': options}, 'it is {}')}.")
        return
    for key, option in options.items():
        if option.get("required") and value.get(key) is None:
            problems.add(f"{name}.{key}", "is missing.")
        check(f"{name}.{key}", value.get(key), option, problems)


def _check_text(name: str, value: object, spec: Mapping[str, Any], problems: Problems) -> None:
    """Check a text."""
    choices = [str(choice) for choice in spec.get("choices", ())]
    # YAML takes an unquoted off for false.
    text = "off" if value is False and "off" in choices else value
    number = spec.get("pattern") and isinstance(text, int) and not isinstance(text, bool)
    if not isinstance(text, str) and not number:
        scalar = not isinstance(text, (Mapping, list, tuple))
        hint = _shown(text, spec, "YAML has taken it for {}: quote it" if scalar else "it is {}")
        problems.add(name, f"must be a text; {hint}.")
    elif choices and text not in choices:
        problems.add(name, f"{text!r} is not known; give {', '.join(filter(None, choices))}.")
    elif not re.fullmatch(spec.get("pattern", ".*"), str(text), re.DOTALL):
        problems.add(name, f"{str(text)!r} is not valid; give {spec['example']}.")


def _shown(value: object, spec: Mapping[str, Any], sentence: str) -> str:
    """Return a sentence with a value; where that is a secret, or could be one, with its kind alone."""
    if not spec.get("no_log") and not any(option.get("no_log") for option in spec.get("options", {}).values()):
        return sentence.format(repr(value))
    return sentence.format(next((kind for type_, kind in KINDS.items() if isinstance(value, type_)), "another value"))

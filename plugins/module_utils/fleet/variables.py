# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the fleet's variables, `edge_slm_*`, by their specification (meta/fleet_variables.yml)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

PREFIX = "edge_slm_"
#: How much of two names has to be the same, without their prefix, for one to be the other misspelt.
LIKENESS = 0.8


def misspelt(given: Iterable[str], known: Collection[str], derived: Collection[str]) -> list[str]:
    """Return one sentence for each variable that is most likely one of the fleet's, misspelt.

    An inventory may have variables of its own under the fleet's prefix: a name like none of ours is left alone.

    Args:
        given: Names of all of a host's variables.
        known: The fleet's variables.
        derived: What playbooks make of them for themselves.
    """
    names = [name.removeprefix(PREFIX) for name in known]
    problems = []
    for name in sorted({name for name in given if name.startswith(PREFIX)} - {*known, *derived}):
        close = get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=LIKENESS)
        if close:
            problems.append(f"{name}: is not a variable of the fleet; did you mean {PREFIX}{close[0]}?")
    return problems


def check(name: str, value: object, spec: Mapping[str, Any], problems: Problems) -> None:
    """Add what is wrong with a variable that is a text, a number or a boolean; null is a variable that is not given.

    Lists and dictionaries are left to what reads them.
    """
    kind = spec["type"]
    if value is None or kind in ("list", "dict"):
        return
    if kind == "bool":
        as_bool(value, name, problems)
    elif kind == "int":
        as_int(value, name, spec["minimum"], spec["maximum"], problems)
    elif not isinstance(value, (str, int, float)):
        problems.add(name, f"must be a text; it is {value!r}.")
    elif "choices" in spec:
        # YAML takes an unquoted off for false.
        text = "off" if value is False else str(value)
        if text not in spec["choices"]:
            problems.add(name, f"{text!r} is not known; give {', '.join(spec['choices'])}.")
    elif not re.fullmatch(spec.get("pattern", ".*"), str(value), re.DOTALL):
        problems.add(name, f"{str(value)!r} is not valid; give {spec['example']}.")

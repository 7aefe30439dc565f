# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the fleet's variables, `edge_slm_*`. Their values are checked by core/spec.py."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

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


def ineffective(given: Iterable[str], mapping: Mapping[str, object]) -> list[str]:
    """Return one sentence for each of a host's variables that playbooks/vars sets to something else.

    Args:
        given: Names of the variables that the inventory gives the host.
        mapping: The inputs of roles that playbooks/vars sets, with the variable to set instead; '' where it has a rule.
    """
    return [
        f"{name}: has no effect in the inventory, the playbooks set it; "
        f"set {mapping[name] or 'what it follows (docs/operators/inventory.md)'} instead and take it out."
        for name in sorted(set(given) & set(mapping))
        if not name.startswith(PREFIX)
    ]

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find variables that look like inputs of a role but are none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def misspelt_inputs(role: str, known: Iterable[str], given: Iterable[str]) -> list[str]:
    """Return one sentence for each variable that starts with the role's name but is not one of its inputs.

    Args:
        role: The role's name without the collection; its inputs start with `<role>_`.
        known: Names of the role's inputs, from its argument specs.
        given: Names of all variables that the host has.
    """
    names = sorted(set(known))
    problems = []
    for name in sorted({name for name in given if name.startswith(f"{role}_")} - set(names)):
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"see roles/{role}/README.md for its inputs."
        problems.append(f"{name} is not an input of the role {role}: {hint}")
    return problems

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that is wrong with the inputs, so that one run reports all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass
class Problems:
    """Collects problems.

    Args:
        found: One for each problem: «variable: what is wrong; what to do».
        prefix: Put before each variable: of the role whose inputs are named without it.
    """

    found: list[str] = field(default_factory=list)
    prefix: str = ""

    def add(self, variable: str, sentence: str) -> None:
        """Add a problem of an input; the sentence has what is wrong and what to do."""
        self.found.append(f"{self.prefix}{variable}: {sentence}")

    def unknown_keys(self, variable: str, given: Iterable[object], known: Iterable[str]) -> None:
        """Add keys that are not known, with the one that was meant where it can be guessed."""
        names = list(known)
        for key in map(str, given):
            if key not in names:
                close = get_close_matches(key, names, n=1)
                meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}."
                self.add(f"{variable}.{key}", f"is not known; {meant}")

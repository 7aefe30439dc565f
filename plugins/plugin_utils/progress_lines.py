# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is shown of work that takes its time: one line now and then, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Seconds without a line: work that ends within them needs none.
FIRST = 5.0
#: Seconds between two lines: the longer the work has been going on, the less is new in a line.
LEAST, MOST = 5.0, 30.0
#: Seconds between two looks where nothing is shown.
UNSEEN = 30.0
#: Samples that a rate is taken from.
WINDOW = 4


def shown(setting: str, terminal: bool) -> bool:
    """Return whether lines are shown.

    Args:
        setting: The environment's EDGE_SLM_PROGRESS: `always`, `never`, or anything else for `auto`.
        terminal: Whether Ansible's output is a terminal (under ansible-runner it is).
    """
    return {"always": True, "never": False}.get(setting.strip().lower(), terminal)


def pause(elapsed: float) -> float:
    """Return the seconds until the next line, of work that has been going on for so long."""
    return max(1.0, FIRST - elapsed) if elapsed < FIRST else min(MOST, max(LEAST, elapsed / 10))


def size(count: float) -> str:
    """Write bytes as people count them."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Write seconds for people to read."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@dataclass
class Follower:
    """Turns what a device reports, one reading after the other, into lines.

    Args:
        host: Named at the start of each line.
        task: The task's name, where the work has none of its own.
        secret: The task is marked no_log: only numbers are shown.
    """

    host: str
    task: str
    secret: bool = False
    _what: str | None = None
    _samples: list[tuple[float, float]] = field(default_factory=list)

    def line(self, state: Mapping[str, Any], elapsed: float, busy: bool = False) -> str:
        """Return the line for one look.

        Args:
            state: What module_utils/jobs/progress.py has written; empty where it has not yet, or does not.
            elapsed: Seconds that this run has been waiting.
            busy: The work is one that an earlier run has started.
        """
        what, done = str(state.get("what", "")), float(state.get("done", 0))
        if what != self._what:
            self._what = what
            self._samples = [(float(state.get("started", 0)), float(state.get("first", 0)))]
        elif done < self._samples[-1][1]:  # a program that starts counting again, for its next file
            self._samples = []
        self._samples = [*self._samples, (float(state.get("updated", 0)), done)][-WINDOW:]
        parts = [self.host, self.task if self.secret or not what else what, *self._numbers(state, done)]
        note = "" if self.secret else str(state.get("note", ""))
        if len(parts) == 2:
            parts.append(f"{duration(elapsed)} so far")
        if note:
            parts.append(note)
        if busy:
            parts.append("started by an earlier run")
        return " | ".join(parts)

    def _numbers(self, state: Mapping[str, Any], done: float) -> list[str]:
        """Return share, rate and time left, as far as they are known."""
        total, unit = float(state.get("total", 0)), str(state.get("unit", "B"))
        if not done and not total:
            return []
        if done == total and state.get("note"):  # it has gone on to something that it does not count
            return []
        in_bytes = unit == "B"
        amount = size(total or done) if in_bytes else f"{total or done:.0f} {unit}"
        share = f"{min(100, int(100 * done / total))} % of {amount}" if total else amount
        (since, before), (until, after) = self._samples[0], self._samples[-1]
        rate = (after - before) / (until - since) if until > since and after > before else 0.0
        pace = f"{size(rate)}/s" if in_bytes else f"{rate:.1f} {unit}/s" if rate >= 1 else f"{60 * rate:.1f} {unit}/min"
        numbers = [share, pace]
        if rate and total / 100 <= done < total:  # before that it is a guess, and a wild one
            numbers.append(f"{duration((total - done) / rate)} left")
        return numbers

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of a long module: a small file, for whoever follows its work.

A module reports how far it is in one line each time something has arrived, as often as it likes:

    with Progress.of(module, "phi3:mini", total=2_200_000_000) as progress:
        for chunk in answer:
            progress.update(done)

It costs nothing and does nothing where nobody follows. To be followed, a module ends with `followed(main)`
(module_utils/jobs/followed.py) in place of `main()`, and has an action plugin of its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Names the file to write to; set by module_utils/jobs/followed.py, and by nobody where nobody follows.
VARIABLE = "EDGE_SLM_PROGRESS_FILE"
#: Seconds between two writes.
INTERVAL = 1.0


class Progress:
    """How far one piece of work is. No method raises: work never fails because of its progress.

    Args:
        what: What is worked on, short and without secrets: a file, a model, a program.
        total: How much there is to do, 0 where that is not known.
        unit: `B` for bytes; else the name of what is counted (`steps`, `files`).
    """

    def __init__(self, what: str, total: int = 0, unit: str = "B") -> None:
        """Nothing is written before the first `update`."""
        self._path = os.environ.get(VARIABLE, "")
        self._what = what
        self._total = total
        self._unit = unit
        self._started = 0.0
        self._first = 0
        self._written = 0.0

    @classmethod
    def of(cls, module: AnsibleModule, what: str, total: int = 0, unit: str = "B") -> Progress:
        """Return the progress of a module's work; check mode does none."""
        progress = cls(what, total, unit)
        if module.check_mode:
            progress._path = ""
        return progress

    def update(self, done: int, total: int = 0, note: str = "") -> None:
        """Report how far the work is.

        Args:
            done: How much is done, counted as `total` is. What was there before this run counts too.
            total: Where it has become known, or has changed.
            note: What is going on where there are no numbers, one short line.
        """
        if not self._path:
            return
        now = time.time()
        if not self._started:
            self._started, self._first = now, done
        self._total = total or self._total
        if 0 <= now - self._written < INTERVAL:
            return
        self._written = now
        content = {
            "what": self._what,
            "done": done,
            "total": self._total,
            "unit": self._unit,
            "note": note,
            "first": self._first,
            "started": self._started,
            "updated": now,
        }
        with contextlib.suppress(OSError, TypeError, ValueError):
            part = f"{self._path}.part"
            with open(part, "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(part, self._path)

    def close(self) -> None:
        """Remove the file: this work is over."""
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def __enter__(self) -> Progress:
        """Close it at the end of a `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, however the work ended."""
        self.close()

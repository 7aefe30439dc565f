# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.fit_report (its documentation is in plugins/modules)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet import fit
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import look_of

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Add up over all hosts, and show it; no connection is made."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the report."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {"hosts": {"type": "list", "elements": "str", "required": True}, "file": {"type": "path"}}
        )
        hostvars = (task_vars or {})["hostvars"]
        looks = {host: look_of(hostvars.raw_get(host)) for host in given["hosts"]}
        fitting = fit.decide({host: fit.host_of(look.plans, look.board) for host, look in looks.items()})
        for host, look in looks.items():
            refused = [sentence for plan in look.plans.values() for sentence in plan["refusals"]]
            fitting.notes += [f"{host}: {sentence}" for sentence in [look.failure, *refused] if sentence]
        report = fit.report(fitting)
        if given["file"]:
            path = Path(given["file"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        lines = fit.table(fitting)
        display.display("\n".join(lines))
        return {**result, "changed": False, "table": lines, **report}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.look_verdict (its documentation is in plugins/modules)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.utils.display import Display
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.verdict import (
    Look,
    Verdict,
    as_wanted,
    judge,
    left_out,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import look_of

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Decide over all hosts at once; no connection is made."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdict, or fail for errors in the inventory."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "refuse": {"type": "bool", "default": True},
                "file": {"type": "path"},
            }
        )
        hostvars = (task_vars or {})["hostvars"]
        looks = {host: look_of(hostvars.raw_get(host)) for host in given["hosts"]}
        verdict = judge(looks)
        if given["file"]:
            path = Path(given["file"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(_report(verdict, looks), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        errors = list(verdict.errors)
        strict = [host for host in verdict.dropped if self._all_or_nothing(hostvars.raw_get(host))]
        errors += [f"{host}: {reason}" for host in strict for reason in verdict.dropped[host]]
        if errors and given["refuse"]:
            raise AnsibleActionFail("Nothing was changed.\n" + "\n".join(errors))
        lines = errors + verdict.lines() + left_out(looks, (task_vars or {})["groups"]) or [as_wanted(len(looks))]
        display.display("\n".join(lines))
        return {
            **result,
            "changed": False,
            "msg": lines,
            "hosts": list(looks),
            "join": verdict.groups(),
            "dropped": verdict.dropped,
            "classes": verdict.classes,
            "differing": sorted({*verdict.pending, *verdict.dropped, *verdict.refused}),
            # The task runs once: every host of the play gets it.
            "ansible_facts": {"edge_slm_quantisations": verdict.fitting.quantisations},
        }

    def _all_or_nothing(self, variables: Mapping[str, Any]) -> bool:
        """Return whether the run stops when this host drops out; a value that is not a boolean was refused before."""
        templar = Templar(loader=self._loader, variables=variables)
        return as_bool(templar.template(variables.get("edge_slm_all_or_nothing", False)), "", Problems())


def _report(verdict: Verdict, looks: Mapping[str, Look]) -> dict[str, Any]:
    """Return the verdict for programs: each host with what is refused and pending."""
    return {
        "errors": verdict.errors,
        "hosts": {
            host: {
                "pending": verdict.pending.get(host, {}),
                "refused": verdict.refused.get(host, []),
                "dropped": verdict.dropped.get(host, []),
            }
            for host in looks
        },
    }

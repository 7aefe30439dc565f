# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.role_plan (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import Question
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import ON_HOSTS
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import LookingAction


class ActionModule(LookingAction):
    """Ask one role's plan, and fail for what it refuses."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the plan, with the facts that it was made from."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True},
                "extra": {"type": "dict", "default": {}},
                "settled": {"type": "bool", "default": False},
            }
        )
        role = given["role"]
        variables = self.placed(role, task_vars or {})
        answers = self.ask([Question(role, role, extra=given["extra"])], variables, {})
        if answers.failure:
            return {**result, **answers.failure}
        plan = answers.plans[role]
        refused = plan["refusals"] + plan["unfit"]
        if refused:
            raise AnsibleActionFail("\n".join(refused))
        if given["settled"] and plan["pending"]:
            raise AnsibleActionFail(
                "Still pending after the role has done its work: " + "; ".join(plan["pending"]) + ". "
                "Look at `systemctl --failed` and `journalctl -p warning -b` there."
            )
        # Of a role that works on the controller they are not the host's.
        facts = answers.facts if role in ON_HOSTS else {}
        return {**result, "changed": False, "ansible_facts": facts, "empty": answers.inputs[role].empty, **plan}

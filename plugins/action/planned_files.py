# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.planned_files (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import LookingAction


class ActionModule(LookingAction):
    """Run the module with the role's inputs."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "role": {"type": "str", "required": True},
                "step": {"type": "str", "default": "configure"},
                "extra": {"type": "dict", "default": {}},
            }
        )
        secrets: list[str] = []
        inputs = self.collected(given["role"], task_vars or {}, secrets)
        if inputs.refusals:
            raise AnsibleActionFail("\n".join(inputs.refusals))
        written = self._execute_module(
            module_name="edge_slm.fleet.host_plan_files",
            module_args={
                "role": given["role"],
                "step": given["step"],
                "inputs": {**inputs.values, **given["extra"]},
                "secrets": secrets,
            },
            task_vars=self.placed(given["role"], task_vars or {}),
        )
        return {**result, **written}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.provision_image (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.here import stay_here
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.looking import LookingAction


class ActionModule(LookingAction):
    """Run the module with the role's inputs."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        secrets: list[str] = []
        inputs = self.collected("provision", task_vars or {}, secrets)
        if inputs.refusals:
            raise AnsibleActionFail("\n".join(inputs.refusals))
        made = self._execute_module(
            module_name="edge_slm.fleet.provision_image",
            module_args={"inputs": inputs.values, "secrets": secrets},
            task_vars=stay_here(self, task_vars or {}),
        )
        return {**result, **made}

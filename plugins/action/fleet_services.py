# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.fleet_services (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import GATEWAY
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import (
    DEFAULT_ENGINES,
    FleetError,
    plan_device,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.fleet_plan import with_gateway

ARGUMENTS: dict[str, dict[str, Any]] = {
    "services": {"type": "list", "elements": "raw", "required": True},
    "models": {"type": "list", "elements": "raw", "required": True},
    "board": {"type": "str", "choices": [*DEFAULT_ENGINES, ""], "default": ""},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Decide what a host serves, a gateway for all devices, from the fleet's variables; no connection is made."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the device's plan, or fail naming every problem."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        try:
            device = plan_device(given["services"], given["models"], given["board"]) if given["board"] else None
            plan = device.as_dict() if device else {}
            if GATEWAY in variables["group_names"]:
                plan = with_gateway(plan, self._loader, variables)
        except FleetError as error:
            raise AnsibleActionFail(str(error)) from error
        return {**result, "changed": False, "ansible_facts": {"edge_slm_plan": plan}}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.on_controller (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.here import stay_here


class ActionModule(ActionBase):  # type: ignore[misc]
    """Run a module here; variables that say how a host is reached do not count."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {"module": {"type": "str", "required": True}, "args": {"type": "dict", "default": {}}}
        )
        answer = self._execute_module(
            module_name=given["module"],
            module_args=given["args"],
            task_vars=stay_here(self, task_vars or {}),
        )
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return {**result, **answer}

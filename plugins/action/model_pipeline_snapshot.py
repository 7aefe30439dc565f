# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.model_pipeline_snapshot (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible_collections.edge_slm.fleet.plugins.plugin_utils.followed import FollowedAction


class ActionModule(FollowedAction):
    """Runs the module by the Python that it names, and shows how far it is."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        # As a variable of the task it would count only where none is given by -e.
        python = {"ansible_python_interpreter": self._task.args["python"]} if "python" in self._task.args else {}
        return super().run(tmp, {**(task_vars or {}), **python})

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.role_inputs (its documentation is in plugins/modules)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.role_inputs import misspelt_inputs

ROLES = Path(__file__).resolve().parents[2] / "roles"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Compare the host's variables with a role's argument specs; no connection is made."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return unchanged, or fail naming every misspelt variable."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec({"role": {"type": "str", "required": True}})
        role = arguments["role"]
        spec_file = ROLES / role / "meta" / "argument_specs.yml"
        if not spec_file.is_file():
            raise AnsibleActionFail(f"role: {role} is not a role of edge_slm.fleet")
        specs = yaml.safe_load(spec_file.read_text(encoding="utf-8"))["argument_specs"]
        known = {name for entry in specs.values() for name in entry.get("options", {})}
        problems = misspelt_inputs(role, known, task_vars or {})
        if problems:
            raise AnsibleActionFail(" ".join(problems))
        result["changed"] = False
        return result

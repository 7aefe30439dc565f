# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role artifact_store takes from the controller: its unit, and names that both use."""

from __future__ import annotations

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.artifact_store import Inputs as Store
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs

TEMPLATE = "edge-slm-artifacts.service.j2"


def before(inputs: Inputs) -> None:
    """Add the role's constants and its unit, which can be rendered of inputs without problems alone."""
    inputs.values |= {"user": inputs.role.variables["__artifact_store_user"]}
    inputs.values |= {"config": inputs.role.variables["__artifact_store_config"], "unit": ""}
    problems = Problems()
    if Store.of(inputs.values, problems).state == "present" and not problems.found:
        inputs.values["unit"] = inputs.render(TEMPLATE)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role endpoint_proxy takes from the controller: the text of its unit."""

from __future__ import annotations

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs

TEMPLATE = "edge-slm-proxy.service.j2"


def before(inputs: Inputs) -> None:
    """Add the unit; without networks that can be used the plan refuses it anyway."""
    problems = Problems()
    as_networks(inputs.values["allowed_cidrs"], "allowed_cidrs", problems)
    wanted = inputs.values["state"] == "present" and not problems.found
    inputs.values["unit"] = inputs.render(TEMPLATE) if wanted else ""

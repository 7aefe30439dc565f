# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role llama_service takes from the controller: its unit, its script, names that both use."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import COLLECTION, Inputs

TEMPLATE = "llama-server@.service.j2"
SCRIPT = "wait-healthy"
#: Constants of the role, by what the plan calls them.
CONSTANTS = {
    "user": "__llama_service_user",
    "unit_file": "__llama_service_unit_file",
    "wait_script_file": "__llama_service_wait_script",
}


def before(inputs: Inputs) -> None:
    """Add the unit, the script and the role's constants; the plan itself refuses inputs that cannot be rendered."""
    for name, variable in CONSTANTS.items():
        inputs.values[name] = str(inputs.role.variables[variable])
    script = COLLECTION / "roles" / inputs.role.name / "files" / SCRIPT
    inputs.values["wait_script"] = script.read_text(encoding="utf-8")
    inputs.values |= {"unit": "", "unit_problem": ""}
    try:
        inputs.values["unit"] = inputs.render(TEMPLATE)
    except AnsibleError as error:
        inputs.values["unit_problem"] = str(error)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role fleet_gateway takes from the controller: its unit, its policy, its lock, the fleet's CA."""

from __future__ import annotations

import hashlib

from ansible.errors import AnsibleError
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import COLLECTION, Inputs

TEMPLATE = "edge-slm-gateway.service.j2"
POLICY, LOCK = "edge_slm_policy.py", "requirements.lock"
#: Found like any file that a playbook names: beside the playbook, where the path is not absolute.
CA_FILE = "{{ lookup('ansible.builtin.file', fleet_gateway_ca) if fleet_gateway_ca else '' }}"


def before(inputs: Inputs) -> None:
    """Add the texts of the role's files; without networks that can be used the plan refuses the unit anyway."""
    values = inputs.values
    files = COLLECTION / "roles" / inputs.role.name / "files"
    values["policy"] = (files / POLICY).read_text(encoding="utf-8")
    values["lock"] = hashlib.sha256((files / LOCK).read_bytes()).hexdigest()[:12]
    values |= {"unit": "", "ca_text": "", "ca_problem": ""}
    if values["state"] == "absent":
        return
    try:
        text = str(inputs.templar.template(trust_as_template(CA_FILE)))
    except AnsibleError as error:  # the first run makes the fleet's CA
        text = ""
        values["ca_problem"] = f"fleet_gateway_ca: cannot be read on the controller: {error}"
    values["ca_text"] = certificates_in(text)
    if text and not values["ca_text"]:
        inputs.refusals.append(
            f"fleet_gateway_ca: {values['ca']} is not a certificate in PEM; give the CA of the devices."
        )
    problems = Problems()
    as_networks(values["allowed_cidrs"], "allowed_cidrs", problems)
    if not problems.found:
        values["unit"] = inputs.render(TEMPLATE).replace("@lock@", values["lock"])

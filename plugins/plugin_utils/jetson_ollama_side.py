# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of jetson_ollama takes from the controller: the registry's CA, and the text of the command ollama."""

from __future__ import annotations

from ansible.errors import AnsibleError
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs

#: Found like any file that a playbook names: beside the playbook, where the path is not absolute.
CA_FILE = "{{ lookup('ansible.builtin.file', jetson_ollama_registry_ca) if jetson_ollama_registry_ca else '' }}"
CLIENTS = ("wrapper", "release")


def before(inputs: Inputs) -> None:
    """Add `registry_ca_text` and `client_text` to the inputs."""
    values = inputs.values
    if values["state"] == "absent":
        return
    try:
        text = str(inputs.templar.template(trust_as_template(CA_FILE)))
    except AnsibleError as error:
        inputs.refusals.append(f"jetson_ollama_registry_ca: cannot be read on the controller: {error}")
        return
    certificates = certificates_in(text)
    if text and not certificates:
        inputs.refusals.append(
            f"jetson_ollama_registry_ca: {values['registry_ca']} is not a certificate in PEM; give the CA that "
            "has signed the registry's certificate."
        )
    values["registry_ca_text"] = certificates
    values["client_text"] = inputs.render(f"ollama-{values['client']}.j2") if values["client"] in CLIENTS else ""

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of jetson_ollama takes from the controller: the registries' CAs, and the text of the command ollama."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleError
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs

#: Found like any file that a playbook names: beside the playbook, where the path is not absolute.
CA_FILE = "{{ lookup('ansible.builtin.file', __jetson_ollama_ca) }}"
CLIENTS = ("wrapper", "release")


def before(inputs: Inputs) -> None:
    """Add `registry_ca_texts`, one for each registry, and `client_text` to the inputs."""
    values = inputs.values
    if values["state"] == "absent":
        return
    registries = values["registries"] if isinstance(values["registries"], list) else []
    values["registry_ca_texts"] = [certificate_of(inputs, number, entry) for number, entry in enumerate(registries)]
    values["client_text"] = inputs.render(f"ollama-{values['client']}.j2") if values["client"] in CLIENTS else ""


def certificate_of(inputs: Inputs, number: int, entry: object) -> str:
    """Return the certificates of a registry's CA; '' where it has none of its own, or none can be read."""
    path = str(entry.get("ca") or "") if isinstance(entry, Mapping) else ""
    if not path:
        return ""
    scope = {**inputs.templar.available_variables, "__jetson_ollama_ca": path}
    templar = inputs.templar.copy_with_new_env(available_variables=scope)
    try:
        certificates = certificates_in(str(templar.template(trust_as_template(CA_FILE))))
    except AnsibleError as error:
        inputs.refusals.append(f"jetson_ollama_registries[{number}].ca: cannot be read on the controller: {error}")
        return ""
    if not certificates:
        inputs.refusals.append(
            f"jetson_ollama_registries[{number}].ca: {path} is not a certificate in PEM; give the CA that has signed "
            "the registry's certificate."
        )
    return certificates

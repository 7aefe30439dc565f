# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What host_baseline's plan takes from the controller: CA certificates that are there, and its time."""

from __future__ import annotations

import time

from ansible.errors import AnsibleError
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs


def before(inputs: Inputs) -> None:
    """Add the time, and the certificates of the files of `ca_certificates`; None of a file that cannot be read."""
    inputs.values["controller_time"] = time.time()
    paths = inputs.values["ca_certificates"]
    if inputs.values["state"] == "absent" or not isinstance(paths, list):
        return
    texts: list[str | None] = []
    for index in range(len(paths)):
        # Ansible's own lookup: it knows where a play's files are, and the vault.
        lookup = f"lookup('ansible.builtin.file', host_baseline_ca_certificates[{index}])"
        try:
            text = str(inputs.templar.template(trust_as_template(f"{{{{ {lookup} }}}}")))
            texts.append(certificates_in(text))
        except AnsibleError:
            texts.append(None)
    inputs.values["ca_texts"] = texts

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.proxy_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_proxy_plan
short_description: Decide how HAProxy is to run in front of Ollama
version_added: 0.2.0
description:
  - Checks keys, limits, addresses, certificate and port, and fails with all problems at once.
  - Returns HAProxy's configuration, the unit, and the marks by which a running process is known to have them.
  - Changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.api_keys, edge_slm.fleet.reads_only]
options:
  state:
    description: With V(absent) nothing is checked.
    type: str
    choices: [present, absent]
    default: present
  inputs:
    description: Inputs of the role endpoint_proxy by their names without C(endpoint_proxy_), but for keys and state.
    type: dict
    required: true
  unit:
    description: Text of the systemd unit, with C(@digest@) where its mark belongs.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Decide how the proxy is to run
  edge_slm.fleet.endpoint_proxy_plan:
    inputs: "{{ __endpoint_proxy_inputs }}"
    api_keys: "{{ endpoint_proxy_api_keys }}"
    unit: "{{ lookup('ansible.builtin.template', 'edge-slm-proxy.service.j2') }}"
"""

RETURN = r"""
config:
  description: HAProxy's configuration; it holds no secret.
  returned: success
  type: str
unit:
  description: The unit.
  returned: success
  type: str
mark:
  description: Tells configuration, keys and certificate apart from others.
  returned: success
  type: str
unit_mark:
  description: Tells the unit apart from others.
  returned: success
  type: str
url:
  description: Where the device itself reaches the proxy.
  returned: success
  type: str
installed:
  description: Whether HAProxy is there.
  returned: success
  type: bool
idle_distribution:
  description: >-
    Whether the distribution's haproxy.service is enabled though its configuration is as the package brought it.
  returned: success
  type: bool
pending:
  description: What other roles have yet to bring (certificate, the port that Ollama holds), with the mend.
  returned: success
  type: list
  elements: str
summary:
  description: One line for people.
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.live import (
    distribution_is_idle,
    port_owner,
    read_pem,
)

HAPROXY = "/usr/sbin/haproxy"


def main() -> None:
    """Run the module."""
    # Only the keys themselves are secret: hiding names too would blot them out of arguments and messages.
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "inputs": {"type": "dict", "required": True},
            "api_keys": serving.API_KEYS_ARGUMENT,
            "unit": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    if given["state"] == "absent":
        module.exit_json(
            changed=False,
            config="",
            unit="",
            mark="",
            unit_mark="",
            url="",
            installed=os.path.exists(HAPROXY),
            idle_distribution=False,
            pending=[],
            summary="no proxy is wanted",
        )
    inputs = given["inputs"]
    problems = Problems()
    pending: list[str] = []
    keys = serving.parse_keys(given["api_keys"], problems, proxying.KEYS_VARIABLE)
    settings = proxying.parse_settings(inputs, problems)
    certificate, secret = str(inputs["tls_certificate"] or ""), str(inputs["tls_key"] or "")
    if bool(certificate) != bool(secret):
        missing = "endpoint_proxy_tls_key" if certificate else "endpoint_proxy_tls_certificate"
        problems.add(missing, "is missing; certificate and key are given together, or neither for plain HTTP.")
    owner = port_owner(settings)
    if owner.startswith("ollama"):
        # Its own role may be about to move it.
        pending.append(f"endpoint_proxy_port: {proxying.port_problem(settings, owner)}")
    elif owner:
        problems.add("endpoint_proxy_port", proxying.port_problem(settings, owner))
    if problems.found:
        module.fail_json(msg="\n".join(problems.found), problems=problems.found)
    pem = ""
    if certificate:
        try:
            pem = read_pem(certificate, secret)
        except ValueError as error:  # a role that runs before this one may bring or renew it
            pending.append(str(error))
    plan = proxying.plan(settings, keys, bool(certificate), pem)
    unit_mark = digest(given["unit"])[:32]
    scheme = "https" if certificate else "http"
    module.exit_json(
        changed=False,
        config=plan.config,
        unit=given["unit"].replace("@digest@", unit_mark),
        mark=plan.mark,
        unit_mark=unit_mark,
        url=serving.base_url(settings.listen, settings.port).replace("http", scheme, 1),
        installed=os.path.exists(HAPROXY),
        idle_distribution=distribution_is_idle(),
        pending=pending,
        summary=(
            f"{scheme} on {serving.url_host(settings.listen)}:{settings.port} before Ollama on port "
            f"{settings.backend_port}; keys: {', '.join(f'{key.name} ({key.scope})' for key in keys)}"
        ),
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.verify_endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify_endpoint
short_description: Ask a device's endpoints as their users do
version_added: 0.1.0
description:
  - Runs on the controller and asks every service of one device through the official OpenAI client.
  - Fails with all that was wrong; changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
requirements:
  - openai
options:
  address:
    description: Name or address under which the controller reaches the device.
    type: str
    required: true
  services:
    description: Services as in the role llama_service's input llama_service_instances.
    type: raw
    required: true
  api_keys:
    description: >-
      Keys as in the role llama_service's input llama_service_api_keys; the first inference key is used.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Who uses the key.
        type: str
      key:
        description: The key.
        type: str
      scope:
        description: What the key is for.
        type: str
  tls:
    description: Whether the services speak TLS. The certificate must then be for O(address).
    type: bool
    default: false
  ca_file:
    description: >-
      With O(tls), certificates in PEM to trust: a CA's, or the device's own. Without it, what the controller trusts.
    type: path
  question:
    description: What a model is asked.
    type: str
    default: What is the capital of France? Answer in one word.
  timeout:
    description: How long one answer may take, in seconds.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description: Skipped; nothing may be running yet.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Ask every endpoint of this device
  edge_slm.fleet.verify_endpoint:
    address: "{{ ansible_host }}"
    services: "{{ edge_slm_services }}"
    api_keys: "{{ edge_slm_api_keys }}"
  delegate_to: localhost
"""

RETURN = r"""
endpoints:
  description: Each service's name, base_url, model, answer, tokens_per_second and the checks that passed.
  returned: always, except in check mode
  type: list
  elements: dict
summary:
  description: One line for each service.
  returned: always, except in check mode
  type: list
  elements: str
"""

import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.edge_slm.fleet.plugins.module_utils import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.client_checks import Endpoint, check_endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import client_context

try:
    import openai  # noqa: F401 (client_checks imports it again where it is used)
except ImportError:
    OPENAI_MISSING = traceback.format_exc()
else:
    OPENAI_MISSING = ""


def main() -> None:
    """Run the module."""
    key = {"name": {"type": "str"}, "key": {"type": "str", "no_log": True}, "scope": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "services": {"type": "raw", "required": True},
            "api_keys": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": key,
                "no_log": False,
            },
            "tls": {"type": "bool", "default": False},
            "ca_file": {"type": "path"},
            "question": {"type": "str", "default": "What is the capital of France? Answer in one word."},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing may be running yet.")
    if OPENAI_MISSING:
        module.fail_json(msg=missing_required_lib("openai"), exception=OPENAI_MISSING)
    problems = serving.Problems()
    instances = serving.parse_instances(given["services"], problems)
    keys = serving.parse_keys(given["api_keys"], problems)
    if problems.found:
        module.fail_json(msg="\n".join(problems.found))
    context = None
    if given["tls"]:
        try:
            context = client_context(given["ca_file"] or "")
        except OSError as error:
            module.fail_json(msg=f"ca_file: {given['ca_file']} cannot be used ({error}); name certificates in PEM.")
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    for instance in instances:
        endpoint = Endpoint(
            url=f"{'https' if context else 'http'}://{serving.url_host(given['address'])}:{instance.port}",
            key=keys[0].key,
            model=instance.model,
            embeddings=instance.embeddings,
            ui=instance.ui,
            tls=context,
        )
        checks = check_endpoint(endpoint, given["question"], given["timeout"])
        failures += [f"{instance.name} ({endpoint.url}): {failure}" for failure in checks.failed]
        results.append(
            {
                "name": instance.name,
                "base_url": f"{endpoint.url}/v1",
                "model": instance.model,
                "answer": checks.answer,
                "tokens_per_second": checks.tokens_per_second,
                "passed": checks.passed,
            }
        )
    summary = [
        f"{r['name']} at {r['base_url']}: {r['answer']} ({r['tokens_per_second']} tokens/s)"
        if r["tokens_per_second"]
        else f"{r['name']} at {r['base_url']}: {r['answer']}"
        for r in results
    ]
    if failures:
        module.fail_json(msg="\n".join(failures), endpoints=results, summary=summary)
    module.exit_json(changed=False, endpoints=results, summary=summary)


if __name__ == "__main__":
    main()

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
  - The first inference key of O(api_keys) is used. Fails with all that was wrong; changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.api_keys]
requirements:
  - openai
options:
  address:
    description: Name or address under which the controller reaches the device.
    type: str
    required: true
  endpoints:
    description: What the device serves, as M(edge_slm.fleet.fleet_services) returns it.
    type: list
    elements: dict
    required: true
    suboptions:
      engine:
        description: What answers.
        type: str
        choices: [llama.cpp, ollama, gateway]
        required: true
      name:
        description: How the service is called.
        type: str
        required: true
      model:
        description: How the model is called in requests.
        type: str
        required: true
      entry:
        description: The catalogue's name for the model. Nothing is asked with it.
        type: str
      port:
        description: TCP port.
        type: int
        required: true
      embeddings:
        description: Whether the model makes embeddings in place of text.
        type: bool
        default: false
      ui:
        description: Whether a web UI must be there.
        type: bool
        default: false
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
  edge_slm.fleet.on_controller:
    module: edge_slm.fleet.verify_endpoint
    args:
      address: "{{ ansible_host }}"
      endpoints:
        - engine: ollama
          name: phi3:mini
          model: phi3:mini
          port: 11434
      api_keys: "{{ edge_slm_api_keys }}"
"""

RETURN = r"""
endpoints:
  description:
    - Each service's engine, name, base_url, model, answer, tokens_per_second, on_gpu and the checks that passed.
    - C(on_gpu) is the share in percent of an Ollama's model that is on a GPU; null with llama.cpp.
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
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.client_checks import (
    HEALTH_PATHS,
    Endpoint,
    check_endpoint,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import client_context

try:
    # client_checks imports it again where it is used.
    import openai  # noqa: F401 # pylint: disable=unused-import
except ImportError:
    OPENAI_MISSING = traceback.format_exc()
else:
    OPENAI_MISSING = ""


def summarise(result: dict[str, Any]) -> str:
    """Return one line for people."""
    extras = [f"{result['tokens_per_second']} tokens/s"] if result["tokens_per_second"] else []
    if result["on_gpu"] is not None:
        extras.append(f"{result['on_gpu']:.0f} % on the GPU" if result["on_gpu"] else "GPU not proven")
    more = f" ({', '.join(extras)})" if extras else ""
    return f"{result['name']} at {result['base_url']}: {result['answer']}{more}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "endpoints": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "engine": {"type": "str", "choices": list(HEALTH_PATHS), "required": True},
                    "name": {"type": "str", "required": True},
                    "model": {"type": "str", "required": True},
                    "entry": {"type": "str"},
                    "port": {"type": "int", "required": True},
                    "embeddings": {"type": "bool", "default": False},
                    "ui": {"type": "bool", "default": False},
                },
            },
            "api_keys": serving.API_KEYS_ARGUMENT,
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
    problems = Problems()
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
    for wanted in given["endpoints"]:
        endpoint = Endpoint(
            engine=wanted["engine"],
            url=f"{'https' if context else 'http'}://{url_host(given['address'])}:{wanted['port']}",
            key=keys[0].key,
            model=wanted["model"],
            embeddings=wanted["embeddings"],
            ui=wanted["ui"],
            admin=keys[0].scope == "admin",
            tls=context,
        )
        checks = check_endpoint(endpoint, given["question"], given["timeout"])
        failures += [f"{wanted['name']} ({endpoint.url}): {failure}" for failure in checks.failed]
        results.append(
            {
                "engine": endpoint.engine,
                "name": wanted["name"],
                "base_url": f"{endpoint.url}/v1",
                "model": endpoint.model,
                "answer": checks.answer,
                "tokens_per_second": checks.tokens_per_second,
                "on_gpu": checks.on_gpu,
                "passed": checks.passed,
            }
        )
    summary = [summarise(result) for result in results]
    if failures:
        module.fail_json(msg="\n".join(failures), endpoints=results, summary=summary)
    module.exit_json(changed=False, endpoints=results, summary=summary)


if __name__ == "__main__":
    main()

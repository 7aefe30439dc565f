#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.ollama_status."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_status
short_description: List the models that an Ollama server serves, from the server itself
version_added: 0.1.0
description:
  - Asks the server, whatever is in the inventory, and measures the speed of its models with a short generation each.
  - The rows have the keys of M(edge_slm.fleet.llama_service_status), so that one table shows both engines.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  url:
    description: The server.
    type: str
    default: http://127.0.0.1:11435
  service:
    description: What to call it; the name of its container.
    type: str
    default: ollama
  port:
    description: The port that users see; that of the proxy before it.
    type: int
    default: 11434
  record:
    description: Receipt of M(edge_slm.fleet.jetson_ollama_models). A model that differs is not in sync.
    type: path
    default: /var/lib/edge-slm/ollama-models.json
  measure:
    description: Measure the models that are loaded already, or load all of them one after the other.
    type: str
    choices: [loaded, all]
    default: loaded
  timeout:
    description: How long one measurement may take, in seconds; loading the model is a part of it.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Look at the models
  edge_slm.fleet.jetson_ollama_status:
"""

RETURN = r"""
endpoints:
  description:
    - One item for each model with engine, service, port, release (the server's version), model, quantisation, sha256
      (of its manifest), context (0 where it is not loaded or the server does not report it), loaded, on_gpu (percent,
      none where it is not loaded; 0 means that the GPU is not proven), tokens_per_second, health and in_sync.
    - A server that does not answer has one item without a model.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import OllamaError, Server, url_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import abilities, find_loaded, probe
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.status import describe_models, silent_server


def measure(server: Server, row: dict[str, Any], timeout: int) -> None:
    """Make a model work once, and add to its row what that shows."""
    try:
        seen = probe(server, row["model"], abilities(server.show(row["model"])).embeddings, timeout)
    except OllamaError as error:
        row["health"] = str(error)
        return
    row["tokens_per_second"] = seen.tokens_per_second
    loaded = find_loaded(seen.running, row["model"], row["sha256"])
    if loaded:
        row.update(loaded=True, context=loaded.context, on_gpu=loaded.share)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11435"},
            "service": {"type": "str", "default": "ollama"},
            "port": {"type": "int", "default": 11434},
            "record": {"type": "path", "default": "/var/lib/edge-slm/ollama-models.json"},
            "measure": {"type": "str", "choices": ["loaded", "all"], "default": "loaded"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = module.params
    if problem := url_problem(given["url"]):
        module.fail_json(msg=f"url: {problem}.")
    server = Server(given["url"].rstrip("/"))
    try:
        version, tags, running = server.version(), server.tags(), server.running()
    except OllamaError as error:
        module.exit_json(changed=False, endpoints=silent_server(given["service"], given["port"], str(error)))
    rows = describe_models(given["service"], given["port"], version, tags, running, read_json(given["record"]))
    measured: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not row["sha256"] or not (row["loaded"] or given["measure"] == "all"):
            continue
        first = measured.setdefault(row["sha256"], row)
        if first is row:
            measure(server, row, given["timeout"])
        else:  # another name of the same model
            row.update({key: first[key] for key in ("tokens_per_second", "health", "loaded", "context", "on_gpu")})
    module.exit_json(changed=False, endpoints=rows)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_ollama_gate."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_gate
short_description: Pass when a model of an Ollama server has really answered, on the GPU where that is demanded
version_added: 0.1.0
description:
  - Runs on the device. Lets the model make a few tokens, which loads it, and looks meanwhile in C(/api/ps) how much
    of it is on the GPU. Then asks it through the OpenAI route as users do. A model that makes embeddings is asked for
    one.
  - On failure the message holds the numbers and the causes that can be seen in O(container) and its log.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  url:
    description: The server.
    type: str
    default: http://127.0.0.1:11435
  model:
    description: Name of the model.
    type: str
    required: true
  require_gpu:
    description: Fail where the model is not on the GPU.
    type: bool
    default: true
  gpu_share:
    description: How much of the model must be on the GPU, in percent.
    type: float
    default: 100
  context:
    description: The context that the loaded model must have, in tokens; 0 = any. Ollama 0.6 does not show it.
    type: int
    default: 0
  container:
    description: Name of the server's container. On failure Docker is asked about it.
    type: str
    default: ""
  container_inputs:
    description: The container's label with the digest of its inputs. With O(receipt) it is noted.
    type: str
    default: ""
  receipt:
    description: JSON file whose dictionary C(answered) holds, for each model, in which container it has answered.
    type: path
  timeout:
    description: How long loading and the first token may take, and then the answer, in seconds.
    type: int
    default: 300
attributes:
  check_mode:
    support: full
    description: Skipped; nothing may be running yet.
  diff_mode:
    support: none
    description: Nothing changes but the receipt.
"""

EXAMPLES = r"""
- name: See that phi3:mini answers from the GPU
  edge_slm.fleet.jetson_ollama_gate:
    model: phi3:mini
    context: 4096
    container: ollama
"""

RETURN = r"""
text:
  description: What the model answered; the length of the vector for embeddings.
  returned: success
  type: str
tokens_per_second:
  description: Speed of generation as Ollama measured it; 0 for embeddings.
  returned: success
  type: float
gpu:
  description:
    - size and size_vram in bytes, share in percent, and whether that proves that the GPU takes part.
  returned: always, once the model was loaded
  type: dict
context:
  description: Context of the loaded model in tokens; 0 where the server does not show it.
  returned: success
  type: int
"""

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json, write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import prove
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import OllamaError, Server, url_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import (
    abilities,
    find_loaded,
    judge,
    known_causes,
    probe,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.server import proof

#: Lines of the log that causes are looked for in.
LOG_LINES = 400


def inspect(container: str) -> tuple[dict[str, Any], str]:
    """Return what Docker reports of a container, and its log; empty where it cannot be asked."""
    engine = Engine()
    try:
        found = engine.container(container) if container else None
    except EngineError:
        found = None
    return (found, engine.logs(container, LOG_LINES)) if found else ({}, "")


def note(path: str, model: str, digest: str, given: Mapping[str, Any]) -> None:
    """Note in the receipt that a model has answered."""
    receipt = read_json(path)
    key = proof(digest, given["container_inputs"], given["require_gpu"], int(given["gpu_share"]))
    answered = {**(receipt.get("answered") or {}), model: key}
    if answered != receipt.get("answered"):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_json(path, {**receipt, "answered": answered})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11435"},
            "model": {"type": "str", "required": True},
            "require_gpu": {"type": "bool", "default": True},
            "gpu_share": {"type": "float", "default": 100},
            "context": {"type": "int", "default": 0},
            "container": {"type": "str", "default": ""},
            "container_inputs": {"type": "str", "default": ""},
            "receipt": {"type": "path"},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    given = module.params
    model, url = given["model"], given["url"].rstrip("/")
    if problem := url_problem(url):
        module.fail_json(msg=f"url: {problem}.")
    if not 0 < given["gpu_share"] <= 100:
        module.fail_json(
            msg=f"gpu_share: {given['gpu_share']:g} is not a share; give more than 0 and up to 100 percent."
        )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing may be running yet.")

    def fail(problems: list[str], causes: list[str], facts: Mapping[str, Any]) -> None:
        lines = [f"The model {model} at {url} does not serve as it should: {'; '.join(problems)}."]
        lines += [f"Likely cause: {cause}." for cause in causes]
        module.fail_json(msg="\n".join(lines), **facts)

    server = Server(url)
    shown: dict[str, Any] = {}
    try:
        shown = server.show(model)
        seen = probe(server, model, abilities(shown).embeddings, given["timeout"])
    except OllamaError as error:
        inspected, log = inspect(given["container"])
        parameters = str(shown.get("parameters") or "")
        causes = known_causes(None, parameters, inspected, f"{log}\n{error}") if inspected else []
        fail([str(error)], causes, {})
    loaded = find_loaded(seen.running, model, seen.digest)
    facts = {"gpu": loaded.as_dict() if loaded else {"size": 0, "size_vram": 0, "share": 0.0, "proven": False}}
    problems = judge(loaded, require_gpu=given["require_gpu"], gpu_share=given["gpu_share"], context=given["context"])
    generation = prove(url, "", model, abilities(shown), given["timeout"])
    if generation.problem:
        problems.append(generation.problem)
    if problems:
        inspected, log = inspect(given["container"])
        on_cpu = given["require_gpu"] and loaded is not None and loaded.share < given["gpu_share"]
        parameters = str(shown.get("parameters") or "")
        causes = known_causes(loaded, parameters, inspected, log, seen.running) if on_cpu else []
        fail(problems, causes, facts)
    if given["receipt"]:
        note(given["receipt"], model, seen.digest, given)
    module.exit_json(
        changed=False,
        text=generation.text,
        tokens_per_second=seen.tokens_per_second,
        context=loaded.context if loaded else 0,
        **facts,
    )


if __name__ == "__main__":
    main()

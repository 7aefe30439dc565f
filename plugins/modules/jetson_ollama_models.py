#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_ollama_models."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_models
short_description: Let an Ollama server hold exactly the models that are wanted
version_added: 0.1.0
description:
  - Runs on the device and speaks to Ollama's HTTP API.
  - A model of a registry is pinned by the digest of its manifest. The registry's manifest is compared with it before
    anything is pulled, and what Ollama lists is compared again afterwards. A pull that breaks is taken up again as
    long as it makes progress.
  - A model from a GGUF file is uploaded and made with its projector, template, system prompt and parameters. O(record)
    notes what each was made of, so that it is made again when that has changed, and only then.
  - A model that is replaced answers until its successor is there. Its files are removed then.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  url:
    description: The server.
    type: str
    default: http://127.0.0.1:11435
  models:
    description:
      - The models. Each has V(name) and V(digest) (and maybe V(registry)), or V(name), V(path) and V(sha256).
      - Keys and values that are not known are refused, all of them in one message.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, name:tag or user/name:tag. Without a tag it is V(latest).
        type: str
        required: true
      digest:
        description: C(sha256:…) of the model's manifest in the registry.
        type: str
      registry:
        description: Host of the registry, with its port; models are under C(library/) there. Empty for Ollama's own.
        type: str
      path:
        description: A GGUF file on the device. It is read whole only when Ollama does not have it.
        type: path
      sha256:
        description: Its sha256, 64 hexadecimal digits.
        type: str
      projector:
        description: The GGUF file by which a model from a file sees images, as llama.cpp's converter writes it.
        type: dict
        suboptions:
          path:
            description: The file on the device. It is read whole only when Ollama does not have it.
            type: path
            required: true
          sha256:
            description: Its sha256, 64 hexadecimal digits.
            type: str
            required: true
      template:
        description:
          - Prompt template of a model from a file. Where it is left out, the GGUF's own chat template is carried over,
            so that prompts are those of llama-server; a warning says what cannot be, and Ollama detects a template
            where nothing can.
          - Its braces are Go's, not Jinja's. Tag it C(!unsafe) in YAML, so that Ansible leaves them alone.
        type: str
      system:
        description: System prompt of a model from a file.
        type: str
      parameters:
        description: Parameters of a model from a file, such as C(temperature). Names that Ollama ignores are refused.
        type: dict
      context:
        description:
          - Context in tokens. It becomes the parameter C(num_ctx) of a model from a file.
          - A model of a registry cannot be changed without changing its digest; set C(OLLAMA_CONTEXT_LENGTH) of the
            server for those, and let M(edge_slm.fleet.jetson_ollama_gate) check it.
        type: int
      aliases:
        description: Its other names.
        type: list
        elements: str
  damaged:
    description: Names of models whose files on the disk are damaged; they are fetched again.
    type: list
    elements: str
    default: []
  remove_others:
    description: Remove models that are not in O(models). They are only reported otherwise.
    type: bool
    default: false
  access:
    description: How registries are reached. The server needs the same proxies and certificates.
    type: dict
    default: {}
    suboptions:
      proxies:
        description: Variables such as C(https_proxy).
        type: dict
        default: {}
      certificates:
        description: CA certificates in PEM by the registry's host, to trust beside the system's.
        type: dict
        default: {}
      insecure:
        description: Hosts of registries that speak plain HTTP.
        type: list
        elements: str
        default: []
  models_dir:
    description:
      - The directory on this device that is the server's C(OLLAMA_MODELS). With it, free disk space is checked first,
        and files that a power loss has damaged are found and brought again.
    type: path
  record:
    description: File that notes what each model was made of.
    type: path
    default: /var/lib/edge-slm/ollama-models.json
  timeout:
    description: How long one model may take, in seconds.
    type: int
    default: 7200
  stall_timeout:
    description: How long a transfer may make no progress, in seconds.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: >-
      Reports what would be done. Neither registries nor files are looked at, and a server that is not there yet holds
      nothing.
  diff_mode:
    support: none
    description: RV(models) lists what was done to each.
"""

EXAMPLES = r"""
- name: Let Ollama hold two models
  edge_slm.fleet.jetson_ollama_models:
    models:
      - name: phi3:mini
        digest: sha256:4f222292793889a9a40a020799cfd28d53f3e01af25d48e06c5e708610fc47e9
        aliases: [phi3]
      - name: smollm2:135m
        path: /var/lib/edge-slm/models/smollm2/0123456789ab.gguf
        sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
        system: You are brief.
        parameters:
          temperature: 0.2
        context: 4096
    models_dir: /var/lib/edge-slm/ollama/models
"""

RETURN = r"""
models:
  description:
    - One item for each wanted model with name, aliases, digest (C(sha256:…), empty where it is not known yet), size
      in bytes and action (C(present), C(pulled) or C(created); in check mode what would be done).
  returned: success
  type: list
  elements: dict
unlisted:
  description: Names of models that are not in O(models).
  returned: success
  type: list
  elements: str
removed:
  description: Names that were removed, what an interrupted run had left included.
  returned: success
  type: list
  elements: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError, read_json, write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import (
    OllamaError,
    Server,
    Unanswered,
    url_problem,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    Held,
    Model,
    Plan,
    held_models,
    make_plan,
    parse_models,
    prompt_sentence,
    replaced_name,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.transfer import Bringer


def rows(models: list[Model], plan: Plan, held: dict[str, Held]) -> list[dict[str, Any]]:
    """Return one row for each wanted model."""
    brought = {model.name for model in plan.bring}
    found = []
    for model in models:
        have = held.get(model.name.lower())
        digest = have.digest if have else model.digest
        action = ("created" if model.sha256 else "pulled") if model.name in brought else "present"
        found.append(
            {
                "name": model.name,
                "aliases": list(model.aliases),
                "digest": f"sha256:{digest}" if digest else "",
                "size": have.size if have else 0,
                "action": action,
            }
        )
    return found


def apply(module: AnsibleModule, server: Server, models: list[Model], plan: Plan, bringer: Bringer) -> list[str]:
    """Carry out the plan; return the names that were removed.

    What is done is noted at once, so that a run that is killed loses nothing.
    """
    path = module.params["record"]
    record = read_json(path)
    held = held_models(server.tags())

    def note() -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        write_json(path, record)

    for model in plan.bring:
        try:
            with Progress.of(module, model.name) as progress:
                after = bringer.bring(model, held, progress.update)
        except (OllamaError, DurableError, OSError) as error:
            raise OllamaError(f"{model.name}: {error}") from error
        lost = bringer.lost.get(model.name, "")
        if lost:
            module.warn(prompt_sentence(model.name, lost))
        record[model.name] = {"digest": after.digest, "inputs": model.inputs if model.sha256 else "", "lost": lost}
        note()
    for source, alias in plan.copies:
        bringer.keep_replaced(alias, held)
        server.copy(source, alias)
    now = held_models(server.tags())
    replaced = [one.name for key, one in now.items() if key.startswith(replaced_name("x:y").partition("/")[0] + "/")]
    for name in sorted({*plan.delete, *replaced}):
        server.delete(name)
    wanted = {model.name for model in models}
    noted = {model.name: now[model.name.lower()].digest for model in models if model.name.lower() in now}
    fresh = {name: value for name, value in record.items() if name in wanted}
    for name, digest in noted.items():
        fresh.setdefault(name, {"digest": digest, "inputs": ""})
    if fresh != read_json(path):
        record = fresh
        note()
    return list(plan.delete)


def held_before(server: Server, check_mode: bool) -> dict[str, Held]:
    """Return what the server holds; in check mode there may be no server yet, which then holds nothing."""
    try:
        return held_models(server.tags())
    except Unanswered:
        if check_mode:
            return {}
        raise


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:11435"},
            # The entries are read by parse_models, which reports every problem at once.
            "models": {"type": "list", "elements": "dict", "required": True},
            "damaged": {"type": "list", "elements": "str", "default": []},
            "remove_others": {"type": "bool", "default": False},
            "access": {
                "type": "dict",
                "default": {},
                "options": {
                    "proxies": {"type": "dict", "default": {}},
                    "certificates": {"type": "dict", "default": {}},
                    "insecure": {"type": "list", "elements": "str", "default": []},
                },
            },
            "models_dir": {"type": "path"},
            "record": {"type": "path", "default": "/var/lib/edge-slm/ollama-models.json"},
            "timeout": {"type": "int", "default": 7200},
            "stall_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = module.params
    problems = Problems()
    models = parse_models(given["models"], problems)
    if problem := url_problem(given["url"]):
        problems.found.insert(0, f"url: {problem}.")
    if problems.found:
        module.fail_json(msg="\n".join(problems.found))
    server = Server(given["url"].rstrip("/"))
    removed: list[str] = []
    try:
        before = held_before(server, module.check_mode)
        plan = make_plan(models, before, read_json(given["record"]), given["remove_others"], given["damaged"])
        after = before
        if not module.check_mode:
            bringer = Bringer(
                server,
                models_dir=given["models_dir"] or "",
                access=Access(**given["access"]),
                stall_timeout=given["stall_timeout"],
                timeout=given["timeout"],
            )
            removed = apply(module, server, models, plan, bringer)
            after = held_models(server.tags())
    except (OllamaError, DurableError, OSError) as error:
        module.fail_json(msg=str(error))
    changed = {name: one.digest for name, one in before.items()} != {name: one.digest for name, one in after.items()}
    module.exit_json(
        changed=plan.changes if module.check_mode else changed or bool(given["damaged"]),
        models=rows(models, plan, after),
        unlisted=list(plan.unlisted),
        removed=list(plan.delete) if module.check_mode else removed,
    )


if __name__ == "__main__":
    followed(main)

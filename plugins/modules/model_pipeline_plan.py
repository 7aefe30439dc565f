#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.model_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_pipeline_plan
short_description: Check a catalogue of models and decide what is to be done for each
version_added: 0.1.0
description:
  - Checks every entry; all problems are told at once, each with the variable and the mend.
  - Compares the entries with what is on the host and returns the steps that are left. Changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  models:
    description: The role's C(model_pipeline_models).
    type: raw
    required: true
  variable:
    description: What the operator calls the catalogue; used in messages.
    type: str
    default: model_pipeline_models
  models_path:
    description: Where published models are.
    type: path
    default: /var/lib/edge-slm/models
  cache_path:
    description: Where work files are.
    type: path
    default: /var/cache/edge-slm/models
  python:
    description: Python that has huggingface_hub and what the converter needs.
    type: path
    default: /opt/edge-slm/llama.cpp/venv/bin/python
  converter_dir:
    description: Directory with convert_hf_to_gguf.py of the pinned llama.cpp.
    type: path
    default: /opt/edge-slm/llama.cpp/current/converter
  quantize:
    description: Path of llama-quantize.
    type: path
    default: /opt/edge-slm/llama.cpp/current/bin/llama-quantize
"""

EXAMPLES = r"""
- name: Check the catalogue
  edge_slm.fleet.model_pipeline_plan:
    models:
      - name: smollm2
        source:
          repo: HuggingFaceTB/SmolLM2-135M-Instruct
          revision: 0123456789abcdef0123456789abcdef01234567
        quantisation: Q4_K_M
  register: plan
"""

RETURN = r"""
models:
  description:
    - One dictionary a model, in order, with C(name), C(inputs_digest) and C(steps) - what is left to do.
    - C(source_fetch), C(ready_hub), C(ready_url), C(conversions), C(quantised) and C(published) hold the
      arguments of those steps.
  returned: success
  type: list
  elements: dict
missing_packages:
  description: Debian packages that fetching needs and the host lacks.
  returned: success
  type: list
  elements: str
missing_tools:
  description: Which programs the steps need and the host lacks, each with the mend.
  returned: success
  type: list
  elements: str
"""

import os
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import (
    NONE,
    CatalogueError,
    Found,
    Layout,
    Model,
    Source,
    parse_catalogue,
    ready_sources,
    steps,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import OUTPUT, derived
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import MANIFEST, intact


def look(model: Model, layout: Layout, remember: bool) -> Found:
    """See what is on the host already for a model."""
    directory = os.path.join(layout.models_path, model.name)
    manifest = read_json(os.path.join(directory, MANIFEST))
    right = bool(manifest) and intact(directory, manifest, remember)
    return Found(
        published=str(manifest.get("inputs_digest", "")) if right else "",
        converted=bool(derived(layout.converted(model), model.converted_inputs())),
        projector=bool(derived(layout.projector(model), model.converted_inputs())),
        source=os.path.isdir(layout.source_dir(model)),
    )


def conversion(model: Model, layout: Layout, tools: dict[str, str], projector: bool) -> dict[str, Any]:
    """Return the arguments of one run of the converter."""
    converter = os.path.join(tools["converter_dir"], "convert_hf_to_gguf.py")
    kind = ["--mmproj"] if projector else []
    return {
        # Which of hf_snapshot's returns tells how large it becomes.
        "size_in": "projector_bytes" if projector else "gguf_bytes",
        "argv": [
            tools["python"],
            converter,
            layout.source_dir(model),
            *kind,
            "--outtype",
            model.outtype,
            "--outfile",
            OUTPUT,
        ],
        "dest": layout.projector(model) if projector else layout.converted(model),
        "inputs": model.converted_inputs(),
    }


def ready(model: Model, source: Source, layout: Layout) -> dict[str, Any]:
    """Return the arguments of fetching something that is used as it is."""
    dest = layout.ready(model, source)
    if source.url:
        return {"url": source.url, "sha256": source.sha256, "size": source.size, "dest": dest}
    return {
        "repo": source.repo,
        "revision": source.revision,
        "include": [source.file],
        "exclude": [],
        "dest": dest[: -len(source.file) - 1],
    }


def plan(model: Model, found: Found, layout: Layout, tools: dict[str, str]) -> dict[str, Any]:
    """Return all that the role needs to know about a model."""
    todo = steps(model, found)
    fetched = [ready(model, source, layout) for source in ready_sources(model)]
    conversions = []
    if "convert" in todo:
        conversions.append(conversion(model, layout, tools, projector=False))
    if "convert_projector" in todo:
        conversions.append(conversion(model, layout, tools, projector=True))
    quantised = model.quantisation != NONE
    return {
        "name": model.name,
        "inputs_digest": model.inputs_digest(),
        "steps": todo,
        "outtype": model.outtype,
        "source_fetch": {
            "repo": model.source.repo,
            "revision": model.source.revision,
            "include": list(model.source.include),
            "exclude": list(model.source.exclude),
            "dest": layout.source_dir(model),
        },
        "ready_hub": [item for item in fetched if "repo" in item],
        "ready_url": [item for item in fetched if "url" in item],
        "conversions": conversions,
        "quantised": {
            "src": layout.full(model),
            "dest": layout.quantised(model),
            "quantisation": model.quantisation,
            "imatrix": layout.imatrix(model),
            "inputs": model.quantised_inputs(),
        },
        "published": {
            "model": layout.quantised(model) if quantised else layout.full(model),
            "projector": layout.projector(model),
            # What only this version needs goes; what another quantisation starts from stays.
            "move": quantised,
            "source": model.source.shown(),
            "quantisation": model.quantisation,
        },
        "work": layout.work(model),
    }


def missing(plans: list[dict[str, Any]], tools: dict[str, str]) -> list[str]:
    """Return which programs the steps need and the host lacks."""
    todo = {step for item in plans for step in item["steps"]}
    hub = "fetch" in todo or any(item["ready_hub"] for item in plans if "ready" in item["steps"])
    converts = bool(todo & {"convert", "convert_projector"})
    role = "run the role llama_cpp on this host first"
    checks = [
        (
            hub or converts,
            tools["python"],
            f"model_pipeline_python: {tools['python']} is missing; {role}, with llama_cpp_converter: true",
        ),
        (
            converts,
            os.path.join(tools["converter_dir"], "convert_hf_to_gguf.py"),
            f"model_pipeline_converter_dir: {tools['converter_dir']} has no convert_hf_to_gguf.py; {role}",
        ),
        (
            "quantise" in todo,
            tools["quantize"],
            f"model_pipeline_quantize: {tools['quantize']} is missing; {role}",
        ),
    ]
    return [message for needed, path, message in checks if needed and not os.path.exists(path)]


def missing_packages() -> list[str]:
    """Return which packages fetching needs and the host lacks: resumable downloads, the system's trust."""
    signs = {"aria2": shutil.which("aria2c"), "ca-certificates": shutil.which("update-ca-certificates")}
    return [package for package, sign in signs.items() if not sign]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "models": {"type": "raw", "required": True},
            "variable": {"type": "str", "default": "model_pipeline_models"},
            "models_path": {"type": "path", "default": "/var/lib/edge-slm/models"},
            "cache_path": {"type": "path", "default": "/var/cache/edge-slm/models"},
            "python": {"type": "path", "default": "/opt/edge-slm/llama.cpp/venv/bin/python"},
            "converter_dir": {"type": "path", "default": "/opt/edge-slm/llama.cpp/current/converter"},
            "quantize": {"type": "path", "default": "/opt/edge-slm/llama.cpp/current/bin/llama-quantize"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        models = parse_catalogue(given["models"], given["variable"])
    except CatalogueError as error:
        module.fail_json(msg=str(error))
    layout = Layout(given["models_path"], given["cache_path"])
    tools = {name: given[name] for name in ("python", "converter_dir", "quantize")}
    plans = [plan(model, look(model, layout, not module.check_mode), layout, tools) for model in models]
    module.exit_json(
        changed=False,
        models=plans,
        missing_packages=missing_packages(),
        missing_tools=missing(plans, tools),
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.model_pipeline_publish."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_pipeline_publish
short_description: Publish a prepared model under its final names
version_added: 0.1.0
description:
  - Names the files by their sha256 in the model's directory, reads from the GGUF what memory planning needs,
    and writes C(manifest.json) last. Until then the previous version stays valid.
  - Removes versions older than O(keep), what killed runs left, and work files that nothing needs any more.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  name:
    description: The model's name.
    type: str
    required: true
  models_path:
    description: Where published models are.
    type: path
    required: true
  model:
    description: The finished GGUF.
    type: path
    required: true
  projector:
    description: The finished projector, if the model has one.
    type: str
    default: ""
  move:
    description: Whether the finished GGUF may be moved instead of copied.
    type: bool
    default: false
  inputs_digest:
    description: Digest of all inputs; the same one means that there is nothing to do.
    type: str
    required: true
  source:
    description: Where it came from.
    type: dict
    required: true
  outtype:
    description: What it was converted to; empty if it came ready.
    type: str
    default: ""
  quantisation:
    description: How it was quantised.
    type: str
    required: true
  release_file:
    description: Description of the llama.cpp release whose converter and quantiser were used.
    type: path
  keep:
    description: Versions that stay on disk, this one among them.
    type: int
    default: 2
  work_path:
    description: Directory of the model's work files.
    type: path
  work_keep:
    description: Names in it that stay; all others go.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Reports that it would be published.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Publish
  edge_slm.fleet.model_pipeline_publish:
    name: smollm2
    models_path: /var/lib/edge-slm/models
    model: /var/cache/edge-slm/models/smollm2/Q4_K_M.gguf
    inputs_digest: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    source: {repo: HuggingFaceTB/SmolLM2-135M-Instruct, revision: 0123456789abcdef0123456789abcdef01234567}
    quantisation: Q4_K_M
"""

RETURN = r"""
manifest:
  description: What was written; empty in check mode.
  returned: success
  type: dict
"""

import os
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    directory_lock,
    names_in,
    read_json,
    remember_verified,
    remove,
    sha256_of,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, checked_header
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import artifact, place, publish


def tidy(directory: str, keep: list[str]) -> None:
    """Remove work files of other inputs and rests of killed runs."""
    beside = ("{}", "{}.json", "{}.snapshot.json", ".{}.verified")
    stay = {name.format(kept) for kept in keep for name in beside}
    for entry in names_in(directory):
        path = os.path.join(directory, entry)
        if entry in stay:
            continue
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            remove(path)


def write(params: dict[str, Any]) -> dict[str, Any]:
    """Publish and return the manifest."""
    directory = os.path.join(params["models_path"], params["name"])
    os.makedirs(directory, mode=0o755, exist_ok=True)
    shape = checked_header(params["model"], "model").shape()
    sources = [("model", params["model"])]
    if params["projector"]:
        checked_header(params["projector"], "projector")
        sources.append(("projector", params["projector"]))
    with directory_lock(directory):
        files = []
        for kind, source in sources:
            entry = artifact(kind, sha256_of(source), os.path.getsize(source))
            place(source, os.path.join(directory, entry.path), entry.sha256)
            files.append(entry.as_dict())
        manifest = {
            "name": params["name"],
            "inputs_digest": params["inputs_digest"],
            "files": files,
            "source": params["source"],
            "outtype": params["outtype"],
            "quantisation": params["quantisation"],
            "converter": read_json(params["release_file"] or "").get("source", {}),
            **shape.as_dict(),
        }
        written = publish(directory, manifest, params["keep"])
    if params["move"]:
        remove(params["model"], f"{params['model']}.json")
    if params["work_path"]:
        tidy(params["work_path"], params["work_keep"])
    # A hard link less changes the file's ctime, by which it is known as verified.
    for file in files:
        remember_verified(os.path.join(directory, file["path"]), Digest(file["sha256"]))
    return written


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "models_path": {"type": "path", "required": True},
            "model": {"type": "path", "required": True},
            "projector": {"type": "str", "default": ""},
            "move": {"type": "bool", "default": False},
            "inputs_digest": {"type": "str", "required": True},
            "source": {"type": "dict", "required": True},
            "outtype": {"type": "str", "default": ""},
            "quantisation": {"type": "str", "required": True},
            "release_file": {"type": "path"},
            "keep": {"type": "int", "default": 2},
            "work_path": {"type": "path"},
            "work_keep": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, manifest={})
    try:
        manifest = write(module.params)
    except (DurableError, GgufError, OSError) as error:
        module.fail_json(msg=f"{module.params['name']}: {error}")
    module.exit_json(changed=True, manifest=manifest)


if __name__ == "__main__":
    main()

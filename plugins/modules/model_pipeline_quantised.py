#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.quantised_file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_pipeline_quantised
short_description: Quantise a GGUF
version_added: 0.1.0
description:
  - Runs llama-quantize when O(dest) is missing or O(inputs) differ from those it was made from, as
    M(edge_slm.fleet.derived_file) does for any program.
  - C(llama-quantize --dry-run) reports the size of the result first; a run for which the disk has less is refused.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  program:
    description: Path of llama-quantize.
    type: path
    required: true
  src:
    description: The GGUF to quantise.
    type: path
    required: true
  dest:
    description: Final name of the result.
    type: path
    required: true
  quantisation:
    description: A type that llama-quantize knows, C(Q4_K_M) for one.
    type: str
    required: true
  imatrix:
    description: Importance matrix, which the smallest types need.
    type: path
  inputs:
    description: What the result depends on.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Reports whether it would be quantised.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Quantise
  edge_slm.fleet.model_pipeline_quantised:
    program: /opt/edge-slm/llama.cpp/current/bin/llama-quantize
    src: /var/cache/edge-slm/models/smollm2/f16.gguf
    dest: /var/cache/edge-slm/models/smollm2/Q4_K_M.gguf
    quantisation: Q4_K_M
    inputs:
      revision: 0123456789abcdef0123456789abcdef01234567
      quantisation: Q4_K_M
"""

RETURN = r"""
sha256:
  description: The result's sha256; empty in check mode where it would be made.
  returned: success
  type: str
  sample: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
size:
  description: Its size in bytes; 0 in check mode where it would be made.
  returned: success
  type: int
  sample: 105453984
announced_bytes:
  description: What the dry run announced, header included; 0 where nothing was made.
  returned: success
  type: int
  sample: 105450000
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import (
    OUTPUT,
    Derivation,
    announced_bytes,
    derive,
    derived,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, read_header


def expected_bytes(program: str, src: str, quantisation: str, imatrix: str) -> int:
    """Return how large the result is going to be, in bytes; the source's size where it cannot be known."""
    tensors = announced_bytes(program, src, quantisation, imatrix)
    # The dry run leaves out the header, which is that of the source (vocabulary and all).
    return tensors + read_header(src).data_offset if tensors else os.path.getsize(src)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "program": {"type": "path", "required": True},
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "quantisation": {"type": "str", "required": True},
            "imatrix": {"type": "path"},
            "inputs": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    program, src, quantisation = (module.params[name] for name in ("program", "src", "quantisation"))
    dest, inputs = os.path.abspath(module.params["dest"]), module.params["inputs"]
    noted = derived(dest, inputs)
    if noted or module.check_mode:
        module.exit_json(
            changed=not noted, sha256=noted.get("sha256", ""), size=noted.get("size", 0), announced_bytes=0
        )
    imatrix = module.params["imatrix"] or ""
    options = ["--imatrix", imatrix] if imatrix else []
    try:
        size = expected_bytes(program, src, quantisation, imatrix)
        argv = [program, *options, src, OUTPUT, quantisation, str(len(os.sched_getaffinity(0)))]
        changed, noted = derive(Derivation(dest=dest, argv=argv, inputs=inputs, needs_bytes=size))
    except (DurableError, GgufError, OSError) as error:
        module.fail_json(msg=f"{os.path.basename(src)} → {quantisation}: {error}")
    module.exit_json(changed=changed, sha256=noted["sha256"], size=noted["size"], announced_bytes=size)


if __name__ == "__main__":
    followed(main)

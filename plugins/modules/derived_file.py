#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.derived_file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: derived_file
short_description: Make a file with a program, when its inputs have changed
version_added: 0.1.0
description:
  - Runs O(argv) when O(dest) is missing or O(inputs) differ from those it was made from.
  - The program writes under a temporary name; the file gets its final name when the program has exited with 0
    and the bytes are on the disk. What a killed run left is removed.
  - O(inputs), sha256 and size are kept in a JSON file beside it.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  argv:
    description: The program and its arguments. C({output}) stands for the name that it must write to.
    type: list
    elements: str
    required: true
  dest:
    description: Final name. Missing directories above it are made.
    type: path
    required: true
  inputs:
    description: What the result depends on.
    type: dict
    required: true
  needs_bytes:
    description: Expected size in bytes; the run is refused where the disk has less. 0 = no check.
    type: int
    default: 0
  environment:
    description: Environment variables for the program, beside the current ones.
    type: dict
    default: {}
  chdir:
    description: Directory to run it in.
    type: path
attributes:
  check_mode:
    support: full
    description: Reports whether the program would be run.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Convert to GGUF
  edge_slm.fleet.derived_file:
    argv: [/opt/venv/bin/python, convert_hf_to_gguf.py, smollm2, --outtype, f16, --outfile, "{output}"]
    dest: /var/cache/edge-slm/models/smollm2/f16.gguf
    inputs:
      revision: 0123456789abcdef0123456789abcdef01234567
      outtype: f16
    needs_bytes: 270000000
"""

RETURN = r"""
dest:
  description: The file's final name.
  returned: success
  type: str
  sample: /var/cache/edge-slm/models/smollm2/f16.gguf
sha256:
  description: Its sha256; empty in check mode where it would be made.
  returned: success
  type: str
  sample: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
size:
  description: Its size in bytes; 0 in check mode where it would be made.
  returned: success
  type: int
  sample: 270000000
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import Derivation, derive, derived


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "inputs": {"type": "dict", "required": True},
            "needs_bytes": {"type": "int", "default": 0},
            "environment": {"type": "dict", "default": {}},
            "chdir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    job = Derivation(
        dest=os.path.abspath(module.params["dest"]),
        argv=module.params["argv"],
        inputs=module.params["inputs"],
        needs_bytes=module.params["needs_bytes"],
        environment={name: str(value) for name, value in module.params["environment"].items()},
        chdir=module.params["chdir"] or "",
    )
    if not any("{output}" in argument for argument in job.argv):
        module.fail_json(msg="argv: one argument must hold {output}, the name that the program writes to")
    if module.check_mode:
        noted = derived(job.dest, job.inputs)
        module.exit_json(changed=not noted, dest=job.dest, sha256=noted.get("sha256", ""), size=noted.get("size", 0))
    try:
        changed, noted = derive(job)
    except (DurableError, OSError) as error:
        module.fail_json(msg=f"{job.dest}: {error}")
    module.exit_json(changed=changed, dest=job.dest, sha256=noted["sha256"], size=noted["size"])


if __name__ == "__main__":
    followed(main)

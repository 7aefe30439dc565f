#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_cpp_admit."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_admit
short_description: Give a release of llama.cpp that has passed its self-test its final name
version_added: 0.1.0
description:
  - Gives all files to root, notes size, mode and sha256 of each in C(release.json), or compares the files with that of
    a builder, and renames the directory, in place of a damaged release of the same key.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  path:
    description: The directory in which the release has been laid out; on the same file system as O(dest).
    type: path
    required: true
  dest:
    description: The release's final name, which ends with its key.
    type: path
    required: true
  description:
    description: What C(release.json) holds beside the files; left out where the release brings it along.
    type: dict
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Give the release its final name
  edge_slm.fleet.llama_cpp_admit:
    path: /opt/edge-slm/llama.cpp/releases/b11434-armv8-a-0123456789.part
    dest: /opt/edge-slm/llama.cpp/releases/b11434-armv8-a-0123456789
"""

RETURN = r"""
dest:
  description: The release's final name.
  returned: success
  type: str
  sample: /opt/edge-slm/llama.cpp/releases/b11434-armv8-a-0123456789
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.content import admit


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "description": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    staged, release = module.params["path"], module.params["dest"]
    if not module.check_mode:
        try:
            problem = admit(staged, release, module.params["description"])
        except OSError as error:
            problem = str(error)
        if problem:
            module.fail_json(msg=f"{staged} does not become a release: {problem}")
    module.exit_json(changed=True, dest=release)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_cpp_publish."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_publish
short_description: Describe a packed release of llama.cpp to the devices of its CPU class
version_added: 0.1.0
description:
  - Writes C(CLASS.json) beside the tarballs, with what a device must know before it fetches one - which file, its
    checksum and size, and which libraries the programs need.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  release:
    description: The release's directory.
    type: path
    required: true
  path:
    description: Directory of the tarballs.
    type: path
    required: true
  sha256:
    description: The tarball's sha256.
    type: str
    required: true
  size:
    description: The tarball's size in bytes.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: The release's plan has said what differs.
"""

EXAMPLES = r"""
- name: Describe which release is for this CPU class
  edge_slm.fleet.llama_cpp_publish:
    release: /opt/edge-slm/llama.cpp/releases/b11434-armv8-a-0123456789
    path: /var/lib/edge-slm/artifacts/releases
    sha256: "{{ packed.sha256 }}"
    size: "{{ packed.size }}"
"""

RETURN = r"""
dest:
  description: The file that was written.
  returned: success
  type: str
  sample: /var/lib/edge-slm/artifacts/releases/armv8-a.json
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json, write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.content import published_as


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "path", "required": True},
            "path": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "size": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    release = published_as(module.params["release"])
    if not release:
        module.fail_json(msg=f"{module.params['release']} is no release: its release.json does not describe it.")
    descriptor = {**release, "sha256": module.params["sha256"], "size": module.params["size"]}
    dest = os.path.join(module.params["path"], f"{release['cpu_class']}.json")
    changed = read_json(dest) != descriptor
    if changed and not module.check_mode:
        write_json(dest, descriptor)
    module.exit_json(changed=changed, dest=dest)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_facts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_facts
short_description: Learn what a Jetson is and what runs containers there
version_added: 0.1.0
description:
  - Returns C(ansible_facts['edge_slm_jetson']), the only source of facts about Jetsons for roles of this collection.
  - Reads a few files, asks C(nvpmodel), the NVIDIA runtime and Docker's socket; changes nothing.
  - Works on hosts that are no Jetson; C(supported) is then false and C(refusal) says why.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  paths:
    description: Where free disk space is wanted to be known beside Docker's data root.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Learn what this Jetson is
  edge_slm.fleet.jetson_facts:
    paths: [/var/lib/ollama]

- name: Show which JetPack it has
  ansible.builtin.debug:
    var: ansible_facts['edge_slm_jetson']['jetpack']
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to the host.
  returned: always
  type: dict
  contains:
    edge_slm_jetson:
      description: The Jetson. Sizes are in MiB.
      returned: always
      type: dict
      sample:
        cuda: "12.6"
        disk_free_mib: {/var/lib/docker: 51200, /var/lib/ollama: 51200}
        docker:
          {csv_mode: true, data_root: /var/lib/docker, default_runtime: runc, present: true, running: true,
           runtimes: [io.containerd.runc.v2, nvidia, runc], version: "27.5.1"}
        image_family: r36
        jetpack: "6.2"
        l4t: {name: R36.4.3, release: 36, revision: "4.3", text: "# R36 (release), REVISION: 4.3, …"}
        nvidia_toolkit:
          {csv_files: [drivers.csv], device_nodes: [/dev/nvhost-gpu], mode: csv, version: 1.16.2}
        power_mode: {id: 0, name: MAXN}
        real_jetson: true
        refusal: ""
        supported: true
        swap: {mib: 3810, zram_mib: 3810}
        ubuntu: "22.04"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import facts


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "default": []}}, supports_check_mode=True
    )
    known = facts.read(output_of(["nvpmodel", "-q"]), module.params["paths"])
    module.exit_json(changed=False, ansible_facts={"edge_slm_jetson": known})


if __name__ == "__main__":
    main()

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

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import existing_parent
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import (
    find_command,
    output_of,
    read_text,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import facts as jetson_host


def free_mib(path: str) -> int:
    """Return the free space of the file system that a path, which need not exist yet, would lie on."""
    status = os.statvfs(path if os.path.isdir(path) else existing_parent(path))
    return status.f_bavail * status.f_frsize >> 20


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "default": []}}, supports_check_mode=True
    )
    folder = jetson_host.CSV_DIRECTORY
    names = os.listdir(folder) if os.path.isdir(folder) else []
    engine = Engine().info()
    # Asked for its version, the runtime itself fails where Docker, and with it runc, is not there yet.
    runtime = find_command(jetson_host.RUNTIME_COMMAND)
    places = [*module.params["paths"], str(engine.get("DockerRootDir") or "/var/lib/docker")]
    facts = jetson_host.describe(
        files={path: read_text(path) for path in jetson_host.PROBED_PATHS if os.path.exists(path)},
        csv_files={name: read_text(os.path.join(folder, name)) for name in names if name.endswith(".csv")},
        outputs={
            "nvpmodel": output_of(["nvpmodel", "-q"]),
            "dockerd": output_of(["dockerd", "--version"]),
            "toolkit": output_of(["nvidia-ctk", "--version"]) if runtime else "",
        },
        engine=engine,
        free_mib={path: free_mib(path) for path in places},
    )
    module.exit_json(changed=False, ansible_facts={"edge_slm_jetson": facts})


if __name__ == "__main__":
    main()

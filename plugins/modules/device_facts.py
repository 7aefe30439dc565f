#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.device_facts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: device_facts
short_description: Tell what a device is and what it can do
version_added: 0.1.0
description:
  - Reads a handful of small files and returns what the roles of this collection decide on.
  - One round trip, no packages needed beyond Python, nothing is changed.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options: {}
"""

EXAMPLES = r"""
- name: Learn what this device is
  edge_slm.fleet.device_facts:

- name: Show its memory
  ansible.builtin.debug:
    msg: "{{ ansible_facts['edge_slm_device']['memory_mib'] }} MiB"
"""

RETURN = r"""
ansible_facts:
  description: Facts to use later.
  returned: always
  type: dict
  contains:
    edge_slm_device:
      description:
        - O(ignore:os_id), O(ignore:os_version) and O(ignore:os_codename) from /etc/os-release.
        - Architecture as by C(uname -m), the best CPU class that runs here, cores, memory and swap in MiB.
        - Whether this is a real board, a container, booted by systemd; where its boot partition is.
      returned: always
      type: dict
      sample:
        os_id: debian
        os_version: "13"
        os_codename: trixie
        architecture: aarch64
        cpu_class: armv8.2-a+dotprod+fp16
        cores: 4
        memory_mib: 8062
        swap_mib: 2047
        board_model: Raspberry Pi 5 Model B Rev 1.0
        real_board: true
        container: false
        systemd: true
        boot_partition: /boot/firmware
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.device import PROBED_PATHS, describe


def read_existing(paths: tuple[str, ...]) -> dict[str, str]:
    """Return the contents of those paths that exist; a directory's content is the empty string."""
    found: dict[str, str] = {}
    for path in paths:
        if os.path.isdir(path):
            found[path] = ""
        elif os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                found[path] = file.read()
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    device = describe(read_existing(PROBED_PATHS), os.uname().machine, len(os.sched_getaffinity(0)))
    module.exit_json(changed=False, ansible_facts={"edge_slm_device": device.as_dict()})


if __name__ == "__main__":
    main()

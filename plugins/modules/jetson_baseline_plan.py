#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_board_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_baseline_plan
short_description: Check the inputs of jetson_baseline and compare the board with them
version_added: 0.1.0
description:
  - Refuses inputs that cannot be met, each with the variable's name and the mend.
  - Reads the board in one round trip and returns what is still to be done.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.role_plan, edge_slm.fleet.reads_only]
"""

EXAMPLES = r"""
- name: Compare the board with the inputs
  edge_slm.fleet.jetson_baseline_plan:
    inputs: "{{ __jetson_baseline_inputs }}"
    device: "{{ ansible_facts['edge_slm_device'] }}"
  register: __jetson_baseline_plan
"""

RETURN = r"""
plan:
  description: What is to be done.
  returned: success
  type: dict
  contains:
    pending:
      description: What is still to be done, in words; empty when nothing is.
      returned: always
      type: list
      elements: str
      sample: ["power mode MAXN"]
    not_applicable:
      description: What this host cannot have, and why.
      returned: always
      type: list
      elements: str
      sample: ["swap: not applicable: a container swaps as its host does"]
    power_mode:
      description: Name of the power mode that the board is in, empty where it has none.
      returned: always
      type: str
      sample: MODE_30W
    reboot:
      description: Why the board must be booted again; empty when it need not.
      returned: always
      type: list
      elements: str
      sample: ["power mode MAXN can be set at boot only"]
"""

import glob
import grp
import os
import pwd
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files, read_units, ssh_connection
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import baseline as decide

MIB = 1 << 20


def read_swap_units() -> dict[str, str]:
    """Return the swap units that the role wrote, by path, with the file that each swaps to."""
    found: dict[str, str] = {}
    for path in glob.glob("/etc/systemd/system/*.swap"):
        text = read_text(path)
        if text.startswith(decide.HEADER):
            found[path] = next((line[5:] for line in text.splitlines() if line.startswith("What=")), "")
    return found


def free_mib(path: str) -> int:
    """Return the free disk where a file lies or will lie."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free // MIB


def group_members(name: str) -> tuple[str, ...] | None:
    """Return a group's members, or None where there is no such group."""
    try:
        return tuple(grp.getgrnam(name).gr_mem)
    except KeyError:
        return None


def read_live(inputs: decide.Inputs) -> decide.Live:
    """Return the board as it is."""
    swap_units = read_swap_units()
    swap_file = inputs.swap_file if os.path.isabs(inputs.swap_file) else "/"
    swap_name = decide.swap_unit_name(swap_file)
    paths = {
        decide.NVPMODEL_CONF,
        decide.MODE_STATUS,
        decide.MODE_WAITING,
        decide.CLOCKS_PATH,
        decide.JTOP_PATH,
        decide.JTOP_INSTALLED,
        decide.REBOOT_REQUIRED,
        f"/etc/systemd/system/{swap_name}",
        *swap_units,
    }
    units = {
        decide.CLOCKS_UNIT,
        decide.JTOP_UNIT,
        decide.ZRAM_UNIT,
        decide.DESKTOP_UNIT,
        swap_name,
        *(os.path.basename(path) for path in swap_units),
    }
    return decide.Live(
        files=read_files(sorted(paths)),
        units=read_units(sorted(units)),
        nvpmodel=bool(find_command("nvpmodel")),
        jetson_clocks=find_command("jetson_clocks"),
        mode_text=output_of(["nvpmodel", "-q"]),
        clocks_text=output_of(["jetson_clocks", "--show"]),
        default_target=output_of(["systemctl", "get-default"]).strip(),
        swaps=read_text("/proc/swaps"),
        swap_units=swap_units,
        swap_file_mib=os.path.getsize(swap_file) // MIB if os.path.isfile(swap_file) else None,
        disk_free_mib=free_mib(swap_file),
        jtop_version=output_of([decide.JTOP_PROGRAM, "--version"]),
        jtop_link=os.path.realpath(decide.JTOP_LINK) if os.path.islink(decide.JTOP_LINK) else "",
        jtop_dir=os.path.isdir(decide.JTOP_DIR),
        jtop_members=group_members(decide.JTOP_GROUP),
        users=tuple(user.pw_name for user in pwd.getpwall()),
        login=ssh_connection().user,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "inputs": {"type": "dict", "required": True},
            "device": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    inputs, device = decide.Inputs.of(module.params["inputs"]), module.params["device"]
    live = read_live(inputs)
    problems = decide.problems(inputs, device, live)
    if problems:
        module.fail_json(msg=" ".join(problems))
    module.exit_json(changed=False, plan=decide.plan(inputs, device, live))


if __name__ == "__main__":
    main()

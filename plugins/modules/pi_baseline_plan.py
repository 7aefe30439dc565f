#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.pi_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pi_baseline_plan
short_description: Check the inputs of pi_baseline and compare the board with them
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
  edge_slm.fleet.pi_baseline_plan:
    inputs: "{{ __pi_baseline_inputs }}"
    device: "{{ ansible_facts['edge_slm_device'] }}"
  register: __pi_baseline_plan
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
      sample: ["file /boot/firmware/config.txt"]
    not_applicable:
      description: What this host cannot have, and why.
      returned: always
      type: list
      elements: str
      sample: ["swap: not applicable: a container swaps as its host does"]
    reboot:
      description: Why the board must be booted again; empty when it need not.
      returned: always
      type: list
      elements: str
      sample: ["/boot/firmware/config.txt has changed"]
"""

import glob
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import (
    boot_time,
    output_of,
    parse_dpkg_status,
    read_files,
    read_text,
    read_units,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.pi import baseline as decide

POLICIES = "/sys/devices/system/cpu/cpufreq/policy*"
MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def read_watchdog() -> float:
    """Return the seconds within which systemd feeds the watchdog; 0 is off."""
    words = output_of(["busctl", "get-property", *MANAGER, "RuntimeWatchdogUSec"]).split()
    return int(words[1]) / 1e6 if len(words) == 2 else 0.0


def read_live(boot: str) -> decide.Live:
    """Return the board as it is."""
    known = [set(read_text(path).split()) for path in glob.glob(f"{POLICIES}/scaling_available_governors")]
    now = {read_text(path).strip() for path in glob.glob(f"{POLICIES}/scaling_governor")}
    paths = [
        *decide.OWNED,
        decide.DPHYS_CONF,
        decide.GOVERNOR_PATH,
        decide.REBOOT_REQUIRED,
        *([f"{boot}/config.txt", f"{boot}/cmdline.txt"] if boot else []),
    ]
    return decide.Live(
        files=read_files(paths),
        units=read_units([decide.DPHYS_UNIT, decide.GOVERNOR_UNIT]),
        packages=parse_dpkg_status(read_text("/var/lib/dpkg/status")),
        governors_known=tuple(sorted(set.intersection(*known))) if known else (),
        governors_now=tuple(sorted(now)),
        watchdog=bool(glob.glob("/dev/watchdog*")),
        watchdog_now=read_watchdog(),
        default_target=output_of(["systemctl", "get-default"]).strip(),
        booted=boot_time(),
        now=time.time(),
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
    known_system = device["os_id"] in decide.SUPPORTED_OS
    live = read_live(device["boot_partition"]) if known_system else decide.Live()
    problems = decide.problems(inputs, device, live)
    if problems:
        module.fail_json(msg=" ".join(problems))
    module.exit_json(changed=False, plan=decide.plan(inputs, device, live))


if __name__ == "__main__":
    main()

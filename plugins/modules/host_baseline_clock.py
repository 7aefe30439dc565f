#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.host_baseline_clock."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_baseline_clock
short_description: Wait until a time server has set the clock, or set it by the controller's
version_added: 0.1.0
description:
  - A board without a clock of its own starts years off. Until its clock is right, apt takes no package lists and no
    certificate is valid.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  now:
    description: The controller's time when the task starts, in seconds since the epoch.
    type: float
    required: true
  seconds:
    description: How long to wait for systemd-timesyncd, in seconds. 0 where it does not run.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Neither waits nor sets the clock.
  diff_mode:
    support: none
    description: The time is not the content of a file.
"""

EXAMPLES = r"""
- name: Set the clock
  edge_slm.fleet.host_baseline_clock:
    now: "{{ now().timestamp() }}"
    seconds: 60
"""

RETURN = r"""
set_by:
  description: Who has set the clock, C(a time server) or C(the controller).
  returned: success, not in check mode
  type: str
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.baseline import SYNCHRONISED


def main() -> None:
    """Run the module."""
    started = time.monotonic()
    module = AnsibleModule(
        argument_spec={
            "now": {"type": "float", "required": True},
            "seconds": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    while not os.path.exists(SYNCHRONISED) and time.monotonic() - started < module.params["seconds"]:
        time.sleep(0.5)
    if os.path.exists(SYNCHRONISED):
        module.exit_json(changed=True, set_by="a time server")
    # Nearly right is enough for certificates; a time server that answers later does the rest.
    time.clock_settime(time.CLOCK_REALTIME, module.params["now"] + time.monotonic() - started)
    module.exit_json(changed=True, set_by="the controller")


if __name__ == "__main__":
    main()

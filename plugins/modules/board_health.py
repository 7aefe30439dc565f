#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.board_health."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: board_health
short_description: Report whether a board gives its full speed
version_added: 0.2.0
description:
  - On a Raspberry Pi asks C(vcgencmd get_throttled), on a Jetson C(nvpmodel -q); reads the thermal zones of both.
  - What a host does not have is left empty.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options: {}
"""

EXAMPLES = r"""
- name: Look at the board
  edge_slm.fleet.board_health:
  register: board
"""

RETURN = r"""
throttled:
  description: What slows a Raspberry Pi down, now or since it booted; empty where nothing does.
  returned: always
  type: list
  elements: str
power_mode:
  description: Name of a Jetson's power mode.
  returned: always
  type: str
celsius:
  description: The hottest thermal zone in degrees Celsius; null where there is none.
  returned: always
  type: float
summary:
  description: All of it in one short text.
  returned: always
  type: str
"""

import glob

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.board_health import describe


def output(module: AnsibleModule, name: str, argument: str) -> str:
    """Return what a tool prints; empty where the host has no such tool or it fails."""
    program = module.get_bin_path(name)
    if not program:
        return ""
    code, text, _errors = module.run_command([program, argument])
    return str(text) if code == 0 else ""


def zones() -> list[str]:
    """Return the readings of the thermal zones."""
    found = []
    for path in glob.glob("/sys/class/thermal/thermal_zone*/temp"):
        try:
            with open(path, encoding="ascii") as file:
                found.append(file.read().strip())
        except OSError:
            continue  # a zone that is switched off cannot be read
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    known = describe(output(module, "vcgencmd", "get_throttled"), output(module, "nvpmodel", "-q"), zones())
    module.exit_json(changed=False, **known)


if __name__ == "__main__":
    main()

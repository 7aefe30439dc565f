#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.look_verdict."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: look_verdict
short_description: Decide from the looks at all hosts what is refused and which roles each host enters
version_added: 0.1.0
description:
  - Runs on the controller, once for all hosts, after M(edge_slm.fleet.look) has been registered as C(edge_slm_look).
  - Fails, with all errors at once, when the inventory has any; a host that cannot be what is asked or does not answer
    drops out, and the run with it where its C(edge_slm_all_or_nothing) is true.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  hosts:
    description: The hosts that were looked at.
    type: list
    elements: str
    required: true
  refuse:
    description: Fail for errors in the inventory; without it they are only returned.
    type: bool
    default: true
  file:
    description: Path on the controller to write the verdict to, as JSON.
    type: path
"""

EXAMPLES = r"""
- name: Refuse what cannot work, and decide what is entered
  edge_slm.fleet.look_verdict:
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: edge_slm_verdict
"""

RETURN = r"""
msg:
  description: What is pending, one line a sentence, with host and role.
  returned: success
  type: list
  elements: str
hosts:
  description: The hosts that were looked at.
  returned: success
  type: list
  elements: str
join:
  description: The groups that hosts join, each with C(host) and C(groups).
  returned: success
  type: list
  elements: dict
dropped:
  description: Hosts that drop out, each with its reasons.
  returned: success
  type: dict
differing:
  description: Hosts that are not as the inventory wants them.
  returned: success
  type: list
  elements: str
classes:
  description: By builder, the CPU classes whose release is pending; C(auto) is its own.
  returned: success
  type: dict
"""

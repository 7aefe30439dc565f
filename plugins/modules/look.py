#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.look."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: look
short_description: Compare a host with all that the inventory wants of it, in one round trip
version_added: 0.1.0
description:
  - Collects the inputs of every role that C(site.yml) would run on the host, with Ansible's precedence of variables,
    reads the host once, and returns each role's plan - what is refused, what is pending and why.
  - Never fails for what it finds; M(edge_slm.fleet.look_verdict) does, when all hosts have been looked at.
  - A plan that crashes or hangs is reported with its role's name; the others are returned.
author:
  - edge_slm.fleet contributors (@edge-slm)
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: full
    description: Shows the change of each file that is pending, of secret ones only that they would change.
options:
  roles:
    description: Roles to ask; all that the inventory gives the host when left out.
    type: list
    elements: str
  deep:
    description: Read large files again, and do not take them as known by size, times and inode.
    type: bool
    default: false
  weigh:
    description:
      - Which models' sizes are wanted. V(pending) asks the sources of those that this host is to prepare, before
        anything of them is downloaded; V(all) also computes of each its sizes in other quantisations.
    type: str
    choices: [pending, all]
    default: pending
  seconds:
    description: Time that one plan may take, in seconds.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Compare the host with the inventory
  edge_slm.fleet.look:
  register: look
"""

RETURN = r"""
plans:
  description:
    - By role, and for llama_cpp on a builder by role and CPU class, a dictionary with the lists of sentences
      C(refusals), C(unfit), C(pending), C(waiting) and C(not_applicable).
  returned: success
  type: dict
timings:
  description: >-
    Seconds on the controller (C(inputs), C(module)) and on the host (C(python) until the first plan, and each plan).
  returned: success
  type: dict
"""

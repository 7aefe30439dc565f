#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.role_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_plan
short_description: Compare a host with the inputs of one role
version_added: 0.1.0
description:
  - The first task of every role. Takes the role's inputs from the task's variables, reads the host and returns what
    is pending.
  - Fails, with all problems at once, for what the role refuses; variables that start with the role's name but are not
    inputs of it are refused, too.
  - The host is read by the module M(edge_slm.fleet.host_plans).
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  role:
    description: The role.
    type: str
    required: true
  extra:
    description: What the role's tasks have found out that its plan cannot see, beside the role's inputs.
    type: dict
    default: {}
  settled:
    description: Also fail when something is pending; the last task of a role.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Compare the board with the inputs
  edge_slm.fleet.role_plan:
    role: pi_baseline
  register: __pi_baseline_plan
"""

RETURN = r"""
pending:
  description: What differs from the inputs and why, one sentence each; empty when nothing is to be done.
  returned: success
  type: list
  elements: str
waiting:
  description: What other roles have yet to provide, one sentence each.
  returned: success
  type: list
  elements: str
not_applicable:
  description: What was asked for and cannot be on this kind of host, one sentence each.
  returned: success
  type: list
  elements: str
needs:
  description: The values that the role's tasks use.
  returned: success
  type: dict
files:
  description: Whether M(edge_slm.fleet.planned_files) has something to write, by the name of its step.
  returned: success
  type: dict
"""

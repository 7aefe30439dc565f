#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.on_controller, which is in plugins/action."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: on_controller
short_description: Run a module on the controller
version_added: 0.1.0
description:
  - Runs a module on the controller, by the Python that runs Ansible, as the user who runs Ansible.
  - C(delegate_to=localhost) does so only as long as nobody sets C(ansible_python_interpreter), C(ansible_become) or
    C(ansible_connection) by C(-e), which beats the variables of every task.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  module:
    description: Full name of the module; not of one that has an action of its own.
    type: str
    required: true
  args:
    description: Its arguments.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: As the module has it.
  diff_mode:
    support: full
    description: As the module has it.
"""

EXAMPLES = r"""
- name: Create a directory on the controller
  edge_slm.fleet.on_controller:
    module: ansible.builtin.file
    args:
      path: ~/fleet-ca
      state: directory
      mode: "0700"
"""

RETURN = r"""#"""

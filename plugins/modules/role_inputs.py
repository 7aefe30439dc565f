#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.role_inputs."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_inputs
short_description: Refuse misspelt role variables
version_added: 0.1.0
description:
  - Fails when the host has a variable that starts with the role's name but is not one of its inputs.
  - Ansible's own argument specs check types and choices, but pass over names that they do not know.
  - Runs on the controller; makes no connection.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  role:
    description: A role of this collection, by its short name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse misspelt variables
  edge_slm.fleet.role_inputs:
    role: llama_cpp
"""

RETURN = r""" # """

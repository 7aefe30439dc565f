# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules document about a role's inputs and the device that they are for."""

from __future__ import annotations


class ModuleDocFragment:
    """Options shared by the modules that plan for a role."""

    DOCUMENTATION = r"""
options:
  inputs:
    description: The role's inputs by their names without its prefix.
    type: dict
    required: true
  device:
    description: What M(edge_slm.fleet.device_facts) said.
    type: dict
    required: true
"""

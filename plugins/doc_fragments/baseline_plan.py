# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules that plan for a baseline role document alike."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of host_plan, pi_plan and jetson_board_plan."""

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
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Nothing changes.
"""

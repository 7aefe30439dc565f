#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.planned_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: planned_files
short_description: Write the files that a role's plan wants
version_added: 0.1.0
description:
  - Plans for the role again, on the host, and writes and removes the files of one of its steps.
  - Each file is validated, flushed to disk and moved to its name by rename, so a power cut leaves the old file or the
    new one.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  role:
    description: The role; its inputs are read from the task's variables.
    type: str
    required: true
  step:
    description: Which of the plan's files, by the name that the plan gives them.
    type: str
    default: configure
  extra:
    description: What the role's tasks have found out that its plan cannot see, beside the role's inputs.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Compares, and writes nothing. Validating commands are not run.
  diff_mode:
    support: full
    description: Shows each file's change, of secret ones only that they change.
"""

EXAMPLES = r"""
- name: Write the board's configuration
  edge_slm.fleet.planned_files:
    role: pi_baseline
"""

RETURN = r"""
paths:
  description: Files and directories that were written or removed.
  returned: always
  type: list
  elements: str
"""

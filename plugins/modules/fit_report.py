#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.fit_report."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fit_report
short_description: Show which model fits which board, with every number
version_added: 0.1.0
description:
  - Runs on the controller, once for all hosts, after M(edge_slm.fleet.look) has been registered as C(edge_slm_look).
  - Adds up what M(edge_slm.fleet.look_verdict) refuses by, and refuses nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  hosts:
    description: The hosts that were looked at.
    type: list
    elements: str
    required: true
  file:
    description: Path on the controller to write the report to, as JSON.
    type: path
"""

EXAMPLES = r"""
- name: Show what fits
  edge_slm.fleet.fit_report:
    hosts: "{{ ansible_play_hosts_all }}"
    file: .status/plan.json
  run_once: true
"""

RETURN = r"""
table:
  description: The table, one row a line.
  returned: success
  type: list
  elements: str
services:
  description: >-
    Each service of each device, with C(fits) (null where a size is not known), C(need_mib), C(parts_mib),
    C(budget_mib), C(file_bytes), C(types_bytes) (sizes in other quantisations), C(sizes_from), C(instead),
    C(predicted_tokens_per_second) and C(predicted_from).
  returned: success
  type: list
  elements: dict
quantisations:
  description: By model, what C(auto) is.
  returned: success
  type: dict
unfit:
  description: By host, what does not fit there.
  returned: success
  type: dict
notes:
  description: What is not known, and why.
  returned: success
  type: list
  elements: str
"""

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.service_account."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_account
short_description: Create or remove the system account that a service runs as
version_added: 0.2.0
description:
  - A user and a group of the same name, by M(ansible.builtin.user) and M(ansible.builtin.group). The user has no home,
    no shell and no password.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  name:
    description: Name of both.
    type: str
    required: true
  state:
    description: V(absent) removes both.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Reports what would be done.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Create the account that a service runs as
  edge_slm.fleet.service_account:
    name: edge-slm
"""

RETURN = r""" # """

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.host_baseline_key_login."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_baseline_key_login
short_description: Prove that this controller can log in with a key alone
version_added: 0.1.0
description:
  - Makes a second SSH connection from the controller, with the options of the current one, no shared
    socket, and every way to log in but keys turned off.
  - Never fails because there is no proof; it reports that and why.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  timeout:
    description: Seconds to wait for the connection.
    type: int
    default: 15
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Prove a login by key
  edge_slm.fleet.host_baseline_key_login:
  register: __proof
"""

RETURN = r"""
proven:
  description: A login by key was seen to work.
  returned: always
  type: bool
why:
  description: What stood in the way; empty when it is proven.
  returned: always
  type: str
  sample: "Permission denied (publickey,password)."
"""

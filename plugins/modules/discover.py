#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.discover."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: discover
short_description: Find Raspberry Pis and Jetsons in the controller's networks
version_added: 0.1.0
description:
  - Runs on the controller. Boards are found by the MAC address in the neighbour table, by the name that they or the
    resolver give, and by what their SSH server says first. No host is logged in to.
  - Asks for names by mDNS, and asks boards for their host keys. Other hosts are asked for nothing, unless O(scan) names
    their network.
  - Shows a table. With O(inventory) it writes an inventory and pins the host keys beside it. A host key that is not the
    one that is pinned under the board's name is refused, and then nothing is written.
requirements:
  - zeroconf, for names by mDNS
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  scan:
    description:
      - Networks whose every address is asked for its SSH banner, in a list or separated by commas, each a /22 at most;
        or V(attached), for the private networks of that size that the controller is in.
      - A hundred addresses a second.
    type: raw
  seconds:
    description: How long answers by mDNS are waited for.
    type: float
    default: 5
  inventory:
    description:
      - Path of the inventory to write. One that exists is left as it is, and what is missing there is shown.
      - The host keys are pinned in the file C(known_hosts) beside it, under the names of the inventory.
    type: path
  overwrite:
    description: Write the inventory anew where it exists.
    type: bool
    default: false
  accept:
    description: Names under which another host key is accepted than the one that is pinned.
    type: list
    elements: str
    default: []
  record:
    description: Path of the file that keeps who answered the last scan, to show what has come and gone since.
    type: path
attributes:
  check_mode:
    support: full
    description: Looks for boards all the same, and writes no file.
  diff_mode:
    support: full
    description: Shows the inventory and the file of host keys.
"""

EXAMPLES = r"""
- name: Find boards, and write an inventory of them
  edge_slm.fleet.discover:
    scan: 192.168.1.0/24
    inventory: inventory/home/hosts.yml
"""

RETURN = r"""
table:
  description: The table, one board a line.
  returned: success
  type: list
  elements: str
boards:
  description: >-
    Each board, with C(name), C(kind), C(address), C(other_addresses), C(macs), C(own_name), C(system), C(fingerprint),
    C(host_key) and C(why).
  returned: success
  type: list
  elements: dict
difference:
  description: What has come and gone since the last scan.
  returned: success
  type: list
  elements: str
notes:
  description: What else there is to know.
  returned: success
  type: list
  elements: str
"""

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.tls_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_tls_plan
short_description: Judge a certificate, or decide whether a new one is issued
version_added: 0.2.0
description:
  - Reads the operator's certificate and key, or the fleet's CA, on the controller, and what lies on the device.
  - Fails with all problems at once, each with the variable and the mend; changes nothing.
  - Files on the controller may be encrypted by ansible-vault.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  mode:
    description: Where the certificate comes from.
    type: str
    choices: ["off", given, fleet_ca]
    required: true
  names:
    description: DNS names and IP addresses that clients use.
    type: raw
    required: true
  certificate:
    description: With V(given), absolute path of the certificate with its chain on the controller; C(~) is known.
    type: str
    default: ""
  key:
    description: With V(given), absolute path of its key on the controller; C(~) is known.
    type: str
    default: ""
  ca_dir:
    description: With V(fleet_ca), absolute path of the CA's directory on the controller; C(~) is known.
    type: str
    default: ""
  ca_passphrase:
    description: Passphrase of the CA's key.
    type: str
    default: ""
  days:
    description: How many days a certificate holds.
    type: int
    default: 90
  renew_days:
    description: A certificate with fewer days left is renewed, or warned of.
    type: int
    default: 30
  directory:
    description: Where certificate and key lie on the device.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Decide whether a certificate is issued
  edge_slm.fleet.endpoint_tls_plan:
    mode: fleet_ca
    names: [pi-01.lan, 192.168.1.11]
    ca_dir: /home/me/fleet-ca
    directory: /etc/edge-slm/tls
"""

RETURN = r"""
mode:
  description: Where the certificate comes from; V(off) also where YAML has made a boolean of it.
  returned: success
  type: str
key:
  description: With V(given), path of the key on the controller.
  returned: success
  type: str
issue:
  description: With V(fleet_ca), why a new certificate is issued; empty where the one on the device stays.
  returned: success
  type: str
new_key:
  description: Whether the device makes a new key for it.
  returned: success
  type: bool
make_ca:
  description: Whether there is no CA yet.
  returned: success
  type: bool
ca:
  description: Path of the CA's certificate on the controller.
  returned: success
  type: str
ca_key:
  description: Path of the CA's key on the controller.
  returned: success
  type: str
subject_alt_names:
  description: The names as a certificate request wants them.
  returned: success
  type: list
  elements: str
certificate:
  description: The certificate that is to lie on the device, as far as it is known yet.
  returned: success
  type: str
"""

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.ask_endpoints."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ask_endpoints
short_description: Ask all endpoints of the fleet for one token, in parallel
version_added: 0.1.0
description:
  - Runs on the controller, once for all hosts, after M(edge_slm.fleet.look). One process asks every endpoint by plain
    HTTP, as its users do, with the first key of C(edge_slm_api_keys).
  - A model that Ollama has not loaded is not asked, because loading it would evict the one that users work with.
  - M(edge_slm.fleet.verify_endpoint) asks more, through the OpenAI client.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  hosts:
    description: The devices.
    type: list
    elements: str
    required: true
  timeout:
    description: How long an endpoint may be silent, in seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Ask every endpoint for one token
  edge_slm.fleet.ask_endpoints:
    hosts: "{{ ansible_play_hosts }}"
  run_once: true
  register: edge_slm_asked
"""

RETURN = r"""
answered:
  description: How many endpoints have answered.
  returned: success
  type: int
not_loaded:
  description: Models that were not asked, with their hosts.
  returned: success
  type: list
  elements: str
failures:
  description: Each host whose endpoints did not answer, with C(host) and C(reasons).
  returned: success
  type: list
  elements: dict
"""

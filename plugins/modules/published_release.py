#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.published_release."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: published_release
short_description: Choose a device's release among those that a builder has published
version_added: 0.1.0
description:
  - Runs on the controller; makes no connection.
  - Fails, with the command that makes it, when the builder has not made the release that the device is to have.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  releases:
    description: The builder's descriptors by CPU class, as M(edge_slm.fleet.published_artifacts) returns them.
    type: dict
    required: true
  cpu_class:
    description: The device's CPU class.
    type: str
    required: true
  key:
    description: Key of the release that the device is to have, from the plan of the role llama_cpp.
    type: str
    required: true
  url:
    description: Address of the builder's releases.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Choose the release of this device's CPU class
  edge_slm.fleet.published_release:
    releases: "{{ published.releases }}"
    cpu_class: "{{ ansible_facts['edge_slm_device']['cpu_class'] }}"
    key: "{{ look.plans.llama_cpp.needs.key }}"
    url: http://builder-01:8090/releases
  register: release
"""

RETURN = r"""
source:
  description: For llama_cpp_source.
  returned: success
  type: dict
"""

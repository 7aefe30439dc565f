#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.fleet_services."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_services
short_description: Decide what a host serves from the catalogue and its services
version_added: 0.1.0
description:
  - Turns C(edge_slm_models) and C(edge_slm_services), the same variables for every device, into the inputs of the roles
    of each engine.
  - Fails with every problem that no single role can see - services of models that the catalogue lacks, engines that
    cannot serve a model, two engines on one port, models of a registry that are not pinned.
  - Runs on the controller; makes no connection.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  services:
    description: The device's services.
    type: list
    elements: raw
    required: true
  models:
    description: The catalogue.
    type: list
    elements: raw
    required: true
  board:
    description:
      - Kind of device. Services that name no engine run on llama.cpp on a V(pi) and a V(gpu), on Ollama on a V(jetson).
      - Empty for a host that is none. A host of the group C(gateway) offers what all devices serve.
    type: str
    choices: [pi, jetson, gpu, ""]
    default: ""
attributes:
  check_mode:
    support: full
    description: Decides only.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Decide what this device runs
  edge_slm.fleet.fleet_services:
    services:
      - model: phi3-mini
    models:
      - name: phi3-mini
        source:
          ollama: phi3:mini
          digest: sha256:633fc5be925f9a484b61d6f9b9a78021eeb462100bd557309f01ba84cac26adf
    board: jetson
  register: plan
"""

RETURN = r"""
ansible_facts:
  description: Facts to use later.
  returned: success
  type: dict
  contains:
    edge_slm_plan:
      description:
        - C(llama_instances), C(ollama_models), C(ollama_port) and C(other_ports) are inputs of the roles that serve;
          C(wanted) names the models of the pipeline that the device needs.
        - C(engines) are what answers on the device; C(endpoints) has one item for each service with engine, name,
          model, port, embeddings and ui, as clients see it, and C(entry), the name of its model in the catalogue.
        - C(gateway), of a gateway, has the endpoints that it sends requests to, and their hosts.
      returned: success
      type: dict
"""

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action edge_slm.fleet.fleet_services."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_services
short_description: Decide what a device runs from the catalogue and its services
version_added: 0.1.0
description:
  - Turns C(edge_slm_models) and C(edge_slm_services), the same words for every device, into the inputs of the roles
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
      - Kind of device. Services that name no engine run on llama.cpp on a V(pi) and on Ollama on a V(jetson).
    type: str
    choices: [pi, jetson]
    required: true
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
llama_instances:
  description: For llama_service_instances.
  returned: success
  type: list
  elements: dict
ollama_models:
  description: For jetson_ollama_models.
  returned: success
  type: list
  elements: dict
ollama_port:
  description: Port where clients find Ollama.
  returned: success
  type: int
wanted:
  description: Models of the pipeline that the device needs.
  returned: success
  type: list
  elements: str
engines:
  description: What answers on this device, C(llama.cpp) or C(ollama) or both.
  returned: success
  type: list
  elements: str
roles:
  description: The roles that site.yml runs on this device, in order.
  returned: success
  type: list
  elements: str
other_ports:
  description: For jetson_ollama_other_ports.
  returned: success
  type: dict
endpoints:
  description: One item for each service with engine, name, model, port, embeddings and ui, as clients see it.
  returned: success
  type: list
  elements: dict
"""

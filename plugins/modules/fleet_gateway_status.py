#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.fleet_gateway_status."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet_gateway_status
short_description: Report what a gateway offers, from the gateway itself
version_added: 0.2.0
description:
  - Reads the models that are configured on the host, whatever is in the inventory. Asks LiteLLM whether it is there.
  - No model is asked, since the devices report on theirs themselves.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  url:
    description: Where LiteLLM answers on the host.
    type: str
    default: http://127.0.0.1:4001
  port:
    description: Port at which clients reach it.
    type: int
    default: 4000
"""

EXAMPLES = r"""
- name: Look at the gateway
  edge_slm.fleet.fleet_gateway_status:
"""

RETURN = r"""
endpoints:
  description:
    - One item for each name that clients may ask for with engine, service, port, model, servers, loaded and health.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import ask
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.config import offered
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.fleet_gateway import CONFIG


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:4001"},
            "port": {"type": "int", "default": 4000},
        },
        supports_check_mode=True,
    )
    config = read_json(CONFIG)
    health = ask(f"{module.params['url']}/health/liveliness", timeout=5) if config else None
    state = "ok" if health and health.status == 200 else "no answer"
    rows = [
        {
            "engine": "gateway",
            "service": name,
            "port": module.params["port"],
            "model": name,
            "servers": servers,
            "loaded": state == "ok",
            "health": state,
        }
        for name, servers in offered(config).items()
    ]
    module.exit_json(changed=False, endpoints=rows)


if __name__ == "__main__":
    main()

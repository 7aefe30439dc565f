#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.status_report."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: status_report
short_description: Write what the devices reported as a table and as files
version_added: 0.1.0
description:
  - Runs on the controller. Takes what M(edge_slm.fleet.llama_service_status),
    M(edge_slm.fleet.jetson_ollama_status), M(edge_slm.fleet.board_health) and M(edge_slm.fleet.look) returned on all
    devices.
  - Devices that could not be reached become rows, not failures.
  - Never reports a change. The files are its output.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  results:
    description:
      - By the device's name in the inventory, a dictionary with C(engines), the list of the registered results,
        C(board), that of M(edge_slm.fleet.board_health), C(plans), those of M(edge_slm.fleet.look), and C(model), the
        board's model, by which tokens per second are predicted.
    type: dict
    required: true
  directory:
    description: Where one C(<host>.json) is written for each device.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Writes no files.
  diff_mode:
    support: none
    description: Measurements always differ.
"""

EXAMPLES = r"""
- name: Write the table and the files
  edge_slm.fleet.on_controller:
    module: edge_slm.fleet.status_report
    args:
      results:
        pi-01:
          engines: ["{{ hostvars['pi-01']['found'] }}"]
          board: "{{ hostvars['pi-01']['board'] }}"
          plans: "{{ hostvars['pi-01']['look'].plans }}"
          model: "{{ hostvars['pi-01'].ansible_facts.edge_slm_device.board_model }}"
      directory: .status
  run_once: true
"""

RETURN = r"""
table:
  description: The table, one row a line.
  returned: always
  type: str
directory:
  description: Where the files are.
  returned: always
  type: str
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.status import host_report, render_table


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "results": {"type": "dict", "required": True},
            "directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    reports = [
        host_report(
            host,
            found.get("engines") or [],
            found.get("board") or {},
            found.get("plans") or {},
            str(found.get("model") or ""),
        )
        for host, found in module.params["results"].items()
    ]
    if not module.check_mode:
        directory.mkdir(parents=True, exist_ok=True)
        for report in reports:
            file = directory / f"{report['host']}.json"
            file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    module.exit_json(changed=False, table="\n".join(render_table(reports)), directory=str(directory))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.service_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_files
short_description: Write the keys, limits and arguments of services
version_added: 0.1.0
description:
  - Writes the key file, then each instance's drop-in, then its environment file, each by rename.
  - The environment file comes last because its digest claims that the rest is in place.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.api_keys]
options:
  services:
    description: Services as M(edge_slm.fleet.llama_service_plan) returns them.
    type: list
    elements: dict
    required: true
  config_dir:
    description: Where key file and environment files lie.
    type: path
    required: true
  group:
    description: Group that may read them.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Tells what would be written.
  diff_mode:
    support: full
    description: Shows all but the keys.
"""

EXAMPLES = r"""
- name: Write keys, limits and arguments
  edge_slm.fleet.llama_service_files:
    services: "{{ plan.services }}"
    api_keys: "{{ llama_service_api_keys }}"
    config_dir: /etc/edge-slm/llama-server
    group: edge-slm
  no_log: true
"""

RETURN = r"""
written:
  description: The files that were written.
  returned: success
  type: list
  elements: str
"""

import stat
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text, write_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import UNIT_DIR
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import unit_name


def is_right(path: Path, text: str, mode: int, group: str) -> bool:
    """Tell whether a file is there with that text, mode and owners."""
    if not path.is_file() or read_text(path) != text:
        return False
    state = path.stat()
    return stat.S_IMODE(state.st_mode) == mode and path.owner() == "root" and path.group() == group


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True},
            "api_keys": serving.API_KEYS_ARGUMENT,
            "config_dir": {"type": "path", "required": True},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    group, config = given["group"], Path(given["config_dir"])
    keys = serving.parse_keys(given["api_keys"], Problems())
    secret = Path(serving.Paths(str(config)).key_file)
    files = [(secret, serving.key_file_text(keys), 0o640, group)]
    for service in given["services"]:
        dropin = Path(UNIT_DIR, f"{unit_name(service['name'])}.d", "limits.conf")
        files.append((dropin, service["dropin"], 0o644, "root"))
    for service in given["services"]:
        files.append((config / f"{service['name']}.env", service["environment"], 0o640, group))
    wrong = [file for file in files if not is_right(*file)]
    diff = [
        {
            "before_header": str(path),
            "after_header": str(path),
            "before": read_text(path) if path != secret else "(keys)\n",
            "after": text if path != secret else "(other keys)\n",
        }
        for path, text, _mode, _group in wrong
    ]
    if not module.check_mode:
        for path, text, mode, owning in wrong:
            write_text(str(path), text, mode, "root", owning)
    module.exit_json(changed=bool(wrong), written=[str(file[0]) for file in wrong], diff=diff)


if __name__ == "__main__":
    main()

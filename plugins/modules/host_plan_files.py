#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.host_plan_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_plan_files
short_description: Write the files of a role's plan on a host
version_added: 0.1.0
description:
  - The part of M(edge_slm.fleet.planned_files) that runs on the host; the action collects the inputs.
author:
  - edge_slm.fleet contributors (@edge-slm)
attributes:
  check_mode:
    support: full
    description: Compares, and writes nothing. Validating commands are not run.
  diff_mode:
    support: full
    description: Shows each file's change, of secret ones only that they change.
options:
  role:
    description: The role.
    type: str
    required: true
  inputs:
    description: The role's inputs by their names without its prefix; in place of a secret its number in O(secrets).
    type: dict
    required: true
  secrets:
    description: The secrets, which travel apart so that each is hidden wherever it appears.
    type: list
    elements: str
    default: []
  step:
    description: Which of the plan's files, by the name that the plan gives them.
    type: str
    default: configure
"""

EXAMPLES = r"""
- name: Write the files of a plan
  edge_slm.fleet.host_plan_files:
    role: pi_baseline
    inputs: "{{ inputs }}"
"""

RETURN = r"""
paths:
  description: Files and directories that were written or removed.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.writing import apply
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, with_secrets
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import planner


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "required": True},
            "inputs": {"type": "dict", "required": True},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "step": {"type": "str", "default": "configure"},
        },
        supports_check_mode=True,
    )
    inputs = with_secrets(module.params["inputs"], module.params["secrets"])
    plan = planner(module.params["role"])(inputs, Host())
    refused = plan.refusals + plan.unfit
    if refused:
        module.fail_json(msg="\n".join(refused))
    diffs = apply(module, plan.files.get(module.params["step"], FileSet()))
    module.exit_json(changed=bool(diffs), paths=[diff["after_header"] for diff in diffs], diff=diffs)


if __name__ == "__main__":
    main()

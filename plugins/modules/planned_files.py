#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.planned_files: the part that runs on the host; plugins/action/planned_files.py calls it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: planned_files
short_description: Write the files that a role's plan wants
version_added: 0.1.0
description:
  - Plans for the role again, on the host, and writes and removes the files of one of its steps.
  - Each file is validated, flushed to disk and moved to its name by rename, so a power cut leaves the old file or the
    new one.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  role:
    description: The role; its inputs are read from the task's variables.
    type: str
    required: true
  step:
    description: Which of the plan's files, by the name that the plan gives them.
    type: str
    default: configure
  extra:
    description: What the role's tasks have found out that its plan cannot see, beside the role's inputs.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Compares, and writes nothing. Validating commands are not run.
  diff_mode:
    support: full
    description: Shows each file's change, of secret ones only that they change.
"""

EXAMPLES = r"""
- name: Write the board's configuration
  edge_slm.fleet.planned_files:
    role: pi_baseline
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

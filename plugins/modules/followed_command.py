#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.followed_command."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: followed_command
short_description: Run a long command, and show its progress
version_added: 0.2.0
description:
  - Runs O(argv) as M(ansible.builtin.command) does, without a shell, and shows its progress in the terminal.
  - The command goes on when the connection drops or the playbook is killed. The next run that wants the same
    command waits for it before it runs it again.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  argv:
    description: The program and its arguments.
    type: list
    elements: str
    required: true
  what:
    description: The label of its progress.
    type: str
    required: true
  chdir:
    description: Directory to run it in.
    type: path
  creates:
    description: A path; where it exists, nothing is run.
    type: path
  progress:
    description:
      - Regular expression that finds, in what the command prints, how far it is. Its group C(done) is a number, and
        C(total), where it has one, the number that it goes up to; without C(total) it is 100.
      - Where it finds nothing, the last line that the command printed is shown.
    type: str
    default: ""
  unit:
    description: What C(done) counts.
    type: str
    default: steps
attributes:
  check_mode:
    support: full
    description: Reports whether the command would be run.
  diff_mode:
    support: none
    description: What a command changes is not known.
"""

EXAMPLES = r"""
- name: Compile
  edge_slm.fleet.followed_command:
    argv: [cmake, --build, /var/cache/edge-slm/llama.cpp/build]
    what: llama.cpp
    progress: '^\[(?P<done>\d+)/(?P<total>\d+)\]'
"""

RETURN = r"""
stdout:
  description: The last lines that the command printed, on stdout and stderr together.
  returned: always
  type: str
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import last_count
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import run_program, tail


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "what": {"type": "str", "required": True},
            "chdir": {"type": "path"},
            "creates": {"type": "path"},
            "progress": {"type": "str", "default": ""},
            "unit": {"type": "str", "default": "steps"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        pattern = re.compile(params["progress"], re.MULTILINE)
    except re.error as error:
        module.fail_json(msg=f"progress: is not a regular expression: {error}")
    if params["progress"] and "done" not in pattern.groupindex:
        module.fail_json(msg="progress: must have a group (?P<done>…)")
    if not params["argv"]:
        module.fail_json(msg="argv: is empty")
    there = bool(params["creates"]) and os.path.exists(params["creates"])
    if there or module.check_mode:
        module.exit_json(changed=not there, stdout="")

    with Progress.of(module, params["what"], unit=params["unit"]) as progress:
        count, note = (0, 0), ""

        def look(output: str) -> None:
            """Report how far it is, or its last line where there is no count."""
            nonlocal count, note
            counted = last_count(pattern, output) if params["progress"] else (0, 0)
            if counted[1]:
                count, note = counted, ""
            elif output.strip():
                note = tail(output, 1).strip()[:100]
            progress.update(*count, note=note)

        problem, output = run_program(params["argv"], look, cwd=params["chdir"])
    if problem:
        module.fail_json(msg=problem, stdout=tail(output, 200))
    module.exit_json(changed=True, stdout=tail(output, 200))


if __name__ == "__main__":
    followed(main)

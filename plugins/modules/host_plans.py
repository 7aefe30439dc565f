#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.host_plans."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_plans
short_description: Run the plans of roles on a host
version_added: 0.1.0
description:
  - The part of M(edge_slm.fleet.look) and M(edge_slm.fleet.role_plan) that runs on the host; they collect the inputs.
  - A plan that crashes or hangs is reported with its role's name; the others are returned.
author:
  - edge_slm.fleet contributors (@edge-slm)
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: full
    description: Shows the change of each file that is pending, of secret ones only that they would change.
options:
  questions:
    description: The plans that are asked for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the answer is called.
        type: str
        required: true
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
  deep:
    description: Read large files again, instead of trusting what is remembered with size, times and inode.
    type: bool
    default: false
  seconds:
    description: Time that one plan may take, in seconds.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Run a plan
  edge_slm.fleet.host_plans:
    questions:
      - name: pi_baseline
        role: pi_baseline
        inputs: "{{ inputs }}"
"""

RETURN = r"""
plans:
  description:
    - By role, and for llama_cpp on a builder by role and CPU class, a dictionary with the lists of sentences
      C(refusals), C(unfit), C(pending), C(waiting) and C(not_applicable).
  returned: success
  type: dict
facts:
  description: What the host is, as it was read for the plans; C(edge_slm_device), and C(edge_slm_jetson) where read.
  returned: success
  type: dict
timings:
  description: >-
    Seconds that C(python) took until the first plan, and each plan.
  returned: success
  type: dict
"""

import signal
import time
import traceback
from types import FrameType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.writing import differences
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan, with_secrets
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import planner


class TooSlowError(Exception):
    """A plan did not come to an end."""


def stop(_number: int, _frame: FrameType | None) -> None:
    """Break off what runs."""
    raise TooSlowError


def place(error: BaseException) -> str:
    """Return where in a plan an error arose: the last line of the collection's own code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != stop.__name__]
    own = [frame for frame in frames if "/module_utils/" in frame.filename] or frames
    return f"{own[-1].filename.rsplit('/', 1)[-1]}:{own[-1].lineno}"


def ask(role: str, inputs: dict[str, Any], host: Host, seconds: int) -> Plan:
    """Return a role's plan; a crash or a hang is the plan's refusal of this host."""
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        return planner(role)(inputs, host)
    except TooSlowError as error:
        return Plan(unfit=[f"{role}: reading this host took longer than {seconds} s ({place(error)})."])
    except Exception as error:
        return Plan(unfit=[f"{role}: its plan failed: {type(error).__name__}: {error} ({place(error)})."])
    finally:
        signal.alarm(0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "questions": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "role": {"type": "str", "required": True},
                    "inputs": {"type": "dict", "required": True},
                },
            },
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "deep": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    host = Host(module.params["deep"])
    plans = {}
    diffs: dict[str, dict[str, Any]] = {}
    timings = {"python": time.process_time()}
    for question in module.params["questions"]:
        started = time.monotonic()
        inputs = with_secrets(question["inputs"], module.params["secrets"])
        plan = ask(question["role"], inputs, host, module.params["seconds"])
        plans[question["name"]] = plan.as_dict()
        if module._diff:
            # Of one path the first: a role may have a file in two steps, of which it takes one.
            for difference in (one for files in plan.files.values() for one in differences(files)):
                diffs.setdefault(difference["after_header"], difference)
        timings[question["name"]] = round(time.monotonic() - started, 3)
    module.exit_json(changed=False, plans=plans, facts=host.facts(), timings=timings, diff=list(diffs.values()))


if __name__ == "__main__":
    main()

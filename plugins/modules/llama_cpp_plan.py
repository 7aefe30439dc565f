#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.release_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_plan
short_description: Decide which release of llama.cpp a host is to have
version_added: 0.1.0
description:
  - Checks the inputs of the role P(edge_slm.fleet.llama_cpp#role) and names the release that they make.
  - Looks whether that release is on the host. Changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  source:
    description: The role's C(llama_cpp_source).
    type: dict
    required: true
  cpu_class:
    description: The role's C(llama_cpp_cpu_class).
    type: str
    default: auto
  cmake_options:
    description: The role's C(llama_cpp_cmake_options).
    type: dict
    default: {}
  ui:
    description: The role's C(llama_cpp_ui).
    type: str
    default: none
  ui_archive:
    description: The role's C(llama_cpp_ui_archive).
    type: str
    default: ""
  ui_sha256:
    description: The role's C(llama_cpp_ui_sha256).
    type: str
    default: ""
  jobs:
    description: The role's C(llama_cpp_jobs).
    type: int
    default: 0
  device:
    description: RV(edge_slm.fleet.device_facts#module:ansible_facts.edge_slm_device).
    type: dict
    required: true
  root:
    description: Where releases lie.
    type: path
    default: /opt/edge-slm/llama.cpp
"""

EXAMPLES = r"""
- name: Decide what to build
  edge_slm.fleet.llama_cpp_plan:
    source:
      git: https://github.com/ggml-org/llama.cpp.git
      commit: 0c1e57098bba43ac29e6e3b677cdceebdd22334f
    device: "{{ ansible_facts['edge_slm_device'] }}"
  register: plan
"""

RETURN = r"""
plan:
  description:
    - C(mode) (build or receive), C(key), C(cpu_class), C(source_id), C(cmake_arguments), C(jobs), C(targets).
    - C(runnable), whether this CPU can run it; C(present), whether the release lies on the host.
  returned: success
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import (
    TARGETS,
    ReleaseError,
    plan_release,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "dict", "required": True},
            "cpu_class": {"type": "str", "default": "auto"},
            "cmake_options": {"type": "dict", "default": {}},
            "ui": {"type": "str", "default": "none"},
            "ui_archive": {"type": "str", "default": ""},
            "ui_sha256": {"type": "str", "default": ""},
            "jobs": {"type": "int", "default": 0},
            "device": {"type": "dict", "required": True},
            "root": {"type": "path", "default": "/opt/edge-slm/llama.cpp"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        plan = plan_release(
            source=given["source"],
            cpu_class=given["cpu_class"],
            extra_options=given["cmake_options"],
            ui=given["ui"],
            ui_archive=given["ui_archive"],
            ui_sha256=given["ui_sha256"],
            jobs=given["jobs"],
            device=given["device"],
        )
    except ReleaseError as error:
        module.fail_json(msg=str(error), problems=error.problems)
    module.exit_json(
        changed=False,
        plan={
            "mode": plan.mode,
            "key": plan.key,
            "cpu_class": plan.cpu_class,
            "source_id": plan.source_id,
            "cmake_arguments": plan.cmake_arguments,
            "jobs": plan.jobs,
            "targets": list(TARGETS),
            "runnable": plan.runnable,
            # release.json is the last file of a release, and a release appears by rename: it is whole or absent.
            "present": os.path.isfile(os.path.join(given["root"], "releases", plan.key, "release.json")),
        },
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.release_selftest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_selftest
short_description: Prove that a release of llama.cpp works on this CPU
version_added: 0.1.0
description:
  - Asks C(llama-server) for its version, compares its C(--help) with every flag that the role
    P(edge_slm.fleet.llama_service#role) passes, starts it on a tiny model on a free loopback port, takes
    one real completion, and asks for the web page where there is to be one.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  path:
    description: The release's directory, with C(bin/llama-server) and C(selftest.gguf) in it.
    type: path
    required: true
  ui:
    description: Whether C(GET /) must return the web UI.
    type: bool
    default: false
  legacy:
    description:
      - Whether this is the tree of 2024, where C(server) lies at the top and knows neither C(--version) nor the
        role's flags. Then only the completion is taken.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Leaves no trace, so it runs in check mode too.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Prove the release that serves now
  edge_slm.fleet.llama_cpp_selftest:
    path: /opt/edge-slm/llama.cpp/current
    ui: true
"""

RETURN = r"""
version:
  description: First line of C(llama-server --version); empty with O(legacy).
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import (
    SelfTestError,
    complete_once,
    selftest,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import SERVER_FLAGS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "ui": {"type": "bool", "default": False},
            "legacy": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    path, version = module.params["path"], ""
    model = os.path.join(path, "selftest.gguf")
    try:
        if module.params["legacy"]:
            complete_once(os.path.join(path, "server"), model, module.params["ui"])
        else:
            server = os.path.join(path, "bin/llama-server")
            version = selftest(server, model, SERVER_FLAGS, module.params["ui"])
    except (SelfTestError, OSError) as error:
        module.fail_json(msg=f"{path}: {error}")
    module.exit_json(changed=False, version=version)


if __name__ == "__main__":
    main()

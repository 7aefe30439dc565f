#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_cpp_selftest."""

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
    description: Whether C(GET /) must return the web UI; when left out, C(release.json) has whether there is one.
    type: bool
  gpu:
    description: Whether C(llama-server) must find an NVIDIA GPU; without one it would go on, on the CPU.
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
  description: First line of C(llama-server --version).
  returned: success
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.content import described
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import SelfTestError, selftest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import SERVER_FLAGS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "ui": {"type": "bool"},
            "gpu": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    path, expect_ui = module.params["path"], module.params["ui"]
    if expect_ui is None:
        expect_ui = described(path).get("ui", "none") != "none"
    server, model = os.path.join(path, "bin/llama-server"), os.path.join(path, "selftest.gguf")
    try:
        version = selftest(server, model, SERVER_FLAGS, expect_ui, module.params["gpu"])
    except (SelfTestError, OSError) as error:
        module.fail_json(msg=f"{path}: {error}")
    module.exit_json(changed=False, version=version)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_cpp_selftest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_selftest
short_description: Prove that a release of llama.cpp works on the CPU that it is for
version_added: 0.1.0
description:
  - Reads from the programs which architecture and libraries they need, and that kernels with large pages load them.
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
  architecture:
    description: What the programs must be built for, as C(uname -m) has it.
    type: str
    required: true
  emulator:
    description: What runs C(llama-server) where this CPU does not, with its arguments; empty where it does.
    type: list
    elements: str
    default: []
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
    architecture: aarch64
    ui: true
"""

RETURN = r"""
version:
  description: First line of C(llama-server --version).
  returned: success
  type: str
requires:
  description: The architecture and, by shared library, the symbol versions that the programs need.
  returned: success
  type: dict
  sample: {"architecture": "aarch64", "libraries": {"libc.so.6": ["GLIBC_2.17", "GLIBC_2.34"]}}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import linkage
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.content import described
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import SelfTestError, selftest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import SERVER_FLAGS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "architecture": {"type": "str", "required": True},
            "emulator": {"type": "list", "elements": "str", "default": []},
            "ui": {"type": "bool"},
            "gpu": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    path, expect_ui = module.params["path"], module.params["ui"]
    if expect_ui is None:
        expect_ui = described(path).get("ui", "none") != "none"
    programs, model = os.path.join(path, "bin"), os.path.join(path, "selftest.gguf")
    server = [*module.params["emulator"], os.path.join(programs, "llama-server")]
    try:
        requires = linkage.read_programs(programs, module.params["architecture"])
        version = selftest(server, model, SERVER_FLAGS, expect_ui, module.params["gpu"])
    except (linkage.LinkageError, SelfTestError, OSError) as error:
        module.fail_json(msg=f"{path}: {error}")
    module.exit_json(changed=False, version=version, requires=requires)


if __name__ == "__main__":
    main()

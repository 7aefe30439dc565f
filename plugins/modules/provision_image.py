#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.provision_image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: provision_image
short_description: Make a host's image of a card, with the files of its first start
version_added: 0.1.0
description:
  - Copies the image that the role provision has fetched, unpacked, and writes the files of the first start to its boot
    partition.
  - The image gets its name when it is whole, and is readable by its owner alone.
  - An image whose first partition is not the boot partition of a Raspberry Pi is refused.
requirements:
  - mtools, on the host that it runs on, which is the controller
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  inputs:
    description: The role's inputs; its action plugin collects them.
    type: dict
    required: true
  secrets:
    description: Secrets in the inputs.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Reports that the image would be made.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Make the host's image
  edge_slm.fleet.provision_image:
"""

RETURN = r"""
image:
  description: The image.
  returned: success
  type: str
  sample: /home/me/fleet/.provision/llmpi-01.img
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import with_secrets
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.provision import cast
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.card_image import make


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "inputs": {"type": "dict", "required": True},
            "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
        },
        supports_check_mode=True,
    )
    problems = Problems(prefix="provision_")
    inputs = cast(with_secrets(module.params["inputs"], module.params["secrets"]), problems)
    if problems.found:
        module.fail_json(msg="\n".join(problems.found))
    if not module.check_mode:
        try:
            make(inputs.base, inputs.digest.hex, inputs.result, inputs.settings)
        except (DurableError, OSError) as error:
            module.fail_json(msg=f"provision_image: {error}.")
    module.exit_json(changed=True, image=inputs.result)


if __name__ == "__main__":
    main()

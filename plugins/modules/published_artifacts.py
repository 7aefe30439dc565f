#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.published_artifacts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: published_artifacts
short_description: Report what a builder has published
version_added: 0.1.0
description:
  - Reads the manifests of models and the descriptors of releases on the builder.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  models_path:
    description: Where published models are.
    type: path
    default: /var/lib/edge-slm/models
  releases_path:
    description: Where the tarballs of releases are.
    type: path
    default: /var/lib/edge-slm/artifacts/releases
"""

EXAMPLES = r"""
- name: Read what the builder has published
  edge_slm.fleet.published_artifacts:
  delegate_to: builder-01
  register: published
"""

RETURN = r"""
models:
  description: Manifests by the model's name.
  returned: success
  type: dict
intact:
  description: Names of the models whose files are all there with the content that the manifest has.
  returned: success
  type: list
  elements: str
releases:
  description: Descriptors (C(key), C(cpu_class), C(file), C(sha256), C(size)) by CPU class.
  returned: success
  type: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import intact, published, releases


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "models_path": {"type": "path", "default": "/var/lib/edge-slm/models"},
            "releases_path": {"type": "path", "default": "/var/lib/edge-slm/artifacts/releases"},
        },
        supports_check_mode=True,
    )
    models = published(module.params["models_path"])
    right = [
        name
        for name, manifest in models.items()
        if intact(os.path.join(module.params["models_path"], name), manifest, not module.check_mode)
    ]
    module.exit_json(
        changed=False,
        models=models,
        intact=right,
        releases=releases(module.params["releases_path"]),
    )


if __name__ == "__main__":
    main()

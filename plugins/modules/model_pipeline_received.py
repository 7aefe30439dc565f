#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.model_pipeline_received."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_pipeline_received
short_description: Receive a published model on a device
version_added: 0.1.0
description:
  - Fetches each file of a manifest by its sha256, then writes the manifest. Until then the previous version
    stays valid. Needs nothing beyond Python and aria2.
  - A second run that finds all files as in the manifest changes nothing and sends no request.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  manifest:
    description: What M(edge_slm.fleet.published_artifacts) returned for the model.
    type: dict
    required: true
  url:
    description: Address of the directory on the builder that the manifest is in.
    type: str
    required: true
  models_path:
    description: Where published models are on the device.
    type: path
    required: true
  keep:
    description: Versions that stay on disk, this one among them.
    type: int
    default: 2
attributes:
  check_mode:
    support: full
    description: Reports whether something would be fetched or written.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Receive the model
  edge_slm.fleet.model_pipeline_received:
    manifest: "{{ published.models['smollm2'] }}"
    url: http://builder-01:8090/models/smollm2
    models_path: /var/lib/edge-slm/models
"""

RETURN = r"""
directory:
  description: The model's directory on the device.
  returned: success
  type: str
  sample: /var/lib/edge-slm/models/smollm2
"""

import os
import urllib.parse

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    mib,
    read_json,
    remember_verified,
    require_space,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import NAME
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import Fetch, fetch, url_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, checked_header
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import (
    MANIFEST,
    ManifestError,
    artifacts,
    intact,
    publish,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "dict", "required": True},
            "url": {"type": "str", "required": True},
            "models_path": {"type": "path", "required": True},
            "keep": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    manifest = {key: value for key, value in module.params["manifest"].items() if key != "history"}
    name = str(manifest.get("name", ""))
    try:
        if not NAME.fullmatch(name):
            raise ManifestError(f"its name {name!r} is not one of a model")
        files = artifacts(manifest)
    except ManifestError as error:
        module.fail_json(msg=f"manifest of {name or 'a model'}: {error}; publish the model on the builder again")
    if problem := url_problem(module.params["url"]):
        module.fail_json(msg=f"model_pipeline_receive_url: {module.params['url']!r} {problem}")
    directory = os.path.join(module.params["models_path"], name)
    present = read_json(os.path.join(directory, MANIFEST))
    present.pop("history", None)
    if present == manifest and intact(directory, manifest, remember=not module.check_mode):
        module.exit_json(changed=False, directory=directory)
    if module.check_mode:
        module.exit_json(changed=True, directory=directory)
    jobs = [
        (
            file.kind,
            Fetch(
                url=f"{module.params['url'].rstrip('/')}/{urllib.parse.quote(file.path)}",
                dest=os.path.join(directory, file.path),
                digest=Digest(file.sha256),
                size=file.size,
                name=f"{name}/{file.path}",
            ),
        )
        for file in files
    ]
    try:
        left = sum(job.size for _kind, job in jobs if not os.path.isfile(job.dest) and not os.path.isfile(job.part))
        require_space(directory, left, f"{name} ({mib(sum(file.size for file in files))})")
        for kind, job in jobs:
            fetch(job)
            os.chmod(job.dest, 0o644)
            remember_verified(job.dest, job.digest)
            # The manifest still names the model that serves: it goes on serving.
            checked_header(job.dest, kind)
        publish(directory, manifest, module.params["keep"])
    except (DurableError, GgufError, OSError) as error:
        module.fail_json(msg=f"{name}: {error}")
    module.exit_json(changed=True, directory=directory)


if __name__ == "__main__":
    followed(main)

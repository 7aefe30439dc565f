#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.fetched_file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fetched_file
short_description: Fetch one file of known content to a device
version_added: 0.1.0
description:
  - Downloads O(url) to O(dest) with aria2, resuming where an earlier attempt broke off, and gives the file
    its final name only after its sha256 was seen to be right.
  - A file that is there already and right is not fetched again. Its sha256 is kept in a hidden file
    beside it and computed again only when size, time of change or inode differ.
requirements:
  - aria2c on the device (Debian package aria2), for C(http) and C(https)
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  url:
    description: C(http://), C(https://), C(file:///) or an absolute path on the device.
    type: str
    required: true
  sha256:
    description: What the content must hash to, 64 hexadecimal digits.
    type: str
    required: true
  dest:
    description: Final name on the device. Missing directories above it are made.
    type: path
    required: true
  size:
    description: Size in bytes where it is known, so that disk space is checked first. 0 = not known.
    type: int
    default: 0
  bearer_token:
    description: Sent to the host of O(url), and not to another one that it redirects to.
    type: str
    default: ""
  retry_wait:
    description: Seconds between attempts.
    type: int
    default: 2
extends_documentation_fragment:
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
    description: Reports whether the file would be fetched; does not ask the server.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Fetch the model from the builder
  edge_slm.fleet.fetched_file:
    url: http://builder-01:8090/models/smollm2/0123456789ab.gguf
    sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    size: 98765432
    dest: /var/lib/edge-slm/models/smollm2/0123456789ab.gguf
    mode: "0644"
"""

RETURN = r"""
dest:
  description: The file's final name.
  returned: success
  type: str
  sample: /var/lib/edge-slm/models/smollm2/0123456789ab.gguf
size:
  description: Its size in bytes (in check mode, what was given).
  returned: success
  type: int
  sample: 98765432
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError, sha256_digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import token_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import (
    Fetch,
    fetch,
    is_present,
    url_problem,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "size": {"type": "int", "default": 0},
            "bearer_token": {"type": "str", "default": "", "no_log": True},
            "retry_wait": {"type": "int", "default": 2},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    try:
        digest = sha256_digest(module.params["sha256"])
    except ValueError as error:
        module.fail_json(msg=f"sha256: {error}")
    if problem := url_problem(module.params["url"]):
        module.fail_json(msg=f"url: {problem}")
    if problem := token_problem(module.params["bearer_token"]):
        module.fail_json(msg=f"bearer_token: {problem}")
    dest = os.path.abspath(module.params["dest"])
    job = Fetch(
        url=module.params["url"],
        dest=dest,
        digest=digest,
        size=module.params["size"],
        bearer_token=module.params["bearer_token"],
        retry_wait=module.params["retry_wait"],
    )
    if module.check_mode and not is_present(job, remember=False):
        module.exit_json(changed=True, dest=dest, size=job.size)
    try:
        changed = False if module.check_mode else fetch(job)
    except (DurableError, OSError) as error:
        module.fail_json(msg=str(error))
    module.params["path"] = dest
    changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(module.params), changed)
    module.exit_json(changed=changed, dest=dest, size=os.path.getsize(dest))


if __name__ == "__main__":
    followed(main)

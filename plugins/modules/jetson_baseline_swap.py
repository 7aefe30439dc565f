#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_baseline_swap."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_baseline_swap
short_description: Make a swap file of a given size
version_added: 0.1.0
description:
  - Makes the file beside its final name, sets it up as swap and moves it there, so a power cut leaves no half one.
  - Nothing is swapped on or off; a file that is in use is refused.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  path:
    description: Where the file is.
    type: path
    required: true
  mib:
    description: Its size in MiB. A file of this size is left as it is.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Compares only.
  diff_mode:
    support: none
    description: A swap file has nothing to show.
"""

EXAMPLES = r"""
- name: Make the swap file
  edge_slm.fleet.jetson_baseline_swap:
    path: /var/lib/edge-slm/swapfile
    mib: 16384
"""

RETURN = r"""#"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "mib": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    path, size = module.params["path"], module.params["mib"] << 20
    if os.path.isfile(path) and os.path.getsize(path) == size:
        module.exit_json(changed=False)
    if any(line.split()[:1] == [path] for line in read_text("/proc/swaps").splitlines()):
        module.fail_json(msg=f"{path} is in use as swap; swap it off first.")
    if module.check_mode:
        module.exit_json(changed=True)
    mkswap = find_command("mkswap")
    if not mkswap:
        module.fail_json(msg="mkswap is not installed on this host.")
    draft = f"{path}.part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for old in (draft, path):
        if os.path.lexists(old):
            os.unlink(old)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        # Blocks that exist, not holes, which no swap file may have.
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    except OSError as error:
        os.unlink(draft)
        module.fail_json(msg=f"{path}: {module.params['mib']} MiB could not be allocated: {error.strerror}.")
    finally:
        os.close(descriptor)
    code, out, error_text = module.run_command([mkswap, draft])
    if code != 0:
        os.unlink(draft)
        module.fail_json(msg=f"mkswap {draft} failed: {(error_text or out).strip()}")
    os.replace(draft, path)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()

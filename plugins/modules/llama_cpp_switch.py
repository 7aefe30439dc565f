#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_cpp_switch."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_cpp_switch
short_description: Point `current` at a release, in one step
version_added: 0.1.0
description:
  - Renames a new symlink over C(current), so that it always points to a whole release.
  - C(previous) points to the release that was current before.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  root:
    description: Directory that holds C(releases/) and C(current).
    type: path
    default: /opt/edge-slm/llama.cpp
  key:
    description: The release to switch to; a directory in C(releases/).
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows the key before and after.
"""

EXAMPLES = r"""
- name: Switch
  edge_slm.fleet.llama_cpp_switch:
    key: b11434-x86-64-v3-0123456789
"""

RETURN = r"""
previous:
  description: The key that was current before, or an empty string.
  returned: success
  type: str
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def switch_link(link: Path, target: str) -> None:
    """Make `link` point to `target` by rename."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/edge-slm/llama.cpp"},
            "key": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    root, key = Path(module.params["root"]), module.params["key"]
    releases, link = root / "releases", root / "current"
    if not (releases / key / "release.json").is_file() and not module.check_mode:
        module.fail_json(msg=f"key: there is no release {key} in {releases}.")
    previous = os.path.basename(os.readlink(link)) if link.is_symlink() else ""
    if previous != key and not module.check_mode:
        # First what is to be remembered: a run that is killed in between still knows both.
        if previous:
            switch_link(root / "previous", f"releases/{previous}")
        switch_link(link, f"releases/{key}")
    module.exit_json(
        changed=previous != key,
        previous=previous,
        diff={"before": f"{previous}\n", "after": f"{key}\n"},
    )


if __name__ == "__main__":
    main()

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
  - Removes the oldest releases, never the current one, and what killed runs left half-made.
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
  keep:
    description: How many releases to keep, the current one among them.
    type: int
    default: 3
  published:
    description: Keys of releases that are kept in any case, because devices receive them.
    type: list
    elements: str
    default: []
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
removed:
  description: Names of the directories that were removed.
  returned: success
  type: list
  elements: str
"""

import os
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import sidecar
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import releases_to_remove


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
            "keep": {"type": "int", "default": 3},
            "published": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        supports_check_mode=True,
    )
    root, key = Path(module.params["root"]), module.params["key"]
    releases, link = root / "releases", root / "current"
    if not (releases / key / "release.json").is_file() and not module.check_mode:
        module.fail_json(msg=f"key: there is no release {key} in {releases}.")
    previous = os.path.basename(os.readlink(link)) if link.is_symlink() else ""
    ages = {entry.name: entry.stat().st_mtime for entry in releases.iterdir()} if releases.is_dir() else {}
    # The one before stays as well: it is what a rollback returns to, and may still be running.
    in_use = {key, previous, *module.params["published"]}
    removed = releases_to_remove(ages, in_use, module.params["keep"])
    if not module.check_mode:
        if previous != key:
            switch_link(link, f"releases/{key}")
        for name in removed:
            shutil.rmtree(releases / name)
            Path(sidecar(str(releases / name))).unlink(missing_ok=True)
    module.exit_json(
        changed=previous != key or bool(removed),
        previous=previous,
        removed=removed,
        diff={"before": f"{previous}\n", "after": f"{key}\n"},
    )


if __name__ == "__main__":
    main()

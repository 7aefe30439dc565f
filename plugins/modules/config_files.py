#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.config_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: config_files
short_description: Write and remove several small configuration files in one round trip
version_added: 0.1.0
description:
  - Each file is validated, flushed to disk and moved to its name by rename, so a power cut leaves the old
    file or the new one. Missing directories are made, in check mode too only in thought.
  - Symbolic links are followed. Modes are left alone where the file system has none (FAT).
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  files:
    description: Files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is.
        type: path
        required: true
      content:
        description: Its text.
        type: str
        required: true
      mode:
        description: Its mode as an octal number; empty to leave it alone.
        type: str
        default: "0644"
      validate:
        description: A command that must accept the file; C(%s) is the path of a temporary one.
        type: str
        default: ""
  remove:
    description: Paths of files that must not be there.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: Compares, and writes nothing. Validating commands are not run.
  diff_mode:
    support: full
    description: Shows each file's change.
"""

EXAMPLES = r"""
- name: Cap the journal
  edge_slm.fleet.config_files:
    files:
      - path: /etc/systemd/journald.conf.d/50-edge-slm.conf
        content: |
          [Journal]
          SystemMaxUse=200M
"""

RETURN = r"""
paths:
  description: Files that were written or removed.
  returned: always
  type: list
  elements: str
"""

import os
import shlex
import stat
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import finish, write_draft


def current(path: str) -> tuple[str, int] | None:
    """Return a file's text and mode, or None where there is none."""
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        return file.read(), stat.S_IMODE(os.stat(path).st_mode)


def write(module: AnsibleModule, path: str, content: str, mode: str, validate: str) -> None:
    """Put a file in its place, or fail before anything has changed."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    draft = write_draft(path, content, int(mode, 8) if mode else None)
    if validate:
        argv = [word.replace("%s", draft) for word in shlex.split(validate)]
        code, out, error = module.run_command(argv)
        if code != 0:
            os.unlink(draft)
            module.fail_json(msg=f"{path} was not written: `{validate}` refuses it: {(error or out).strip()}")
    finish(draft, path)


def main() -> None:
    """Run the module."""
    file_spec = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "options": file_spec, "default": []},
            "remove": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    diffs: list[dict[str, Any]] = []
    for file in module.params["files"]:
        path = os.path.realpath(file["path"])
        found = current(path)
        before, mode = found or ("", 0)
        same_mode = not file["mode"] or mode == int(file["mode"], 8)
        if found is not None and before == file["content"] and same_mode:
            continue
        diffs.append({"before_header": path, "after_header": path, "before": before, "after": file["content"]})
        if not module.check_mode:
            write(module, path, file["content"], file["mode"], file["validate"])
    for path in module.params["remove"]:
        found = current(path)
        if found is not None:
            diffs.append({"before_header": path, "after_header": path, "before": found[0], "after": ""})
            if not module.check_mode:
                os.unlink(path)
    module.exit_json(changed=bool(diffs), paths=[diff["after_header"] for diff in diffs], diff=diffs)


if __name__ == "__main__":
    main()

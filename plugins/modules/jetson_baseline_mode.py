#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_baseline_mode."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_baseline_mode
short_description: Set the power mode of a Jetson without letting nvpmodel reboot it
version_added: 0.1.0
description:
  - Where a mode can be set only at boot, nvpmodel asks whether it may reboot at once. The answer is always no.
    The mode is then written where nvpmodel reads it at the next boot, and RV(reboot) reports that this boot is due.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  id:
    description: The mode's number in C(/etc/nvpmodel.conf).
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Sets nothing.
  diff_mode:
    support: none
    description: The power mode is not the content of a file.
"""

EXAMPLES = r"""
- name: Set the power mode
  edge_slm.fleet.jetson_baseline_mode:
    id: 0
"""

RETURN = r"""
reboot:
  description: Whether the mode waits for the next boot.
  returned: success
  type: bool
output:
  description: What nvpmodel printed.
  returned: success
  type: str
"""

import contextlib
import os
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text, write_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import baseline as decide

#: Setting a mode takes a second or two; one that takes CPUs off line may take longer.
TIMEOUT = 120


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"id": {"type": "int", "required": True}}, supports_check_mode=True)
    mode = module.params["id"]
    if module.check_mode:
        module.exit_json(changed=True, reboot=False, output="")
    command = find_command("nvpmodel")
    if not command:
        module.fail_json(msg="nvpmodel is not installed on this host.")
    try:
        done = subprocess.run(
            [command, "-m", str(mode)],
            input="no\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        module.fail_json(msg=f"nvpmodel -m {mode} did not end within {TIMEOUT} s.")
    verdict = decide.mode_verdict(done.returncode, done.stdout)
    if verdict == "failed":
        module.fail_json(msg=f"nvpmodel -m {mode} failed (exit code {done.returncode}): {done.stdout.strip()}")
    if verdict == "reboot":
        write_text(decide.MODE_STATUS, decide.with_status(read_text(decide.MODE_STATUS), mode))
        write_text(decide.MODE_WAITING, f"{mode}\n")
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(decide.MODE_WAITING)
    module.exit_json(changed=True, reboot=verdict == "reboot", output=done.stdout)


if __name__ == "__main__":
    main()

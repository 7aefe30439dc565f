# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command that proves a login by key."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

#: ssh takes the first value of an option, so these stand before everything from the inventory.
KEYS_ONLY = {
    "BatchMode": "yes",
    "PreferredAuthentications": "publickey",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "ControlMaster": "no",
    "ControlPath": "none",
}


def ssh_argv(options: Mapping[str, Any], timeout: int) -> list[str]:
    """Return an ssh command that succeeds only when a key alone lets this controller in.

    Args:
        options: Options of Ansible's ssh connection: host, port, remote_user, private_key_file, ssh_args, …
        timeout: Seconds to wait for the connection.
    """
    argv = [str(options.get("ssh_executable") or "ssh")]
    for name, value in {**KEYS_ONLY, "ConnectTimeout": str(timeout)}.items():
        argv += ["-o", f"{name}={value}"]
    if options.get("private_key_file"):
        argv += ["-i", str(options["private_key_file"])]
    if options.get("port"):
        argv += ["-p", str(options["port"])]
    if options.get("remote_user"):
        argv += ["-l", str(options["remote_user"])]
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        argv += shlex.split(str(options.get(name) or ""))
    return [*argv, str(options["host"]), "true"]

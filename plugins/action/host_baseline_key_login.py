# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.host_baseline_key_login (its documentation is in plugins/modules)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.key_login import ssh_argv

OPTIONS = (
    "ssh_executable",
    "host",
    "port",
    "remote_user",
    "private_key_file",
    "ssh_args",
    "ssh_common_args",
    "ssh_extra_args",
)


class ActionModule(ActionBase):  # type: ignore[misc]
    """Log in once more, by key alone."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether a login by key is proven."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec({"timeout": {"type": "int", "default": 15}})
        result["changed"] = False
        if self._connection.transport.rsplit(".", 1)[-1] != "ssh":
            why = f"the connection is {self._connection.transport}, not ssh"
            return {**result, "proven": False, "why": why}
        options: Mapping[str, Any] = {name: self._connection.get_option(name) for name in OPTIONS}
        timeout = int(arguments["timeout"])
        try:
            done = subprocess.run(
                ssh_argv(options, timeout),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=timeout * 2,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {**result, "proven": False, "why": str(error)}
        why = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return {**result, "proven": done.returncode == 0, "why": why}

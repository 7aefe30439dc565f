# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.service_account (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

#: Nobody logs in as a service, and it has no place of its own to write to.
LOCKED_DOWN = {"home": "/nonexistent", "create_home": False, "shell": "/usr/sbin/nologin", "comment": "edge_slm.fleet"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Run ansible.builtin.group and ansible.builtin.user in the order that each state needs."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether anything was changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            }
        )
        both = {"name": given["name"], "state": given["state"], "system": True}
        steps = [
            ("ansible.builtin.group", both),
            ("ansible.builtin.user", {**both, "group": given["name"], **LOCKED_DOWN}),
        ]
        changed = False
        for module, arguments in steps if given["state"] == "present" else reversed(steps):
            done = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
            changed |= bool(done.get("changed"))
            if done.get("failed"):
                return {**result, **done, "changed": changed}
        return {**result, "changed": changed}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.published_release (its documentation is in plugins/modules)."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Choose a device's release among those that a builder has published; no connection is made."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the role's llama_cpp_source, or fail where the builder has not made the release."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "releases": {"type": "dict", "required": True},
                "cpu_class": {"type": "str", "required": True},
                "key": {"type": "str", "required": True, "no_log": False},
                "url": {"type": "str", "required": True},
            }
        )
        found = given["releases"].get(given["cpu_class"])
        if not found or found["key"] != given["key"]:
            has = f"its release for that class is {found['key']}" if found else "it has none for that class"
            raise AnsibleActionFail(
                f"The builder has not made the release {given['key']} (CPU class {given['cpu_class']}); {has}. "
                "Run the builder first: ansible-playbook playbooks/builder.yml, without --limit."
            )
        source = {
            "release": f"{given['url']}/{found['file']}",
            **{name: found[name] for name in ("sha256", "size", "key", "requires") if name in found},
        }
        return {**result, "changed": False, "source": source}

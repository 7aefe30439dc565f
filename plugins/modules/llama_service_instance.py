#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_service_instance."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_instance
short_description: Start or stop one instance of llama-server@.service
version_added: 0.1.0
description:
  - Compares the running process (its variable C(EDGE_SLM_DIGEST)) and the unit with what is wanted.
  - Unmasks, enables, reloads and restarts only where they differ, so a plain re-run repairs what a killed one left.
  - Does not wait until the service answers; M(edge_slm.fleet.llama_service_gate) does.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  name:
    description: The instance.
    type: str
    required: true
  state:
    description: V(absent) stops and disables it.
    type: str
    choices: [present, absent]
    default: present
  digest:
    description: What the process must have been started with. Needed with O(state=present).
    type: str
  problem:
    description: Why the process is restarted even if it was started with O(digest); empty where it may stay.
    type: str
    default: ""
  port:
    description: Its port. Another instance that still holds it is stopped. Needed with O(state=present).
    type: int
attributes:
  check_mode:
    support: full
    description: Reports what would be done.
  diff_mode:
    support: none
    description: See RV(reason).
"""

EXAMPLES = r"""
- name: Start the service
  edge_slm.fleet.llama_service_instance:
    name: smollm2
    digest: "{{ service.digest }}"
    port: 8080

- name: Stop the service
  edge_slm.fleet.llama_service_instance:
    name: old
    state: absent
"""

RETURN = r"""
reason:
  description: Why it was restarted or stopped; empty where it was left alone.
  returned: success
  type: str
restarts:
  description: How often systemd has restarted it by itself.
  returned: success
  type: int
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import (
    WANTS_DIR,
    instance_traces,
    read_unit,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import stale_instances
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import steps_to_run, unit_name


def systemctl(module: AnsibleModule, *arguments: str) -> None:
    """Run systemctl; a failure fails the module with systemd's message."""
    code, out, err = module.run_command(["systemctl", *arguments])
    if code:
        module.fail_json(msg=f"systemctl {' '.join(arguments)}: {(err or out).strip()}", rc=code)


def free_port(module: AnsibleModule, name: str, port: int) -> None:
    """Stop another instance that runs on the port; its own turn starts it again on its new one."""
    for other in stale_instances([name], [], instance_traces()):
        if read_unit(other).port == str(port):
            systemctl(module, "stop", unit_name(other))


def unmask(module: AnsibleModule, name: str) -> None:
    """Unmask an instance, whichever way it was masked."""
    systemctl(module, "unmask", unit_name(name))
    systemctl(module, "unmask", "--runtime", unit_name(name))


def ensure_present(module: AnsibleModule, name: str, digest: str, port: int, problem: str) -> None:
    """Enable and start the instance; restart it where it runs with something else."""
    steps = steps_to_run(read_unit(name), digest, problem)
    if not module.check_mode:
        if steps.unmask:
            unmask(module, name)
        if steps.reload:
            systemctl(module, "daemon-reload")
        if steps.enable:
            systemctl(module, "enable", unit_name(name))
        if steps.restart:
            free_port(module, name, port)
            # Without this a service that has used up its attempts could not be started again.
            systemctl(module, "reset-failed", unit_name(name))
            systemctl(module, "restart", "--no-block", unit_name(name))
    changed = steps.unmask or steps.reload or steps.enable or steps.restart
    restarts = 0 if steps.restart else read_unit(name).restarts
    module.exit_json(changed=changed, reason=steps.reason, restarts=restarts)


def ensure_absent(module: AnsibleModule, name: str) -> None:
    """Stop the instance and let it not start again; works without its unit file too."""
    unit = read_unit(name)
    link = Path(WANTS_DIR, unit_name(name))
    runs = unit.active not in ("inactive", "")
    linked = link.is_symlink()
    if not module.check_mode:
        if runs:
            systemctl(module, "stop", unit_name(name))
            module.run_command(["systemctl", "reset-failed", unit_name(name)])
        if unit.masked:
            unmask(module, name)
        if linked:
            link.unlink()
            systemctl(module, "daemon-reload")
    changed = runs or linked or unit.masked
    module.exit_json(changed=changed, reason="not wanted" if changed else "", restarts=0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "digest": {"type": "str"},
            "port": {"type": "int"},
            "problem": {"type": "str", "default": ""},
        },
        required_if=[("state", "present", ("digest", "port"))],
        supports_check_mode=True,
    )
    given = module.params
    if given["state"] == "present":
        ensure_present(module, given["name"], given["digest"], given["port"], given["problem"])
    ensure_absent(module, given["name"])


if __name__ == "__main__":
    main()

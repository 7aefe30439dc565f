#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.endpoint_proxy_service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_proxy_service
short_description: Run the proxy with its current files
version_added: 0.2.0
description:
  - Asks the running HAProxy what it has loaded, and reloads or restarts it only where that is not what is wanted,
    so a plain re-run repairs what a killed one left.
  - A reload loses no connection. Workers that still finish old answers forget the keys that are no longer valid, so
    that a client with an open connection is refused too.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  state:
    description: V(absent) stops and disables it.
    type: str
    choices: [present, absent]
    default: present
  config_digest:
    description: Digest of what must be loaded, as the role's plan returns it. Needed with O(state=present).
    type: str
  unit_digest:
    description: Digest of the unit that it must run under, as the role's plan returns it. Needed with O(state=present).
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would be done.
  diff_mode:
    support: none
    description: See RV(reason).
"""

EXAMPLES = r"""
- name: Run the proxy
  edge_slm.fleet.endpoint_proxy_service:
    config_digest: "{{ plan.needs.config_digest }}"
    unit_digest: "{{ plan.needs.unit_digest }}"

- name: Stop and disable the proxy
  edge_slm.fleet.endpoint_proxy_service:
    state: absent
"""

RETURN = r"""
reason:
  description: Why it was reloaded, restarted or stopped; empty where it was left alone.
  returned: success
  type: str
revoked:
  description: How many keys were taken from workers that still finish old answers.
  returned: success
  type: int
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import user_number
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import WANTS_DIR
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.live import (
    ask,
    read_loaded,
    read_maps,
    read_unit,
    user_of,
)

PATIENCE_SECONDS = 30


def systemctl(module: AnsibleModule, *arguments: str) -> None:
    """Run systemctl; a failure fails the module with the journal's last lines."""
    code, out, err = module.run_command(["systemctl", *arguments])
    if code:
        fail(module, f"systemctl {' '.join(arguments)}: {(err or out).strip()}")


def fail(module: AnsibleModule, problem: str) -> None:
    """Fail with the journal's last lines."""
    lines = output_of(["journalctl", "-u", proxying.UNIT, "-n", "20", "-o", "cat", "--no-pager"]).strip()
    module.fail_json(
        msg=(
            f"The proxy does not serve: {problem}.\n"
            f"Look at `journalctl -u {proxying.UNIT}`; its last lines are:\n{lines}"
        )
    )


def wait_for(module: AnsibleModule, config_digest: str) -> None:
    """Wait until a worker has loaded what is wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while read_loaded() != proxying.Loaded(config_digest):
        if time.monotonic() > deadline:
            fail(module, f"within {PATIENCE_SECONDS} s no worker had loaded the new configuration")
        time.sleep(0.1)


def revoke(module: AnsibleModule) -> int:
    """Take invalid keys from every worker there is; returns how many there were."""
    revoked = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        maps = read_maps()
        found = {pid: proxying.outdated(live, read_text(proxying.KEY_MAP)) for pid, live in maps.items()}
        # Again after each removal: what counts is that a look at all workers finds nothing more.
        if module.check_mode or (maps and not any(found.values())):
            return revoked + sum(map(len, found.values()))
        if time.monotonic() > deadline:
            fail(module, f"within {PATIENCE_SECONDS} s not all workers had forgotten the keys that are no longer valid")
        for pid, keys in found.items():
            for key in keys:
                revoked += 1
                ask(proxying.MASTER_SOCKET, f"@!{pid} del map {proxying.KEY_MAP} {key}")
        if not maps:  # a reloading master does not answer for a moment
            time.sleep(0.1)


def ensure_present(module: AnsibleModule, config_digest: str, unit_digest: str) -> None:
    """Enable and start it; reload or restart it where it runs with something else."""
    unit = read_unit()
    own_user = user_of(unit.pid) in (None, user_number(proxying.USER))
    steps = proxying.steps_to_run(unit, unit_digest, read_loaded(), config_digest, own_user)
    if not module.check_mode:
        if steps.unmask:
            systemctl(module, "unmask", proxying.UNIT)
        if steps.daemon_reload:
            systemctl(module, "daemon-reload")
        if steps.enable:
            systemctl(module, "enable", proxying.UNIT)
        if steps.restart:
            # Without this a service that has used up its attempts could not be started again.
            module.run_command(["systemctl", "reset-failed", proxying.UNIT])
            systemctl(module, "restart", proxying.UNIT)
        if steps.reload:
            systemctl(module, "reload", proxying.UNIT)
        wait_for(module, config_digest)
    # On every run: an earlier one may have been killed between its reload and this.
    revoked = revoke(module)
    changed = steps.enable or steps.restart or steps.reload or revoked > 0
    module.exit_json(changed=changed, reason=steps.reason, revoked=revoked)


def ensure_absent(module: AnsibleModule) -> None:
    """Stop it and let it not start again; works without its unit file too."""
    runs = read_unit().active not in ("inactive", "")
    link = Path(WANTS_DIR, proxying.UNIT)
    linked = link.is_symlink()
    if not module.check_mode:
        if runs:
            systemctl(module, "stop", proxying.UNIT)
            module.run_command(["systemctl", "reset-failed", proxying.UNIT])
        if linked:
            link.unlink()
    module.exit_json(changed=runs or linked, reason="not wanted" if runs or linked else "", revoked=0)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "config_digest": {"type": "str"},
            "unit_digest": {"type": "str"},
        },
        required_if=[("state", "present", ("config_digest", "unit_digest"))],
        supports_check_mode=True,
    )
    given = module.params
    if given["state"] == "present":
        ensure_present(module, given["config_digest"], given["unit_digest"])
    ensure_absent(module)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_service_trial."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_trial
short_description: Try a service's new command line beside the one that runs
version_added: 0.1.0
description:
  - Starts one more instance of C(llama-server@.service), in the sandbox that all have, on a free port of loopback and
    with a tiny model, waits until its C(/health) is good, and removes it.
  - Fails with the last lines of its journal where it does not come up. The service itself is left alone.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  name:
    description: The service whose command line it is; for messages.
    type: str
    required: true
  arguments:
    description: Arguments of llama-server, all but the port.
    type: list
    elements: str
    required: true
  config_dir:
    description: Directory of the services' configuration.
    type: path
    required: true
  certificate:
    description: Certificate that the arguments name, where they do; it is the one that is trusted.
    type: path
  group:
    description: Group that may read the configuration.
    type: str
    default: root
attributes:
  check_mode:
    support: full
    description: Skipped; what is to be tried may not be there yet.
  diff_mode:
    support: none
    description: Nothing stays.
"""

EXAMPLES = r"""
- name: Try the new command line
  edge_slm.fleet.llama_service_trial:
    name: smollm2
    arguments: [--model, /opt/edge-slm/llama.cpp/current/selftest.gguf, --host, 127.0.0.1, --temp, "0.7"]
    config_dir: /etc/edge-slm/llama-server
"""

RETURN = r"""
waited_seconds:
  description: How long it took until C(/health) was good.
  returned: success
  type: float
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import write_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import last_lines, read_unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import free_port
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import (
    ENVIRONMENT_ENDING,
    TRIAL,
    TRIAL_ADDRESS,
    environment_text,
    health_url,
    join_arguments,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import unit_name


def environment(arguments: list[str], certificate: str) -> str:
    """Return the environment file of the trial."""
    port = free_port()
    variables = {
        "LLAMA_ARGS": join_arguments([*arguments, "--port", str(port)]),
        "EDGE_SLM_HEALTH_URL": health_url(TRIAL_ADDRESS, port, tls=bool(certificate)),
    }
    if certificate:
        variables["EDGE_SLM_TLS_CERTIFICATE"] = certificate
    return environment_text(variables)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "arguments": {"type": "list", "elements": "str", "required": True},
            "config_dir": {"type": "path", "required": True},
            "certificate": {"type": "path"},
            "group": {"type": "str", "default": "root"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: what is to be tried may not be there yet.")
    file = Path(given["config_dir"], f"{TRIAL}{ENVIRONMENT_ENDING}")
    began = time.monotonic()
    problem = log = ""
    try:
        write_text(
            str(file), environment(given["arguments"], given["certificate"] or ""), 0o640, "root", given["group"]
        )
        # The unit is up when its health is good, and that it has failed is known before it is started again.
        code, _out, _err = module.run_command(["systemctl", "start", unit_name(TRIAL)])
        if code:
            problem, log = f"result: {read_unit(TRIAL).result}", last_lines(TRIAL)
    finally:
        module.run_command(["systemctl", "stop", unit_name(TRIAL)])
        module.run_command(["systemctl", "reset-failed", unit_name(TRIAL)])
        file.unlink(missing_ok=True)
    if problem:
        module.fail_json(
            msg=(
                f"The service {given['name']} would not come up with its new arguments: {problem}. It was left as it "
                f"is; look at its `extra_args`. The last lines of the trial are:\n{log}"
            )
        )
    module.exit_json(changed=False, waited_seconds=round(time.monotonic() - began, 1))


if __name__ == "__main__":
    main()

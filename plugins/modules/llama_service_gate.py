#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_service_gate."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_gate
short_description: Pass when a service has really answered
version_added: 0.1.0
description:
  - Runs on the device. Waits until the service runs with the wanted O(digest) and its C(/health) is good.
  - Then lets the model work once, with a key from the key file, and sees whether the service survived it.
  - On failure the message holds the journal's last 20 lines and what to look at.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  name:
    description: Instance of llama-server@.service.
    type: str
    required: true
  model:
    description: Name of the model.
    type: str
    required: true
  digest:
    description: What the process must have been started with.
    type: str
    required: true
  listen:
    description: Address that it listens on.
    type: str
    default: "::"
  port:
    description: Port that it listens on.
    type: int
    required: true
  certificate:
    description: Certificate that it must serve with, in PEM; plain HTTP without one.
    type: path
  key_file:
    description: File with one key a line; the first is used.
    type: path
    required: true
  embeddings:
    description: Whether the model makes embeddings in place of text.
    type: bool
    default: false
  timeout:
    description: How long to wait for C(/health), and then for the answer, in seconds.
    type: int
    required: true
  restarts:
    description: How often systemd had restarted it by itself before; one more is a crash.
    type: int
    default: 0
  answered:
    description:
      - File that notes the digest of the service that has answered. A run that was killed before that leaves none, and
        the next one asks again.
    type: path
  group:
    description: Group that may read that file.
    type: str
    default: root
attributes:
  check_mode:
    support: full
    description: Skipped; nothing may be running yet.
  diff_mode:
    support: none
    description: Nothing but the note in O(answered) changes.
"""

EXAMPLES = r"""
- name: Wait until the service answers a request
  edge_slm.fleet.llama_service_gate:
    name: smollm2
    model: smollm2
    digest: "{{ service.digest }}"
    port: 8080
    key_file: /etc/edge-slm/llama-server/api-keys
    timeout: 120
"""

RETURN = r"""
text:
  description: What the model answered; the length of the vector for embeddings.
  returned: success
  type: str
tokens_per_second:
  description: Speed of generation as llama-server measured it; 0 for embeddings.
  returned: success
  type: float
waited_seconds:
  description: How long it took until C(/health) was good.
  returned: success
  type: float
"""

import ssl
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import write_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Abilities, ask, prove
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import last_lines, read_unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import base_url
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import start_problem, unit_name
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pinned_context

POLL_SECONDS = 0.25


def wait_until_healthy(
    name: str, digest: str, url: str, timeout: int, restarts: int, tls: ssl.SSLContext | None
) -> str:
    """Return '' when the right process is healthy, else why it is not."""
    deadline = time.monotonic() + timeout
    seen = "nothing"
    while True:
        unit = read_unit(name)
        problem = start_problem(unit, restarts)
        if problem:
            return problem
        if unit.digest == digest:
            health = ask(f"{url}/health", timeout=5, tls=tls)
            if health.status == 200 and unit.active == "active":
                return ""
            seen = health.brief()
        if time.monotonic() > deadline:
            return f"it was not healthy within {timeout} s (systemd: {unit.active}/{unit.sub}, /health: {seen})"
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "model": {"type": "str", "required": True},
            "digest": {"type": "str", "required": True},
            "listen": {"type": "str", "default": "::"},
            "port": {"type": "int", "required": True},
            "certificate": {"type": "path"},
            "key_file": {"type": "path", "required": True, "no_log": False},
            "embeddings": {"type": "bool", "default": False},
            "timeout": {"type": "int", "required": True},
            "restarts": {"type": "int", "default": 0},
            "answered": {"type": "path"},
            "group": {"type": "str", "default": "root"},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: nothing may be running yet.")
    name, certificate = given["name"], given["certificate"]
    url = base_url(given["listen"], given["port"], tls=bool(certificate))
    tls = pinned_context(certificate) if certificate else None

    def fail(problem: str) -> None:
        module.fail_json(
            msg=(
                f"The service {name} on port {given['port']} does not serve: {problem}.\n"
                f"Look at `journalctl -u {unit_name(name)}`; its last lines are:\n{last_lines(name)}"
            )
        )

    began = time.monotonic()
    problem = wait_until_healthy(name, given["digest"], url, given["timeout"], given["restarts"], tls)
    waited = time.monotonic() - began
    if problem:
        fail(problem)
    before = read_unit(name)
    key = Path(given["key_file"]).read_text(encoding="utf-8").split("\n", 1)[0]
    generation = prove(url, key, given["model"], Abilities(given["embeddings"]), given["timeout"], tls)
    after = read_unit(name)
    if (after.pid, after.restarts) != (before.pid, before.restarts):
        fail(f"it crashed over its first request (result: {after.result}, restarts: {after.restarts})")
    if generation.problem:
        fail(generation.problem)
    if given["answered"]:
        write_text(given["answered"], f"{given['digest']}\n", 0o640, "root", given["group"])
    module.exit_json(
        changed=False,
        text=generation.text,
        tokens_per_second=generation.tokens_per_second,
        waited_seconds=round(waited, 1),
    )


if __name__ == "__main__":
    main()

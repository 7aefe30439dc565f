#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.proxy_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_proxy_files
short_description: Write the keys, certificate, configuration and unit of the proxy
version_added: 0.2.0
description:
  - HAProxy itself must accept all files together under other names before the first gets its own, by rename.
  - Of a key only its sha256 is written.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.api_keys]
options:
  config:
    description: HAProxy's configuration as M(edge_slm.fleet.endpoint_proxy_plan) returns it.
    type: str
    required: true
  unit:
    description: The unit as M(edge_slm.fleet.endpoint_proxy_plan) returns it.
    type: str
    required: true
  tls_certificate:
    description: Certificate on the device; empty for plain HTTP.
    type: str
    default: ""
  tls_key:
    description: Its key on the device.
    type: str
    default: ""
  group:
    description: Group that may read what HAProxy reads.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Tells what would be written; HAProxy is not asked.
  diff_mode:
    support: full
    description: Shows configuration and unit; of keys and certificate only that they change.
"""

EXAMPLES = r"""
- name: Write the proxy's files
  edge_slm.fleet.endpoint_proxy_files:
    config: "{{ plan.config }}"
    unit: "{{ plan.unit }}"
    api_keys: "{{ endpoint_proxy_api_keys }}"
    group: edge-slm-proxy
  no_log: true
"""

RETURN = r"""
written:
  description: The files that were written or removed.
  returned: success
  type: list
  elements: str
"""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    draft_name,
    finish,
    read_text,
    remove,
    write_draft,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.live import read_pem

HAPROXY = "/usr/sbin/haproxy"


@dataclass(frozen=True)
class File:
    """A file as it is to be."""

    path: str
    text: str
    mode: int
    group: str
    secret: bool = False

    @property
    def draft(self) -> str:
        """The name that it has until HAProxy has accepted it."""
        return draft_name(self.path)

    def is_right(self) -> bool:
        """Tell whether it is there as it is to be."""
        path = Path(self.path)
        if not path.is_file() or read_text(self.path) != self.text:
            return False
        state = path.stat()
        return stat.S_IMODE(state.st_mode) == self.mode and path.owner() == "root" and path.group() == self.group

    def diff(self) -> dict[str, str]:
        """Return what changes, without secrets."""
        before, after = read_text(self.path), self.text
        if self.secret:
            before, after = "(secret)\n" if before else "", "(other secret)\n"
        return {"before_header": self.path, "after_header": self.path, "before": before, "after": after}

    def write_draft(self, text: str) -> None:
        """Write it under its other name."""
        write_draft(self.path, text, self.mode, "root", self.group)


def make_directory(group: str) -> None:
    """Make the directory of what HAProxy reads."""
    path = Path(proxying.CONFIG_DIR)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.mkdir(mode=0o750, exist_ok=True)
    shutil.chown(path, "root", group)
    path.chmod(0o750)


def validate(module: AnsibleModule, config: File, others: list[File]) -> None:
    """Let HAProxy read all drafts together; a refusal leaves everything as it was."""
    text = config.text
    for file in others:
        text = text.replace(file.path, file.draft)
    config.write_draft(text)
    code, out, error = module.run_command([HAPROXY, "-c", "-q", "-f", config.draft])
    if code:
        remove(config.draft, *(file.draft for file in others))
        module.fail_json(msg=f"HAProxy refuses the configuration, nothing was changed: {(error or out).strip()}")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "str", "required": True},
            "unit": {"type": "str", "required": True},
            "api_keys": serving.API_KEYS_ARGUMENT,
            "tls_certificate": {"type": "str", "default": ""},
            "tls_key": {"type": "str", "default": "", "no_log": False},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    group, tls = given["group"], bool(given["tls_certificate"])
    pem = ""
    if tls:
        try:
            pem = read_pem(given["tls_certificate"], given["tls_key"])
        except ValueError as error:
            if not module.check_mode:  # there it may be what another role would have brought
                module.fail_json(msg=str(error))
    keys = serving.parse_keys(given["api_keys"], Problems())
    config = File(proxying.CONFIG, given["config"], 0o640, group)
    # The configuration comes after what it names, so a start in between finds all of it.
    read_by_it = [File(proxying.KEY_MAP, proxying.key_map_text(keys), 0o640, group, secret=True)]
    if tls:
        read_by_it.append(File(proxying.TLS_PEM, pem, 0o640, group, secret=True))
    unit = File(f"/etc/systemd/system/{proxying.UNIT}", given["unit"], 0o644, "root")
    files = [*read_by_it, config, unit]
    wrong = [file for file in files if not file.is_right()]
    stale = [proxying.TLS_PEM] if not tls and os.path.exists(proxying.TLS_PEM) else []
    diffs = [file.diff() for file in wrong]
    if wrong and not module.check_mode:
        make_directory(group)
        for file in wrong:
            file.write_draft(file.text)
        validate(module, config, [file for file in read_by_it if file in wrong])
        config.write_draft(config.text)
        # Only what differs: systemd takes a unit for changed when its file is younger.
        for file in wrong:
            finish(file.draft, file.path)
        remove(config.draft)
    if not module.check_mode:
        remove(*stale)
    module.exit_json(changed=bool(wrong or stale), written=[file.path for file in wrong] + stale, diff=diffs)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.llama_service_status."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_status
short_description: Report what a device serves, from the device itself
version_added: 0.1.0
description:
  - Reads the services that are configured on the device, whatever is in the inventory.
  - Asks each healthy one for a short completion to measure its speed.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.reads_only]
options:
  config_dir:
    description: Directory of the services' configuration.
    type: path
    default: /etc/edge-slm/llama-server
  timeout:
    description: How long the measured completion may take, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Look at the services
  edge_slm.fleet.llama_service_status:
"""

RETURN = r"""
endpoints:
  description:
    - One item for each service with engine, service, port, model, quantisation, sha256, release, unit,
      health, in_sync, restarts and tokens_per_second.
    - The release is that of the running process.
  returned: always
  type: list
  elements: dict
"""

import contextlib
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import names_in, read_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Abilities, Reply, ask, prove
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.status import describe_service
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import read_unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import Paths, parse_environment
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import (
    MANIFEST,
    ManifestError,
    model_and_projector,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pinned_context


def running_release(unit: Unit) -> str:
    """Return the key of the release that runs: by its binary, or from its environment where that cannot be read."""
    try:
        directory = Path(os.readlink(f"/proc/{unit.pid}/exe")).parent.parent
    except OSError:
        return unit.environment.get("EDGE_SLM_RELEASE", "")
    return str(read_json(directory / "release.json").get("key") or directory.name)


def look_at(name: str, config_dir: str, timeout: int) -> dict[str, Any]:
    """Return the state of one service."""
    environment = parse_environment(Path(config_dir, f"{name}.env").read_text(encoding="utf-8"))
    unit = read_unit(name)
    url = environment.get("EDGE_SLM_HEALTH_URL", "").removesuffix("/health")
    certificate = environment.get("EDGE_SLM_TLS_CERTIFICATE", "")
    try:
        tls = pinned_context(certificate) if certificate else None
    except OSError as error:
        tls, health = None, Reply(0, f"{certificate}: {error}")
    else:
        health = ask(f"{url}/health", timeout=5, tls=tls)
    row = describe_service(name, environment, unit, health)
    manifest = read_json(Path(row.pop("model_path")).parent / MANIFEST)
    row["quantisation"] = manifest.get("quantisation") or ""
    row["sha256"] = ""
    with contextlib.suppress(ManifestError):
        row["sha256"] = model_and_projector(manifest)[0].sha256
    row["release"] = running_release(unit)
    if row["health"] == "ok":
        key = Path(Paths(config_dir).key_file).read_text(encoding="utf-8").split("\n", 1)[0]
        made = prove(url, key, row["model"], Abilities(row.pop("embeddings")), timeout, tls)
        row["tokens_per_second"] = made.tokens_per_second
        row["health"] = made.problem or "ok"
    row.pop("embeddings", None)
    return row


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "config_dir": {"type": "path", "default": "/etc/edge-slm/llama-server"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    directory = module.params["config_dir"]
    names = [name.removesuffix(".env") for name in names_in(directory) if name.endswith(".env")]
    rows = [look_at(name, directory, module.params["timeout"]) for name in names]
    module.exit_json(changed=False, endpoints=rows)


if __name__ == "__main__":
    main()

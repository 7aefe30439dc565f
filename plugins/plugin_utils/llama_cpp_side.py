# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of llama_cpp leaves to the controller: files there that a pending build takes.

They are read only when a build takes them, and once: what was found is noted under Ansible's home directory, because a
fleet whose devices build for themselves asks for each of them. The files' own directory may be read-only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any

from ansible import constants
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import Digest, identity, read_json, write_json
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs


def sha256_of(path: str, notes: str) -> str:
    """Return the sha256 of a file of the controller, from its note where the file has not changed since.

    Args:
        path: The file.
        notes: Directory of the notes.

    Raises:
        OSError: The file cannot be read.
    """
    note = os.path.join(notes, f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json")
    known = {**identity(path), "path": path}
    noted = read_json(note)
    if known.items() <= noted.items():
        return str(noted.get("sha256"))
    found = Digest("").of(path).hex
    with contextlib.suppress(OSError):
        os.makedirs(notes, mode=0o700, exist_ok=True)
        write_json(note, {**known, "sha256": found}, mode=0o600)
    return found


def after(inputs: Inputs, plan: dict[str, Any]) -> None:
    """Refuse files that are missing or that are not the pinned ones."""
    notes = os.path.join(constants.config.get_config_value("ANSIBLE_HOME"), "edge_slm", "verified")
    for file in plan["needs"].get("controller_files", []):
        variable, path = file["variable"], file["path"]
        try:
            found = sha256_of(path, notes)
        except OSError as error:
            plan["refusals"].append(
                f"{variable}: the file {path} cannot be read on the controller ({error.strerror}); put it there, or "
                "correct the path."
            )
            continue
        if found != file["sha256"]:
            plan["refusals"].append(
                f"{variable}: the file {path} on the controller has the sha256 {found}, the inventory has "
                f"{file['sha256']}; fetch it again, or correct the sha256 if you trust the file."
            )

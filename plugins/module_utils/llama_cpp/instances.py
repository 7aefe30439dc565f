# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask systemd on the device about instances of llama-server@.service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import names_in
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import show
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import (
    PROPERTIES,
    Unit,
    describe_unit,
    unit_name,
)

UNIT_DIR = "/etc/systemd/system"
WANTS_DIR = f"{UNIT_DIR}/multi-user.target.wants"


def _with_process(properties: Mapping[str, str]) -> Unit:
    """Return a unit from its properties, with the environment of its main process."""
    unit = describe_unit(properties, b"")
    if not unit.pid:
        return unit
    try:
        return describe_unit(properties, Path(f"/proc/{unit.pid}/environ").read_bytes())
    except OSError:  # it ended between the two looks
        return unit


def read_live(name: str) -> Unit:
    """Return the live state of a unit that is set up as an instance is."""
    return _with_process(next(iter(show(PROPERTIES, [name])), {}))


def read_unit(instance: str) -> Unit:
    """Return the live state of an instance."""
    return read_live(unit_name(instance))


def read_instances(names: Iterable[str]) -> dict[str, Unit]:
    """Return the live state of instances by one call; those that systemd does not answer for are left out."""
    instances = {unit_name(name): name for name in names}
    found = show(("Id", *PROPERTIES), instances) if instances else []
    return {instances[one["Id"]]: _with_process(one) for one in found if one.get("Id") in instances}


def last_lines(instance: str, count: int = 20) -> str:
    """Return the last lines that an instance wrote to the journal."""
    lines = output_of(["journalctl", "-u", unit_name(instance), "-n", str(count), "-o", "cat", "--no-pager"])
    return lines.strip() or "(the journal has nothing)"


def instance_traces() -> list[str]:
    """Return names under systemd's directories that may belong to instances of llama-server@.service."""
    return names_in(UNIT_DIR) + names_in(WANTS_DIR)

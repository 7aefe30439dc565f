# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.discover (its documentation is in plugins/modules)."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    read_json,
    read_text,
    write_json,
    write_text,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery import decision, difference, host_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import boards
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.networks import to_scan
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.discovering import discover, own_addresses, seconds_problem

display = Display()

ARGUMENTS: Mapping[str, Any] = {
    "scan": {"type": "raw"},
    "seconds": {"type": "float", "default": 5},
    "inventory": {"type": "path"},
    "overwrite": {"type": "bool", "default": False},
    "accept": {"type": "list", "elements": "str", "default": []},
    "record": {"type": "path"},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Find boards, show them, write what was asked for; no host is logged in to."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the boards."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(ARGUMENTS)
        problems = Problems()
        own = own_addresses()
        networks, notes = to_scan(given["scan"], "edge_slm_discover_scan", own, problems)
        seconds_problem(given["seconds"], "edge_slm_discover_seconds", problems)
        files = _Files(given["inventory"], given["overwrite"], problems)
        if problems.found:
            raise AnsibleActionFail("\n".join(problems.found))
        sightings = discover(networks, own, given["seconds"], notes)
        found, unsure = boards(sightings)
        decided = decision.decide(found, files.known_hosts, files.addresses, given["accept"])
        changes = self._compare(networks, sightings, given["record"])
        lines = decision.table(decided.boards) if decided.boards else _nothing(networks)
        notes += [*unsure, *decided.notes, *files.missing(decided.boards)]
        display.display("\n".join([*lines, "", *changes, *notes, ""]))
        if decided.refusals:
            raise AnsibleActionFail("\n".join(decided.refusals))
        diff = files.wanted(decided, given["accept"])
        if not self._task.check_mode:
            for change in diff:
                write_text(change["after_header"], change["after"])
        return {
            **result,
            "changed": bool(diff),
            "diff": diff,
            "table": lines,
            "boards": [decision.as_data(named) for named in decided.boards],
            "difference": changes,
            "notes": notes,
        }

    def _compare(self, networks: Sequence[IPv4Network], sightings: Sequence[Any], path: str | None) -> list[str]:
        """Compare a scan with the last one, and keep it for the next."""
        if not networks or not path:
            return []
        at = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        now = difference.record(networks, sightings, at)
        changes = difference.difference(read_json(path), now)
        if not self._task.check_mode:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_json(path, now)
        return changes


class _Files:
    """The inventory that is asked for, and the host keys beside it; without an inventory nothing is written."""

    def __init__(self, inventory: str | None, overwrite: bool, problems: Problems) -> None:
        self.inventory = os.path.abspath(inventory) if inventory else ""
        self.keys = os.path.join(os.path.dirname(self.inventory), "known_hosts") if inventory else ""
        self.text = read_text(self.inventory) if inventory else ""
        self.known_hosts = read_text(self.keys) if inventory else ""
        self.overwrite = overwrite
        self.addresses: dict[str, str] = {}
        if not inventory:
            return
        if not self.inventory.endswith((".yml", ".yaml")):
            problems.add(
                "edge_slm_discover_inventory",
                f"{inventory!r} is not the name of a YAML file; give one such as inventory/home/hosts.yml.",
            )
            return
        try:
            self.addresses = decision.addresses_of(yaml.safe_load(self.text))
        except yaml.YAMLError as error:
            problems.add(
                "edge_slm_discover_inventory",
                f"{inventory} cannot be read ({' '.join(str(error).split())}); repair it.",
            )

    def missing(self, named: Sequence[decision.Named]) -> list[str]:
        """Return what an inventory lacks that is left as it is."""
        if not self.text or self.overwrite:
            return []
        lines = []
        new = [item for item in named if item.name not in self.addresses and item.state != decision.SILENT]
        if new and "edge_slm.fleet.discovered" not in self.text:
            lines = [f"{self.inventory} is there and stays as it is (edge_slm_discover_overwrite). It does not have:"]
            lines += [line for item in new for line in decision.host_lines(item, "  ")]
        if "known_hosts" not in self.text and "edge_slm.fleet.discovered" not in self.text:
            lines.append(
                "The pinned keys count when this is in it (all: vars:):\n  ansible_ssh_common_args: >-\n    "
                + " ".join(decision.SSH_ARGUMENTS)
            )
        return lines

    def wanted(self, decided: decision.Decision, accepted: Sequence[str]) -> list[dict[str, str]]:
        """Return what is to be written: path, old and new text, as Ansible shows differences."""
        if not self.inventory or not decided.boards:
            return []
        replaced = {name for name in accepted if name in decided.pins}
        texts = {self.keys: (self.known_hosts, host_keys.with_pins(self.known_hosts, decided.pins, replaced))}
        if not self.text or self.overwrite:
            texts[self.inventory] = (self.text, decision.inventory_of(decided.boards))
        return [
            {"before_header": path, "before": before, "after_header": path, "after": after}
            for path, (before, after) in texts.items()
            if before != after
        ]


def _nothing(networks: Sequence[IPv4Network]) -> list[str]:
    if networks:
        return ["No board was found."]
    return [
        "No board was found among the hosts that this machine knows or that tell their names by mDNS. To ask every "
        "address of the networks that this machine is in: -e edge_slm_discover_scan=attached"
    ]

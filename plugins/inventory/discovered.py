# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventory plugin edge_slm.fleet.discovered."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: discovered
short_description: The Raspberry Pis and Jetsons that are found in the controller's networks
version_added: 0.1.0
description:
  - Finds boards as M(edge_slm.fleet.discover) does, whenever the inventory is read. Boards are in the groups C(pi) and
    C(jetson).
  - Host keys come from the file C(known_hosts) beside the inventory alone, by the hosts' names.
    C(playbooks/discover.yml) pins them there. A board with another host key than the one that is pinned under its name
    is left out.
  - The name of its file ends in C(discovered.yml) or C(discovered.yaml).
requirements:
  - zeroconf, for names by mDNS
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [ansible.builtin.inventory_cache]
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [edge_slm.fleet.discovered]
  scan:
    description:
      - Networks whose every address is asked for its SSH banner, in a list or separated by commas, each a /22 at most;
        or V(attached), for the private networks of that size that the controller is in.
    type: raw
  seconds:
    description: How long answers by mDNS are waited for.
    type: float
    default: 5
"""

EXAMPLES = r"""
# inventory/home/discovered.yml
plugin: edge_slm.fleet.discovered
scan: 192.168.1.0/24
# Looking takes ten seconds or so; other runs within the hour use what it has found.
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: .cache/discovered
cache_timeout: 3600
"""

import os
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable
from ansible.utils.display import Display
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery import decision, host_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import Sighting, boards
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.networks import to_scan
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.discovering import discover, own_addresses, seconds_problem

display = Display()


class InventoryModule(BaseInventoryPlugin, Cacheable):  # type: ignore[misc]
    """Find boards, and make hosts of them."""

    NAME = "edge_slm.fleet.discovered"

    def verify_file(self, path: str) -> bool:
        """Return whether the file is for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(("discovered.yml", "discovered.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Add the boards as hosts."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        cached = cache and self.get_option("cache")
        found = self._cache.get(key) if cached else None
        if found is None:
            found = self._sightings()
            if self.get_option("cache"):
                self._cache[key] = found
        directory = os.path.dirname(os.path.abspath(path))
        devices, notes = boards(Sighting(**item) for item in found)
        decided = decision.decide(devices, read_text(os.path.join(directory, "known_hosts")))
        for sentence in [*notes, *decided.notes, *decided.refusals]:
            display.warning(sentence)
        for named in decided.boards:
            if named.state not in (host_keys.CHANGED, decision.SILENT):
                self._add(named, directory)
        unpinned = [named.name for named in decided.boards if named.state == host_keys.NEW]
        if unpinned:
            display.warning(
                f"No host key is pinned for {', '.join(unpinned)}, so that ssh refuses to connect; "
                f"playbooks/discover.yml shows and pins them: -e edge_slm_discover_inventory={path}"
            )

    def _sightings(self) -> list[dict[str, Any]]:
        problems, own = Problems(), own_addresses()
        networks, notes = to_scan(self.get_option("scan"), "scan", own, problems)
        seconds_problem(self.get_option("seconds"), "seconds", problems)
        if problems.found:
            raise AnsibleParserError("\n".join(problems.found))
        sightings = discover(networks, own, self.get_option("seconds"), notes)
        for sentence in notes:
            display.warning(sentence)
        return [asdict(item) for item in sightings]

    def _add(self, named: decision.Named, directory: str) -> None:
        group = self.inventory.add_group(named.board.kind)
        self.inventory.add_host(named.name, group)
        self.inventory.set_variable(named.name, "ansible_host", named.board.address)
        # Templates in what a plugin returns are not evaluated.
        arguments = " ".join(decision.SSH_ARGUMENTS).replace("{{ inventory_hostname }}", named.name)
        arguments = arguments.replace("{{ inventory_dir }}", directory)
        self.inventory.set_variable(named.name, "ansible_ssh_common_args", arguments)

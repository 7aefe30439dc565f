# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What provision's plan takes from the play: one card is for one host."""

from __future__ import annotations

from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs


def before(inputs: Inputs) -> None:
    """Refuse to write the files of several hosts to one card."""
    hosts = inputs.templar.available_variables.get("ansible_play_hosts_all", [])
    if inputs.values["boot"] and len(hosts) > 1:
        inputs.refusals.append(
            f"provision_boot: one card is for one host, and this run is for {', '.join(sorted(hosts))}; "
            "name one of them by --limit."
        )

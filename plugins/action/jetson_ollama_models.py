# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.jetson_ollama_models (its documentation is in plugins/modules)."""

from __future__ import annotations

from ansible_collections.edge_slm.fleet.plugins.plugin_utils.followed import FollowedAction


class ActionModule(FollowedAction):
    """Runs the module, and shows how far it is."""

    identity = ("url",)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role's plan takes from the controller before the host is looked at, and what is judged there after.

A function for a role that needs one; most need none. `before` adds to the inputs (texts of files that are on the
controller, rendered templates) or refuses; `after` changes the plan that has come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.plugin_utils import (
    artifact_store_side,
    chat_frontend_side,
    endpoint_proxy_side,
    endpoint_tls_side,
    fleet_gateway_side,
    host_baseline_side,
    jetson_ollama_side,
    llama_cpp_side,
    llama_service_side,
    provision_side,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs

BEFORE: Mapping[str, Callable[[Inputs], None]] = {
    "artifact_store": artifact_store_side.before,
    "chat_frontend": chat_frontend_side.before,
    "endpoint_proxy": endpoint_proxy_side.before,
    "endpoint_tls": endpoint_tls_side.before,
    "fleet_gateway": fleet_gateway_side.before,
    "host_baseline": host_baseline_side.before,
    "jetson_ollama": jetson_ollama_side.before,
    "llama_service": llama_service_side.before,
    "provision": provision_side.before,
}
AFTER: Mapping[str, Callable[[Inputs, dict[str, Any]], None]] = {
    "endpoint_tls": endpoint_tls_side.after,
    "llama_cpp": llama_cpp_side.after,
}


def before(inputs: Inputs) -> None:
    """Add to a role's inputs what is on the controller."""
    add = BEFORE.get(inputs.role.name)
    if add and not inputs.refusals:
        add(inputs)


def after(inputs: Inputs, plan: dict[str, Any]) -> None:
    """Judge on the controller what the host's plan left to it, and name what the operator wrote."""
    judge = AFTER.get(inputs.role.name)
    if judge and not plan["refusals"] and not plan["unfit"]:
        judge(inputs, plan)
    for kind in ("refusals", "unfit", "waiting", "pending"):
        plan[kind] = [inputs.by_the_operators_names(sentence) for sentence in plan[kind]]

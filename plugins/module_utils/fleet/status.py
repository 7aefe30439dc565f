# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's state as rows: one for each service, and one for each device without any."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Reply
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.fit import Host, host_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import is_for_others
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.speed import predicted

#: Columns of the table, with their titles.
COLUMNS = {
    "host": "HOST",
    "service": "SERVICE",
    "port": "PORT",
    "engine": "ENGINE",
    "release": "RELEASE",
    "model": "MODEL",
    "quantisation": "QUANT",
    "sha256": "SHA256",
    "context": "CONTEXT",
    "loaded": "LOADED",
    "gpu": "GPU",
    "tokens_per_second": "TOK/S",
    "predicted_tokens_per_second": "PREDICTED",
    "board": "BOARD",
    "health": "HEALTH",
}
SHORT_SHA256 = 12


def value_after(flag: str, arguments: Sequence[str]) -> str:
    """Return the argument that follows a flag; empty where the flag is missing."""
    return next((arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word == flag), "")


def describe_service(name: str, environment: Mapping[str, str], unit: Unit, health: Reply) -> dict[str, Any]:
    """Return what is known of a service from its environment file, its unit and its answer to /health."""
    arguments = shlex.split(environment.get("LLAMA_ARGS", ""))
    if health.status == 200:
        state = "ok"
    elif health.status == 503:
        state = "loading"
    else:
        state = f"no answer ({unit.active or 'not there'}, {unit.result or 'unknown'})"
    return {
        "engine": "llama.cpp",
        "service": name,
        "port": int(environment.get("EDGE_SLM_PORT") or 0),
        "model": value_after("--alias", arguments),
        "model_path": value_after("--model", arguments),
        "embeddings": "--embeddings" in arguments,
        "context": context_of(arguments),
        # llama-server loads its model before it is healthy, and keeps it.
        "loaded": health.status == 200,
        "unit": unit.active,
        "health": state,
        "restarts": unit.restarts,
        # Drift: what runs differs from its files.
        "in_sync": unit.digest == environment.get("EDGE_SLM_DIGEST", ""),
        "tokens_per_second": 0.0,
    }


def context_of(arguments: Sequence[str]) -> int:
    """Return the tokens of one conversation that llama-server was started with; 0 where none were given."""
    total, slots = value_after("--ctx-size", arguments), value_after("--parallel", arguments)
    return int(total) // max(1, int(slots or 1)) if total.isdigit() else 0


def host_report(
    host: str,
    results: Sequence[Mapping[str, Any]],
    board: Mapping[str, Any],
    plans: Mapping[str, Mapping[str, Any]],
    model: str = "",
) -> dict[str, Any]:
    """Turn what Ansible registered for a device into its report.

    Args:
        host: The device's name in the inventory.
        results: One for each engine: a module's return values, a failure, that it was skipped or unreachable.
        board: What M(edge_slm.fleet.board_health) returned.
        plans: Those of M(edge_slm.fleet.look), by role.
        model: The board's model in its device tree.
    """
    asked = [result for result in results if result and not result.get("skipped", False)]
    reachable = bool(asked) and not any(result.get("unreachable", False) for result in asked)
    problem = ""
    for result in asked or [{}]:
        if not reachable or "endpoints" not in result:
            lines = str(result.get("msg") or "no answer").strip().splitlines()
            problem = problem or (lines[0] if lines else "no answer")
    sizes = weights_of(host_of(plans, model))
    return {
        "host": host,
        "reachable": reachable,
        "problem": problem,
        "board": {name: board[name] for name in ("summary", "throttled", "power_mode", "celsius") if name in board},
        "differs": {
            role: plan["pending"] for role, plan in plans.items() if plan.get("pending") and not is_for_others(role)
        },
        "endpoints": [
            {**endpoint, "predicted_tokens_per_second": predicted(model, size_of(endpoint, sizes))}
            for result in asked
            for endpoint in result.get("endpoints") or []
        ],
    }


def size_of(endpoint: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """Return the size of the weights behind an endpoint; all models of Ollama are of one service."""
    return sizes.get(str(endpoint.get("service")), 0) or sizes.get(str(endpoint.get("model")), 0)


def weights_of(host: Host) -> dict[str, int]:
    """Return the size in bytes of each service's weights, as far as the device knows them."""
    known = (
        (ask, host.weights.get(ask.model) or one.weights.get(ask.model)) for one in host.engines for ask in one.asks
    )
    return {ask.service: weights.size for ask, weights in known if weights}


def gpu_text(share: object) -> str:
    """Return how much of a model is on a GPU, as text; empty for an engine that does not report it."""
    if not isinstance(share, (int, float)):
        return ""
    return f"{share:.0f} %" if share else "not proven"


def table_rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the table's rows for one device; one without services has one row that states it."""
    host, board = str(report["host"]), str(report["board"].get("summary") or "")
    rows = []
    for endpoint in report["endpoints"]:
        row = {name: str(endpoint.get(name) or "") for name in COLUMNS}
        row |= {"host": host, "board": board, "sha256": row["sha256"][:SHORT_SHA256]}
        row |= {"loaded": "yes" if endpoint.get("loaded") else "no", "gpu": gpu_text(endpoint.get("on_gpu"))}
        if not endpoint.get("in_sync", True):
            row["health"] += ", differs from its files"
        rows.append(row)
    if report["problem"] or not rows:
        state = report["problem"] or "no service"
        if not report["reachable"]:
            # The last part is the cause: "... port 22: Connection refused".
            state = f"unreachable ({state.rsplit(': ', 1)[-1]})"
        rows.append({"host": host, "board": board, "health": state})
    if report["differs"]:
        count = sum(map(len, report["differs"].values()))
        rows[0]["health"] += f"; differs from the inventory: {count} (playbooks/drift.yml shows how)"
    return rows


def render_table(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fleet's table as lines of text."""
    rows = [dict(COLUMNS)] + [row for report in reports for row in table_rows(report)]
    widths = {name: max(len(row.get(name, "")) for row in rows) for name in COLUMNS if name != "health"}
    return ["  ".join(row.get(name, "").ljust(widths.get(name, 0)) for name in COLUMNS).rstrip() for row in rows]

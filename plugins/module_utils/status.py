# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet's state as rows: one for each service, and one for each device without any."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.endpoint import Reply
from ansible_collections.edge_slm.fleet.plugins.module_utils.unit import Unit

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
    "tokens_per_second": "TOK/S",
    "health": "HEALTH",
}
SHORT_SHA256 = 12


def value_after(flag: str, arguments: Sequence[str]) -> str:
    """Return the argument that follows a flag; empty where the flag is missing."""
    return next((arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word == flag), "")


def describe_service(name: str, environment: Mapping[str, str], unit: Unit, health: Reply) -> dict[str, Any]:
    """Tell what is known of a service from its environment file, its unit and its answer to /health."""
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
        "unit": unit.active,
        "health": state,
        "restarts": unit.restarts,
        # Drift: what runs is not what its files say.
        "in_sync": unit.digest == environment.get("EDGE_SLM_DIGEST", ""),
        "tokens_per_second": 0.0,
    }


def host_report(host: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the registered result of service_status into a device's report.

    Args:
        host: The device's name in the inventory.
        result: What Ansible registered: the module's return values, or a failure, or that it was unreachable.
    """
    reachable = bool(result) and not result.get("unreachable", False)
    problem = ""
    if not reachable or "endpoints" not in result:
        lines = str(result.get("msg") or "no answer").strip().splitlines()
        problem = lines[0] if lines else "no answer"
    return {
        "host": host,
        "reachable": reachable,
        "problem": problem,
        "endpoints": list(result.get("endpoints") or []),
    }


def table_rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the table's rows for one device; one without services has one row that says so."""
    host = str(report["host"])
    if not report["endpoints"]:
        state = report["problem"] or "no service"
        if not report["reachable"]:
            # The last part is the cause: "... port 22: Connection refused".
            state = f"unreachable ({state.rsplit(': ', 1)[-1]})"
        return [{"host": host, "health": state}]
    rows = []
    for endpoint in report["endpoints"]:
        row = {name: str(endpoint.get(name) or "") for name in COLUMNS}
        row |= {"host": host, "sha256": row["sha256"][:SHORT_SHA256]}
        if not endpoint.get("in_sync", True):
            row["health"] += ", not what its files say"
        rows.append(row)
    return rows


def render_table(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fleet's table as lines of text."""
    rows = [dict(COLUMNS)] + [row for report in reports for row in table_rows(report)]
    widths = {name: max(len(row.get(name, "")) for row in rows) for name in COLUMNS if name != "health"}
    return ["  ".join(row.get(name, "").ljust(widths.get(name, 0)) for name in COLUMNS).rstrip() for row in rows]

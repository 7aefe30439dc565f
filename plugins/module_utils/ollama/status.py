# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of an Ollama server as rows, with the same columns as those of llama.cpp's services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import find_loaded
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    REPLACED_NAMESPACE,
    bare_digest,
    normal_name,
)


def _row(service: str, port: int, version: str, model: str, health: str) -> dict[str, Any]:
    """Return a row of which only the least is known."""
    return {
        "engine": "ollama",
        "service": service,
        "port": port,
        "release": version,
        "model": model,
        "quantisation": "",
        "sha256": "",
        "context": 0,
        "loaded": False,
        "on_gpu": None,
        "tokens_per_second": 0.0,
        "unit": "",
        "health": health,
        "restarts": None,
        "in_sync": True,
    }


def describe_models(
    service: str,
    port: int,
    version: str,
    tags: Sequence[Mapping[str, Any]],
    running: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return a row for each model that the server holds, and for each that it should hold and does not.

    Args:
        service: What the server is called.
        port: The port that users see.
        version: The server's version.
        tags: The `models` of /api/tags.
        running: The `models` of /api/ps.
        record: What the module ollama_models noted: {name: {digest, inputs}}.
    """
    rows = []
    for item in tags:
        name = normal_name(str(item.get("name") or ""))
        if name.startswith(f"{REPLACED_NAMESPACE}/"):
            continue
        digest = bare_digest(str(item.get("digest") or ""))
        row = _row(service, port, version, name, "ok")
        details = item.get("details") or {}
        # Ollama describes the file that it took first, and of a model that sees that may be the projector.
        row["quantisation"] = "" if details.get("family") == "clip" else str(details.get("quantization_level") or "")
        row["sha256"] = digest
        noted = (record.get(name) or {}).get("digest")
        row["in_sync"] = noted in (None, digest)
        loaded = find_loaded(running, name, digest)
        if loaded:
            row.update(loaded=True, context=loaded.context, on_gpu=loaded.share)
        rows.append(row)
    there = {row["model"].lower() for row in rows}
    for name in record:
        if name.lower() not in there:
            missing = _row(service, port, version, name, "the model is missing")
            rows.append({**missing, "in_sync": False})
    return sorted(rows, key=lambda row: str(row["model"]))


def silent_server(service: str, port: int, reason: str) -> list[dict[str, Any]]:
    """Return the row of a server that does not answer."""
    return [_row(service, port, "", "", f"no answer ({reason})")]

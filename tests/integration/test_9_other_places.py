"""Every path and port where roles meet, set to something else: all playbooks still work, status and drift included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plays
from devices import connect
from endpoints import MODEL

#: The build's cache stays: nothing but the build reads it, and it would compile everything a second time.
OTHER: dict[str, Any] = {
    "llama_cpp_root": "/srv/llama.cpp",
    "llama_cpp_publish_path": "/srv/artifacts/releases",
    "model_pipeline_path": "/srv/models",
    "model_pipeline_cache_path": "/srv/cache/models",
    "endpoint_tls_dir": "/etc/edge-tls",
    "edge_slm_tls_mode": "fleet_ca",
    "llama_service_config_dir": "/etc/edge-llama/server",
    "artifact_store_port": 8091,
    "edge_slm_artifact_url": "http://builder-01:8091",
    "jetson_ollama_port": 11535,
    "jetson_ollama_models_dir": "/srv/ollama",
    # Each role that has no network then sets its own, which is not taken for a variable of the inventory.
    "edge_slm_clients": None,
}


def test_everything_is_somewhere_else(tmp_path: Path) -> None:
    plays.played("site.yml", **OTHER)
    pi = connect("pi-01")
    command = pi.check_output(f"tr '\\0' ' ' < /proc/$(systemctl show -P MainPID llama-server@{MODEL})/cmdline")
    for path in ("/srv/llama.cpp/", "/srv/models/", "/etc/edge-tls/", "/etc/edge-llama/server/"):
        assert path in command

    drift = tmp_path / "drift.json"
    plays.played("playbooks/drift.yml", edge_slm_drift_file=str(drift), **OTHER)
    found = json.loads(drift.read_text())["hosts"]
    assert {host: looked["pending"] for host, looked in found.items() if looked["pending"]} == {}

    status = tmp_path / "status"
    plays.played("playbooks/status.yml", edge_slm_status_dir=str(status), **OTHER)
    rows = {path.stem: json.loads(path.read_text())["endpoints"] for path in status.glob("*.json")}
    assert sorted(rows) == ["builder-01", "jetson-01", "pi-01", "pi-02"]
    assert {row["health"] for endpoints in rows.values() for row in endpoints} == {"ok"}
    plays.played("playbooks/verify.yml", **OTHER)

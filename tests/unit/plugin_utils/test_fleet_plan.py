"""What a gateway offers follows from the variables of all devices."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import FleetError
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.fleet_plan import with_gateway

MODELS = [
    {"name": "smollm2", "source": {"url": "https://h/m.gguf", "sha256": "0" * 64}},
    {"name": "minilm", "source": {"url": "https://h/e.gguf", "sha256": "1" * 64}},
    {"name": "phi3-mini", "source": {"ollama": "phi3:mini", "digest": f"sha256:{'2' * 64}"}},
]
HOSTS: dict[str, dict[str, Any]] = {
    "pi-01": {
        "ansible_host": "192.168.1.21",
        "edge_slm_services": [{"model": "smollm2"}, {"model": "minilm", "port": 8081, "embeddings": True}],
    },
    "pi-02": {
        "edge_slm_site_address": "fd00::22",
        "edge_slm_tls_mode": "fleet_ca",
        "edge_slm_tls_ca_dir": "/ca",
        "edge_slm_services": [{"model": "smollm2"}],
    },
    "jetson-01": {"edge_slm_address": "orin.lan", "edge_slm_services": [{"model": "phi3-mini"}, {"model": "smollm2"}]},
}


class HostVars:
    """As much of Ansible's hostvars as is asked."""

    def raw_get(self, host: str) -> dict[str, Any]:
        """Return a host's variables."""
        groups = [host.partition("-")[0]]
        return {"inventory_hostname": host, "group_names": groups, "edge_slm_models": MODELS, **HOSTS[host]}


VARIABLES: dict[str, Any] = {
    "inventory_hostname": "gateway-01",
    "groups": {"pi": ["pi-01", "pi-02"], "jetson": ["jetson-01"], "gateway": ["gateway-01"]},
    "hostvars": HostVars(),
}


def test_a_gateway_sends_to_every_device() -> None:
    plan = with_gateway({}, DataLoader(), VARIABLES)
    assert plan["gateway"]["hosts"] == ["pi-01", "pi-02", "jetson-01"]
    assert [(one["host"], one["model"], one["served"], one["url"]) for one in plan["gateway"]["endpoints"]] == [
        ("pi-01", "smollm2", "smollm2", "http://192.168.1.21:8080/v1"),
        ("pi-01", "minilm", "minilm", "http://192.168.1.21:8081/v1"),
        ("pi-02", "smollm2", "smollm2", "https://[fd00::22]:8080/v1"),
        ("jetson-01", "phi3-mini", "phi3:mini", "http://orin.lan:11434/v1"),
        ("jetson-01", "smollm2", "smollm2", "http://orin.lan:11434/v1"),
    ]


def test_its_clients_see_each_model_once() -> None:
    own = {"engines": ["llama.cpp"], "endpoints": [{"engine": "llama.cpp"}]}
    first, *offered = with_gateway(own, DataLoader(), {**VARIABLES, "edge_slm_gateway_port": 4443})["endpoints"]
    assert first == {"engine": "llama.cpp"}
    assert [(one["engine"], one["model"], one["port"], one["embeddings"]) for one in offered] == [
        ("gateway", "smollm2", 4443, False),
        ("gateway", "minilm", 4443, True),
        ("gateway", "phi3-mini", 4443, False),
    ]


def test_a_jetson_that_serves_has_its_proxy_already() -> None:
    with pytest.raises(FleetError, match="gateway-01 is in the group gateway and serves Ollama"):
        with_gateway({"engines": ["ollama"]}, DataLoader(), VARIABLES)


def test_a_device_whose_variables_are_wrong_is_left_out() -> None:
    class Wrong(HostVars):
        def raw_get(self, host: str) -> dict[str, Any]:
            return {**super().raw_get(host), **({"edge_slm_services": None} if host == "jetson-01" else {})}

    plan = with_gateway({}, DataLoader(), {**VARIABLES, "hostvars": Wrong()})
    assert plan["gateway"]["hosts"] == ["pi-01", "pi-02"]
    assert {one["host"] for one in plan["gateway"]["endpoints"]} == {"pi-01", "pi-02"}

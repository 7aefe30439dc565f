"""What edge_slm_clients and edge_slm_proxy_environment become on each kind of host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import proxy_environment
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import service_ports
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.variables import ineffective
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import (
    COLLECTION,
    Inputs,
    collect,
    operators_variable,
    read_mapping,
    read_role,
)

TAILNET = ["100.64.0.0/10", "2001:db8:5::/48"]
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]
NETWORKS = {
    "host_baseline": "client_networks",
    "llama_service": "allowed_cidrs",
    "endpoint_proxy": "allowed_cidrs",
    "fleet_gateway": "allowed_cidrs",
    "artifact_store": "cidrs",
    "chat_frontend": "allowed_cidrs",
}
#: Units whose packets systemd filters, too, by role.
UNITS = {
    **dict.fromkeys(("llama_service", "endpoint_proxy", "artifact_store"), ("unit",)),
    # The second is the page's own: to the endpoints.
    "chat_frontend": ("door_unit", "page_unit"),
}

OUTBOUND = proxy_environment({"https_proxy": "http://proxy.lan:3128"}, ["builder"])


def asked(role: str, groups: tuple[str, ...] = ("pi",), services: object = (), **variables: Any) -> Inputs:
    """Return a role's inputs as the look collects them."""
    ports = service_ports(services, next((board for board in ("pi", "jetson") if board in groups), "pi"))
    facts = {"edge_slm_service_ports": ports, "edge_slm_outbound": OUTBOUND}
    scope = {"group_names": [*groups], "ansible_facts": facts, "inventory_hostname": "h"}
    inputs = collect(role, DataLoader(), {**scope, **variables, **read_mapping("network")})
    controller_side.before(inputs)
    return inputs


@pytest.mark.parametrize(
    ("groups", "services", "variables", "ports"),
    [
        (("pi",), [{"model": "a"}], {}, [8080]),
        (("pi",), [{"model": "a"}, {"model": "b", "port": 9000}], {}, [8080, 9000]),
        (("jetson",), [{"model": "a"}, {"model": "b"}], {}, [11434]),
        (("jetson",), [{"model": "a"}, {"model": "b", "engine": "llama.cpp"}], {}, [8080, 11434]),
        (("pi",), [], {}, []),
        (("pi",), None, {}, []),
        # What plan_device refuses is not this one's business.
        (("pi",), ["a", {"model": "a", "port": "http"}, {"model": "a", "engine": "vllm"}], {}, []),
        # A builder, alone, and one that is a device, too.
        (("builder",), [], {}, [8090]),
        (("builder", "pi"), [{"model": "a"}], {}, [8080, 8090]),
        (("builder", "jetson"), [{"model": "a"}], {"artifact_store_port": 8091}, [11434, 8091]),
        (("builder", "gateway"), [], {}, [8090, 4000]),
        (("gateway",), [], {"edge_slm_gateway_port": 4443}, [4443]),
        (("builder", "chat"), [], {}, [8090, 8000]),
        (("chat",), [], {"chat_frontend_port": 8443}, [8443]),
    ],
)
def test_ports_follow_from_services_and_stores(
    groups: tuple[str, ...], services: object, variables: dict[str, Any], ports: list[int]
) -> None:
    assert asked("host_baseline", groups, services, **variables).values["client_ports"] == ports


@pytest.mark.parametrize(("role", "name"), NETWORKS.items())
def test_one_variable_decides_everywhere(role: str, name: str) -> None:
    inputs = asked(role, edge_slm_clients=TAILNET)
    assert inputs.values[name] == TAILNET
    assert inputs.written_as[f"{role}_{name}"] == "edge_slm_clients"
    for unit in UNITS.get(role, ()):
        allowed = [line for line in inputs.values[unit].splitlines() if line.startswith("IPAddressAllow=")]
        assert allowed == [f"IPAddressAllow={network}" for network in ("localhost", *TAILNET)]


@pytest.mark.parametrize(("role", "name"), NETWORKS.items())
@pytest.mark.parametrize("clients", [{}, {"edge_slm_clients": None}])
def test_by_default_private_networks_of_both_families_may(role: str, name: str, clients: dict[str, Any]) -> None:
    assert asked(role, **clients).values[name] == PRIVATE
    assert read_role(role).variables[f"{role}_{name}"] == PRIVATE


@pytest.mark.parametrize("role", ["llama_service", "artifact_store"])
def test_what_only_answers_opens_no_connection(role: str) -> None:
    lines = asked(role).values["unit"].splitlines()
    assert lines.index("SystemCallFilter=~connect") > lines.index("SystemCallFilter=@system-service")


def test_what_the_playbooks_set_is_refused_in_an_inventory() -> None:
    mapping = {name: operators_variable(value) for name, value in read_mapping("network").items()}
    given = [
        "artifact_store_cidrs",
        "host_baseline_client_ports",
        "host_baseline_firewall_rules",
        "edge_slm_clients",
        "jetson_ollama_proxy_environment",
    ]
    assert ineffective(given, mapping) == [
        "artifact_store_cidrs: has no effect in the inventory, the playbooks set it; "
        "set edge_slm_clients instead and take it out.",
        "host_baseline_client_ports: has no effect in the inventory, the playbooks set it; "
        "set what it follows (docs/operators/inventory.md) instead and take it out.",
        "jetson_ollama_proxy_environment: has no effect in the inventory, the playbooks set it; "
        "set edge_slm_proxy_environment instead and take it out.",
    ]


@pytest.mark.parametrize("role", ["host_baseline", "jetson_ollama"])
def test_one_variable_leads_out(role: str) -> None:
    inputs = asked(role)
    assert inputs.values["proxy_environment"] == OUTBOUND
    assert inputs.written_as[f"{role}_proxy_environment"] == "edge_slm_proxy_environment"


@pytest.mark.parametrize("stage", ["baseline", "builder", "receive", "service"])
def test_every_play_that_enters_a_role_goes_out_by_it(stage: str) -> None:
    for play in yaml.safe_load((COLLECTION / f"playbooks/stages/{stage}.yml").read_text(encoding="utf-8")):
        assert play["environment"] == "{{ edge_slm_outbound }}", play["name"]
        assert "../vars/network.yml" in play["vars_files"]

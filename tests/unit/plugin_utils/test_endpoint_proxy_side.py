"""What the controller adds to endpoint_proxy's plan, and which of its inputs are secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import with_secrets
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs, collect


def ask(**values: Any) -> Inputs:
    variables = {f"endpoint_proxy_{name}": value for name, value in values.items()}
    inputs = collect("endpoint_proxy", DataLoader(), variables)
    controller_side.before(inputs)
    return inputs


def test_the_unit_is_rendered_with_the_networks() -> None:
    unit = ask(allowed_cidrs=["10.1.0.0/16", "fd00::/8"]).values["unit"]
    lines = unit.splitlines()
    assert [line for line in lines if line.startswith("IPAddressAllow=")] == [
        "IPAddressAllow=localhost",
        "IPAddressAllow=10.1.0.0/16",
        "IPAddressAllow=fd00::/8",
    ]
    assert "Environment=EDGE_SLM_DIGEST=@digest@" in lines
    assert "User=edge-slm-proxy" in lines
    assert "RuntimeDirectory=edge-slm-proxy" in lines
    assert "{{" not in unit
    assert unit.endswith("WantedBy=multi-user.target\n")


@pytest.mark.parametrize("networks", [["nonsense"], [], "10.0.0.0/8", 5])
def test_what_the_plan_refuses_is_not_rendered(networks: Any) -> None:
    assert ask(allowed_cidrs=networks).values.get("unit", "") == ""


def test_nothing_is_rendered_for_removal() -> None:
    assert ask(state="absent").values["unit"] == ""


def test_keys_are_secrets_and_names_are_not() -> None:
    key = "key-of-the-chat-0001"
    inputs = ask(api_keys=[{"name": "chat", "key": key}])
    assert inputs.secrets == [key]
    assert key not in json.dumps(inputs.values)
    assert inputs.values["api_keys"][0]["name"] == "chat"
    assert with_secrets(inputs.values, inputs.secrets)["api_keys"] == [{"name": "chat", "key": key}]

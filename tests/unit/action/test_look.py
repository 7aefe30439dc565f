"""The look's own decisions on the controller."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.action.look import set_by_roles


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, set()),
        ({"__host_baseline_plan": None}, set()),
        ({"__host_baseline_plan": {"pending": []}}, set()),
        ({"__host_baseline_plan": {"empty": {"host_baseline_client_networks": []}}}, {"host_baseline_client_networks"}),
    ],
)
def test_what_a_role_sets_for_null_is_no_variable_of_the_inventory(variables: dict[str, Any], names: set[str]) -> None:
    assert set_by_roles({"host_baseline_client_networks": [], **variables}) == names

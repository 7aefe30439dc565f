# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the fleet's variables of several hosts: a gateway and a chat page offer what all devices serve."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import BOARDS, board_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import (
    GATEWAY,
    OLLAMA,
    DevicePlan,
    Endpoint,
    FleetError,
    plan_device,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import NOT_SET, read_mapping


class FleetVariables:
    """One host's variables, with what playbooks/vars makes of them."""

    def __init__(self, loader: DataLoader, variables: Mapping[str, Any]) -> None:
        self.scope = {**read_mapping("devices"), **variables}
        self._templar = Templar(loader=loader, variables=self.scope)

    def value(self, name: str, variable: str = "") -> Any:  # noqa: ANN401
        """Return a value.

        Args:
            name: Of the variable.
            variable: What the operator wrote, where that is another one.

        Raises:
            FleetError: It is not set, or cannot be evaluated.
        """
        if self.scope.get(name) is None:
            raise FleetError(f"{name}: {NOT_SET}")
        try:
            return self._templar.template(self.scope[name])
        except AnsibleError as error:
            raise FleetError(f"{variable or name}: cannot be evaluated: {error}") from error


def served_by(host: str, loader: DataLoader, variables: Mapping[str, Any]) -> tuple[str, DevicePlan]:
    """Return where other hosts reach a device, as a URL without port, and what it serves.

    Raises:
        FleetError: With what is wrong with the fleet's variables.
    """
    theirs = FleetVariables(loader, variables["hostvars"].raw_get(host))
    plan = plan_device(
        theirs.value("edge_slm_services"), theirs.value("edge_slm_models"), board_of(theirs.scope["group_names"])
    )
    scheme = "https" if theirs.value("edge_slm_tls", "edge_slm_tls_mode") else "http"
    return f"{scheme}://{url_host(str(theirs.value('edge_slm_reached_at', 'edge_slm_site_address')))}", plan


def served(loader: DataLoader, variables: Mapping[str, Any]) -> Iterator[tuple[str, str, DevicePlan]]:
    """Yield each device's name, where other hosts reach it, and what it serves.

    One whose variables are wrong is left out: its own look refuses it.
    """
    for board in BOARDS:
        for host in variables["groups"].get(board, ()):
            with contextlib.suppress(FleetError):
                yield host, *served_by(host, loader, variables)


def with_gateway(plan: Mapping[str, Any], loader: DataLoader, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host's plan with what it offers as the fleet's gateway. It has no keys: it becomes a fact.

    Raises:
        FleetError: With what is wrong with the fleet's variables.
    """
    if OLLAMA in plan.get("engines", ()):
        raise FleetError(
            f"{variables['inventory_hostname']} is in the group gateway and serves Ollama; both want the one proxy of "
            "the host. Choose another host for the gateway."
        )
    found: list[dict[str, Any]] = []
    offered: dict[str, Endpoint] = {}
    port = int(FleetVariables(loader, {"edge_slm_gateway_port": 4000, **variables}).value("edge_slm_gateway_port"))
    hosts: list[str] = []
    for host, address, theirs in served(loader, variables):
        hosts.append(host)
        for one in theirs.endpoints:
            url = f"{address}:{one.port}/v1"
            found.append({"host": host, "model": one.entry, "served": one.model, "url": url, "lacks": list(one.lacks)})
            offered[one.entry] = Endpoint(GATEWAY, one.entry, one.entry, one.entry, port, one.embeddings)
    endpoints = [*plan.get("endpoints", ()), *(endpoint.as_dict() for endpoint in offered.values())]
    return {**plan, "endpoints": endpoints, "gateway": {"endpoints": found, "hosts": hosts}}

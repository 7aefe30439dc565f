# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.ask_endpoints (its documentation is in plugins/modules)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.short_question import Asked, ask_briefly
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import client_context
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import read_mapping

#: Endpoints that are asked at a time; each waits for the network and its device, not for this machine.
AT_A_TIME = 32

read_mapping("devices")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Ask the endpoints of all hosts side by side."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was answered, and by host what was not."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "timeout": {"type": "int", "default": 300},
            }
        )
        hostvars = (task_vars or {})["hostvars"]
        asked = [asked for host in given["hosts"] for asked in self._endpoints(host, hostvars.raw_get(host))]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            answers = list(pool.map(lambda one: (one, ask_briefly(one, given["timeout"])), asked))
        failures: dict[str, list[str]] = {}
        for one, answer in answers:
            if answer.problem:
                failures.setdefault(one.host, []).append(f"{one.url}: {one.model}: {answer.problem}")
        return {
            **result,
            "changed": False,
            "answered": sum(1 for _one, answer in answers if answer.text),
            "not_loaded": [f"{one.host}: {one.model}" for one, answer in answers if answer.skipped],
            "failures": [{"host": host, "reasons": reasons} for host, reasons in failures.items()],
        }

    def _endpoints(self, host: str, variables: Mapping[str, Any]) -> list[Asked]:
        """Return a host's endpoints, from what its look has decided."""
        templar = Templar(loader=self._loader, variables={**read_mapping("devices"), **variables})

        def value(name: str) -> Any:  # noqa: ANN401
            return templar.template(templar.available_variables[name])

        tls = client_context(str(value("edge_slm_trusted"))) if value("edge_slm_tls") else None
        address = f"{'https' if tls else 'http'}://{url_host(str(value('edge_slm_asked_at')))}"
        key = plain_secret(str(value("edge_slm_api_keys")[0]["key"]))
        return [
            Asked(
                host=host,
                url=f"{address}:{endpoint['port']}",
                key=key,
                engine=endpoint["engine"],
                model=endpoint["model"],
                embeddings=endpoint["embeddings"],
                tls=tls,
            )
            for endpoint in value("edge_slm_plan").get("endpoints", [])
        ]

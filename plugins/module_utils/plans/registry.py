# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles: their order, what each depends on, and their plans, imported only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Planner

#: Each role with those that it depends on, in the order of site.yml. What stands on a role that is entered is entered
#: too: a service is asked again after its release, its model or its certificate has changed.
STANDS_ON: dict[str, tuple[str, ...]] = {
    "provision": (),
    "host_baseline": (),
    "pi_baseline": (),
    "jetson_baseline": (),
    "artifact_store": (),
    "llama_cpp": (),
    "model_pipeline": ("llama_cpp",),
    "endpoint_tls": (),
    "llama_service": ("llama_cpp", "model_pipeline", "endpoint_tls"),
    "jetson_ollama": ("model_pipeline",),
    "fleet_gateway": ("endpoint_tls",),
    "endpoint_proxy": ("endpoint_tls", "jetson_ollama", "fleet_gateway"),
    "chat_frontend": ("endpoint_tls",),
}
#: Those that a look asks; provision comes before all of them, on the controller.
ON_HOSTS = tuple(role for role in STANDS_ON if role != "provision")


def with_dependents(roles: Iterable[str], available: Iterable[str]) -> list[str]:
    """Return the roles and, of those available on the host, all that depend on them, in order."""
    entered = set(roles)
    known = set(available)
    for role, below in STANDS_ON.items():
        if role in known and entered & set(below):
            entered.add(role)
    return [role for role in STANDS_ON if role in entered]


def planner(role: str) -> Planner:
    """Return a role's plan.

    Ansible finds a module's imports by reading its code, those inside functions too: the module carries every plan to
    the host, and imports only what is asked for.
    """
    if role == "host_baseline":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.host_baseline import plan
    elif role == "jetson_baseline":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.jetson_baseline import plan
    elif role == "pi_baseline":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.pi_baseline import plan
    elif role == "artifact_store":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.artifact_store import plan
    elif role == "llama_cpp":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.llama_cpp import plan
    elif role == "model_pipeline":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.model_pipeline import plan
    elif role == "jetson_ollama":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.jetson_ollama import plan
    elif role == "endpoint_proxy":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.endpoint_proxy import plan
    elif role == "fleet_gateway":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.fleet_gateway import plan
    elif role == "chat_frontend":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.chat_frontend import plan
    elif role == "endpoint_tls":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.endpoint_tls import plan
    elif role == "llama_service":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.llama_service import plan
    elif role == "provision":
        from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.provision import plan
    else:
        raise ValueError(f"{role} is not a role of edge_slm.fleet")
    return plan

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What LiteLLM's proxy is configured with. JSON is YAML, too, and the standard library writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import proxy_environment
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import Routes, Target

#: The variables of its environment that hold secrets: the configuration names them and has none.
MASTER_KEY = "LITELLM_MASTER_KEY"
#: Attempts on other devices after the first; each device that fails is left out from then on.
RETRIES = 2
#: The proxy in front of it logs each request; a line for each of its questions for health helps nobody.
LOGGING = json.dumps(
    {"version": 1, "disable_existing_loggers": False, "loggers": {"uvicorn.access": {"level": "WARNING"}}}
)


def key_names(routes: Routes) -> dict[str, str]:
    """Return each server's key with the variable that holds it."""
    keys = dict.fromkeys(target.key for target in (*routes.devices, *routes.clouds))
    return {key: f"EDGE_SLM_KEY_{number}" for number, key in enumerate(keys)}


def render(routes: Routes, timeout_seconds: int, cooldown_seconds: int) -> str:
    """Return the configuration.

    Args:
        routes: What is offered.
        timeout_seconds: How long a server may be silent.
        cooldown_seconds: How long a device that has failed is left out.
    """
    names = key_names(routes)

    def entry(target: Target, identity: str, info: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "model_name": target.model,
            "litellm_params": {
                # Whatever the server is, it is asked as OpenAI's API is.
                "model": f"openai/{target.served}",
                "api_base": target.url,
                "api_key": f"os.environ/{names[target.key]}",
                "timeout": timeout_seconds,
            },
            "model_info": {"id": identity, **info},
        }

    all_lack = {
        model: sorted(set.intersection(*(set(one.lacks) for one in routes.devices if one.model == model)))
        for model in routes.models
    }

    def device(target: Target) -> dict[str, Any]:
        info = {"edge_slm_lacks": list(target.lacks), "edge_slm_all_lack": all_lack[target.model]}
        return entry(target, f"{target.host}/{target.model}", info)

    fallbacks = [{model: [cloud]} for model, cloud in routes.fallbacks.items()]
    config = {
        "model_list": [
            # What a device cannot take, and what a cloud must not be sent: read by files/edge_slm_policy.py.
            *map(device, routes.devices),
            *(
                entry(one, f"cloud/{one.model}", {"edge_slm_stays_on_site": list(routes.stays)})
                for one in routes.clouds
            ),
        ],
        "router_settings": {
            "routing_strategy": "least-busy",
            "num_retries": RETRIES,
            # One failure is enough: the next request finds another device, and this one is tried again soon.
            "allowed_fails": 0,
            "cooldown_time": cooldown_seconds,
            "retry_after": 0,
            "model_group_alias": dict(routes.aliases),
            "fallbacks": fallbacks,
            "context_window_fallbacks": fallbacks,
        },
        "litellm_settings": {"callbacks": ["edge_slm_policy.policy"], "telemetry": False},
        "general_settings": {"master_key": f"os.environ/{MASTER_KEY}", "disable_spend_logs": True},
    }
    return json.dumps(config, indent=2) + "\n"


def environment(routes: Routes, master_key: str, proxies: Mapping[str, str]) -> str:
    """Return the file of variables that systemd reads: keys, and the way out, which devices are not asked by."""
    devices = [urlsplit(target.url).hostname or "" for target in routes.devices]
    keys = {name: key for key, name in key_names(routes).items()}
    values = {**keys, **proxy_environment(proxies, devices)}
    lines = [f"{MASTER_KEY}={master_key}", *(f"{name}={json.dumps(value)}" for name, value in values.items())]
    return "".join(f"{line}\n" for line in lines)


def offered(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return each model of a configuration, with the names of its servers."""
    found: dict[str, list[str]] = {}
    for entry in config.get("model_list", ()):
        found.setdefault(entry["model_name"], []).append(entry["model_info"]["id"].partition("/")[0])
    return found

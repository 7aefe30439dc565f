# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What SillyTavern is configured with, and the endpoints that it is connected to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_entries, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

KEYS = ("name", "url", "model", "context")
DEFAULT_CONTEXT = 4096  # tokens


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that the page can ask."""

    name: str
    url: str
    model: str
    #: Tokens of one conversation.
    context: int = DEFAULT_CONTEXT


def parse_endpoints(raw: object, variable: str, problems: Problems) -> tuple[Endpoint, ...]:
    """Read the endpoints; adds every problem."""
    if not isinstance(raw, (list, tuple)) or not raw:
        problems.add(variable, "has no endpoint: the page would have nobody to ask; give a list of {name, url, model}.")
        return ()
    found = []
    for index, item in as_entries(raw, variable, KEYS, "{name, url, model}", problems):
        where = f"{variable}[{index}]"
        name, url, model = (str(item.get(key) or "") for key in KEYS[:3])
        for key, value in (("name", name), ("model", model)):
            if not value:
                problems.add(f"{where}.{key}", "is missing.")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            problems.add(f"{where}.url", f"{url!r} is not an address; give one such as http://192.168.1.20:8080/v1.")
        context = as_int(item.get("context", DEFAULT_CONTEXT), f"{where}.context", 256, 1 << 20, problems)
        found.append(Endpoint(name, url.rstrip("/"), model, context))
    for name, count in Counter(one.name for one in found).items():
        if count > 1:
            problems.add(variable, f"{count} endpoints are called {name!r}; give each a name of its own.")
    return tuple(found)


def config_text(port: int, endpoint_cidrs: Sequence[str]) -> str:
    """Return SillyTavern's config.yaml; JSON is YAML, too.

    HAProxy is the only client, so the whitelist has its address alone, and headers that name another are not believed.
    What the page makes the server fetch ends at the endpoints' networks: whoever may open the page could otherwise
    reach every service that is open to this host alone. Nothing is updated or downloaded behind the role's back.
    """
    config = {
        "listen": False,
        "port": port,
        "protocol": {"ipv4": True, "ipv6": False},
        "browserLaunch": {"enabled": False},
        "whitelistMode": True,
        "whitelist": ["127.0.0.1"],
        "enableForwardedWhitelist": False,
        "whitelistDockerHosts": False,
        "forwardedHeaders": {"xRealIp": False, "xForwardedFor": False, "cfConnectingIp": False},
        "privateAddressWhitelist": {"enabled": True, "allowUnresolvedHosts": False, "allowedRanges": [*endpoint_cidrs]},
        "disableCsrfProtection": False,
        "enableCorsProxy": False,
        "allowKeysExposure": False,
        "enableServerPlugins": False,
        "enableServerPluginsAutoUpdate": False,
        "enableDownloadableTokenizers": False,
        "extensions": {"autoUpdate": False, "models": {"autoDownload": False}},
    }
    return json.dumps(config, indent=2) + "\n"


def connections_text(endpoints: Sequence[Endpoint], key: str) -> str:
    """Return what connect-chat puts into SillyTavern's files."""
    wanted: dict[str, Any] = {"key": key, "endpoints": [vars(one) for one in endpoints]}
    return json.dumps(wanted, indent=2) + "\n"

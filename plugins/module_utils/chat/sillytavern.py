# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What SillyTavern is configured with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.door import Page
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import Endpoint

#: What the door needs to know of it.
PAGE = Page("SillyTavern", health="HEAD /favicon.ico")


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

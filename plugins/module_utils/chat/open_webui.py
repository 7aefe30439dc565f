# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Open WebUI is configured with: the environment of its container.

Names and meanings: `open_webui/env.py` and `open_webui/config.py` of release 0.12.4.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Sequence

from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.door import IDENTITY, Page
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import Endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey

#: What the door needs to know of it: it has an account for each key, and tokens of its own.
PAGE = Page("Open WebUI", health="GET /health", cookie="token")


def check_names(keys: Sequence[ApiKey], variable: str, problems: Problems) -> None:
    """Add a problem where two keys would have one account: Open WebUI tells no case apart."""
    for name, count in Counter(key.name.lower() for key in keys).items():
        if count > 1:
            problems.add(
                variable,
                f"{count} keys are called {name!r} but for case, which is one account of Open WebUI; rename one.",
            )


def check_key(key: str, variable: str, problems: Problems) -> None:
    """Add a problem where Open WebUI would take a key for two."""
    if ";" in key:
        problems.add(variable, "has a semicolon, by which Open WebUI separates keys; give one without.")


def environment_text(endpoints: Sequence[Endpoint], key: str, port: int, timeout: int, ca_file: str) -> str:
    """Return the file that Docker gives the container its environment from, one NAME=VALUE a line.

    What the inventory says holds, not what Open WebUI has kept of it. People are who the door says they are. Nothing is
    fetched from the internet. A small board answers what it is asked, and not also what a conversation could be called.

    Args:
        endpoints: Those that the page can ask; the first is what it begins with.
        key: For all of them.
        port: Of the page on loopback.
        timeout: Seconds that an endpoint may take.
        ca_file: CA certificates that the endpoints' certificates are checked by, in the container.
    """
    configs = {
        str(at): {"enable": True, "prefix_id": one.name, "model_ids": [one.model]} for at, one in enumerate(endpoints)
    }
    values: dict[str, object] = {
        "HOST": "127.0.0.1",
        "PORT": port,
        "ENABLE_PERSISTENT_CONFIG": False,
        # Sessions end with the key that the page asks with; nothing else has to be kept.
        "WEBUI_SECRET_KEY": hmac.new(key.encode(), b"sessions of Open WebUI", hashlib.sha256).hexdigest(),
        "WEBUI_AUTH": True,
        **{f"WEBUI_AUTH_TRUSTED_{what.upper()}_HEADER": header for what, header in IDENTITY.items()},
        "ENABLE_SIGNUP": False,
        "ENABLE_LOGIN_FORM": False,
        "DEFAULT_USER_ROLE": "user",
        "ENABLE_OLLAMA_API": False,
        "OPENAI_API_BASE_URLS": ";".join(one.url for one in endpoints),
        "OPENAI_API_KEYS": ";".join(key for _one in endpoints),
        "OPENAI_API_CONFIGS": json.dumps(configs, separators=(",", ":")),
        "DEFAULT_MODELS": f"{endpoints[0].name}.{endpoints[0].model}",
        "BYPASS_MODEL_ACCESS_CONTROL": True,
        "ENABLE_DIRECT_CONNECTIONS": False,
        "AIOHTTP_CLIENT_TIMEOUT": timeout,
        "AIOHTTP_CLIENT_SSL_CERT_FILE": ca_file,
        # Its own tools would be told to the model in front of each question.
        "DEFAULT_MODEL_METADATA": '{"capabilities":{"builtin_tools":false}}',
        "ENABLE_TITLE_GENERATION": False,
        "ENABLE_TAGS_GENERATION": False,
        "ENABLE_FOLLOW_UP_GENERATION": False,
        "ENABLE_AUTOCOMPLETE_GENERATION": False,
        "ENABLE_RETRIEVAL_QUERY_GENERATION": False,
        "ENABLE_SEARCH_QUERY_GENERATION": False,
        "ENABLE_CODE_EXECUTION": False,
        "ENABLE_CODE_INTERPRETER": False,
        "ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS": False,
        "ENABLE_COMMUNITY_SHARING": False,
        "ENABLE_VERSION_UPDATE_CHECK": False,
        "OFFLINE_MODE": True,
        # All else in the container is read-only; what is served from here is copied at each start.
        "STATIC_DIR": "/app/backend/data/static",
    }
    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in shown.items())

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The endpoints that a chat page is connected to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
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

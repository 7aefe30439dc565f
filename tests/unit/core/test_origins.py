"""One rule for origins, and both engines follow it."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.origins import origin_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import parse_instances
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import parse_settings
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import read_role

PROXY = {
    name.removeprefix("endpoint_proxy_"): value
    for name, value in read_role("endpoint_proxy").variables.items()
    if name.startswith("endpoint_proxy_")
}
ACCEPTED = [
    "*",
    "localhost",
    "https://chat.lan",
    "http://chat.lan:3000",
    "http://192.168.1.7:8000",
    "http://[fd00::7]:8000",
    "http://chat",
    "app://obsidian.md",
    "tauri://localhost",
    "capacitor://localhost",
    "ionic://localhost",
    "http://tauri.localhost",
    "chrome-extension://eonpgfdjiffkjdacemmgmnbmfpjgokgf",
    "moz-extension://7c1d4d3e-8c9f-4a2b-9a55-0f1e2d3c4b5a",
    "vscode-webview://0a1b2c",
]
NOT = "is not an origin"
REFUSED = [
    ("https://*.lan", f"'https://*.lan' {NOT}: it is compared letter by letter; name one page, or * for all of them"),
    ("*.lan", "compared letter by letter"),
    ("chrome-extension://*", "compared letter by letter"),
    ("chat.lan", f"'chat.lan' {NOT}; give https://chat.lan, app://obsidian.md, localhost or *"),
    ("chat.lan:3000", f"'chat.lan:3000' {NOT}; give"),
    ("null", f"'null' {NOT}; give"),
    ("https://", f"{NOT}; give"),
    ("", f"'' {NOT}; give"),
    ("https://chat.lan/", f"{NOT} as browsers send it; write https://chat.lan"),
    ("https://chat.lan/app", "write https://chat.lan"),
    ("https://Chat.LAN:443", "write https://chat.lan"),
    ("http://chat.lan:80", "write http://chat.lan"),
    ("APP://obsidian.md", "write app://obsidian.md"),
    ("https://a, https://b", "write https://a"),
    ("https://a 'b", "write https://a"),
]


@pytest.mark.parametrize("origin", ACCEPTED)
def test_accepted(origin: str) -> None:
    assert origin_problem(origin) == ""
    assert both(origin) == []


@pytest.mark.parametrize(("origin", "part"), REFUSED)
def test_refused(origin: str, part: str) -> None:
    problem = origin_problem(origin)
    assert part in problem
    # Nothing given is llama-server's default.
    assert both(origin) == [
        *([f"llama_service_instances[0].cors_origins: {problem}."] if origin else []),
        f"endpoint_proxy_cors_origins[0]: {problem}.",
    ]


def both(origin: str) -> list[str]:
    """Return what the roles of both engines refuse."""
    problems = Problems()
    parse_instances([{"model": "m", "cors_origins": origin}], problems)
    parse_settings({**PROXY, "cors_origins": [origin]}, problems)
    return problems.found

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Origins of web pages and apps, which engines compare letter by letter with what browsers send."""

from __future__ import annotations

import re

#: Any page of the browser's own machine, and all pages.
LOCALHOST, ANY = "localhost", "*"
#: Scheme, host and port as browsers write them (RFC 6454, ASCII serialisation). Apps and extensions have schemes of
#: their own: app://obsidian.md, tauri://localhost, chrome-extension://….
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._~-]+|\[[0-9a-f:]+(?:\.[0-9.]+)?\])(?::([0-9]{1,5}))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}


def origin_problem(value: object) -> str:
    """Return why a value can name no origin, with what to write; '' where it can."""
    text = str(value)
    if text in (LOCALHOST, ANY):
        return ""
    found = ORIGIN.fullmatch(text)
    if found and found[3] != DEFAULT_PORTS.get(found[1], ""):
        return ""
    if "*" in text:
        return f"{text!r} is not an origin: it is compared letter by letter; name one page, or * for all of them"
    meant = ORIGIN.match(text.lower())
    if not meant:
        return f"{text!r} is not an origin; give https://chat.lan, app://obsidian.md, {LOCALHOST} or {ANY}"
    port = f":{meant[3]}" if meant[3] and meant[3] != DEFAULT_PORTS.get(meant[1]) else ""
    return f"{text!r} is not an origin as browsers send it; write {meant[1]}://{meant[2]}{port}"

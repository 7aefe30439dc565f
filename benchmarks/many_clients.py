#!/usr/bin/env python3
"""Ask every endpoint of the demo with many clients at once: how many are answered, and how long that takes.

benchmarks/many_clients.py [CLIENTS]

Needs `make demo`. Each client asks once for eight tokens.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ENDPOINTS = Path(__file__).resolve().parents[1] / ".demo" / "endpoints.json"


def ask(endpoint: dict[str, Any], key: str) -> int:
    """Return the status of one short completion; 0 where there was no answer."""
    body = {"model": endpoint["model"], "prompt": "Once upon a time", "max_tokens": 8}
    request = urllib.request.Request(  # noqa: S310
        f"{endpoint['base_url']}/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def main() -> None:
    """Ask one endpoint after the other."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for endpoint in json.loads(ENDPOINTS.read_text(encoding="utf-8")):
        key = Path(endpoint["api_key_file"]).read_text(encoding="utf-8").splitlines()[0]
        ask(endpoint, key)  # loads the model
        started = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            found = collections.Counter(pool.map(lambda _: ask(endpoint, key), range(clients)))  # noqa: B023
        seconds = time.monotonic() - started
        statuses = ", ".join(f"{count} x {status or 'no answer'}" for status, count in sorted(found.items()))
        print(f"{endpoint['host']:12} {endpoint['engine']:10} {endpoint['model']:32} {statuses} in {seconds:.1f} s")


if __name__ == "__main__":
    main()

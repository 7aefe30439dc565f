#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much later does the first token arrive through the proxy than from Ollama itself?

Asks both in turn, so that whatever else the machine does hits both alike, each time on a new connection and with a
prompt that no cache knows. Needs nothing but Python, and runs on the device, because only there Ollama can be reached:

    ssh DEVICE EDGE_SLM_KEY=... python3 - --model phi3:mini < benchmarks/proxy_first_token.py
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import time
import urllib.parse


def first_token(url: str, key: str, model: str, number: int) -> tuple[float, float]:
    """Ask for a stream; returns the milliseconds until its first token, and the mean ones between two tokens."""
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
    question = f"Question {number} of {time.time_ns()}: count from one to ten."
    body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 16, "stream": True}
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{url} answers {answer.status}: {answer.read(300).decode()}")
    seen = []
    while line := answer.readline():
        if line.startswith(b"data: {") and json.loads(line[6:])["choices"]:
            seen.append(time.perf_counter())
    connection.close()
    if len(seen) < 2:
        raise SystemExit(f"{url} streamed {len(seen)} tokens; take another model")
    return 1000 * (seen[0] - began), 1000 * (seen[-1] - seen[0]) / (len(seen) - 1)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--direct", default="http://127.0.0.1:11435", help="Ollama itself")
    parser.add_argument("--proxy", default="http://127.0.0.1:11434", help="the proxy; its key is in EDGE_SLM_KEY")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    ways = {"direct": (given.direct, ""), "proxy": (given.proxy, os.environ["EDGE_SLM_KEY"])}
    for url, key in ways.values():  # loads the model, opens what is opened once
        first_token(url, key, given.model, 0)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(1, given.rounds + 1):
        # Each is the first of its round as often as the other.
        for way in sorted(ways, reverse=number % 2 == 0):
            found[way].append(first_token(*ways[way], given.model, number))
    print(f"{given.rounds} rounds, milliseconds   first token: median   p90   between tokens: median")
    for way, pairs in found.items():
        first = sorted(pair[0] for pair in pairs)
        between = statistics.median(pair[1] for pair in pairs)
        print(f"{way:33}{statistics.median(first):13.1f}{first[int(0.9 * len(first))]:8.1f}{between:21.2f}")
    firsts = [statistics.median(pair[0] for pair in found[way]) for way in ("proxy", "direct")]
    rounds = zip(found["proxy"], found["direct"])  # noqa: B905 (Python 3.9 on the device)
    ratio = statistics.median(through[0] / straight[0] for through, straight in rounds)
    print(f"ratio of the medians {firsts[0] / firsts[1]:.3f}, median of the rounds' ratios {ratio:.3f}")


if __name__ == "__main__":
    main()

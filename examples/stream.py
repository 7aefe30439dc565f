#!/usr/bin/env python3
"""Show an answer while it is being made, through OpenAI's own client, and how fast it comes.

EDGE_SLM_API_KEY=... examples/stream.py http://192.168.1.20:8080/v1
EDGE_SLM_API_KEY=... examples/stream.py http://192.168.1.31:11434/v1 --model phi3:mini "Tell me about bread."

Needs `pip install openai`. The key is one of edge_slm_api_keys, and never on a command line.
"""

import argparse
import os
import sys
import time

import openai

parser = argparse.ArgumentParser(description="Show an answer while it is being made.")
parser.add_argument("url", help="the endpoint, with /v1")
parser.add_argument("question", nargs="?", default="Write three sentences about small computers.")
parser.add_argument("--model", default="gpt-3.5-turbo", help="name of the model; on a Raspberry Pi any will do")
given = parser.parse_intermixed_args()

client = openai.OpenAI(base_url=given.url, api_key=os.environ["EDGE_SLM_API_KEY"])
started = time.monotonic()
first = tokens = 0.0
stream = client.chat.completions.create(
    model=given.model,
    max_tokens=200,
    messages=[{"role": "user", "content": given.question}],
    stream=True,
    # The last piece then counts the tokens.
    stream_options={"include_usage": True},
)
for piece in stream:
    if piece.usage:
        tokens = piece.usage.completion_tokens
    for choice in piece.choices:
        first = first or time.monotonic()
        # A model that thinks first sends its thoughts beside the content.
        print(choice.delta.content or "", end="", flush=True)
ended = time.monotonic()
print()
if first:
    speed = tokens / (ended - first) if ended > first else 0
    print(f"first token after {first - started:.1f} s, then {speed:.1f} tokens/s", file=sys.stderr)

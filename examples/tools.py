#!/usr/bin/env python3
"""Let a model call a function of this machine, through OpenAI's own client.

EDGE_SLM_API_KEY=... examples/tools.py http://192.168.1.20:8080/v1
EDGE_SLM_API_KEY=... examples/tools.py http://192.168.1.31:11434/v1 --model qwen2.5:3b "Is this machine busy?"

The model chooses a function and its arguments; this script runs it, and the model makes the answer of what came back.
Small models choose badly: with --require they have to choose one. Needs `pip install openai`. The key is one of
edge_slm_api_keys, and never on a command line.
"""

import argparse
import json
import os
import shutil
from typing import Any

import openai


def load() -> dict[str, Any]:
    """Return how many programs want a processor of this machine, on average."""
    return {"processors": os.cpu_count(), "last_minute": os.getloadavg()[0], "last_15_minutes": os.getloadavg()[2]}


def free_disk(path: str) -> dict[str, Any]:
    """Return the room on a disk of this machine."""
    usage = shutil.disk_usage(path)
    return {"path": path, "free_gb": round(usage.free / 1e9, 1), "total_gb": round(usage.total / 1e9, 1)}


FUNCTIONS = {"load": load, "free_disk": free_disk}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "load",
            "description": "How busy this machine is.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "free_disk",
            "description": "How much room there is on a disk of this machine.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string", "description": "A directory on the disk, such as /"}},
                "required": ["path"],
            },
        },
    },
]


def call(name: str, arguments: str) -> str:
    """Run a function that a model has chosen; what is wrong with its choice is an answer, too."""
    try:
        return json.dumps(FUNCTIONS[name](**json.loads(arguments or "{}")))
    except (KeyError, TypeError, ValueError, OSError) as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


parser = argparse.ArgumentParser(description="Let a model call a function of this machine.")
parser.add_argument("url", help="the endpoint, with /v1")
parser.add_argument("question", nargs="?", default="How much room is there on the disk at / of this machine?")
parser.add_argument("--model", default="gpt-4o", help="name of the model; on a Raspberry Pi any will do")
parser.add_argument("--require", action="store_true", help="the model has to call a function first")
given = parser.parse_intermixed_args()

client = openai.OpenAI(base_url=given.url, api_key=os.environ["EDGE_SLM_API_KEY"])
messages: list[Any] = [{"role": "user", "content": given.question}]
ask: dict[str, Any] = {"model": given.model, "tools": TOOLS, "max_tokens": 200}
message = (
    client.chat.completions.create(messages=messages, tool_choice="required" if given.require else "auto", **ask)
    .choices[0]
    .message
)
if message.tool_calls:
    messages.append(message)
    for chosen in message.tool_calls:
        result = call(chosen.function.name, chosen.function.arguments)
        print(f"{chosen.function.name}({chosen.function.arguments}) = {result}")
        messages.append({"role": "tool", "tool_call_id": chosen.id, "content": result})
    message = client.chat.completions.create(messages=messages, tool_choice="none", **ask).choices[0].message
print((message.content or "").strip())

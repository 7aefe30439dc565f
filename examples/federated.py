#!/usr/bin/env python3
"""Federated language models: a cloud model chooses the tools, they run here, and an edge model writes the answer.

EDGE_SLM_API_KEY=... examples/federated.py http://192.168.1.5:4000/v1 --cloud large --edge smollm2 "How warm is it?"

The cloud is sent the question and what the tools are called and take. What they return goes to the edge model alone.
Needs `pip install openai`. The key is one of edge_slm_api_keys, and never on a command line.

As a library:

    from federated import Tool, answer
    answer(client, "How warm is it?", [Tool("temperature", "The room's temperature.", read)], cloud="…", edge="…")
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

CHOOSE = "Call all tools whose results are needed to answer the question, at once: you will not see the results."
WRITE = "Answer the question in one or two sentences, from these facts alone."


@dataclass(frozen=True)
class Tool:
    """A function that may be called: what it is for, what it takes (JSON schema of each parameter), what runs."""

    name: str
    description: str
    run: Callable[..., object]
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def declaration(self) -> Any:  # noqa: ANN401  (one of OpenAI's typed dictionaries)
        """Return what a model gets to know of it."""
        schema = {"type": "object", "properties": dict(self.parameters), "required": list(self.parameters)}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Answer:
    """The answer, and the results that it was written from, by call."""

    text: str
    results: Mapping[str, object]


def choose(client: openai.OpenAI, question: str, tools: Sequence[Tool], cloud: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the tools that the cloud model calls, with their arguments. It gets the question, and nothing else."""
    completion = client.chat.completions.create(
        model=cloud,
        messages=[{"role": "system", "content": CHOOSE}, {"role": "user", "content": question}],
        tools=[tool.declaration() for tool in tools],
    )
    calls = completion.choices[0].message.tool_calls or []
    functions = [call.function for call in calls if call.type == "function"]
    return [(function.name, json.loads(function.arguments or "{}")) for function in functions]


def run(tools: Sequence[Tool], calls: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, object]:
    """Return the results of calls. A tool that is not known, or fails, is a result, too: the model can say so."""
    known = {tool.name: tool for tool in tools}
    results: dict[str, object] = {}
    for name, arguments in calls:
        label = f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"
        try:
            results[label] = known[name].run(**arguments)
        except Exception as error:  # whatever a tool may raise
            results[label] = f"failed: {type(error).__name__}: {error}"
    return results


def write(client: openai.OpenAI, question: str, results: Mapping[str, object], edge: str) -> str:
    """Return the answer of the edge model, which is the only one that sees the results."""
    messages: list[Any] = [{"role": "system", "content": WRITE}, {"role": "user", "content": question}]
    calls = [
        {"id": f"call-{number}", "type": "function", "function": {"name": call.partition("(")[0], "arguments": "{}"}}
        for number, call in enumerate(results)
    ]
    if calls:
        # In messages of the role "tool", by which the gateway knows what must not leave the site.
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": f"call-{number}", "content": f"{call}: {result}"}
            for number, (call, result) in enumerate(results.items())
        ]
    # Whatever the gateway's policy is: where no device answers, this fails.
    local = {"disable_fallbacks": True}
    completion = client.chat.completions.create(model=edge, messages=messages, max_tokens=128, extra_body=local)
    return (completion.choices[0].message.content or "").strip()


def answer(client: openai.OpenAI, question: str, tools: Sequence[Tool], *, cloud: str, edge: str) -> Answer:
    """Answer a question: the cloud model chooses the tools, the edge model writes.

    Args:
        client: A client of the fleet's gateway.
        question: It is sent to both models.
        tools: What may be called. The cloud gets their names, descriptions and parameters.
        cloud: The gateway's name of the model that chooses.
        edge: The gateway's name of the model that writes: one of the fleet's own.
    """
    results = run(tools, choose(client, question, tools, cloud))
    return Answer(write(client, question, results, edge), results)


#: What this machine can be asked.
TOOLS = (
    Tool("clock", "The time of day, here.", lambda: time.strftime("%H:%M")),
    Tool(
        "free_disk", "How much of this machine's disk is free, in gigabytes.", lambda: shutil.disk_usage("/").free >> 30
    ),
    Tool(
        "read_note",
        "The text of one of the user's own notes.",
        lambda name: Path("~/notes", Path(name).name).expanduser().read_text(encoding="utf-8"),
        {"name": {"type": "string", "description": "file name of the note"}},
    ),
)


def main() -> None:
    """Ask once."""
    parser = argparse.ArgumentParser(description="Answer a question with a cloud model's choice of local tools.")
    parser.add_argument("url", help="the gateway, with /v1")
    parser.add_argument("question", nargs="?", default="What time is it, and how much disk is free?")
    parser.add_argument("--cloud", required=True, help="the model that chooses the tools")
    parser.add_argument("--edge", required=True, help="the model that writes the answer")
    given = parser.parse_intermixed_args()
    client = openai.OpenAI(base_url=given.url, api_key=os.environ["EDGE_SLM_API_KEY"])
    found = answer(client, given.question, TOOLS, cloud=given.cloud, edge=given.edge)
    for call, result in found.results.items():
        print(f"{call}: {result}")
    print(found.text)


if __name__ == "__main__":
    main()

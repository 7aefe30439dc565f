#!/usr/bin/env python3
"""Ask an endpoint of the fleet through OpenAI's own client.

EDGE_SLM_API_KEY=... examples/chat.py http://192.168.1.20:8080/v1
EDGE_SLM_API_KEY=... examples/chat.py http://192.168.1.31:11434/v1 --model phi3:mini "Why is the sky blue?"

Needs `pip install openai`. The key is one of edge_slm_api_keys, and never on a command line.
"""

import argparse
import os

import openai

parser = argparse.ArgumentParser(description="Ask an endpoint of the fleet.")
parser.add_argument("url", help="the endpoint, with /v1")
parser.add_argument("question", nargs="?", default="Name three things that a Raspberry Pi is good for.")
# llama-server has one model and answers with it, whatever it is called; Ollama wants the name.
parser.add_argument("--model", default="gpt-3.5-turbo", help="name of the model; on a Raspberry Pi any will do")
given = parser.parse_intermixed_args()

client = openai.OpenAI(base_url=given.url, api_key=os.environ["EDGE_SLM_API_KEY"])
completion = client.chat.completions.create(
    model=given.model,
    max_tokens=50,
    messages=[
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": given.question},
    ],
)
print((completion.choices[0].message.content or "").strip())

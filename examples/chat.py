#!/usr/bin/env python3
"""Ask an endpoint of the fleet with OpenAI's own client: only the address and the key are new.

EDGE_SLM_API_KEY=... examples/chat.py http://192.168.1.20:8080/v1 ["What to ask"]

Needs `pip install openai`.
"""

import os
import sys

import openai

if len(sys.argv) < 2:
    sys.exit(__doc__)

client = openai.OpenAI(
    base_url=sys.argv[1],  # the device's address
    api_key=os.environ["EDGE_SLM_API_KEY"],  # one of edge_slm_api_keys; never on a command line
)

completion = client.chat.completions.create(
    model="gpt-3.5-turbo",  # any name will do: the device answers with the model that it has
    messages=[
        {
            "role": "system",
            "content": "You are Capybara, an AI assistant. Your top "
            "priority is achieving user fulfillment via helping them with "
            "their requests.",
        },
        {
            "role": "user",
            "content": sys.argv[2] if len(sys.argv) > 2 else "Building a website can be done in 10 simple steps:",
        },
    ],
)

print(completion.choices[0].message.content)

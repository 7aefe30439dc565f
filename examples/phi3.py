#!/usr/bin/env python3
"""Ask a Jetson's Ollama with OpenAI's own client: only the address and the key are new.

EDGE_SLM_API_KEY=... examples/phi3.py http://192.168.1.31:11434/v1/

Needs `pip install openai`.
"""

import os
import sys

from openai import OpenAI

if len(sys.argv) < 2:
    sys.exit(__doc__)

OLLAMA_URL = sys.argv[1]  # the device's address
client = OpenAI(base_url=OLLAMA_URL, api_key=os.environ["EDGE_SLM_API_KEY"])  # one of edge_slm_api_keys
prompt = "When was Mahatma Gandhi born? Answer in the most concise form."
model = "phi3:mini"
response = client.chat.completions.create(
    model=model,
    max_tokens=50,
    messages=[{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": prompt}],
)
print((response.choices[0].message.content or "").strip())

#!/usr/bin/env python3
"""Ask a model with a projector about an image, through OpenAI's own client.

EDGE_SLM_API_KEY=... examples/vision.py http://192.168.1.20:8080/v1 photo.jpg

Needs `pip install openai pillow`. The image is sent in the request: the device fetches nothing by itself. The key is
one of edge_slm_api_keys, and never on a command line.
"""

import argparse
import base64
import io
import os

import openai
from PIL import Image

#: Pixels of the longer side: a big image costs a Raspberry Pi minutes.
LONGEST_SIDE = 512
#: Seconds until an answer: a Raspberry Pi may work on one image for tens of minutes. The client itself would give up
#: after ten, and send the image again.
TIMEOUT = 3600


def data_url(path: str) -> str:
    """Return a small copy of an image as a data: URL, which is how OpenAI's API takes it."""
    small = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        image.save(small, format="PNG")
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode("ascii")


parser = argparse.ArgumentParser(description="Ask a model about an image.")
parser.add_argument("url", help="the endpoint, with /v1")
parser.add_argument("image", help="a file that Pillow can read")
parser.add_argument("question", nargs="?", default="Describe the picture in two sentences.")
parser.add_argument("--model", default="gpt-4o", help="name of the model; on a Raspberry Pi any will do")
given = parser.parse_intermixed_args()

client = openai.OpenAI(base_url=given.url, api_key=os.environ["EDGE_SLM_API_KEY"], timeout=TIMEOUT, max_retries=0)
completion = client.chat.completions.create(
    model=given.model,
    max_tokens=200,
    messages=[
        {
            "role": "user",
            "content": [
                {"type": "text", "text": given.question},
                {"type": "image_url", "image_url": {"url": data_url(given.image)}},
            ],
        }
    ],
)
print((completion.choices[0].message.content or "").strip())

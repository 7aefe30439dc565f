#!/usr/bin/env python3
"""Ask a model with a projector about an image, with OpenAI's own client.

EDGE_SLM_API_KEY=... examples/vision.py http://192.168.1.20:8080/v1 photo.jpg ["What to ask"]

Needs `pip install openai pillow`. The image travels in the request: the device fetches nothing by itself.
"""

import base64
import os
import sys
from io import BytesIO

import openai
from PIL import Image


def encode_image(image_path: str, max_image: int = 512) -> str:
    """Return an image as base64 PNG, at most `max_image` pixels a side: a big one costs a Pi minutes."""
    with Image.open(image_path) as image:
        image.thumbnail((max_image, max_image))
        buffered = BytesIO()
        image.save(buffered, format="PNG")
    return base64.b64encode(buffered.getvalue()).decode("utf-8")


if len(sys.argv) < 3:
    sys.exit(__doc__)

client = openai.OpenAI(
    base_url=sys.argv[1],  # the device's address
    api_key=os.environ["EDGE_SLM_API_KEY"],  # one of edge_slm_api_keys; never on a command line
)

completion = client.chat.completions.create(
    model="gpt-4-vision-preview",  # any name will do: the device answers with the model that it has
    messages=[
        {
            "role": "system",
            "content": "You are an expert at analyzing images with computer vision. In case of error,\n"
            "make a full report of the cause of: any issues in receiving, understanding, or describing "
            "images",
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": sys.argv[3] if len(sys.argv) > 3 else "What is in this image?"},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;base64,{encode_image(sys.argv[2])}"},
                },
            ],
        },
    ],
    max_tokens=500,
)

print(completion.choices[0].message.content)

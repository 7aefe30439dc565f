"""What models that see are asked, as Listing 11.2 of the book asks: its URL, its key and its pictures are changed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

PICTURES = {path.name: path.read_bytes() for path in (Path(__file__).parent / "pictures").iterdir()}
PNG, JPEG = PICTURES["house.png"], PICTURES["house.jpg"]
#: Bytes that are no picture.
BROKEN = (PNG[:300], JPEG[:20], b"not a picture", b"")


def data_url(picture: bytes, kind: str = "jpeg") -> str:
    """Return a picture as clients send it; the listing calls a PNG a JPEG."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def listing(*urls: str) -> dict[str, Any]:
    """Return what the listing asks about pictures."""
    content = [{"type": "text", "text": "Building a website can be done in 10 simple steps:"}]
    return {
        "messages": [
            {"role": "system", "content": "You are an expert at analyzing images with computer vision."},
            {
                "role": "user",
                "content": [*content, *({"type": "image_url", "image_url": {"url": url}} for url in urls)],
            },
        ],
        "max_tokens": 500,
        "temperature": 0,
    }

"""Models that see, served by a Pi: their weights are random, so what they say makes no sense, and depends on the image.

`tiny-llava` has the architecture of the book's liuhaotian/llava-v1.6-mistral-7b, `tiny-pixtral` that of Pixtral 12B,
which takes more tokens for a larger image (tools/tiny_vision_model.py).
"""

from __future__ import annotations

import openai
import pytest
from endpoints import KEY_FILE, MODEL, PIS, Device
from openai.types.chat import ChatCompletion
from seeing import BROKEN, PICTURES, PNG, data_url, listing

LLAVA, PIXTRAL = (
    Device("pi-01", PIS[0].address, port, model) for port, model in ((8081, "tiny-llava"), (8082, "tiny-pixtral"))
)
SEEING = pytest.mark.parametrize("device", [LLAVA, PIXTRAL], ids=lambda device: device.model)


def asked(device: Device, *urls: str) -> ChatCompletion:
    client = device.client(KEY_FILE.read_text().strip())
    completion = client.chat.completions.with_raw_response.create(model="gpt-4-vision-preview", **listing(*urls))
    assert completion.http_response.status_code == 200
    return completion.parse()


def said(device: Device, *urls: str) -> str:
    return asked(device, *urls).choices[0].message.content or ""


def prompt_tokens(device: Device, *urls: str) -> int:
    usage = asked(device, *urls).usage
    assert usage
    return usage.prompt_tokens


@SEEING
def test_what_the_books_listing_sends_is_answered(device: Device) -> None:
    """It calls a PNG a JPEG."""
    assert said(device, data_url(PNG))
    assert prompt_tokens(device, data_url(PNG)) > prompt_tokens(device)


@SEEING
def test_the_answer_depends_on_the_image(device: Device) -> None:
    answers = {name: said(device, data_url(picture)) for name, picture in PICTURES.items()}
    assert len(PICTURES) == len(set(answers.values())) == 3
    assert said(device, data_url(PNG, "png")) == answers["house.png"], "the bytes count, not what they are called"


def test_what_an_image_takes_is_limited() -> None:
    """Of 37 x 24 patches each would take a token, and 913 all of it; the service has 128 at most."""
    assert 64 <= prompt_tokens(PIXTRAL, data_url(PNG)) - prompt_tokens(PIXTRAL) <= 128


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_image_is_refused(broken: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match="Failed to load image"):
        asked(LLAVA, data_url(broken))
    assert said(LLAVA, data_url(PNG)), "and it goes on answering"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/health", "file:///etc/hostname"])
def test_an_image_is_never_fetched(url: str) -> None:
    with pytest.raises(openai.APIStatusError, match=r"cannot make GET request|not allowed"):
        asked(LLAVA, url)


def test_a_model_without_projector_says_so() -> None:
    blind = Device("pi-01", PIS[0].address, 8080, MODEL)
    with pytest.raises(openai.InternalServerError, match=r"image input is not supported.*mmproj"):
        asked(blind, data_url(PNG))

"""tools/sources.py: where the local fleets get Ollama from, and what a local registry must serve in its place."""

from __future__ import annotations

import io
import json
import sys
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest

# The tools are scripts that import one another by their plain names.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import sources

OLDER, NEWEST = sources.OLLAMA_VERSIONS
DIGESTS = {OLDER: "sha256:" + "a" * 64, NEWEST: "sha256:" + "b" * 64}
MODEL = "sha256:" + "c" * 64
LOCAL = {"image": {OLDER: "registry:5000/ollama/ollama@sha256:dd", "0.1.0": "registry:5000/ollama/ollama@sha256:ee"},
         "model": {"phi3:mini": {"registry": "registry:5000", "digest": "sha256:ff"}}}  # fmt: skip
HUBS = {
    "image": {version: f"docker.io/ollama/ollama@{digest}" for version, digest in DIGESTS.items()},
    "model": {"phi3:mini": {"registry": "", "digest": MODEL}},
}


@pytest.mark.parametrize(
    ("images", "model", "pushed", "addresses"),
    [
        # Both homes: nothing is pushed, and what was noted of a local registry is forgotten.
        (DIGESTS, MODEL, ([], []), HUBS),
        # None: all is pushed; known is what an earlier run noted of the versions that are still wanted.
        ({}, "", ([OLDER, NEWEST], ["phi3:mini"]), {**LOCAL, "image": {OLDER: LOCAL["image"][OLDER]}}),
        # One of them.
        (DIGESTS, "", ([], ["phi3:mini"]), {"image": HUBS["image"], "model": LOCAL["model"]}),
        ({}, MODEL, ([OLDER, NEWEST], []), {"image": {OLDER: LOCAL["image"][OLDER]}, "model": HUBS["model"]}),
    ],
    ids=["both hubs", "no hub", "docker hub alone", "ollama's registry alone"],
)
def test_each_hub_is_stood_in_for_on_its_own(
    images: dict[str, str], model: str, pushed: tuple[list[str], list[str]], addresses: dict[str, Any]
) -> None:
    push, there = sources.ollama_source(sources.OLLAMA_VERSIONS, images, model)
    assert (list(push["images"]), list(push["models"])) == pushed
    assert sources.known_addresses(there, push, LOCAL) == addresses
    assert sources.known_addresses(there, push, {}) == there


def test_a_model_is_always_pushed_by_the_same_program() -> None:
    """Its digest depends on the program; the demo wants one version, the tests both."""
    both, _ = sources.ollama_source(sources.OLLAMA_VERSIONS, {}, "")
    one, _ = sources.ollama_source([NEWEST], {}, "")
    assert list(one["images"]) == [NEWEST]
    assert one["program"] == both["program"]


@pytest.mark.parametrize(
    ("images", "model", "made"),
    [({}, "", [NEWEST, OLDER]), ({}, MODEL, [NEWEST, OLDER]), (DIGESTS, "", [NEWEST]), (DIGESTS, MODEL, [])],
)
def test_only_what_is_served_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, images: dict[str, str], model: str, made: list[str]
) -> None:
    built: list[str] = []
    monkeypatch.setattr(sources.subprocess, "run", lambda command, check: built.append(command[1]))
    push, _ = sources.ollama_source(sources.OLLAMA_VERSIONS, images, model)
    there = tmp_path / "stand-in.gguf"
    there.touch()
    push["models"] = dict.fromkeys(push["models"], str(there))
    sources.make_stand_ins(push)
    assert built == made


class Answer(io.BytesIO):
    """What urlopen returns."""

    def __init__(self, body: bytes = b"", **headers: str) -> None:
        super().__init__(body)
        self.headers = Message()
        for name, value in headers.items():
            self.headers[name.replace("_", "-")] = value


def hub(answers: dict[str, Answer | Exception]) -> Any:
    """Return an urlopen that knows the answers for parts of addresses."""

    def urlopen(request: Request | str, timeout: float) -> Answer:
        assert timeout == sources.REACH_SECONDS
        address = request if isinstance(request, str) else request.full_url
        answer = next(answer for part, answer in answers.items() if part in address)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return urlopen


TOKEN = Answer(json.dumps({"token": "t"}).encode())
UNREACHABLE = URLError("no route to host")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # HTTP does not care about the case of a header's name, and hubs differ in it.
        ({"token": TOKEN, OLDER: Answer(docker_content_digest=DIGESTS[OLDER]),
          NEWEST: Answer(Docker_Content_Digest=DIGESTS[NEWEST])}, DIGESTS),
        ({"token": UNREACHABLE}, {}),
        ({"token": TimeoutError()}, {}),
        ({"token": Answer(b"<html>log in to the guest network</html>")}, {}),
        ({"token": Answer(b"{}")}, {}),
        ({"token": TOKEN, OLDER: UNREACHABLE}, {}),
        ({"token": TOKEN, OLDER: Answer()}, {}),
        ({"token": TOKEN, OLDER: HTTPError("", 429, "Too Many Requests", Message(), None)}, {}),
    ],
)  # fmt: skip
def test_docker_hub_is_used_only_when_it_has_all_digests(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer | Exception], expected: dict[str, str]
) -> None:
    TOKEN.seek(0)
    # `with` closes what it opened; the tables' answers are used again.
    monkeypatch.setattr(Answer, "__exit__", lambda *_: None)
    monkeypatch.setattr(sources.urllib.request, "urlopen", hub(answers))
    assert sources.docker_hub_digests(sources.OLLAMA_VERSIONS) == expected


def test_a_models_digest_is_that_of_its_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.urllib.request, "urlopen", hub({"library/phi3/manifests/mini": Answer(b"{}")}))
    expected = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert sources.ollama_model_digest() == expected
    monkeypatch.setattr(sources.urllib.request, "urlopen", hub({"": UNREACHABLE}))
    assert sources.ollama_model_digest() == ""


@pytest.mark.parametrize(("images", "model"), [(DIGESTS, MODEL), ({}, "")])
def test_the_demo_can_report_which(images: dict[str, str], model: str) -> None:
    push, _ = sources.ollama_source(sources.OLLAMA_VERSIONS, images, model)
    chosen = {"ollama": {"push": push}}
    described = (sources.describe_ollama_image(chosen), sources.describe_ollama_model(chosen))
    assert all("local registry" in text for text in described) is not bool(images)
    assert "phi3:mini" in described[1]


def test_models_that_see_are_always_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another revision would be another model on every device."""
    monkeypatch.setattr(sources, "CACHE", tmp_path)
    first = sources.vision_sources()
    assert {kind: source["repo"] for kind, source in first.items()} == sources.VISION_REPOS
    assert sources.vision_sources() == first
    assert len(list((tmp_path / "hub").glob("models--*/snapshots/*"))) == len(first)

"""What is wanted of an Ollama server, what must be done, and how pulls end."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf as gguf_library
import numpy as np
import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import prompt
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import (
    OllamaError,
    Server,
    Unanswered,
    url_problem,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    File,
    Held,
    Model,
    held_models,
    make_plan,
    normal_name,
    parse_manifest,
    parse_models,
    replaced_name,
    same_name,
    stored_form,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.prompt import ChatTemplate
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.transfer import (
    Bringer,
    PullState,
    drop_damaged,
    hopeless,
    missing_bytes,
    pull_stream,
)

DATA = Path(__file__).parent / "data"
VERSIONS = ("0.6.8", "0.17.4")
MANIFEST = (DATA / "manifest.json").read_bytes()
DIGEST = hashlib.sha256(MANIFEST).hexdigest()
SIZES = {str(file["digest"]): int(file["size"]) for file in parse_manifest(MANIFEST)}
PIN, OTHER, GGUF = "1" * 64, "2" * 64, "3" * 64
PULLED = {"name": "phi3:mini", "digest": f"sha256:{PIN}"}
FILE = {"name": "smol", "path": "/m/x.gguf", "sha256": GGUF}


def read_models(raw: Sequence[object]) -> tuple[list[Model], list[str]]:
    problems = Problems()
    return parse_models(raw, problems), problems.found


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("phi3", "phi3:latest"),
        ("phi3:mini", "phi3:mini"),
        ("library/phi3:mini", "phi3:mini"),
        ("registry.ollama.ai/library/phi3", "phi3:latest"),
        ("registry.ollama.ai/me/phi3", "me/phi3:latest"),
        ("me/phi3", "me/phi3:latest"),
        ("registry:5000/library/phi3", "registry:5000/library/phi3:latest"),
    ],
)
def test_names(name: str, normal: str) -> None:
    assert normal_name(name) == normal
    assert normal_name(normal) == normal
    assert same_name(name.upper(), normal)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"name": ""}, "models[0].name: is missing"),
        ({"name": "hf.co/org/repo"}, "prepare it with the model pipeline"),
        ({"name": "registry:5000/library/phi3"}, "give the host as `registry`"),
        ({"name": "phi 3"}, "is not a model name"),
        ({"name": "edge-slm-replaced/x"}, "take another one"),
        ({"digest": "sha256:12"}, "models[0].digest: must be the sha256 of the model's manifest"),
        ({"digest": ""}, "models[0].digest: must be"),
        ({"path": "/m/x.gguf"}, "has digest and path; give digest for a registry"),
        ({"registry": "https://x"}, "models[0].registry: 'https://x' is not a host"),
        ({"registry": "hf.co"}, "models[0].registry: 'hf.co/x/x': a model of Hugging Face"),
        ({"registry": "registry.ollama.ai/library"}, ""),
        ({"template": "x"}, "models[0].template: the pinned digest"),
        ({"digset": "x"}, "models[0].digset: is not known"),
        ({"aliases": "phi3"}, "models[0].aliases: is not a list"),
        ({"aliases": ["a b"]}, "models[0].aliases[0]: 'a b' is not a model name"),
        ({"aliases": ["phi3:mini"]}, "phi3:mini is a name of phi3:mini already"),
        ({"context": "many"}, "models[0].context: must be a whole number from 64 to 16777216; it is 'many'"),
        ({"context": 1}, "models[0].context: must be a whole number from 64 to 16777216; it is 1."),
    ],
)
def test_entries_of_a_registry(changes: dict[str, Any], expected: str) -> None:
    _models, problems = read_models([{**PULLED, **changes}])
    assert len(problems) == bool(expected), problems
    assert expected in "".join(problems)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"path": "x.gguf"}, "is not absolute"),
        ({"sha256": "abc"}, "models[0].sha256: must be the file's sha256"),
        ({"registry": "r:5000"}, "a file comes from no registry"),
        ({"parameters": {"temprature": 1}}, "models[0].parameters.temprature: is not known to Ollama"),
        ({"parameters": {"temperature": "warm"}}, "temperature: must be a number; it is 'warm'"),
        ({"parameters": {"top_k": 1.5}}, "it is 1.5"),
        ({"parameters": {"use_mmap": "perhaps"}}, "is not a boolean"),
        ({"parameters": {"seed": True}}, "it is True"),
        ({"parameters": [1]}, "models[0].parameters: is not a dictionary"),
        ({"context": 4096, "parameters": {"num_ctx": 2048}}, "differ; give one of them"),
        ({"projector": {"path": "/m/mmproj.gguf", "sha256": GGUF}}, ""),
        ({"projector": "/m/mmproj.gguf"}, "models[0].projector: is not a dictionary; give path and sha256"),
        ({"projector": {"path": "mmproj.gguf", "sha256": GGUF}}, "models[0].projector.path: 'mmproj.gguf' is not abs"),
        ({"projector": {"path": "/m/mmproj.gguf"}}, "models[0].projector.sha256: must be the file's sha256"),
        ({"projector": {"path": "/m", "sha256": GGUF, "url": "x"}}, "models[0].projector.url: is not known"),
    ],
)
def test_entries_of_a_file(changes: dict[str, Any], expected: str) -> None:
    _models, problems = read_models([{**FILE, **changes}])
    assert len(problems) == bool(expected), problems
    assert expected in "".join(problems)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"context": 2048, "parameters": {"temperature": 0}, "system": "Be brief."}, ""),
        ({"published": "../smol"}, "models[0].published: '../smol' is not a name of a model of model_pipeline"),
        ({"path": "/m/x.gguf", "sha256": GGUF}, "has path and published"),
        ({"digest": f"sha256:{PIN}"}, "has digest and published; give digest for a registry"),
        ({"registry": "r:5000"}, "models[0].registry: does not belong to a published model"),
        ({"sha256": GGUF}, "models[0].sha256: does not belong to a published model"),
        (
            {"projector": {"path": "/m/mmproj.gguf", "sha256": GGUF}},
            "models[0].projector: does not belong to a published model",
        ),
    ],
)
def test_entries_of_a_published_model(changes: dict[str, Any], expected: str) -> None:
    problems = Problems()
    parse_models([{"name": "smol", "published": "smol", **changes}], problems, published=True)
    assert len(problems.found) == bool(expected), problems.found
    assert expected in "".join(problems.found)


def test_a_published_model_gets_its_context() -> None:
    raw = [{"name": "smol", "published": "smollm2", "context": 2048}]
    (model,) = parse_models(raw, Problems(), published=True)
    assert (model.published, model.parameters) == ("smollm2", {"num_ctx": 2048})


def test_ollama_itself_knows_no_published_models() -> None:
    _models, problems = read_models([{"name": "smol", "published": "smol"}])
    assert any("models[0].published: is not known" in problem for problem in problems)


def test_damaged_models_are_brought_again() -> None:
    (model,), _problems = read_models([PULLED])
    held = {"phi3:mini": Held("phi3:mini", PIN, 1)}
    assert make_plan([model], held, {}, remove_others=False).bring == ()
    assert make_plan([model], held, {}, remove_others=False, damaged=["phi3:mini"]).bring == (model,)


def test_values_that_became_strings_are_cast() -> None:
    raw = {"temperature": "0.2", "num_gpu": "0", "use_mmap": "False", "stop": "<|end|>"}
    (model,), problems = read_models([{**FILE, "parameters": raw, "context": "4096"}])
    assert problems == []
    assert model.parameters == {
        "temperature": 0.2,
        "num_gpu": 0,
        "use_mmap": False,
        "stop": ["<|end|>"],
        "num_ctx": 4096,
    }
    assert model.create_request() == {
        "model": "smol:latest",
        "files": {"model.gguf": f"sha256:{GGUF}"},
        "parameters": dict(model.parameters),
    }


@pytest.mark.parametrize("stop", [True, 7, ["<|end|>", False]])
def test_a_stop_word_that_yaml_has_altered(stop: object) -> None:
    problems = Problems()
    parse_models([{"name": "m", "published": "m", "parameters": {"stop": stop}}], problems, published=True)
    assert "quote it" in problems.found[0]


def test_a_context_changes_no_model_of_a_registry() -> None:
    (model,), problems = read_models([{**PULLED, "context": 4096}])
    assert (problems, model.parameters) == ([], {})


def test_one_name_twice() -> None:
    _models, problems = read_models([PULLED, {**FILE, "aliases": ["PHI3:mini"]}])
    assert problems == ["models: PHI3:mini is a name of phi3:mini already; make each name unique."]


def test_names_in_registries() -> None:
    (own,), _ = read_models([{**PULLED, "registry": "registry:5000"}])
    assert (own.pull_name, own.repository, own.tag) == ("registry:5000/library/phi3:mini", "library/phi3", "mini")
    (plain,), _ = read_models([{**PULLED, "name": "me/phi3"}])
    assert (plain.pull_name, plain.repository) == ("me/phi3:latest", "me/phi3")
    assert replaced_name("me/phi3") == "edge-slm-replaced/me--phi3:latest"


def held(**digests: str) -> dict[str, Held]:
    return {name.replace("_", ":"): Held(name.replace("_", ":"), digest, 5) for name, digest in digests.items()}


def plan(raw: list[dict[str, Any]], have: dict[str, Held], record: dict[str, Any], others: bool = False) -> list[Any]:
    models, problems = read_models(raw)
    assert problems == []
    made = make_plan(models, have, record, others)
    return [[model.name for model in made.bring], list(made.copies), list(made.delete), list(made.unlisted)]


def inputs(raw: dict[str, Any]) -> str:
    return read_models([raw])[0][0].inputs


@pytest.mark.parametrize(
    ("raw", "have", "record", "expected"),
    [
        ([PULLED], {}, {}, [["phi3:mini"], [], [], []]),
        ([PULLED], held(phi3_mini=PIN), {}, [[], [], [], []]),
        ([PULLED], held(phi3_mini=OTHER), {}, [["phi3:mini"], [], [], []]),
        ([PULLED], held(phi3_mini=PIN, old_1=OTHER), {}, [[], [], [], ["old:1"]]),
        ([{**PULLED, "aliases": ["a"]}], held(phi3_mini=PIN), {}, [[], [("phi3:mini", "a:latest")], [], []]),
        ([{**PULLED, "aliases": ["a"]}], held(phi3_mini=PIN, a_latest=PIN), {}, [[], [], [], []]),
        (
            [{**PULLED, "aliases": ["a"]}],
            held(phi3_mini=PIN, a_latest=OTHER),
            {},
            [[], [("phi3:mini", "a:latest")], [], []],
        ),
        # A run was killed between its steps.
        (
            [{**PULLED, "registry": "r:5000"}],
            {**held(phi3_mini=PIN), "r:5000/library/phi3:mini": Held("r:5000/library/phi3:mini", PIN, 5)},
            {},
            [[], [], ["r:5000/library/phi3:mini"], []],
        ),
        (
            [PULLED],
            {**held(phi3_mini=PIN), "edge-slm-replaced/phi3:mini": Held("edge-slm-replaced/phi3:mini", OTHER, 5)},
            {},
            [[], [], ["edge-slm-replaced/phi3:mini"], []],
        ),
        # A file: by what it was made of, as recorded.
        ([FILE], held(smol_latest=PIN), {}, [["smol:latest"], [], [], []]),
        ([FILE], held(smol_latest=PIN), {"smol:latest": {"digest": PIN, "inputs": inputs(FILE)}}, [[], [], [], []]),
        (
            [{**FILE, "path": "/other/place.gguf"}],
            held(smol_latest=PIN),
            {"smol:latest": {"digest": PIN, "inputs": inputs(FILE)}},
            [[], [], [], []],
        ),
        (
            [{**FILE, "system": "Be brief."}],
            held(smol_latest=PIN),
            {"smol:latest": {"digest": PIN, "inputs": inputs(FILE)}},
            [["smol:latest"], [], [], []],
        ),
        (
            [FILE],
            held(smol_latest=OTHER),
            {"smol:latest": {"digest": PIN, "inputs": inputs(FILE)}},
            [["smol:latest"], [], [], []],
        ),
    ],
)
def test_plan(raw: list[dict[str, Any]], have: dict[str, Held], record: dict[str, Any], expected: list[Any]) -> None:
    assert plan(raw, have, record) == expected


def test_others_are_removed_only_on_request() -> None:
    have = held(phi3_mini=PIN, old_1=OTHER)
    assert plan([PULLED], have, {}, others=False)[2] == []
    assert plan([PULLED], have, {}, others=True)[2:] == [["old:1"], ["old:1"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_real_tags(version: str) -> None:
    tags = json.loads((DATA / version / "tags.json").read_text())["models"]
    assert held_models(tags) == {"phi3:mini": Held("phi3:mini", tags[0]["digest"], 98363007)}


def test_a_pushed_manifest_is_kept_as_it_is() -> None:
    assert stored_form(MANIFEST) == MANIFEST
    assert sum(SIZES.values()) == 98363007
    assert stored_form(json.dumps(json.loads(MANIFEST), indent=1).encode()) == MANIFEST


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"<html>", b'{"layers": [], "config": {}}', b'{"layers": [1]}'])
def test_what_is_not_a_manifest(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a manifest of a model"):
        parse_manifest(content)


def test_the_manifest_of_a_container_image() -> None:
    content = json.loads(MANIFEST)
    content["layers"] = [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": "x", "size": 1}]
    with pytest.raises(ValueError, match="something else than an Ollama model"):
        parse_manifest(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("write /m/blobs/x-partial: no space left on device", "the disk is full"),
        ("pull model manifest: file does not exist", "the registry does not have it"),
        ("digest mismatch, file must be downloaded again: want a, got b", "what came is not what the manifest names"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "of no CA"),
        ("max retries exceeded: EOF", ""),
        ("dial tcp 10.0.0.1:5000: connect: connection refused", ""),
    ],
)
def test_errors_that_another_attempt_does_not_cure(reason: str, meaning: str) -> None:
    assert meaning in hopeless(reason)
    assert bool(hopeless(reason)) == bool(meaning)


# What a server answers to one request: lines, and then an end in order (None), a cut, or nothing more.
Script = list[tuple[list[str], str]]


class Fake:
    """A server that plays recorded answers to /api/pull, one for each attempt, and serves one manifest."""

    def __init__(self) -> None:
        self.script: Script = []
        self.manifest = MANIFEST
        self.pulls = 0
        self.uploaded: list[bytes] = []
        self.names: dict[str, str] = {}
        self.calls: list[str] = []
        self.asked: dict[str, Any] = {}
        self.upload_status = 201
        self.has_blobs = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: Any) -> None:
                pass

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self) -> None:
                if self.path == "/v2/library/phi3/manifests/mini":
                    self.reply(200, fake.manifest)
                elif self.path == "/api/tags":
                    models = [{"name": name, "digest": digest, "size": 5} for name, digest in fake.names.items()]
                    self.reply(200, json.dumps({"models": models}).encode())
                else:
                    self.reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')

            def do_HEAD(self) -> None:
                self.reply(200 if fake.has_blobs else 404, b"")

            def do_DELETE(self) -> None:
                name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
                fake.calls.append(f"delete {name}")
                fake.names.pop(name, None)
                self.reply(200, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith("/api/blobs/"):
                    fake.uploaded.append(body)
                    self.reply(fake.upload_status, b'{"error": "write x: no space left on device"}')
                elif self.path == "/api/copy":
                    asked = json.loads(body)
                    fake.calls.append(f"copy {asked['source']} {asked['destination']}")
                    fake.names[asked["destination"]] = fake.names[asked["source"]]
                    self.reply(200, b"")
                else:
                    fake.asked = json.loads(body)
                    fake.calls.append(f"{self.path.removeprefix('/api/')} {fake.asked['model']}")
                    self.play()

            def play(self) -> None:
                lines, end = fake.script[min(fake.pulls, len(fake.script) - 1)]
                fake.pulls += 1
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in lines:
                    data = f"{line}\n".encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if end == "hang":
                    fake.released.wait(5)
                elif end == "cut":
                    self.wfile.write(b'1f\r\n{"status":"pulli')
                elif end == "end":
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

        self.released = threading.Event()
        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.httpd.server_port}"

    @property
    def server(self) -> Server:
        return Server(f"http://{self.address}")


@pytest.fixture
def fake() -> Iterator[Fake]:
    playing = Fake()
    yield playing
    playing.released.set()
    playing.httpd.shutdown()
    playing.httpd.server_close()


def recorded(version: str, name: str = "pull") -> list[str]:
    return (DATA / version / f"{name}.jsonl").read_text().splitlines()


BIG = max(SIZES, key=lambda digest: SIZES[digest])


def at(completed: int) -> str:
    return json.dumps({"status": "pulling", "digest": BIG, "total": SIZES[BIG], "completed": completed})


def pull(fake: Fake, limit: float = 60, seconds: float = 60) -> PullState:
    state = PullState(SIZES, limit, time.monotonic() + seconds)
    pull_stream(fake.server, "phi3:mini", False, state, lambda _done, _total: None, lambda _seconds: None)
    return state


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_pull(fake: Fake, version: str) -> None:
    fake.script = [(recorded(version), "end")]
    seen: list[tuple[int, int]] = []
    state = PullState(SIZES, 60, time.monotonic() + 60)
    pull_stream(fake.server, "phi3:mini", False, state, lambda *now: seen.append(now), lambda _seconds: None)
    assert (state.attempts, seen[-1][1]) == (1, 98363007)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_inside_a_200(fake: Fake, version: str) -> None:
    fake.script = [(recorded(version, "pull-missing"), "end")]
    with pytest.raises(OllamaError, match=r"the registry does not have it: /api/pull: pull model manifest.*HTTP 200"):
        pull(fake)
    assert fake.pulls == 1


@pytest.mark.parametrize("end", ["cut", "end", ""], ids=["within a line", "without success", "connection closed"])
def test_a_pull_that_breaks_is_taken_up_again(fake: Fake, end: str) -> None:
    broken = [(['{"status":"pulling manifest"}', at(step << 20)], end) for step in (10, 20, 30, 40, 50, 60, 70)]
    fake.script = [*broken, (recorded("0.17.4"), "end")]
    assert pull(fake).attempts == 8


def test_attempts_that_bring_nothing_end(fake: Fake) -> None:
    fake.script = [([at(40 << 20)], "cut"), (['{"error": "max retries exceeded: EOF"}'], "end")]
    with pytest.raises(OllamaError, match=r"5 attempts in a row brought nothing new: 40.0 MiB of 93.8 MiB .*EOF"):
        pull(fake)
    assert fake.pulls == 6


def test_a_restarted_server_may_have_lost_a_part(fake: Fake) -> None:
    fake.script = [([at(40 << 20)], "cut"), ([at(10 << 20)], "cut"), (recorded("0.6.8"), "end")]
    assert pull(fake).attempts == 3


@pytest.mark.parametrize("lines", [[at(5)], [at(5), at(6), at(7)]])
def test_a_silent_server_is_given_up(fake: Fake, lines: list[str]) -> None:
    fake.script = [(lines, "hang")]
    with pytest.raises(OllamaError, match=r"less than 1.0 MiB came within 0 s: .*93.8 MiB had come, in 1 attempts"):
        pull(fake, limit=0.3)


def test_the_time_is_up(fake: Fake) -> None:
    fake.script = [([at(5)], "hang")]
    with pytest.raises(OllamaError, match="the time is up"):
        pull(fake, seconds=0.3)


def test_drips_are_not_progress() -> None:
    clock = [0.0]
    state = PullState(SIZES, 100, 10_000, now=lambda: clock[0])
    state.begin()

    def drip() -> None:
        for step in range(10_000):
            clock[0] += 1
            state.see({"status": "pulling", "digest": BIG, "completed": step * 1000})

    with pytest.raises(OllamaError, match=r"less than 1.0 MiB came within 100 s"):
        drip()
    assert clock[0] < 110


def test_hashing_may_take_long() -> None:
    state = PullState(SIZES, 10, 5000, now=lambda: 0.0)
    assert state.patience({"status": "verifying sha256 digest"}) == 5000
    assert state.patience({"status": "pulling 00", "digest": "x"}) == 10


def test_no_server() -> None:
    with pytest.raises(Unanswered, match=r"/api/tags at http://127.0.0.1:1: .*refused"):
        Server("http://127.0.0.1:1").tags()


@pytest.mark.parametrize("url", ["", "127.0.0.1:11434", "ftp://x", "http://x:y", "http://x/v1"])
def test_urls_that_are_none(url: str) -> None:
    assert "write it like http://127.0.0.1:11435" in url_problem(url)


def bringer(fake: Fake, **changes: Any) -> Bringer:
    options: dict[str, Any] = {"access": Access(insecure=[fake.address]), "sleep": lambda _seconds: None, **changes}
    return Bringer(fake.server, **options)


def wanted(fake: Fake, digest: str = DIGEST) -> Model:
    return Model("phi3:mini", digest=digest, registry=fake.address)


def quiet(_done: int, _total: int) -> None:
    pass


def test_a_model_of_a_registry_gets_its_plain_name(fake: Fake) -> None:
    fake.script = [(recorded("0.17.4"), "end")]
    model = wanted(fake)
    fake.names = {model.pull_name: DIGEST}  # as after the pull
    assert bringer(fake).bring(model, {}, quiet).digest == DIGEST
    assert fake.calls == [f"pull {model.pull_name}", f"copy {model.pull_name} phi3:mini", f"delete {model.pull_name}"]


def test_the_old_model_keeps_its_files_until_the_new_one_is_there(fake: Fake) -> None:
    fake.script = [(recorded("0.17.4"), "end")]
    model = wanted(fake)
    fake.names = {"phi3:mini": OTHER, model.pull_name: DIGEST}
    bringer(fake).bring(model, held(phi3_mini=OTHER), quiet)
    assert fake.calls[0] == "copy phi3:mini edge-slm-replaced/phi3:mini"


def test_a_name_that_changes_while_it_is_pulled(fake: Fake) -> None:
    fake.script = [(recorded("0.17.4"), "end")]
    model = wanted(fake)
    fake.names = {"phi3:mini": PIN, model.pull_name: OTHER}
    with pytest.raises(OllamaError, match=f"has pulled sha256:{OTHER}, wanted is sha256:{DIGEST}"):
        bringer(fake).bring(model, {}, quiet)
    assert fake.names == {"phi3:mini": PIN}


@pytest.mark.parametrize(
    ("manifest", "digest", "expected"),
    [
        (MANIFEST, PIN, f"expected sha256:{PIN}, the registry has sha256:{DIGEST}; nothing was pulled"),
        (b"<html>", hashlib.sha256(b"<html>").hexdigest(), "it is not a manifest of a model"),
        (
            MANIFEST + b"\n",
            hashlib.sha256(MANIFEST + b"\n").hexdigest(),
            f"in another form, as sha256:{DIGEST}",
        ),
    ],
)
def test_nothing_is_pulled_where_the_manifest_is_wrong(fake: Fake, manifest: bytes, digest: str, expected: str) -> None:
    fake.manifest = manifest
    with pytest.raises(OllamaError, match=expected):
        bringer(fake).bring(wanted(fake, digest), {}, quiet)
    assert fake.calls == []


def test_a_manifest_that_is_not_there(fake: Fake) -> None:
    missing = Model("phi3:none", digest=DIGEST, registry=fake.address)
    with pytest.raises(OllamaError, match=f"the registry {fake.address} has no library/phi3:none"):
        bringer(fake).bring(missing, {}, quiet)
    assert fake.calls == []


#: The smallest file that is a model.
WORKS = (Path(__file__).resolve().parents[3] / "roles/llama_cpp/files/selftest.gguf").read_bytes()


def gguf(tmp_path: Path, content: bytes = WORKS, expected: bytes = WORKS) -> Model:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    return Model("smol:latest", path=str(path), sha256=hashlib.sha256(expected).hexdigest())


def test_a_file_is_uploaded_and_made_into_a_model(fake: Fake, tmp_path: Path) -> None:
    fake.script = [(['{"status":"parsing GGUF"}', '{"status":"success"}'], "end")]
    fake.names = {"smol:latest": OTHER}
    assert bringer(fake).bring(gguf(tmp_path), {}, quiet).digest == OTHER
    assert (fake.uploaded, fake.calls) == ([WORKS], ["create smol:latest"])
    assert list(fake.asked["files"]) == ["model.gguf"]


def projector(tmp_path: Path, architecture: str = "clip") -> File:
    """Write the smallest file of an architecture."""
    path = tmp_path / "mmproj.gguf"
    writer = gguf_library.GGUFWriter(path, architecture)
    writer.add_tensor("x", np.zeros(1, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return File(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_model_is_made_with_its_projector(fake: Fake, tmp_path: Path) -> None:
    fake.script = [(['{"status":"success"}'], "end")]
    fake.names = {"smol:latest": OTHER}
    blind, seeing = gguf(tmp_path), replace(gguf(tmp_path), projector=projector(tmp_path))
    assert bringer(fake).bring(seeing, {}, quiet).digest == OTHER
    assert [hashlib.sha256(content).hexdigest() for content in fake.uploaded] == [
        file.sha256 for file in seeing.files.values()
    ]
    assert fake.asked["files"] == {f"{kind}.gguf": file.digest for kind, file in seeing.files.items()}
    assert list(fake.asked["files"]) == ["model.gguf", "projector.gguf"]
    assert seeing.inputs != blind.inputs, "a model that gets a projector is made again"


@pytest.mark.parametrize("there", [False, True])
def test_a_file_that_is_no_projector_is_not_taken_for_one(fake: Fake, tmp_path: Path, there: bool) -> None:
    """Ollama would make a model of it, which answers and sees nothing: also where it has the file already."""
    fake.has_blobs = there
    model = replace(gguf(tmp_path), projector=projector(tmp_path, "llama"))
    with pytest.raises(DurableError, match="is not a projector"):
        bringer(fake).bring(model, {}, quiet)
    assert fake.calls == []


@pytest.mark.parametrize(
    ("own", "given", "template", "lost"),
    [
        (ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"), "", "{{ range ", ""),
        (ChatTemplate("{{ messages[0].content }}"), "", "", "cannot be carried over"),
        # The operator's own.
        (ChatTemplate("{{ messages[0].content }}"), "{{ .Prompt }}", "{{ .Prompt }}", ""),
        (None, "", "", ""),
        (GgufError("torn"), "", "", "its file cannot be read (torn)"),
    ],
)
def test_a_file_s_chat_template_is_carried_over(
    fake: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: ChatTemplate | GgufError | None,
    given: str,
    template: str,
    lost: str,
) -> None:
    def read_template(_path: str) -> ChatTemplate | None:
        if isinstance(own, GgufError):
            raise own
        return own

    monkeypatch.setattr(prompt, "read_template", read_template)
    fake.script = [(['{"status":"success"}'], "end")]
    fake.names = {"smol:latest": OTHER}
    bringing = bringer(fake)
    bringing.bring(replace(gguf(tmp_path), template=given), {}, quiet)
    assert fake.asked.get("template", "").startswith(template)
    assert bool(fake.asked.get("template")) == bool(template)
    assert lost in bringing.lost.get("smol:latest", "")
    assert bool(bringing.lost.get("smol:latest")) == bool(lost)


@pytest.mark.parametrize(
    "lines", [['{"error":"unsupported"}'], ['{"status":"parsing GGUF"}', '{"error":"unsupported"}']]
)
def test_a_file_that_is_not_a_model(fake: Fake, tmp_path: Path, lines: list[str]) -> None:
    fake.script = [(lines, "end")]
    with pytest.raises(OllamaError, match=r"Ollama does not make a model of .*unsupported"):
        bringer(fake).bring(gguf(tmp_path), {}, quiet)


def test_a_file_of_another_content(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(DurableError, match=r"expected sha256 [0-9a-f]{64}, found sha256 [0-9a-f]{64}"):
        bringer(fake).bring(gguf(tmp_path, b"else"), {}, quiet)


def test_a_file_that_cannot_serve_is_not_uploaded(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(DurableError, match="is not a GGUF file"):
        bringer(fake).bring(gguf(tmp_path, b"<html>", b"<html>"), {}, quiet)
    assert fake.calls == []


def test_a_disk_that_is_full(fake: Fake, tmp_path: Path) -> None:
    fake.upload_status = 500
    with pytest.raises(OllamaError, match=r"no space left on device \(HTTP 500\) \(it needs 0.1 MiB\); .* MiB free"):
        bringer(fake, models_dir=str(tmp_path)).bring(gguf(tmp_path), {}, quiet)


def test_a_model_that_does_not_fit_is_not_begun(fake: Fake, tmp_path: Path) -> None:
    content = json.loads(MANIFEST)
    content["layers"][0]["size"] = 1 << 50
    fake.manifest = json.dumps(content, separators=(",", ":")).encode()
    with pytest.raises(DurableError, match=r"disk too small for the model .*: 1073741824.0 MiB to write"):
        bringer(fake, models_dir=str(tmp_path)).bring(
            wanted(fake, hashlib.sha256(fake.manifest).hexdigest()), {}, quiet
        )
    assert fake.calls == []


def blob(models: Path, content: bytes, name: Callable[[str], str] = lambda digest: digest) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (models / "blobs").mkdir(exist_ok=True)
    (models / "blobs" / f"sha256-{name(digest)}").write_bytes(content)
    return f"sha256:{digest}"


def test_what_a_power_loss_damaged_is_dropped(tmp_path: Path) -> None:
    good, bad = blob(tmp_path, b"good"), blob(tmp_path, b"bad")
    (tmp_path / "blobs" / bad.replace(":", "-")).write_bytes(b"\0\0\0")
    assert drop_damaged(str(tmp_path), [good, bad, f"sha256:{PIN}"]) == [bad.replace(":", "-")]
    assert os.listdir(tmp_path / "blobs") == [good.replace(":", "-")]


def test_what_is_still_to_be_written(tmp_path: Path) -> None:
    there = blob(tmp_path, b"x" * 4096)
    half = blob(tmp_path, b"y" * 8192, lambda digest: f"{digest}-partial")
    sizes = {there: 4096, half: 100_000, f"sha256:{PIN}": 7}
    assert missing_bytes(str(tmp_path), sizes) == 100_000 - 8192 + 7

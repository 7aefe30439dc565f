"""Names of images, what registries answer, and what the stream of a pull reports."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.request import ProxyHandler

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import pull as jetson_pull
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import registry as registry_module
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import demultiplex
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import (
    Access,
    Credentials,
    Registry,
    RegistryError,
    is_loopback,
    parse_challenge,
    parse_image,
    pick_platform,
    proxies_for,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "name", "host", "repository"),
    [
        (f"ollama/ollama@{DIGEST}", "ollama/ollama", "registry-1.docker.io", "ollama/ollama"),
        (f"docker.io/ollama/ollama@{DIGEST}", "docker.io/ollama/ollama", "registry-1.docker.io", "ollama/ollama"),
        (f"alpine@{DIGEST}", "alpine", "registry-1.docker.io", "library/alpine"),
        (f"registry:5000/ollama/ollama@{DIGEST}", "registry:5000/ollama/ollama", "registry:5000", "ollama/ollama"),
        (f"localhost/ollama@{DIGEST}", "localhost/ollama", "localhost", "ollama"),
        # The tag beside a digest is for people.
        (f"dustynv/ollama:0.6.8-r36.4@{DIGEST}", "dustynv/ollama", "registry-1.docker.io", "dustynv/ollama"),
        (f"registry:5000/ollama:1@{DIGEST}", "registry:5000/ollama", "registry:5000", "ollama"),
    ],
)
def test_names_of_images(text: str, name: str, host: str, repository: str) -> None:
    image = parse_image(text)
    assert (image.name, image.host, image.repository, image.digest) == (name, host, repository, DIGEST)
    assert image.reference == f"{name}@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ollama/ollama:0.17.4", "has no digest, and tags move"),
        ("ollama/ollama", "imagetools inspect ollama/ollama"),
        ("", "has no digest"),
        ("ollama/ollama@sha256:12", "is not a digest"),
        (f"Ollama/Ollama@{DIGEST}", "is not an image name"),
    ],
)
def test_refused_names(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"digest|name") as error:
        parse_image(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost:5000", True), ("127.0.0.1:5000", True), ("localhost", True), ("registry:5000", False)],
)
def test_which_registry_is_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_login_for_the_engine() -> None:
    assert Credentials().for_engine("r") == ""
    decoded = json.loads(base64.urlsafe_b64decode(Credentials("u", "p").for_engine("r:5000")))
    assert decoded == {"username": "u", "password": "p", "serveraddress": "r:5000"}


def test_a_challenge() -> None:
    header = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"'
    scheme, given = parse_challenge(header)
    assert scheme == "bearer"
    assert given["realm"] == "https://auth.docker.io/token"
    assert given["scope"] == "repository:a/b:pull"


INDEX = {
    "manifests": [
        {"digest": "sha256:a", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:b", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": "sha256:c", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
}


def test_the_manifest_for_this_device() -> None:
    assert pick_platform(INDEX, "aarch64") == "sha256:b"
    assert pick_platform(INDEX, "x86_64") == "sha256:a"
    with pytest.raises(RegistryError, match="not made for linux/riscv64; it is for linux/amd64, linux/arm64"):
        pick_platform(INDEX, "riscv64")


MANIFEST = json.dumps(
    {
        "config": {"digest": "sha256:1", "size": 10},
        "layers": [{"digest": "sha256:2", "size": 100}, {"digest": "sha256:3", "size": 1000}],
    }
).encode()
TRUE = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
REAL_INDEX = json.dumps(
    {"manifests": [{"digest": TRUE, "platform": {"os": "linux", "architecture": "arm64"}}]}
).encode()
TRUE_INDEX = f"sha256:{hashlib.sha256(REAL_INDEX).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """A registry: `open/…` for anyone, `token/…` with a token, `basic/…` with a login."""

    def reply(self, status: int, body: bytes, challenge: str = "") -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        host = f"http://{self.headers['Host']}"
        if self.path.startswith("/auth"):
            self.reply(200, b'{"token": "t"}')
        elif "/token/" in self.path and given != "Bearer t":
            self.reply(401, b"", f'Bearer realm="{host}/auth",service="s"')
        elif "/basic/" in self.path and given != Credentials("u", "p").basic():
            self.reply(401, b"", 'Basic realm="r"')
        elif self.path.endswith(TRUE):
            self.reply(200, MANIFEST)
        elif self.path.endswith(TRUE_INDEX):
            self.reply(200, REAL_INDEX)
        elif self.path.endswith(DIGEST):
            self.reply(200, MANIFEST)
        else:
            self.reply(404, b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("repository", ["open/x", "token/x"])
@pytest.mark.parametrize("digest", [TRUE, TRUE_INDEX])
def test_sizes_before_a_pull(host: str, repository: str, digest: str) -> None:
    sizes = Registry(host).sizes(parse_image(f"{host}/{repository}@{digest}"), "aarch64")
    assert sum(sizes.values()) == 1110


def test_sizes_with_a_login(host: str) -> None:
    image = parse_image(f"{host}/basic/x@{TRUE}")
    assert Registry(host, Credentials("u", "p")).sizes(image, "x86_64")
    with pytest.raises(RegistryError, match="does not give basic/x to anyone without a login"):
        Registry(host).sizes(image, "x86_64")
    with pytest.raises(RegistryError, match="does not give basic/x to 'u'"):
        Registry(host, Credentials("u", "wrong")).sizes(image, "x86_64")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (f"open/x@{DIGEST}", f"gave {TRUE} where {DIGEST} was asked for"),
        ("open/x@sha256:" + "f" * 64, "has no open/x@sha256:ffff"),
    ],
)
def test_a_registry_that_is_wrong_or_lacks_something(host: str, reference: str, message: str) -> None:
    with pytest.raises(RegistryError, match="the registry") as error:
        Registry(host).sizes(parse_image(f"{host}/{reference}"), "x86_64")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("host", "environment", "expected"),
    [
        ("registry.lan", {}, {}),
        ("registry.lan", {"HTTPS_PROXY": "http://p:3128"}, {"https": "http://p:3128"}),
        ("registry.lan", {"https_proxy": "http://p:3128", "HTTP_PROXY": ""}, {"https": "http://p:3128"}),
        ("registry.lan:5000", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "localhost,.lan"}, {}),
        ("registry.lan", {"HTTPS_PROXY": "http://p:3128", "no_proxy": "registry.lan"}, {}),
        ("registry.lan", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, {}),
        ("registry.lan", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "other.lan"}, {"https": "http://p:3128"}),
    ],
)
def test_which_proxies_lead_to_a_registry(host: str, environment: dict[str, str], expected: dict[str, str]) -> None:
    assert proxies_for(host, environment) == expected


def test_a_registry_is_asked_through_its_proxy(host: str) -> None:
    """Here the proxy is the registry itself, which shows in that a name that nobody knows is answered."""
    registry = Registry("nobody.invalid", proxies={"http": f"http://{host}"}, insecure=True)
    assert registry.manifest("open/x", TRUE) == MANIFEST
    with pytest.raises(RegistryError, match=r"nobody\.invalid cannot be reached"):
        Registry("nobody.invalid", insecure=True).manifest("open/x", TRUE)


@pytest.mark.parametrize(
    ("access", "way"),
    [
        (Access(), ("https", {})),
        (Access({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.lan"}), ("https", {"https": "http://p:1"})),
        (Access(insecure=["a.lan:5000"]), ("http", {})),
        (Access(insecure=["b.lan"]), ("https", {})),
    ],
)
def test_one_way_to_a_registry(access: Access, way: tuple[str, dict[str, str]]) -> None:
    registry = access.registry("a.lan:5000")
    handlers = registry._opener.handlers  # type: ignore[attr-defined]  # typeshed leaves it out
    proxies = next((one.proxies for one in handlers if isinstance(one, ProxyHandler)), {})  # type: ignore[attr-defined]
    assert (registry._schemes[0], proxies) == way


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"LARGEST_MANIFEST": 8}, "which is not a manifest"),
        ({}, r"only \d+ bytes came within 0 s"),
    ],
)
def test_an_answer_that_is_no_manifest_is_given_up(
    host: str, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], message: str
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(registry_module, name, value)
    with pytest.raises(RegistryError, match=message):
        Registry(host, deadline=60 if limits else 0).manifest("open/x", TRUE)


def test_a_registry_that_is_down() -> None:
    with pytest.raises(RegistryError, match=r"the registry 127.0.0.1:9 cannot be reached: .*refused"):
        Registry("127.0.0.1:9").sizes(parse_image(f"127.0.0.1:9/x@{DIGEST}"), "x86_64")


#: Lines as dockerd streams them.
STREAM: list[dict[str, Any]] = [
    {"status": "Pulling from ollama/ollama", "id": "sha256:01"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "b25116998772"},
    {"status": "Downloading", "progressDetail": {"current": 540, "total": 5400}, "id": "b25116998772"},
    {"status": "Downloading", "progressDetail": {"current": 10, "total": 20}, "id": "c0"},
    {"status": "Download complete", "progressDetail": {}, "id": "c0"},
    {"status": "Extracting", "progressDetail": {"current": 1, "total": 20}, "id": "c0"},
]


def test_a_pull_is_followed() -> None:
    state = jetson_pull.PullState()
    for line in STREAM:
        state.take(line)
    assert state.done == 560
    assert state.note == "extracting"
    assert state.error == ""


@pytest.mark.parametrize(
    ("error", "again", "advice"),
    [
        ("unexpected EOF", True, "run the play again"),
        ("Get https://r/v2/: net/http: request canceled (Client.Timeout exceeded)", True, "run the play again"),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", False, "jetson_ollama_docker_data_root"),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            False,
            "jetson_ollama_registries",
        ),
        ("unauthorized: authentication required", False, "jetson_ollama_registry_username"),
        ("manifest unknown: manifest unknown", False, "jetson_ollama_image"),
    ],
)
def test_an_error_in_the_stream(error: str, again: bool, advice: str) -> None:
    state = jetson_pull.PullState()
    state.take({"errorDetail": {"message": error}, "error": error})
    assert state.error == error
    assert jetson_pull.is_worth_another_try(error) is again
    assert advice in jetson_pull.advice(error)


@pytest.mark.parametrize(("free", "fits"), [(4 << 30, True), (1 << 30, False)])
def test_the_disk_is_asked_first(free: int, fits: bool) -> None:
    problem = jetson_pull.disk_problem(1 << 30, free, "/var/lib/docker", "x@sha256:1")
    assert (problem == "") is fits
    if not fits:
        assert "1024.0 MiB to download, about 3648.0 MiB" in problem
        assert "/var/lib/docker has 1024.0 MiB free" in problem


def test_a_log_without_a_terminal() -> None:
    frames = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x03two"
    assert demultiplex(frames) == "onetwo"
    assert demultiplex(b"plain") == "plain"

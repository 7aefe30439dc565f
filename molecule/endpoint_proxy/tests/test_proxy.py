"""What the role endpoint_proxy guarantees, asked from outside with a client of each kind."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from devices import ADDRESSES, connect, wait_until
from openai import AuthenticationError, OpenAI, PermissionDeniedError

CONVERGE = Path(__file__).resolve().parents[1] / "converge.yml"
PORT = 11434
CHAT = "/api/chat"
MIB = 1 << 20

#: The scenario's keys, by name.
KEYS: dict[str, str] = {
    key["name"]: key["key"]
    for key in yaml.safe_load(CONVERGE.read_text())[0]["roles"][0]["vars"]["endpoint_proxy_api_keys"]
}


#: Where a real Ollama answers, and where the stand-in records what arrives.
OLLAMAS = ["jetson-01"]
RECORDERS = ["proxy-oldest"]


class Proxy:
    """One device and its proxy."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host: Any = connect(name)
        self.address = ADDRESSES[name]
        self.infer, self.admin = KEYS["chat"], KEYS["boss"]

    def ask(
        self, method: str, path: str, key: str = "", body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        """Ask once, with the path as it is; returns status, body and headers."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=60)
        try:
            return ask_on(connection, method, path, key, body, headers)
        finally:
            connection.close()

    def raw(self, request: bytes) -> tuple[int, str]:
        """Send bytes as they are; returns status and body."""
        with socket.create_connection((self.address, PORT), timeout=20) as client:
            client.sendall(request)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            return answer.status, answer.read().decode()

    def client(self, key: str) -> OpenAI:
        """Return the client that users have; it does not try again by itself."""
        return OpenAI(base_url=f"http://{self.address}:{PORT}/v1", api_key=key, max_retries=0)

    def recorded(self) -> list[dict[str, Any]]:
        """Return what the stand-in was asked through the proxy."""
        found: list[dict[str, Any]] = json.loads(self.ask("GET", "/recorded", self.admin)[1])
        return found

    def journal(self) -> str:
        """Return the proxy's log."""
        text: str = self.host.check_output("journalctl -u edge-slm-proxy --no-pager -o cat")
        return text


def ask_on(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    key: str = "",
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str, dict[str, str]]:
    """Ask on a connection that may be used again."""
    given = dict(headers or {})
    if key:
        given.setdefault("Authorization", f"Bearer {key}")
    data = json.dumps(body) if isinstance(body, (dict, list)) else body
    connection.request(method, path, data, given)
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


@pytest.fixture(scope="module", params=OLLAMAS + RECORDERS)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return Proxy(request.param)


@pytest.fixture(scope="module", params=RECORDERS)
def recorder(request: pytest.FixtureRequest) -> Proxy:
    return Proxy(request.param)


@pytest.fixture(scope="module", params=OLLAMAS)
def ollama(request: pytest.FixtureRequest) -> Proxy:
    return Proxy(request.param)


def play(proxy: Proxy, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the scenario's converge.yml again on one device, with other inputs."""
    return plays.play(CONVERGE, *options, limit=proxy.name, **variables)


@pytest.fixture
def changing(proxy: Proxy) -> Iterator[Proxy]:
    """Give a proxy whose inputs a test may change; afterwards they are the scenario's again."""
    yield proxy
    assert play(proxy).returncode == 0


# Who may do what


ODD_REQUESTS = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/api/version"),
    ("GET", "/api/tags"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
    ("GET", "/no-such-route"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/generate"),
    ("POST", "/api/pull"),
    ("DELETE", "/api/delete"),
    ("PUT", "/v1/models"),
    ("PATCH", "/healthz"),
    ("POST", "/healthz"),
    ("HEAD", "/healthz"),
    ("OPTIONS", "/v1/chat/completions"),
    ("TRACE", "/"),
    ("BREW", "/api/tags"),
    ("GET", "//v1/models"),
    ("GET", "/healthz/"),
    ("GET", "/healthz."),
    ("GET", "/HEALTHZ"),
    ("GET", "/%2e/healthz"),
    ("GET", "/healthz/../v1/models"),
    ("GET", "/healthz%2f..%2fv1%2fmodels"),
    ("GET", "/healthz;/v1/models"),
    ("GET", "//healthz"),
    ("GET", "http://127.0.0.1:11435/v1/models"),
    ("GET", "http://healthz/v1/models"),
]


@pytest.mark.parametrize(("method", "path"), ODD_REQUESTS, ids=lambda part: part)
def test_without_a_key_every_route_is_401(proxy: Proxy, method: str, path: str) -> None:
    status, body, headers = proxy.ask(method, path)
    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert headers["content-type"] == "application/json"
    if method != "HEAD":
        assert json.loads(body)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        b"GET /api/tags HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        b"GET /api/tags HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        b"CONNECT 127.0.0.1:11435 HTTP/1.1\r\nHost: 127.0.0.1:11435\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
    ids=["http/1.0", "websocket", "h2c", "connect", "asterisk"],
)
def test_without_a_key_every_way_is_401(proxy: Proxy, request_bytes: bytes) -> None:
    assert proxy.raw(request_bytes)[0] == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "{key}",
        "Basic {key}",
        "Bearer {key} {key}",
        "Bearer{key}",
        "Bearer {key}x",
        "Bearer {KEY}",
    ],
)
def test_what_is_not_quite_a_key_is_401(proxy: Proxy, header: str) -> None:
    value = header.format(key=proxy.infer, KEY=proxy.infer.upper())
    assert proxy.ask("GET", "/v1/models", headers={"Authorization": value})[0] == 401


def test_two_keys_at_once_are_401(proxy: Proxy) -> None:
    line = f"Authorization: Bearer {proxy.infer}\r\n".encode()
    assert proxy.raw(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + line + b"\r\n")[0] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("x-api-key", "{key}")], 200),
        ([("X-API-KEY", "{key}")], 200),
        ([("x-api-key", "{key}x")], 401),
        ([("x-api-key", "Bearer {key}")], 401),
        ([("x-api-key", "")], 401),
        ([("x-api-key", "{key}"), ("x-api-key", "{key}")], 401),
        # Where there is an Authorization it counts alone, as with llama-server.
        ([("x-api-key", "{key}"), ("Authorization", "Bearer {key}")], 200),
        ([("x-api-key", "{key}"), ("Authorization", "Bearer no-key-of-this-endpoint")], 401),
        ([("x-api-key", "{key}"), ("Authorization", "Basic {key}")], 401),
    ],
)
def test_x_api_key_opens_as_authorization_does(proxy: Proxy, headers: list[tuple[str, str]], status: int) -> None:
    lines = "".join(f"{name}: {value.format(key=proxy.infer)}\r\n" for name, value in headers)
    head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
    assert proxy.raw(head.encode())[0] == status


def test_x_api_key_has_the_scope_of_its_key(recorder: Proxy) -> None:
    """As Anthropic's clients send it."""
    given = {"x-api-key": recorder.infer, "anthropic-version": "2023-06-01"}
    assert recorder.ask("POST", "/v1/messages", body="{}", headers=given)[0] == 200
    assert {"x-api-key", "authorization"}.isdisjoint(recorder.recorded()[-1]["headers"])
    assert recorder.ask("POST", "/api/pull", body="{}", headers=given)[0] == 403
    assert recorder.ask("POST", "/api/pull", body="{}", headers={"x-api-key": recorder.admin})[0] == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_schemes_case_does_not_matter(proxy: Proxy, scheme: str) -> None:
    assert proxy.ask("GET", "/v1/models", headers={"Authorization": f"{scheme} {proxy.infer}"})[0] == 200


def test_health_is_open(proxy: Proxy) -> None:
    status, body, _ = proxy.ask("GET", "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("HEAD", "/api/blobs/sha256:0"),
        ("POST", "/api/blobs/sha256:0"),
        ("GET", "/metrics"),
        ("GET", "/no-such-route"),
        ("GET", "/v1/models/../../api/delete"),
        ("GET", "/v1/models/%2e%2e/x"),
        ("GET", "/v1/models/a/b"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1/chat/completions/../../../api/pull"),
        ("POST", "/V1/chat/completions"),
        ("DELETE", "/v1/models/phi3:mini"),
        ("POST", "http://127.0.0.1/api/pull"),
    ],
)
def test_an_infer_key_may_only_ask_models(proxy: Proxy, method: str, path: str) -> None:
    status, body, _ = proxy.ask(method, path, proxy.infer, "{}" if method == "POST" else None)
    assert status == 403
    if method != "HEAD":
        assert json.loads(body)["error"]["code"] == "insufficient_permissions"


@pytest.mark.parametrize(
    "route",
    [
        "POST /v1/chat/completions",
        "POST /v1/completions",
        "POST /v1/embeddings",
        "POST /v1/messages",
        "POST /v1/responses",
        "POST /api/chat",
        "POST /api/generate",
        "POST /api/embed",
        "POST /api/embeddings",
        "POST /api/show",
        "GET /",
        "HEAD /",
        "GET /v1/models",
        "GET /v1/models/phi3:mini",
        "GET /api/tags",
        "GET /api/ps",
        "GET /api/version",
    ],
)
def test_an_infer_key_reaches_what_asks_models(recorder: Proxy, route: str) -> None:
    method, path = route.split()
    status = recorder.ask(method, path, recorder.infer, "{}" if method == "POST" else None)[0]
    assert status == 200
    assert (recorder.recorded()[-1]["method"], recorder.recorded()[-1]["path"]) == (method, path)


def test_an_admin_key_reaches_everything(recorder: Proxy) -> None:
    for method, path in [("POST", "/api/pull"), ("DELETE", "/api/delete"), ("PUT", "/no/such/route")]:
        assert recorder.ask(method, path, recorder.admin, "{}")[0] == 200
        assert recorder.recorded()[-1]["path"] == path


def test_ollama_sees_no_key_no_origin_and_no_false_address(recorder: Proxy) -> None:
    given = {"Origin": "https://evil.example", "X-Forwarded-For": "10.9.8.7", "Host": "evil.example"}
    assert recorder.ask("GET", "http://evil.example/v1/models?a=1", recorder.infer, headers=given)[0] == 200
    last = recorder.recorded()[-1]
    assert last["path"] == "/v1/models?a=1"
    assert last["headers"]["host"] == "127.0.0.1:11435"
    assert "10.9.8.7" not in last["headers"]["x-forwarded-for"]
    assert {"authorization", "origin"}.isdisjoint(last["headers"])


def test_a_web_page_may_ask_only_from_a_given_origin(proxy: Proxy) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, _, headers = proxy.ask("OPTIONS", "/v1/chat/completions", headers={"Origin": "https://chat.lan", **asks})
    assert status == 204
    assert headers["access-control-allow-origin"] == "https://chat.lan"
    assert headers["access-control-allow-headers"] == "authorization,content-type"
    assert proxy.ask("OPTIONS", "/v1/chat/completions", headers={"Origin": "https://evil.lan", **asks})[0] == 401
    _, _, headers = proxy.ask("GET", "/v1/models", proxy.infer, headers={"Origin": "https://chat.lan"})
    assert headers["access-control-allow-origin"] == "https://chat.lan"
    status, _, headers = proxy.ask("GET", "/v1/models", proxy.infer, headers={"Origin": "https://evil.lan"})
    assert "access-control-allow-origin" not in headers


# With a real Ollama


def test_the_openai_client_answers_and_streams(ollama: Proxy) -> None:
    client = ollama.client(ollama.infer)
    model = client.models.list().data[0].id
    assert client.models.retrieve(model).id == model
    messages: list[Any] = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    whole = client.chat.completions.create(model=model, messages=messages, max_tokens=8, temperature=0)
    assert whole.choices[0].message.content
    stream = client.chat.completions.create(model=model, messages=messages, max_tokens=8, temperature=0, stream=True)
    assert len([chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content]) > 1


def test_the_openai_client_understands_refusals(ollama: Proxy) -> None:
    with pytest.raises(AuthenticationError, match="A right API key is needed"):
        ollama.client("not-a-key-of-this-endpoint").models.list()
    with pytest.raises(PermissionDeniedError, match="may only ask models"):
        ollama.client(ollama.infer).models.delete("phi3:mini")


# Limits


def test_a_large_body_is_413_and_one_in_chunks_411(proxy: Proxy) -> None:
    expect = {"Expect": "100-continue", "Content-Length": str(MIB + 1)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in expect.items())
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {proxy.infer}\r\n"
    status, body = proxy.raw(f"{head}{lines}\r\n".encode())
    assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")
    assert proxy.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())[0] == 411


def test_an_admin_may_upload_in_chunks(recorder: Proxy) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * MIB

    assert recorder.ask("POST", "/api/blobs/sha256:1", recorder.admin, pieces())[0] == 200
    assert recorder.recorded()[-1]["body"] == 3 * MIB


@pytest.mark.parametrize(
    ("clients", "seconds", "answered"),
    [
        pytest.param(8, 1.5, 8, id="four wait for the first four"),
        pytest.param(11, 1.5, 8, id="more than may wait"),
        pytest.param(8, 6, 4, id="longer than they may wait"),
    ],
)
def test_more_at_a_time_than_can_be_worked_on_wait_for_their_turn(
    recorder: Proxy, clients: int, seconds: float, answered: int
) -> None:
    body = {"lines": 1, "gap": seconds}
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(recorder.ask, "POST", CHAT, recorder.infer, body) for _ in range(clients)]
        # The other key has its own places.
        assert recorder.ask("GET", "/api/tags", recorder.admin)[0] == 200
        answers = [one.result() for one in asked]
    assert sorted(status for status, _, _ in answers) == [200] * answered + [429] * (clients - answered)
    for _, text, headers in (answer for answer in answers if answer[0] == 429):
        assert headers["retry-after"] == "2"
        assert json.loads(text)["error"]["type"] == "requests"


def test_slow_headers_are_cut_off(proxy: Proxy) -> None:
    began = time.monotonic()
    with socket.create_connection((proxy.address, PORT), timeout=20) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n")
        for number in range(20):
            time.sleep(0.5)
            try:
                client.sendall(f"X-Slow-{number}: x\r\n".encode())
            except OSError:
                break
            client.setblocking(False)
            try:
                if client.recv(65536).startswith(b"HTTP/1.1 408"):
                    break
            except BlockingIOError:
                pass
            finally:
                client.setblocking(True)
    assert time.monotonic() - began < 6


def test_a_long_silence_is_not_cut_off(recorder: Proxy) -> None:
    """Longer than the client may be silent (30 s): while Ollama thinks, it has nothing to say."""
    status, body, _ = recorder.ask("POST", CHAT, recorder.infer, {"think": 33, "lines": 2})
    assert (status, len(body.splitlines())) == (200, 2)


def test_tokens_pass_when_they_are_made(recorder: Proxy) -> None:
    connection = http.client.HTTPConnection(recorder.address, PORT, timeout=30)
    connection.request(
        "POST", CHAT, json.dumps({"lines": 5, "gap": 0.5}), {"Authorization": f"Bearer {recorder.infer}"}
    )
    answer = connection.getresponse()
    began = time.monotonic()
    seen = []
    while answer.readline():
        seen.append(time.monotonic() - began)
    assert len(seen) == 5
    for number, at in enumerate(seen):
        assert abs(at - seen[0] - number * 0.5) < 0.25


# What is left on the device


def test_no_key_is_on_the_device(proxy: Proxy) -> None:
    for key in (proxy.infer, proxy.admin):
        assert proxy.host.run(f"grep -rlF -D skip {key} /etc /var/lib /home /root/.ansible").stdout == ""
        assert key not in proxy.journal()
        assert key not in proxy.host.check_output("ps -ef")
    file = proxy.host.file("/etc/edge-slm/proxy/keys.map")
    assert (file.user, file.group, file.mode) == ("root", "edge-slm-proxy", 0o640)
    assert re.fullmatch(r"([0-9A-F]{64} (infer/chat|admin/boss)\n?){2}", file.content_string)


def test_each_request_is_logged_by_its_keys_name(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/v1/models?secret=1", proxy.infer)[0] == 200
    assert proxy.ask("GET", "/log-me")[0] == 401
    # The proxy writes when it has answered, and the journal when it has read.
    for line in (
        r"^key=chat status=200 method=GET path=/v1/models first_byte_ms=\d+ total_ms=\d+",
        r"^key=- status=401 method=GET path=/log-me ",
    ):
        wait_until(lambda line=line: bool(re.search(line, proxy.journal(), re.M)), f"the journal has {line}", 20)
    journal = proxy.journal()
    assert "secret=1" not in journal
    assert not [line for line in journal.splitlines() if "path=/healthz" in line and "status=200" in line]


def test_metrics_distinguish_keys(proxy: Proxy) -> None:
    def count(name: str, code: str) -> int:
        text = proxy.ask("GET", "/metrics", proxy.admin)[1]
        pattern = rf'^haproxy_backend_http_responses_total{{proxy="key-{name}",code="{code}"}} (\d+)'
        found = re.search(pattern, text, re.M)
        assert found
        return int(found.group(1))

    before = count("chat", "2xx"), count("chat", "4xx"), count("boss", "4xx")
    proxy.ask("GET", "/v1/models", proxy.infer)
    proxy.ask("POST", "/api/pull", proxy.infer, "{}")
    assert (count("chat", "2xx"), count("chat", "4xx"), count("boss", "4xx")) == (
        before[0] + 1,
        before[1] + 1,
        before[2],
    )


def test_it_is_hardened_and_starts_at_boot(proxy: Proxy) -> None:
    assert proxy.host.service("edge-slm-proxy").is_running
    assert proxy.host.service("edge-slm-proxy").is_enabled
    assert not proxy.host.service("haproxy").is_enabled
    assert not proxy.host.service("haproxy").is_running
    assert proxy.host.run("systemctl --failed --no-legend").stdout == ""
    report = proxy.host.check_output("systemd-analyze security --no-pager edge-slm-proxy")
    found = re.search(r"exposure level for \S+: ([\d.]+)", report)
    assert found
    assert float(found.group(1)) <= 1.2
    pid = proxy.host.check_output("systemctl show -p MainPID --value edge-slm-proxy")
    assert proxy.host.check_output(f"stat -c %U /proc/{pid}") == "edge-slm-proxy"


# Change while it serves


def keys(**pairs: str) -> list[dict[str, str]]:
    """Return a list of keys; the name `boss` has the scope admin."""
    return [{"name": name, "key": key, "scope": "admin" if name == "boss" else "infer"} for name, key in pairs.items()]


def test_rotation_overlaps_and_revocation_reaches_open_connections(changing: Proxy) -> None:
    proxy, new = changing, "new-key-of-the-rotation-0001"
    both = keys(chat=proxy.infer, chat2=new, boss=proxy.admin)
    assert play(proxy, endpoint_proxy_api_keys=both).returncode == 0
    assert [proxy.ask("GET", "/v1/models", key)[0] for key in (proxy.infer, new)] == [200, 200]
    opened = []
    for _ in range(3):
        connection = http.client.HTTPConnection(proxy.address, PORT, timeout=60)
        assert ask_on(connection, "GET", "/v1/models", proxy.infer)[0] == 200
        opened.append(connection)
    # All of them idle for now, the connections stay open; one thread asks on and on with the key that stays.
    statuses: list[int] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            statuses.append(proxy.ask("GET", "/v1/models", new)[0])
            time.sleep(0.2)  # within the limit of a minute

    thread = threading.Thread(target=go_on)
    thread.start()
    done = play(proxy, endpoint_proxy_api_keys=keys(chat2=new, boss=proxy.admin))
    for connection in opened:
        try:
            assert ask_on(connection, "GET", "/v1/models", proxy.infer)[0] == 401
        except (http.client.HTTPException, OSError):  # closed by the reload: nothing is answered at all
            connection.close()
            assert ask_on(connection, "GET", "/v1/models", proxy.infer)[0] == 401
    stop.set()
    thread.join()
    assert done.returncode == 0, done.stdout
    assert set(statuses) == {200}
    assert proxy.ask("GET", "/v1/models", proxy.infer)[0] == 401


def test_a_stream_outlives_a_reload_but_its_key_does_not(recorder: Proxy) -> None:
    """The old worker ends the answer that it is in; the next request on that very connection is refused."""
    connection = http.client.HTTPConnection(recorder.address, PORT, timeout=60)
    try:
        head = {"Authorization": f"Bearer {recorder.infer}"}
        connection.request("POST", CHAT, json.dumps({"lines": 20, "gap": 1}), head)
        answer = connection.getresponse()
        assert answer.readline()
        played = play(recorder, endpoint_proxy_api_keys=keys(boss=recorder.admin))
        assert played.returncode == 0, played.stdout
        assert len(answer.read().splitlines()) == 19
        try:
            status = ask_on(connection, "GET", "/v1/models", recorder.infer)[0]
        except (http.client.HTTPException, OSError):
            status = 401  # the connection is gone with the answer
        assert status == 401
    finally:
        connection.close()
        assert play(recorder).returncode == 0


def test_too_many_a_minute_are_429(changing: Proxy) -> None:
    assert play(changing, endpoint_proxy_key_requests_per_minute=5).returncode == 0
    answers = [changing.ask("GET", "/v1/models", changing.infer) for _ in range(10)]
    assert answers[-1][0] == 429
    assert answers[-1][2]["retry-after"] == "10"
    assert changing.ask("GET", "/v1/models", changing.admin)[0] == 200


# TLS


def make_certificate(path: Path, days: int = 30) -> None:
    """Make PATH.pem and PATH.key for the loopback addresses of the test fleet; ended with negative days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "endpoint-proxy-test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.with_suffix(".pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def place(proxy: Proxy, file: Path) -> None:
    """Put a file into /etc/edge-slm/test-tls on the device."""
    text = base64.b64encode(file.read_bytes()).decode()
    proxy.host.check_output(
        f"mkdir -p /etc/edge-slm/test-tls && echo {text} | base64 -d > /etc/edge-slm/test-tls/{file.name}"
    )


def served(proxy: Proxy, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[bytes, str]:
    """Return the certificate that is served, and the version that was agreed on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    with socket.create_connection((proxy.address, PORT), timeout=10) as plain, context.wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True) or b"", secure.version() or ""


def master(proxy: Proxy) -> str:
    """Return the process that a restart, but no reload, would change."""
    pid: str = proxy.host.check_output("systemctl show -p MainPID --value edge-slm-proxy")
    return pid


def test_tls_is_served_renewed_and_refused_when_bad(changing: Proxy, tmp_path: Path) -> None:
    proxy, where = changing, "/etc/edge-slm/test-tls"
    tls = {"endpoint_proxy_tls_certificate": f"{where}/one.pem", "endpoint_proxy_tls_key": f"{where}/one.key"}
    for name, days in (("one", 30), ("two", 30), ("ended", -1)):
        make_certificate(tmp_path / name, days)
        for suffix in (".pem", ".key"):
            place(proxy, (tmp_path / name).with_suffix(suffix))
    try:
        done = play(proxy, **tls)
        assert done.returncode == 0, done.stdout
        before, version = served(proxy)
        assert version == "TLSv1.3"
        assert served(proxy, ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
        assert before == ssl.PEM_cert_to_DER_cert((tmp_path / "one.pem").read_text())
        file = proxy.host.file("/etc/edge-slm/proxy/tls.pem")
        assert (file.user, file.group, file.mode) == ("root", "edge-slm-proxy", 0o640)
        assert "changed=0" in play(proxy, **tls).stdout
        # Renewed under the same name: a reload takes it up.
        process = master(proxy)
        for suffix in (".pem", ".key"):
            (tmp_path / "two").with_suffix(suffix).rename((tmp_path / "one").with_suffix(suffix))
            place(proxy, (tmp_path / "one").with_suffix(suffix))
        assert play(proxy, **tls).returncode == 0
        renewed = served(proxy)[0]
        assert renewed == ssl.PEM_cert_to_DER_cert((tmp_path / "one.pem").read_text())
        assert renewed != before
        assert master(proxy) == process
        # What cannot work is refused, and the old one goes on.
        for pem, key, message in (
            ("one", "ended", "does not belong"),
            ("ended", "ended", "expired"),
            ("none", "one", "is missing or empty"),
        ):
            bad = {
                "endpoint_proxy_tls_certificate": f"{where}/{pem}.pem",
                "endpoint_proxy_tls_key": f"{where}/{key}.key",
            }
            refused = play(proxy, **bad)
            assert refused.returncode != 0
            assert message in plays.printed_by(refused)
            assert "endpoint_proxy_tls_certificate" in refused.stdout
            assert "changed=0" in refused.stdout
            assert served(proxy)[0] == renewed
        proxy.host.check_output("rm -rf /etc/edge-slm/test-tls")
    finally:
        assert play(proxy).returncode == 0
    assert not proxy.host.file("/etc/edge-slm/proxy/tls.pem").exists
    assert proxy.ask("GET", "/healthz")[0] == 200


# Bad input and breakage


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"endpoint_proxy_api_keys": []}, "endpoint_proxy_api_keys: is empty"),
        ({"endpoint_proxy_api_keys": [{"name": "a", "key": "short"}]}, "the key has 5 characters"),
        ({"endpoint_proxy_api_keys": keys(a="k" * 20, b="k" * 20)}, "2 entries share one key"),
        ({"endpoint_proxy_api_keys": [{"name": "a b", "key": "k" * 20}]}, "cannot name a key"),
        ({"endpoint_proxy_backend_port": PORT}, "the proxy would ask itself"),
        ({"endpoint_proxy_port": 22}, "endpoint_proxy_port: must be a whole number from 1024"),
        ({"endpoint_proxy_port": 11435}, "the proxy would ask itself"),
        ({"endpoint_proxy_tls_key": "/x.key"}, "endpoint_proxy_tls_certificate: is missing"),
        (
            {"endpoint_proxy_allowed_cidrs": ["nonsense"]},
            "endpoint_proxy_allowed_cidrs[0]: 'nonsense' is not a",
        ),
        ({"endpoint_proxy_allowed_cidrs": []}, "endpoint_proxy_allowed_cidrs: is empty"),
        ({"endpoint_proxy_allowed_cidrs": "10.0.0.0/8"}, "endpoint_proxy_allowed_cidrs: is not a list"),
        ({"endpoint_proxy_prot": 1}, "endpoint_proxy_prot"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_bad_input_is_refused_before_any_change(recorder: Proxy, inputs: dict[str, Any], message: str) -> None:
    done = play(recorder, **inputs)
    assert done.returncode != 0
    assert message in plays.printed_by(done)
    assert "changed=0" in done.stdout
    assert recorder.ask("GET", "/v1/models", recorder.infer)[0] == 200


def test_a_taken_port_is_refused_with_its_owner(proxy: Proxy) -> None:
    proxy.host.check_output(
        "systemd-run --quiet --unit=port-thief python3 -m http.server --bind 127.0.0.1 12345 && sleep 1"
    )
    try:
        done = play(proxy, endpoint_proxy_port=12345)
        assert done.returncode != 0
        assert "port 12345 is taken by python3" in plays.printed_by(done)
        assert "changed=0" in done.stdout
    finally:
        proxy.host.check_output("systemctl stop port-thief")
    assert proxy.ask("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        plays.task("Write keys, certificate, configuration and unit"),
        plays.task("Start the proxy, or reload it where it runs with older files"),
        plays.task("Wait until its backend answers through the proxy"),
    ],
)
def test_a_killed_play_is_completed_by_the_next(changing: Proxy, name: str) -> None:
    proxy, new = changing, "new-key-after-the-kill-0001"
    wanted = {"endpoint_proxy_api_keys": keys(chat2=new, boss=proxy.admin)}
    # Each task's work takes a moment: what can be distinguished is what is between them.
    plays.kill_before(name, CONVERGE, limit=proxy.name, **wanted)
    # Whatever is there now serves: the old keys or the new ones, never none.
    assert 200 in {proxy.ask("GET", "/v1/models", key)[0] for key in (proxy.infer, new)}
    done = play(proxy, **wanted)
    assert done.returncode == 0, done.stdout
    assert proxy.ask("GET", "/v1/models", new)[0] == 200
    assert proxy.ask("GET", "/v1/models", proxy.infer)[0] == 401
    assert "changed=0" in play(proxy, **wanted).stdout


UNIT_FILE = "/etc/systemd/system/edge-slm-proxy.service"


@pytest.mark.parametrize(
    ("drift", "sentence"),
    [
        ("systemctl stop edge-slm-proxy", "unit edge-slm-proxy.service: is inactive"),
        ("systemctl disable edge-slm-proxy", "unit edge-slm-proxy.service: is not enabled"),
        (
            f"rm {UNIT_FILE} && ln -s /dev/null {UNIT_FILE} && systemctl daemon-reload",
            "unit edge-slm-proxy.service: is masked",
        ),
        # Loaded, too, with the digest of the old one in it.
        (
            "sed -i 's/nbthread 2/nbthread 1/' /etc/edge-slm/proxy/haproxy.cfg && systemctl reload edge-slm-proxy",
            "file /etc/edge-slm/proxy/haproxy.cfg: its text differs",
        ),
        ("chmod 0644 /etc/edge-slm/proxy/keys.map", "file /etc/edge-slm/proxy/keys.map: its mode is 0644, not 0640"),
        ("chmod 0777 /etc/edge-slm/proxy", "directory /etc/edge-slm/proxy: its mode is 0777, not 0750"),
        ("rm /etc/edge-slm/proxy/keys.map", "file /etc/edge-slm/proxy/keys.map: is missing"),
    ],
    ids=["stopped", "disabled", "masked", "edited and loaded", "file mode", "directory mode", "removed"],
)
def test_drift_is_reported_in_a_sentence_and_fixed(proxy: Proxy, drift: str, sentence: str) -> None:
    proxy.host.check_output(drift)
    fixed = play(proxy, "-v")
    assert fixed.returncode == 0, fixed.stdout
    assert f"pending: - '{sentence}' refusals:" in plays.printed_by(fixed)
    assert "changed=0" in play(proxy).stdout
    wait_for_health(proxy, 200)
    assert "nbthread 2" in proxy.host.check_output("cat /etc/edge-slm/proxy/haproxy.cfg")
    assert proxy.host.file("/dev/null").mode == 0o666


def wait_for_health(proxy: Proxy, wanted: int) -> None:
    """Wait until the health route answers with a status; no answer at all is none."""

    def answers() -> bool:
        with suppress(OSError):
            return proxy.ask("GET", "/healthz")[0] == wanted
        return False

    wait_until(answers, f"its health is {wanted}", 30)


def test_a_killed_worker_comes_back(proxy: Proxy) -> None:
    proxy.host.check_output("pkill -KILL -u edge-slm-proxy haproxy")
    wait_for_health(proxy, 200)


def test_health_follows_ollama(recorder: Proxy) -> None:
    recorder.host.check_output("systemctl stop recording-stand-in")
    try:
        wait_for_health(recorder, 503)
        status, body, _ = recorder.ask("GET", "/v1/models", recorder.infer)
        assert (status, json.loads(body)["error"]["code"]) == (503, "service_unavailable")
        assert recorder.ask("GET", "/v1/models")[0] == 401
    finally:
        recorder.host.check_output("systemctl start recording-stand-in")
    wait_for_health(recorder, 200)


def test_a_users_own_haproxy_is_left_alone(recorder: Proxy) -> None:
    lines = ["defaults", "mode http", *(f"timeout {side} 5s" for side in ("connect", "client", "server"))]
    own = "\\n".join([*lines, "listen mine", "bind 127.0.0.1:12346", ""])
    recorder.host.check_output(
        f"cp -p /etc/haproxy/haproxy.cfg /root/kept.cfg && printf '{own}' > /etc/haproxy/haproxy.cfg"
        " && systemctl enable --now haproxy"
    )
    try:
        done = play(recorder)
        assert "changed=0" in done.stdout
        assert recorder.host.service("haproxy").is_running
        assert recorder.host.service("haproxy").is_enabled
    finally:
        recorder.host.check_output("cp -p /root/kept.cfg /etc/haproxy/haproxy.cfg && rm /root/kept.cfg")
    # As the package brought it, and so nobody's: it rests again.
    assert play(recorder).returncode == 0
    assert not recorder.host.service("haproxy").is_enabled


def test_absent_removes_all(changing: Proxy) -> None:
    done = play(changing, endpoint_proxy_state="absent")
    assert done.returncode == 0, done.stdout
    assert not changing.host.file("/etc/edge-slm/proxy").exists
    assert not changing.host.file("/etc/systemd/system/edge-slm-proxy.service").exists
    assert not changing.host.user("edge-slm-proxy").exists
    assert changing.host.run("ss -tln").stdout.count(f":{PORT} ") == 0
    assert "changed=0" in play(changing, endpoint_proxy_state="absent").stdout

"""What the role fleet_gateway guarantees, asked through its door; devices and the cloud are recording stand-ins."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import plays
import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import request
from devices import ADDRESSES, ROOT, connect, wait_until

HOST = "builder-01"
CONVERGE = Path(__file__).resolve().parents[1] / "converge.yml"
GATEWAY, PROXY = (role["vars"] for role in yaml.safe_load(CONVERGE.read_text())[0]["roles"])
KEYS = {key["name"]: key["key"] for key in PROXY["endpoint_proxy_api_keys"]}
PORTS = {"pi-one": 9001, "pi-two": 9002, "jetson-one": 9003, "cloud": 9009}
URL = f"http://{ADDRESSES[HOST]}:{PROXY['endpoint_proxy_port']}"
USER: list[Any] = [{"role": "user", "content": "How am I?"}]
CALL = {"id": "1", "type": "function", "function": {"name": "read_diary", "arguments": "{}"}}
PRIVATE = "blood pressure 142 over 91"
TOOL: list[Any] = [
    *USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": PRIVATE},
]
PICTURE: list[Any] = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
]
NO_CLOUD = {"extra_body": {"disable_fallbacks": True}}
TOO_LONG = {
    "status": 400,
    "type": "exceed_context_size_error",
    "message": "the request exceeds the available context size, try increasing it",
}


class Servers:
    """The stand-ins behind the gateway, told how to fail and asked what they were sent."""

    def __init__(self) -> None:
        self.host: Any = connect(HOST)
        #: Whether the gateway may have left one out.
        self.broken = False

    def ask(self, name: str, path: str, body: object = None) -> Any:
        """Ask a stand-in past the gateway, on its own host."""
        call = f"request({f'http://127.0.0.1:{PORTS[name]}{path}'!r}, data={json.dumps(body).encode()!r})"
        if body is None:
            call = f"request({f'http://127.0.0.1:{PORTS[name]}{path}'!r})"
        script = f"from urllib.request import Request as request, urlopen; print(urlopen({call}).read().decode())"
        return json.loads(self.host.check_output("python3 -c %s", script))

    def mode(self, *names: str, **mode: object) -> None:
        """Tell stand-ins how to answer from now on."""
        self.broken |= bool(mode)
        for name in names:
            self.ask(name, "/mode", mode)

    def recorded(self, name: str) -> str:
        """Return every byte that a stand-in was sent since it was started."""
        return json.dumps(self.ask(name, "/recorded"))

    def restart(self, *names: str) -> None:
        """Start stand-ins anew: with nothing recorded and nothing wrong."""
        self.host.check_output("systemctl restart " + " ".join(f"stand-in-{name}" for name in names))
        for name in names:
            probe = f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {PORTS[name]}))'"
            wait_until(lambda probe=probe: self.host.run(probe).rc == 0, f"{name} listens", 10)

    def kill(self, *names: str) -> None:
        """End stand-ins as a power cut ends a device."""
        self.broken = True
        self.host.check_output("systemctl kill --signal KILL " + " ".join(f"stand-in-{name}" for name in names))


@pytest.fixture(scope="module")
def every() -> Servers:
    return Servers()


@pytest.fixture
def servers(every: Servers) -> Iterator[Servers]:
    """Yield the stand-ins as new, and make them so again; the gateway then takes back what it had left out."""
    every.restart(*PORTS)
    every.broken = False
    yield every
    if every.broken:
        every.restart(*PORTS)
        time.sleep(GATEWAY["fleet_gateway_cooldown_seconds"] + 0.5)


def client(key: str = KEYS["chat"]) -> openai.OpenAI:
    """Return the client that users have; it does not try again by itself."""
    direct = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0, timeout=60, http_client=direct)


def converge(**variables: Any) -> None:
    """Run the scenario's playbook, and wait until the door has noticed that LiteLLM is there again."""
    plays.played(CONVERGE, **variables)
    wait_until(lambda: request(f"{URL}/healthz").status == 200, "the door is open", 10)


def answer(model: str, messages: list[Any] = USER, **more: Any) -> str:
    """Return which server answers."""
    completion = client().chat.completions.create(model=model, messages=messages, **more)
    return str(completion.choices[0].message.content).removesuffix(" answers")


def test_every_name_is_listed(servers: Servers) -> None:
    assert {model.id for model in client().models.list()} == {"small", "large", "private", "cloud", "gpt-3.5-turbo"}


def test_one_name_is_served_by_all_devices_that_have_it(servers: Servers) -> None:
    servers.mode("pi-one", "pi-two", gap=4)

    def later(number: int) -> str:
        time.sleep(number * 0.5)
        return answer("small")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(later, range(4)))
    assert sorted(found) == ["pi-one", "pi-one", "pi-two", "pi-two"]
    assert answer("gpt-3.5-turbo") in ("pi-one", "pi-two")


def test_a_device_is_asked_by_its_own_name_and_key(servers: Servers) -> None:
    assert answer("large") == "jetson-one"
    (asked,) = json.loads(servers.recorded("jetson-one"))
    assert json.loads(asked["body"])["model"] == "large:8b"
    assert "Bearer key-of-the-jetson" in asked["headers"].values()
    assert KEYS["chat"] not in json.dumps(asked)


def test_embeddings_and_completions(servers: Servers) -> None:
    assert client().embeddings.create(model="large", input="a document").data[0].embedding
    assert client().completions.create(model="small", prompt="Once").choices


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/models", "", 401),
        ("/v1/models", "not-a-key-of-this-door", 401),
        ("/model/info", KEYS["chat"], 403),
        ("/v1/responses", KEYS["chat"], 403),
        ("/model/info", KEYS["boss"], 200),
    ],
)
def test_the_door_is_the_fleets(path: str, key: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    assert request(f"{URL}{path}", headers=headers).status == status


def test_a_device_that_dies_in_mid_stream_is_an_error_and_no_end(servers: Servers) -> None:
    servers.mode("pi-one", "pi-two", die_after=2, gap=0.5)
    pieces: list[Any] = []

    def read_to_the_end() -> None:
        for chunk in client().chat.completions.create(model="small", messages=USER, stream=True):
            pieces.append(chunk.choices[0])

    with pytest.raises(openai.APIError):
        read_to_the_end()
    # What it had sent has come through; that was not the end.
    assert {piece.finish_reason for piece in pieces} == {None}
    dead = str(pieces[0].delta.content).strip()
    (alive,) = {"pi-one", "pi-two"} - {dead}
    servers.mode(alive)
    assert {answer("small") for _number in range(4)} == {alive}
    # Taken back.
    servers.restart(dead)
    time.sleep(GATEWAY["fleet_gateway_cooldown_seconds"])
    servers.kill(alive)
    assert {answer("small") for _number in range(2)} == {dead}


def test_where_all_devices_are_dead_the_cloud_answers_for_a_model_that_allows_it(servers: Servers) -> None:
    servers.kill("pi-one", "pi-two")
    assert answer("small") == "cloud"
    with pytest.raises(openai.APIStatusError):
        answer("private")
    with pytest.raises(openai.APIStatusError):
        answer("small", **NO_CLOUD)
    with pytest.raises(openai.APIStatusError):
        answer("small", TOOL)
    assert len(json.loads(servers.recorded("cloud"))) == 1
    assert PRIVATE not in servers.recorded("cloud")


def test_the_cloud_is_down(servers: Servers) -> None:
    servers.kill("cloud")
    with pytest.raises(openai.APIStatusError):
        answer("cloud")
    assert answer("small") in ("pi-one", "pi-two")
    servers.kill("pi-one", "pi-two")
    with pytest.raises(openai.APIStatusError):
        answer("small")


def test_a_device_that_has_too_much_to_do_is_left_out(servers: Servers) -> None:
    servers.mode("pi-one", status=429, message="Too many requests wait already with this key.")
    assert {answer("small") for _number in range(4)} == {"pi-two"}
    assert len(json.loads(servers.recorded("pi-one"))) == 1


def test_a_prompt_that_is_too_long_for_the_devices(servers: Servers) -> None:
    servers.mode("pi-one", "pi-two", **TOO_LONG)
    assert answer("small") == "cloud"
    with pytest.raises(openai.BadRequestError, match="context size"):
        answer("private")
    # It is the prompt that is at fault, not the device.
    servers.mode("pi-one", "pi-two")
    assert answer("private") == "pi-two"


def test_only_devices_that_can_take_a_request_are_asked(servers: Servers) -> None:
    for _number in range(4):
        assert client().embeddings.create(model="small", input="a document").data[0].embedding
    assert json.loads(servers.recorded("pi-two")) == []
    with pytest.raises(openai.BadRequestError, match="no device that serves large takes a request with attachments"):
        answer("large", PICTURE)
    assert json.loads(servers.recorded("jetson-one")) == []
    assert answer("large") == "jetson-one"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_whose_request_is_at_fault_leaves_the_devices_to_others(servers: Servers, stream: bool) -> None:
    servers.mode("pi-one", "pi-two", status=500, message="Failed to parse tools: Missing tool function")
    with pytest.raises(openai.BadRequestError, match="Failed to parse tools"):
        answer("small", stream=stream, **NO_CLOUD)
    servers.mode("pi-one", "pi-two")
    assert answer("small", **NO_CLOUD) in ("pi-one", "pi-two")


def test_no_client_steers_the_gateway(servers: Servers) -> None:
    """By LiteLLM's headers and fields: how long it waits, by which key it asks, which server."""
    steering = {"request_timeout": 0.001, "timeout": 0.001, "extra_headers": {"Authorization": "Bearer wrong"}}
    headers = {"x-litellm-timeout": "0.001", "x-litellm-stream-timeout": "0.001"}
    for _number in range(3):
        assert answer("private", extra_headers=headers, extra_body=steering) == "pi-two"
    with pytest.raises(openai.NotFoundError, match="there is no model pi-two/private"):
        answer("pi-two/private")
    with pytest.raises(openai.BadRequestError, match="messages must be a list of objects"):
        answer("private", extra_body={"messages": 5})
    assert answer("cloud", extra_body={"extra_body": {"messages": TOOL}, "images": [PRIVATE]}) == "cloud"
    assert PRIVATE not in servers.recorded("cloud")


@pytest.mark.parametrize("messages", [TOOL, PICTURE])
def test_what_never_leaves_the_site(servers: Servers, messages: list[Any]) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="must not leave the site"):
        answer("cloud", messages)
    with pytest.raises(openai.PermissionDeniedError):
        client().embeddings.create(model="cloud", input=PRIVATE)
    assert answer("small", messages) in ("pi-one", "pi-two")
    assert answer("cloud") == "cloud"
    assert len(json.loads(servers.recorded("cloud"))) == 1


def test_the_federated_example_through_the_door(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("federated", ROOT / "examples/federated.py")
    assert spec
    assert spec.loader
    federated = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "federated", federated)
    spec.loader.exec_module(federated)
    tools = [federated.Tool("read_diary", "The user's diary.", lambda: PRIVATE)]
    found = federated.answer(client(), "How am I?", tools, cloud="cloud", edge="large")
    assert (found.text, found.results) == ("jetson-one answers", {"read_diary()": PRIVATE})
    assert PRIVATE in servers.recorded("jetson-one")
    assert PRIVATE not in servers.recorded("cloud")
    assert "How am I?" in servers.recorded("cloud")


def test_it_is_on_loopback_under_its_own_user_and_hardened(every: Servers) -> None:
    host = every.host
    pid = host.check_output("systemctl show -p MainPID --value edge-slm-gateway")
    assert host.check_output(f"stat -c %U /proc/{pid}") == "edge-slm-gateway"
    listening = [line.split()[3] for line in host.check_output("ss -Hltn").splitlines()]
    assert [address for address in listening if address.endswith(":4001")] == ["127.0.0.1:4001"]
    exposure = host.check_output("systemd-analyze security --no-pager edge-slm-gateway | tail -n 1")
    assert float(exposure.split("service: ")[1].split()[0]) <= 1.5
    for key in ("key-of-the-cloud", "key-of-the-pis"):
        assert key not in host.check_output(f"tr '\\0' ' ' </proc/{pid}/cmdline")
        assert host.run(f"runuser -u nobody -- grep -rs {key} /etc/edge-slm /opt/edge-slm /etc/systemd").stdout == ""
    assert host.run("find /opt/edge-slm/gateway -iname '*litellm_enterprise*' | grep .").rc == 1


def test_a_killed_installation_is_repaired_by_a_plain_run(servers: Servers) -> None:
    servers.host.check_output("rm -rf /opt/edge-slm/gateway")
    plays.kill_at_work(
        plays.task("Create its Python environment"), servers.host, "ls -d /opt/edge-slm/gateway/*.part/lib", CONVERGE
    )
    converge()
    assert answer("small") in ("pi-one", "pi-two")
    (environment,) = servers.host.check_output("ls /opt/edge-slm/gateway").split()
    assert not environment.endswith(".part")
    assert plays.changes(plays.played(CONVERGE)) == [0]


def test_a_policy_that_forbids_the_cloud(servers: Servers) -> None:
    converge(fleet_gateway_stays_on_site=["everything"])
    try:
        assert "cloud" not in {model.id for model in client().models.list()}
        with pytest.raises(openai.APIStatusError):
            answer("cloud")
        assert answer("small") in ("pi-one", "pi-two")
        servers.kill("pi-one", "pi-two")
        with pytest.raises(openai.APIStatusError):
            answer("small")
        assert json.loads(servers.recorded("cloud")) == []
        unit = servers.host.check_output("systemctl cat edge-slm-gateway")
        assert "IPAddressDeny=any" in unit
        assert "key-of-the-cloud" not in servers.host.check_output("cat /etc/edge-slm/gateway/environment")
    finally:
        converge()
    assert answer("cloud") == "cloud"


def test_nothing_is_left_of_it(every: Servers) -> None:
    absent = {"fleet_gateway_state": "absent", "endpoint_proxy_state": "absent"}
    plays.played(CONVERGE, **absent)
    left = every.host.run(
        "ls -d /etc/edge-slm/gateway /opt/edge-slm/gateway* /etc/systemd/system/edge-slm-gateway.service"
    )
    assert left.stdout == ""
    assert every.host.run("id edge-slm-gateway").rc != 0
    assert plays.changes(plays.played(CONVERGE, **absent)) == [0]

"""What the role llama_service guarantees, seen from inside and outside of a device."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from devices import ADDRESSES, connect, managed, wait_until
from plays import refused

HOST = "pi-01"
PROMPT = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"


@pytest.fixture(scope="module")
def host() -> Any:
    return connect(HOST)


@pytest.fixture(scope="module")
def variables() -> dict[str, Any]:
    found: dict[str, Any] = managed(HOST).ansible.get_variables()
    return found


@pytest.fixture(scope="module")
def service(variables: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = variables["edge_slm_services"][0]
    return {"name": first["model"], "port": 8080, **first}


@pytest.fixture(scope="module")
def unit(service: dict[str, Any]) -> str:
    return f"llama-server@{service['name']}"


@pytest.fixture(scope="module")
def url(service: dict[str, Any]) -> str:
    return f"http://{ADDRESSES[HOST]}:{service['port']}"


@pytest.fixture(scope="module")
def key(host: Any) -> str:
    lines: str = host.file("/etc/edge-slm/llama-server/api-keys").content_string
    return lines.split("\n", 1)[0]


def ask(url: str, key: str = "", body: dict[str, Any] | None = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data)  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def completion(url: str, key: str) -> tuple[int, str]:
    return ask(f"{url}/v1/completions", key, {"prompt": PROMPT, "max_tokens": 2, "temperature": 0})


def test_it_runs_and_starts_at_boot(host: Any, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled
    assert host.run("systemctl --failed --no-legend").stdout == ""


def test_it_answers_from_outside_with_a_key(url: str, key: str) -> None:
    status, body = completion(url, key)
    assert status == 200
    assert "Paris" in json.loads(body)["choices"][0]["text"]


@pytest.mark.parametrize("wrong", ["", "not-a-key-of-this-endpoint"])
def test_it_refuses_without_a_right_key(url: str, wrong: str) -> None:
    assert completion(url, wrong)[0] == 401
    assert ask(f"{url}/metrics", wrong)[0] == 401


def test_it_has_metrics_and_hides_slots(url: str, key: str) -> None:
    assert "llamacpp:" in ask(f"{url}/metrics", key)[1]
    assert ask(f"{url}/slots", key)[0] in (404, 501)


def test_it_is_called_by_its_model(url: str, key: str, service: dict[str, Any]) -> None:
    models = json.loads(ask(f"{url}/v1/models", key)[1])["data"]
    assert [model["id"] for model in models] == [service["model"]]


def test_it_is_hardened(host: Any, unit: str) -> None:
    report = host.check_output(f"systemd-analyze security --no-pager {unit}")
    found = re.search(r"exposure level for \S+: ([\d.]+)", report)
    assert found
    assert float(found.group(1)) <= 1.5


def test_it_answers_connections_and_opens_none(host: Any, unit: str) -> None:
    """Otherwise an image URL in a request would make it fetch from clients, and from loopback."""
    allowed = host.check_output(f"systemctl show -p SystemCallFilter --value {unit}").split()
    assert ("accept4" in allowed, "connect" in allowed) == (True, False)


def test_it_runs_as_its_own_user(host: Any, unit: str) -> None:
    pid = host.check_output(f"systemctl show -p MainPID --value {unit}")
    assert host.check_output(f"ps -o user= -p {pid} || stat -c %U /proc/{pid}").strip() == "edge-slm"


def test_keys_are_secret(host: Any, key: str, unit: str) -> None:
    file = host.file("/etc/edge-slm/llama-server/api-keys")
    assert (file.user, file.group, file.mode) == ("root", "edge-slm", 0o640)
    pid = host.check_output(f"systemctl show -p MainPID --value {unit}")
    assert key not in host.file(f"/proc/{pid}/cmdline").content_string
    assert key not in host.check_output(f"journalctl -u {unit} --no-pager")


def test_limits_follow_the_model(host: Any, unit: str) -> None:
    show = host.check_output(f"systemctl show -p MemoryHigh,MemoryMax,TimeoutStartUSec {unit}")
    values = dict(line.split("=", 1) for line in show.splitlines())
    assert 0 < int(values["MemoryHigh"]) < int(values["MemoryMax"]) < 1 << 40
    assert values["TimeoutStartUSec"] != "infinity"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--temp 0.7"], 'give one item each: ["--temp", "0.7"]'),
        (["--tempo", "0.7"], "does not know --tempo; did you mean --temp?"),
        (["--temp", "warm"], "would not come up with its new arguments"),
        (["--chat-template-file", "/nowhere.jinja"], "would not come up with its new arguments"),
        # The unit's sandbox hides it.
        (["--grammar-file", "/root/.bashrc"], "would not come up with its new arguments"),
    ],
)
def test_arguments_that_cannot_work_are_found_before_the_server_stops(
    host: Any, unit: str, url: str, key: str, service: dict[str, Any], words: list[str], part: str
) -> None:
    process = f"systemctl show -p MainPID --value {unit}"
    before = host.check_output(process)
    wanted = [{"model": service["model"], "port": service["port"], "extra_args": words}]
    printed = refused("molecule/llama_service/converge.yml", limit=HOST, edge_slm_services=wanted)
    assert part in printed.replace("\\", "")
    assert host.check_output(process) == before
    assert completion(url, key)[0] == 200
    assert host.check_output("ls /etc/edge-slm/llama-server | grep -c _trial || true") == "0"
    assert host.run("systemctl --failed --no-legend").stdout == ""


def test_it_comes_back_after_a_crash(host: Any, unit: str, url: str, key: str) -> None:
    def process() -> str:
        """Return the main process of the unit where it has started, '' where it has not."""
        show = host.check_output(f"systemctl show -p ActiveState,MainPID {unit}")
        values = dict(line.split("=", 1) for line in show.splitlines())
        return values["MainPID"] if values["ActiveState"] == "active" else ""

    before = process()
    host.check_output(f"systemctl kill --signal=KILL --kill-whom=main {unit}")
    wait_until(lambda: process() not in ("", before), f"systemd starts {unit} again")
    assert completion(url, key)[0] == 200

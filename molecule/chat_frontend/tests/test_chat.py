"""The chat page: who opens it, what it may reach, and what a Pi answers a person in a browser."""

from __future__ import annotations

import json
import re
import ssl
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import chat_page
import pytest
from chat_page import basic
from devices import ADDRESSES, ROOT, connect
from plays import changes, played

CONVERGE = Path(__file__).resolve().parents[1] / "converge.yml"
HOST = "builder-01"
URL = f"https://{ADDRESSES[HOST]}:8000"
KEY, OTHER = "key-of-ann:with-a-colon", "key-of-bob-in-the-test"
PAGE, DOOR = "edge-slm-chat", "edge-slm-chat-door"
DATA = "/var/lib/edge-slm/chat"


@pytest.fixture(scope="module")
def host() -> Any:
    return connect(HOST)


class Session:
    """A page that is open: cookie and token as SillyTavern's scripts use them."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            urllib.request.HTTPCookieProcessor(),
        )
        self.headers = basic(KEY) if headers is None else headers

    def send(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        given = {**self.headers, "Content-Type": "application/json", **headers}
        request = urllib.request.Request(URL + path, data, given)  # noqa: S310 (a constant)
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        token = json.loads(self.send("/csrf-token")[1])["token"]
        return self.send(path, body, **{"X-CSRF-Token": token})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (basic("wrong-key-of-nobody"), 401),
        (basic(KEY[:-1]), 401),
        # Not the way in for people; what asks models asks the endpoints.
        ({"Authorization": f"Bearer {KEY}"}, 401),
        (basic(KEY), 200),
    ],
)
def test_a_key_opens_the_page_and_nothing_else_does(headers: dict[str, str], status: int) -> None:
    assert [Session(headers).send(path)[0] for path in ("/", "/script.js", "/csrf-token")] == [status] * 3
    assert Session({}).send("/healthz")[0] == 200


def test_the_address_of_the_page_is_the_only_way_to_it(host: Any) -> None:
    listening = host.check_output("ss -Hltn | awk '{print $4}'").split()
    assert [one for one in listening if one.endswith((":8000", ":8001"))].count("127.0.0.1:8001") == 1
    assert not [one for one in listening if one.endswith(":8001") and one != "127.0.0.1:8001"]


def test_a_person_asks_and_a_pi_answers() -> None:
    (ROOT / ".artifacts").mkdir(exist_ok=True)
    assert "Paris" in chat_page.answer(URL, KEY, ROOT / ".artifacts/chat-frontend.png")


def test_the_server_behind_the_page_reaches_endpoints_and_nothing_on_its_host() -> None:
    """Whoever may open the page chooses what SillyTavern fetches; loopback is closed to it."""
    body = {"chat_completion_source": "custom", "custom_url": "http://pi-01:8080/v1"}
    status, models = Session().post("/api/backends/chat-completions/status", body)
    assert (status, "smollm2-135m-instruct" in models) == (200, True)
    for url in ("http://127.0.0.1:8001", "http://localhost:8001/v1"):
        status, text = Session().post("/api/backends/chat-completions/status", {**body, "custom_url": url})
        assert '"error":true' in text.replace(" ", ""), (status, text)


def test_keys_are_where_they_belong(host: Any) -> None:
    secrets = host.file(f"{DATA}/default-user/secrets.json")
    assert (secrets.user, secrets.mode) == ("edge-slm-chat", 0o600)
    assert stat.S_IMODE(host.file(DATA).mode) == 0o700
    assert KEY not in host.check_output("cat /etc/edge-slm/chat*/* /etc/systemd/system/edge-slm-chat*")
    endpoint_key = (ROOT / ".cache/fleet/api-key").read_text().strip()
    for path in ("/api/secrets/view", "/api/secrets/read", "/api/settings/get"):
        assert endpoint_key not in Session().post(path, {})[1]
    assert endpoint_key not in host.check_output(f"journalctl -u {PAGE} -u {DOOR}; ps axww -o args")


def test_what_is_installed_nobody_writes_to(host: Any) -> None:
    release = host.check_output("echo /opt/edge-slm/chat/*-*/")
    assert release.count("/opt") == 1
    assert host.check_output(f"find {release} ! -user root -o ! -group root -o -perm /022 ! -type l | head -3") == ""
    assert host.check_output("ls /opt/edge-slm/chat | grep -c part || true") == "0"


@pytest.mark.parametrize("unit", [PAGE, DOOR])
def test_units_are_hardened(host: Any, unit: str) -> None:
    found = re.search(r"level for \S+: ([0-9.]+)", host.check_output(f"systemd-analyze security {unit} --no-pager"))
    assert found
    assert float(found[1]) <= 1.3


def test_a_key_that_was_taken_out_opens_nothing_and_the_page_runs_on(host: Any) -> None:
    before = host.check_output(f"systemctl show -P MainPID {PAGE}")
    played(CONVERGE, chat_frontend_api_keys=[{"name": "bob", "key": OTHER}])
    assert Session().send("/")[0] == 401
    assert Session(basic(OTHER)).send("/")[0] == 200
    assert host.check_output(f"systemctl show -P MainPID {PAGE}") == before


def test_what_was_stopped_or_edited_by_hand_is_put_right(host: Any) -> None:
    host.check_output(f"systemctl disable --now {DOOR}; echo >> /etc/edge-slm/chat/config.yaml")
    played(CONVERGE)
    assert Session().send("/")[0] == 200


def test_removed_is_all_but_chats(host: Any) -> None:
    played(CONVERGE, chat_frontend_state="absent")
    assert host.run("getent passwd edge-slm-chat edge-slm-chat-door").stdout == ""
    assert host.run("ls -d /etc/edge-slm/chat* /opt/edge-slm/chat /etc/systemd/system/edge-slm-chat*").stdout == ""
    assert not host.file(f"{DATA}/default-user/secrets.json").exists
    assert host.file(f"{DATA}/default-user/settings.json").exists
    assert changes(played(CONVERGE, chat_frontend_state="absent")) == [0]

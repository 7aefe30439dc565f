"""Open WebUI as the chat page, on the demo's Jetson, in real Docker: `make demo`, then `make open-webui`.

Its image is a stand-in with the real Open WebUI (tools/open-webui-image), pulled from the registry stand-in.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chat_page
import pytest
import testinfra
from chat_page import basic
from devices import wait_until
from plays import changes, played, refused

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventory/demo"
PAGE = Path(__file__).with_name("page.yml")
BUILDER, JETSON = "edge-slm-demo-builder-01", "127.0.10.21"
#: Where the page is on this machine.
ADDRESS = "127.0.10.29:8000"
ARCHIVE = "/root/open-webui.tar"
REPOSITORY = "registry:5000/open-webui/open-webui"
ANN, BOB = "key-of-ann:with-a-colon", "key-of-bob-in-the-test"
QUESTION = {
    "model": "pi-01.smollm2-135m-instruct",
    "messages": [{"role": "user", "content": chat_page.QUESTION}],
    "temperature": 0,
}


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Push the image to the registry on the builder; return its name with its digest."""
    made = subprocess.run([ROOT / "tools/open-webui-image"], check=False, capture_output=True, text=True, timeout=1200)
    assert made.returncode == 0, made.stderr
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    docker("save", "--output", str(archive), made.stdout.strip())
    docker("cp", str(archive), f"{BUILDER}:{ARCHIVE}")
    trust = ("exec", "--env", "SSL_CERT_FILE=/etc/edge-slm-registry/ca.pem", BUILDER)
    tag = f"docker://{REPOSITORY}:slim"
    try:
        docker(*trust, "skopeo", "copy", "--quiet", "--insecure-policy", f"docker-archive:{ARCHIVE}", tag)
    finally:
        docker("exec", BUILDER, "rm", ARCHIVE)
    return f"{REPOSITORY}@{json.loads(docker(*trust, 'skopeo', 'inspect', tag))['Digest']}"


@pytest.fixture(scope="session")
def url(image: str) -> Iterator[str]:
    """Open the page; yield its address."""
    wanted = {"chat_frontend_page": "open_webui", "chat_frontend_image": image}
    played(PAGE, inventory=INVENTORY, **wanted)
    assert changes(played(PAGE, inventory=INVENTORY, **wanted)) == [0]
    # The Jetson's firewall is open for its services; in the group `chat` it would be for the page as well.
    login = ("-i", str(ROOT / ".cache/fleet/id_ed25519"), "-o", "UserKnownHostsFile=/dev/null")
    with subprocess.Popen(
        ["ssh", *login, "-o", "StrictHostKeyChecking=no", "-N", "-L", f"{ADDRESS}:127.0.0.1:8000", f"pi@{JETSON}"]
    ) as tunnel:
        wait_until(lambda: Person(f"http://{ADDRESS}").answers(), "the page answers through SSH")
        yield f"http://{ADDRESS}"
        tunnel.terminate()
    played(PAGE, inventory=INVENTORY, chat_frontend_state="absent")


@pytest.fixture(scope="session")
def jetson() -> Any:
    return testinfra.get_host(f"ansible://jetson-01?ansible_inventory={INVENTORY}&force_ansible=True", sudo=True)


class Person:
    """A browser: it sends a key once, and from then on the cookie of the door and the page's own token."""

    def __init__(self, url: str, **headers: str) -> None:
        self.address, self.headers = url.partition("://")[2], headers

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str, str]:
        """Return status, cookie and text of an answer."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        given = {"Content-Type": "application/json", **self.headers, **headers}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Set-Cookie", ""), answer.read().decode()
        finally:
            connection.close()

    def answers(self) -> bool:
        """Return whether anybody is there."""
        try:
            return self.send("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return what is in the JSON of an answer."""
        status, _cookie, text = self.send(method, path, body)
        assert status == 200, text
        return json.loads(text)

    def open(self, key: str) -> dict[str, Any]:
        """Open the page with a key; return what it says of the account."""
        status, cookie, text = self.send("GET", "/", **basic(key))
        assert status == 200, text
        self.headers["Cookie"] = cookie.partition(";")[0]
        found: dict[str, Any] = self.ask("POST", "/api/v1/auths/signin", {"email": "", "password": ""})
        self.headers["Authorization"] = f"Bearer {found['token']}"
        return found


def test_a_key_opens_the_page_and_nothing_else_does(url: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {ANN}"}, {"Cookie": "edge-slm-chat=AAAA"}):
        stranger = Person(url, **headers)
        assert [stranger.send("GET", path)[0] for path in ("/", "/api/config", "/health")] == [401] * 3
    assert Person(url).send("GET", "/healthz")[0] == 200


def test_each_key_has_an_account_and_only_its_scope_makes_it_an_administrators(url: str) -> None:
    # The first account of all is not the administrator's for being the first.
    bob = Person(url, **{"X-Edge-Slm-Role": "admin", "X-Edge-Slm-Email": "ann@fleet.internal"}).open(BOB)
    assert (bob["email"], bob["role"]) == ("bob@fleet.internal", "user")
    ann = Person(url).open(ANN)
    assert (ann["email"], ann["role"]) == ("ann@fleet.internal", "admin")


def test_a_pi_answers_whoever_has_opened_the_page(url: str) -> None:
    bob = Person(url)
    bob.open(BOB)
    assert [one["id"] for one in bob.ask("GET", "/api/models")["data"]] == [QUESTION["model"]]
    answer = bob.ask("POST", "/api/chat/completions", QUESTION)
    assert "Paris" in answer["choices"][0]["message"]["content"]
    # Nothing but the question: no tools, which would fill a small model's context.
    assert answer["usage"]["prompt_tokens"] < 60


def test_a_person_asks_in_a_browser(url: str) -> None:
    (ROOT / ".artifacts").mkdir(exist_ok=True)
    assert chat_page.open_webui_answer(url, BOB, ROOT / ".artifacts/open-webui.png")


def test_the_container_is_confined_and_keys_are_where_they_belong(url: str, jetson: Any) -> None:
    (found,) = json.loads(jetson.check_output("docker inspect edge-slm-chat"))
    confined = found["HostConfig"]
    assert (confined["ReadonlyRootfs"], confined["CapDrop"], confined["Privileged"]) == (True, ["ALL"], False)
    assert "no-new-privileges" in confined["SecurityOpt"]
    listening = jetson.check_output("ss -Hltn | awk '{print $4}'").split()
    assert [one for one in listening if one.endswith(":8001")] == ["127.0.0.1:8001"]
    key = (ROOT / ".cache/fleet/chat-page-key").read_text(encoding="utf-8").strip()
    said = jetson.check_output("journalctl -u edge-slm-chat -u edge-slm-chat-door; ps axww -o args")
    assert not [secret for secret in (key, ANN, BOB) if secret in said]
    environment = jetson.file("/etc/edge-slm/chat/open-webui.env")
    assert (environment.user, environment.group, environment.mode) == ("root", "root", 0o640)
    assert not [secret for secret in (ANN, BOB) if secret in environment.content_string]


def test_a_container_that_was_killed_comes_back(url: str, jetson: Any) -> None:
    identity = "docker ps --no-trunc --quiet --filter name=edge-slm-chat"
    killed = jetson.check_output(identity)
    jetson.check_output("docker kill edge-slm-chat")

    def back() -> bool:
        found = jetson.check_output(identity)
        page = jetson.check_output("curl -fsS http://127.0.0.1:8001/health 2>&1 || true")
        return bool(found and found != killed and "true" in page and Person(url).answers())

    wait_until(back, "another container answers")


def test_one_page_takes_the_place_of_the_other_and_what_people_wrote_stays(url: str, image: str, jetson: Any) -> None:
    bob = Person(url)
    bob.open(BOB)
    chats = bob.ask("GET", "/api/v1/chats/")
    assert chats
    played(PAGE, inventory=INVENTORY)
    assert "SillyTavern" in bob.send("GET", "/", **basic(BOB))[2]
    assert jetson.check_output("docker ps --quiet --filter name=edge-slm-chat") == ""
    assert not jetson.file("/etc/edge-slm/chat/open-webui.env").exists
    played(PAGE, inventory=INVENTORY, chat_frontend_page="open_webui", chat_frontend_image=image)
    assert bob.ask("GET", "/api/v1/chats/") == chats
    assert not jetson.file("/opt/edge-slm/chat").exists


def test_an_image_that_moves_is_refused_before_anything_changes() -> None:
    tag = "ghcr.io/open-webui/open-webui:main"
    text = refused(PAGE, inventory=INVENTORY, chat_frontend_page="open_webui", chat_frontend_image=tag)
    assert "chat_frontend_image" in text
    assert "has no digest" in text

"""The plan of chat_frontend: SillyTavern and HAProxy as they should be, and what differs from that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import Directory, LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import chat_frontend as chat
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.chat_frontend import Inputs, Live
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import key_digest
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.chat_frontend_side import PLACES

ROLE = Path(__file__).resolve().parents[3] / "roles/chat_frontend"
CONSTANTS = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
KEY, SECRET = "key-of-ann-000000001", "key-of-the-page-0001"
VALUES = {
    **{
        name.removeprefix("chat_frontend_"): value
        for name, value in yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")).items()
    },
    "endpoints": [{"name": "pi-01 small", "url": "http://pi-01:8080/v1", "model": "small"}],
    "endpoint_key": SECRET,
    "api_keys": [{"name": "ann", "key": KEY}],
    "places": {name: CONSTANTS[f"__chat_frontend_{name}"] for name in PLACES},
    "release": "1.0-abc",
    "page_unit": "ExecStart=@release@/bin/node\n",
    "door_unit": "[Unit]\n",
    "script": "#!/usr/bin/python3\n",
}


def cast(**changes: Any) -> Inputs:
    problems = Problems()
    inputs = Inputs.of({**VALUES, **changes}, problems)
    assert problems.found == []
    return inputs


INPUTS = cast()
ACCOUNTS = (Account("edge-slm-chat", "edge-slm-chat", True), Account("edge-slm-chat-door", "edge-slm-chat-door", True))
RUNNING = LiveUnit(loaded=True, active=True, enabled=True, since=20)


def as_wanted(inputs: Inputs = INPUTS, pem: str = "") -> Live:
    """Return a host on which nothing differs, its files written at 10 and its units started at 20."""
    wanted: list[Any] = [*chat.wanted_directories(inputs), *chat.wanted_files(inputs, Live(pem=pem))]
    files = {
        one.path: LiveFile(
            "" if isinstance(one, Directory) else one.content, int(one.mode, 8), 10, one.owner, one.group
        )
        for one in wanted
    }
    units = dict.fromkeys((chat.PAGE_UNIT, chat.DOOR_UNIT), RUNNING)
    return Live(ACCOUNTS, files, units, releases=("1.0-abc", "lock"), pem=pem)


LIVE = as_wanted()
PAGE, DOOR = f"unit {chat.PAGE_UNIT}", f"unit {chat.DOOR_UNIT}"
PLACE = INPUTS.places


def changed(path: str, **changes: Any) -> Live:
    return replace(LIVE, files={**LIVE.files, path: replace(LIVE.files[path], **changes)})


def test_nothing_is_pending_on_a_host_as_wanted() -> None:
    plan = chat.decide(INPUTS, LIVE)
    assert (plan.pending, plan.unfit, plan.waiting) == ([], [], [])
    assert not any(plan.files.values())


def test_a_bare_host_gets_everything() -> None:
    plan = chat.decide(INPUTS, Live((Account("edge-slm-chat"), Account("edge-slm-chat-door")), packages=("npm",)))
    assert plan.pending[:6] == [
        "package npm: is not installed",
        "group edge-slm-chat: is missing",
        "user edge-slm-chat: is missing",
        "group edge-slm-chat-door: is missing",
        "user edge-slm-chat-door: is missing",
        "directory /opt/edge-slm/chat/1.0-abc: is missing",
    ]
    assert plan.pending[-2:] == [f"{PAGE}: its configuration changes", f"{DOOR}: its configuration changes"]
    assert plan.needs["installed"] is False
    assert plan.needs["staging"] == "/opt/edge-slm/chat/1.0-abc.part"


@pytest.mark.parametrize(
    ("live", "pending"),
    [
        (replace(LIVE, packages=("haproxy",)), ["package haproxy: is not installed"]),
        (
            replace(LIVE, idle_distribution=True),
            ["unit haproxy.service: is enabled, and nobody has configured it"],
        ),
        (replace(LIVE, releases=()), ["directory /opt/edge-slm/chat/1.0-abc: is missing"]),
        (
            replace(LIVE, releases=("0.9-old", "1.0-abc", "lock")),
            ["/opt/edge-slm/chat/0.9-old: is no longer wanted"],
        ),
        (
            changed(PLACE.config, content="{}"),
            [f"file {PLACE.config}: its text differs", f"{PAGE}: its configuration changes"],
        ),
        (
            changed(PLACE.key_map, content=""),
            [f"file {PLACE.key_map}: its text differs", f"{DOOR}: its configuration changes"],
        ),
        (
            changed(PLACE.connections, mode=0o644),
            [f"file {PLACE.connections}: its mode is 0644, not 0640", f"{PAGE}: its configuration changes"],
        ),
        (changed(PLACE.door_config, modified=30), [f"{DOOR}: runs since before {PLACE.door_config} changed"]),
        (
            changed(PLACE.door_dir, mode=0o755),
            [f"directory {PLACE.door_dir}: its mode is 0755, not 0750"],
        ),
        (replace(LIVE, units={chat.DOOR_UNIT: RUNNING}), [f"{PAGE}: is not running"]),
    ],
)
def test_what_differs_is_pending(live: Live, pending: list[str]) -> None:
    assert chat.decide(INPUTS, live).pending == pending


def test_a_certificate_that_is_yet_to_come_is_waited_for() -> None:
    inputs = cast(tls_certificate="/c", tls_key="/k")
    plan = chat.decide(inputs, replace(LIVE, pem_problem="chat_frontend_tls_certificate: /c is missing"))
    assert plan.waiting == ["chat_frontend_tls_certificate: /c is missing"]
    assert plan.needs["url"] == "https://127.0.0.1:8000"
    with_pem = as_wanted(inputs, "PEM\n")
    assert chat.decide(inputs, with_pem).pending == []
    # Plain HTTP again: the key does not stay.
    assert f"{PLACE.pem}: is no longer wanted" in chat.decide(INPUTS, with_pem).pending


def test_of_keys_that_open_the_page_only_the_sha256_is_written() -> None:
    files = {one.path: one for one in chat.wanted_files(INPUTS, Live())}
    assert files[PLACE.key_map].content == f"{key_digest(KEY)} ann\n"
    assert not any(KEY in one.content for one in files.values())
    assert [path for path, one in files.items() if SECRET in one.content] == [PLACE.connections]
    assert (files[PLACE.connections].mode, files[PLACE.connections].group) == ("0640", "edge-slm-chat")
    assert files[PLACE.connections].secret
    assert files[chat.PAGE_FILE].content == "ExecStart=/opt/edge-slm/chat/1.0-abc/bin/node\n"


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (
            replace(LIVE, port_owners={"chat_frontend_backend_port": "python3 (process 9)"}),
            "chat_frontend_backend_port: 8001 is taken by python3 (process 9); stop it, or choose another port.",
        ),
        (replace(LIVE, disk_problem="chat_frontend: disk too small."), "chat_frontend: disk too small."),
    ],
)
def test_what_cannot_be_on_this_host(live: Live, reason: str) -> None:
    assert chat.decide(INPUTS, live).unfit == [reason]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"endpoint_key": ""}, "chat_frontend_endpoint_key: has no key for the page to ask with"),
        ({"backend_port": 8000}, "chat_frontend_backend_port: is 8000, as chat_frontend_port is; give another."),
        ({"api_keys": []}, "chat_frontend_api_keys: is empty"),
        ({"endpoints": []}, "chat_frontend_endpoints: has no endpoint"),
        ({"ca_file": "/a b"}, "chat_frontend_ca_file: '/a b' is not an absolute path without spaces."),
        ({"tls_key": "/k"}, "chat_frontend_tls_certificate: is missing"),
        ({"state": "stopped"}, "chat_frontend_state: 'stopped' is not one of present, absent."),
        ({"page": "openwebui"}, "chat_frontend_page: 'openwebui' is not one of sillytavern, open_webui."),
        ({"page": "open_webui", "image": None}, "chat_frontend_image: '' has no digest, and tags move: write"),
        (
            {"page": "open_webui", "image": "ghcr.io/open-webui/open-webui:main"},
            "chat_frontend_image: 'ghcr.io/open-webui/open-webui:main' has no digest",
        ),
        (
            {"page": "open_webui", "image": f"x@sha256:{'0' * 64}", "endpoint_key": "key-of-the-page;0001"},
            "chat_frontend_endpoint_key: has a semicolon, by which Open WebUI separates keys",
        ),
    ],
)
def test_inputs_are_refused(changes: dict[str, Any], problem: str) -> None:
    problems = Problems()
    Inputs.of({**VALUES, **changes}, problems)
    assert len(problems.found) == 1
    assert problems.found[0].startswith(problem)


IMAGE = f"ghcr.io/open-webui/open-webui@sha256:{'0' * 64}"
CONTAINER = cast(page="open_webui", image=IMAGE.replace("@", ":v0.12.4@"), page_unit="ExecStart=docker run @image@\n")


def test_a_container_is_the_page_when_it_is_asked_for() -> None:
    live = replace(as_wanted(CONTAINER), accounts=ACCOUNTS[1:], releases=(), image=True)
    assert chat.decide(CONTAINER, live).pending == []
    assert chat.decide(CONTAINER, replace(live, image=False)).pending == [f"image {IMAGE}: is missing"]
    files = {one.path: one for one in chat.wanted_files(CONTAINER, Live())}
    assert [path for path, one in files.items() if SECRET in one.content] == [PLACE.environment]
    assert (files[PLACE.environment].group, files[PLACE.environment].secret) == ("root", True)
    assert files[chat.PAGE_FILE].content == f"ExecStart=docker run {IMAGE}\n"


def test_one_page_takes_the_place_of_the_other() -> None:
    plan = chat.decide(CONTAINER, replace(LIVE, image=True))
    assert f"{PAGE}: its configuration changes" in plan.pending
    # What runs is removed when it runs no more.
    assert {PLACE.root, PLACE.script, PLACE.connections, PLACE.config} == {*plan.files["tidy"].remove}
    assert plan.files["configure"].remove == []
    back = chat.decide(INPUTS, replace(as_wanted(CONTAINER), releases=()))
    assert back.files["tidy"].remove == [PLACE.environment]
    assert back.needs["installed"] is False


def removed(live: Live) -> Plan:
    return chat.decide(cast(state="absent", api_keys=None), live)


def test_removed_is_all_but_chats() -> None:
    plan = removed(LIVE)
    assert plan.needs == {
        "units": [
            {"name": name, "state": "stopped", "enabled": False, "why": "is no longer wanted"}
            for name in (chat.DOOR_UNIT, chat.PAGE_UNIT)
        ],
        "accounts": ["edge-slm-chat", "edge-slm-chat-door"],
    }
    gone = plan.files["uninstall"].remove
    assert {PLACE.config_dir, PLACE.door_dir, PLACE.root, PLACE.script, chat.PAGE_FILE, chat.DOOR_FILE} == {*gone}
    assert removed(Live((Account("edge-slm-chat"), Account("edge-slm-chat-door")))).pending == []


def test_the_endpoints_key_does_not_stay_with_the_chats(tmp_path: Path) -> None:
    places = {**VALUES["places"], "data_dir": str(tmp_path / "chat")}
    inputs = cast(state="absent", places=places)
    secrets = Path(inputs.places.secrets)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "chat").mkdir()
    secrets.parent.symlink_to(tmp_path / "elsewhere")
    live = Live(ACCOUNTS, {str(secrets): LiveFile("{}", 0o600, 1)})
    # The page's user may have put a link there: nothing else is removed by it.
    assert chat.decide(inputs, live).files["uninstall"].remove == []
    secrets.parent.unlink()
    secrets.parent.mkdir()
    secrets.write_text("{}")
    assert chat.decide(inputs, live).files["uninstall"].remove == [str(secrets)]

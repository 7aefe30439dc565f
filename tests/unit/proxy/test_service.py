"""Tables for the proxy on a host: what is pending, awaited, refused of a host, and what is left of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import service as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import Loaded, Settings
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.service import Inputs, Live

CHAT = ApiKey("chat", "key-of-the-chat-0001", "infer")
GONE = ApiKey("gone", "key-that-was-revoked", "infer")
INPUTS = Inputs("present", Settings(), (CHAT,), "[Service]\nEnvironment=EDGE_SLM_DIGEST=@digest@\n")
SECURE = replace(INPUTS, settings=Settings(tls_certificate="/c.pem", tls_key="/c.key"))
PEM = "certificate and key\n"
USER, UNIT = proxying.USER, proxying.UNIT
ACCOUNT = Account(USER, USER, group=True)
OLDER = f"unit {UNIT}: runs with an older configuration, keys or certificate"


def settled(inputs: Inputs, pem: str = "") -> Live:
    """Return a host on which nothing is pending."""
    texts = proxying.texts(inputs.settings, inputs.keys, pem)
    ours = {"mode": 0o640, "modified": 0.0, "owner": "root", "group": USER}
    files = {
        "/etc/edge-slm": LiveFile("", 0o755, 0.0),
        proxying.CONFIG_DIR: LiveFile("", 0o750, 0.0, "root", USER),
        proxying.KEY_MAP: LiveFile(texts.key_map, **ours),
        proxying.CONFIG: LiveFile(texts.config, **ours),
        proxying.UNIT_FILE: LiveFile(inputs.unit.replace("@digest@", inputs.unit_digest), 0o644, 0.0),
    }
    if pem:
        files[proxying.TLS_PEM] = LiveFile(pem, **ours)
    return Live(
        files=files,
        unit=Unit("loaded", "active", "running", True, False, 7, 0, "", {"EDGE_SLM_DIGEST": inputs.unit_digest}),
        linked=True,
        loaded=Loaded(texts.config_digest),
        key_maps={8: f"0x55 {texts.key_map}"},
        packages={"haproxy": "3.0"},
        account=ACCOUNT,
        pem=pem,
        unit_path_taken=True,
    )


LIVE = settled(INPUTS)
LIVE_TLS = settled(SECURE, PEM)


def with_file(live: Live, path: str, found: LiveFile | None) -> Live:
    files = {name: one for name, one in {**live.files, path: found}.items() if one}
    return replace(live, files=files)


def edited(live: Live, path: str, **changes: Any) -> Live:
    return with_file(live, path, replace(live.files[path], **changes))


def with_unit(live: Live, **changes: Any) -> Live:
    return replace(live, unit=replace(live.unit, **changes))


STOPPED: dict[str, Any] = {"active": "inactive", "pid": 0}


@pytest.mark.parametrize(
    ("inputs", "live", "pending"),
    [
        (INPUTS, LIVE, []),
        (SECURE, LIVE_TLS, []),
        (INPUTS, replace(LIVE, packages={}), ["package haproxy: is not installed"]),
        (
            INPUTS,
            replace(LIVE, idle_distribution=True),
            ["unit haproxy.service: is enabled, and nobody has configured it"],
        ),
        (INPUTS, replace(LIVE, account=Account(USER, group=True)), [f"user {USER}: is missing"]),
        (INPUTS, replace(LIVE, account=Account(USER, USER)), [f"group {USER}: is missing"]),
        (
            INPUTS,
            edited(LIVE, proxying.CONFIG_DIR, mode=0o777),
            [f"directory {proxying.CONFIG_DIR}: its mode is 0777, not 0750"],
        ),
        (
            INPUTS,
            edited(LIVE, "/etc/edge-slm", mode=0o700),
            ["directory /etc/edge-slm: its mode is 0700, not 0755"],
        ),
        (INPUTS, with_file(LIVE, proxying.KEY_MAP, None), [f"file {proxying.KEY_MAP}: is missing"]),
        (
            INPUTS,
            edited(LIVE, proxying.KEY_MAP, mode=0o644),
            [f"file {proxying.KEY_MAP}: its mode is 0644, not 0640"],
        ),
        # What comes from a file that is pending itself is not reported twice.
        (
            INPUTS,
            replace(edited(LIVE, proxying.CONFIG, content="x"), loaded=Loaded(LIVE.loaded.digest, current=False)),
            [f"file {proxying.CONFIG}: its text differs"],
        ),
        (INPUTS, edited(LIVE, proxying.UNIT_FILE, content="x"), [f"file {proxying.UNIT_FILE}: its text differs"]),
        (
            SECURE,
            edited(LIVE_TLS, proxying.TLS_PEM, group="root"),
            [f"file {proxying.TLS_PEM}: it belongs to root:root, not root:{USER}"],
        ),
        (
            INPUTS,
            with_file(LIVE, proxying.TLS_PEM, LIVE_TLS.files[proxying.TLS_PEM]),
            [
                f"{proxying.TLS_PEM}: is no longer wanted",
            ],
        ),
        (INPUTS, replace(LIVE, loaded=Loaded("old")), [OLDER]),
        (INPUTS, replace(LIVE, loaded=Loaded(LIVE.loaded.digest, current=False)), [OLDER]),
        (INPUTS, replace(LIVE, loaded=Loaded()), [f"unit {UNIT}: its worker does not answer"]),
        (INPUTS, with_unit(LIVE, **STOPPED), [f"unit {UNIT}: is inactive"]),
        (INPUTS, with_unit(LIVE, enabled=False), [f"unit {UNIT}: is not enabled"]),
        (INPUTS, with_unit(LIVE, environment={}), [f"unit {UNIT}: runs under an older unit file"]),
        (INPUTS, replace(LIVE, own_user=False), [f"unit {UNIT}: does not run as {USER}"]),
        (
            INPUTS,
            with_file(with_unit(LIVE, load="masked", **STOPPED), proxying.UNIT_FILE, None),
            [f"unit {UNIT}: is masked"],
        ),
        (
            INPUTS,
            replace(LIVE, key_maps={8: LIVE.key_maps[8], 9: f"0x66 {proxying.key_map_text([GONE])}"}),
            [f"unit {UNIT}: old workers still take keys that are no longer valid: 1"],
        ),
        # A key was changed in the inventory: files and reload; that workers still take the old one goes without saying.
        (
            replace(INPUTS, keys=(replace(CHAT, key="another-key-of-chat"),)),
            LIVE,
            [f"file {proxying.KEY_MAP}: its text differs", f"file {proxying.CONFIG}: its text differs"],
        ),
    ],
)
def test_pending(inputs: Inputs, live: Live, pending: list[str]) -> None:
    assert decide.plan(inputs, live).pending == pending


def test_everything_is_pending_on_a_bare_host() -> None:
    found = decide.plan(INPUTS, Live())
    assert [sentence.split(":")[0] for sentence in found.pending] == [
        "package haproxy",
        f"group {USER}",
        f"user {USER}",
        "directory /etc/edge-slm",
        f"directory {proxying.CONFIG_DIR}",
        f"file {proxying.KEY_MAP}",
        f"file {proxying.CONFIG}",
        f"file {proxying.UNIT_FILE}",
        f"unit {UNIT}",
    ]
    assert found.waiting == []


def test_a_missing_certificate_is_awaited_and_nothing_is_written_for_it() -> None:
    missing = "endpoint_proxy_tls_certificate: /c.pem is missing or empty; put it there first."
    found = decide.plan(SECURE, replace(LIVE, pem_problem=missing))
    assert found.waiting == [missing]
    assert found.pending == [f"waits for another role: {missing}"]
    # A worker that runs without is left alone until then.
    assert [file.path for file in found.files["configure"].files] == []


def test_ollama_on_the_port_is_awaited_and_a_stranger_is_not() -> None:
    device = {"systemd": True}
    ollama, stranger = (replace(LIVE, port_owner=f"{name} (process 7)") for name in ("ollama", "nginx"))
    assert decide.unfit(INPUTS, device, ollama) == []
    assert decide.plan(INPUTS, ollama).waiting[0].startswith("endpoint_proxy_port: port 11434 is taken by ollama")
    assert decide.plan(INPUTS, ollama).pending != []
    (sentence,) = decide.unfit(INPUTS, device, stranger)
    assert sentence.startswith("endpoint_proxy_port: port 11434 is taken by nginx (process 7); stop it")


def test_a_host_without_systemd_is_unfit() -> None:
    assert len(decide.unfit(INPUTS, {"systemd": False}, LIVE)) == 1


@pytest.mark.parametrize(
    ("live", "pending"),
    [
        (Live(), []),
        # The package is not the role's to remove.
        (Live(packages={"haproxy": "3.0"}), []),
        (
            LIVE,
            [
                f"unit {UNIT}: is no longer wanted",
                f"{proxying.CONFIG_DIR}: is no longer wanted",
                f"{proxying.UNIT_FILE}: is no longer wanted",
                f"user {USER}: is no longer wanted",
                f"group {USER}: is no longer wanted",
            ],
        ),
        (Live(linked=True), [f"unit {UNIT}: is no longer wanted"]),
        (Live(unit_path_taken=True), [f"{proxying.UNIT_FILE}: is no longer wanted"]),
        (Live(Account(USER, group=True)), [f"group {USER}: is no longer wanted"]),
    ],
)
def test_removal(live: Live, pending: list[str]) -> None:
    found = decide.plan(Inputs("absent"), live)
    assert found.pending == pending
    assert list(found.files["uninstall"].prune) == ["/etc/edge-slm"]


def test_no_key_and_no_certificate_is_in_what_comes_back() -> None:
    found: Plan = decide.plan(SECURE, replace(Live(), pem=PEM))
    returned = repr(found.as_dict())
    assert CHAT.key not in returned
    assert PEM not in returned
    assert proxying.key_digest(CHAT.key) not in returned
    secret = {file.path: file.secret for file in found.files["configure"].files}
    assert secret == {
        proxying.KEY_MAP: True,
        proxying.TLS_PEM: True,
        proxying.CONFIG: False,
        proxying.UNIT_FILE: False,
    }


def test_the_configuration_comes_after_what_it_names() -> None:
    found = decide.plan(SECURE, replace(Live(), pem=PEM)).files["configure"]
    assert [file.path for file in found.files][:3] == [proxying.KEY_MAP, proxying.TLS_PEM, proxying.CONFIG]


VALUES: dict[str, Any] = {
    "backend": "ollama",
    "backend_key_file": "",
    "state": "present",
    "listen": "::",
    "port": 11434,
    "backend_port": 11435,
    "cors_origins": [],
    "allowed_cidrs": ["192.168.0.0/16"],
    "tls_certificate": "",
    "tls_key": "",
    "max_connections": 512,
    "key_connections": 16,
    "key_queue": 128,
    "queue_timeout_seconds": 60,
    "key_requests_per_minute": 600,
    "body_max_mib": 32,
    "header_timeout_seconds": 10,
    "generation_timeout_seconds": 600,
    "api_keys": [{"name": "chat", "key": CHAT.key}],
    "unit": INPUTS.unit,
}


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({}, []),
        ({"state": "gone"}, ["endpoint_proxy_state: 'gone' is not known"]),
        # All at once.
        (
            {"port": 80, "allowed_cidrs": "x", "api_keys": []},
            ["endpoint_proxy_api_keys: is empty", "endpoint_proxy_port: ", "endpoint_proxy_allowed_cidrs: "],
        ),
        # What does not matter for removal is not looked at.
        ({"state": "absent", "port": 80, "allowed_cidrs": "x", "api_keys": None}, []),
    ],
)
def test_inputs(changes: dict[str, Any], sentences: list[str]) -> None:
    problems = Problems()
    cast = Inputs.of({**VALUES, **changes}, problems)
    assert len(problems.found) == len(sentences)
    assert [begin for begin in sentences if not any(one.startswith(begin) for one in problems.found)] == []
    if not changes:
        assert cast == INPUTS


def test_the_backends_key_is_awaited_and_hidden() -> None:
    missing = replace(LIVE, backend_key_problem="endpoint_proxy_backend_key_file: /k holds no key; put it there first.")
    made = decide.plan(INPUTS, missing)
    assert made.waiting == [missing.backend_key_problem]
    assert proxying.CONFIG not in [file.path for file in made.files["configure"].files]
    (config,) = decide.plan(INPUTS, replace(LIVE, backend_key="sk-0")).files["configure"].files
    assert (config.path, config.secret, "Bearer sk-0" in config.content) == (proxying.CONFIG, True, True)

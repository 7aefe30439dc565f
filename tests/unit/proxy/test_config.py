"""What HAProxy in front of Ollama is configured with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import Loaded, Settings, Steps

CHAT = ApiKey("chat", "key-of-the-chat-0001", "infer")
DEFAULTS = Settings()
BOSS = ApiKey("boss", "key-of-the-boss-0001", "admin")
INPUTS: dict[str, Any] = {
    "backend": "ollama",
    "backend_key_file": "",
    "listen": "::",
    "port": "11434",
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
}


def settings_of(**changes: Any) -> tuple[Settings, list[str]]:
    problems = Problems()
    return proxying.parse_settings({**INPUTS, **changes}, problems), problems.found


def test_defaults_of_the_role_are_those_of_the_settings() -> None:
    assert settings_of() == (Settings(), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "nginx"}, "endpoint_proxy_backend: 'nginx' is not known; give ollama or litellm."),
        ({"backend_key_file": "key"}, "endpoint_proxy_backend_key_file: 'key' is not an absolute path"),
        ({"port": 80}, "endpoint_proxy_port: must be a whole number from 1024 to 65535; it is 80."),
        ({"port": True}, "endpoint_proxy_port: must be a whole number from 1024 to 65535; it is True."),
        ({"port": 1e4}, "endpoint_proxy_port: must be a whole number from 1024 to 65535; it is 10000.0."),
        ({"body_max_mib": "many"}, "endpoint_proxy_body_max_mib: must be a whole number from 1 to 1024; it is 'many'."),
        ({"key_connections": 0}, "endpoint_proxy_key_connections: must be a whole number from 1 to 16384; it is 0."),
        ({"listen": "localhost"}, "endpoint_proxy_listen: 'localhost' is not an IP address"),
        ({"port": 11435}, "the proxy would ask itself"),
        ({"port": 11435, "listen": "::"}, "the proxy would ask itself"),
        ({"port": 11435, "listen": "127.0.0.1"}, "the proxy would ask itself"),
        ({"cors_origins": ["chat.lan"]}, "endpoint_proxy_cors_origins[0]: 'chat.lan' is not an origin"),
        ({"cors_origins": ["https://chat.lan/"]}, "is not an origin"),
        ({"cors_origins": ["https://a 'b"]}, "is not an origin"),
        ({"allowed_cidrs": ["nonsense"]}, "endpoint_proxy_allowed_cidrs[0]: 'nonsense' is not a network"),
        ({"allowed_cidrs": ["192.168.1.1/16"]}, "endpoint_proxy_allowed_cidrs[0]: '192.168.1.1/16' is not a network"),
        ({"allowed_cidrs": []}, "endpoint_proxy_allowed_cidrs: is empty"),
        ({"allowed_cidrs": "192.168.0.0/16"}, "endpoint_proxy_allowed_cidrs: is not a list; write ['192.168.0.0/16']"),
        ({"allowed_cidrs": None}, "endpoint_proxy_allowed_cidrs: is empty"),
        ({"tls_certificate": "/c"}, "endpoint_proxy_tls_key: is missing"),
        ({"tls_key": "/k"}, "endpoint_proxy_tls_certificate: is missing"),
        ({"tls_certificate": "c", "tls_key": "/k"}, "endpoint_proxy_tls_certificate: 'c' is not an absolute path"),
    ],
)
def test_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    found = settings_of(**changes)[1]
    assert len(found) == 1
    assert message in found[0]


def test_one_port_is_enough_where_addresses_differ() -> None:
    assert settings_of(port=11435, listen="192.168.1.5")[1] == []


def test_a_taken_port_is_reported_with_its_owner() -> None:
    text = proxying.port_problem(Settings(), "ollama (process 7)")
    assert text.startswith("port 11434 is taken by ollama (process 7)")
    assert "127.0.0.1:11435, behind the proxy" in text
    assert "behind the proxy" not in proxying.port_problem(Settings(), "nginx (process 7)")


def test_of_a_key_only_its_sha256_is_written() -> None:
    made = proxying.texts(Settings(), [CHAT, BOSS], "")
    total = hashlib.sha256(CHAT.key.encode()).hexdigest().upper()
    assert made.key_map.splitlines()[0] == f"{total} infer/chat"
    for key in (CHAT, BOSS):
        assert key.key not in made.config + made.key_map


def test_each_key_has_a_backend_and_infer_keys_a_fence() -> None:
    config = proxying.render(Settings(), [CHAT, BOSS], False, "digest")
    chat, boss = config.split("backend key-chat\n")[1].split("backend key-boss\n")
    assert "status 403" in chat
    assert "prometheus-exporter" not in chat
    assert "status 403" not in boss
    assert "prometheus-exporter" in boss


def test_the_frontend_answers_before_it_lets_through() -> None:
    """The order is the security: refused first, only then is anything of a request passed on."""
    config = proxying.render(Settings(), [CHAT], False, "digest")
    message = ("status 401", "del-header Authorization", "del-header X-Api-Key", "use_backend")
    places = [config.index(word) for word in message]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("header", "conditions"),
    [
        ("authorization", ["{ req.fhdr_cnt(authorization) 1 }", "-m str bearer"]),
        # It counts once and only where there is no Authorization: two keys at once open nothing.
        ("x-api-key", ["{ req.fhdr_cnt(x-api-key) 1 }", "!{ req.fhdr_cnt(authorization) gt 0 }"]),
    ],
)
def test_headers_that_a_key_comes_in(header: str, conditions: list[str]) -> None:
    lines = proxying.render(Settings(), [CHAT], False, "digest").splitlines()
    places = [i for i, line in enumerate(lines) if f"set-var(txn.digest) req.fhdr({header})" in line]
    assert len(places) == 1
    assert [condition for condition in conditions if condition not in lines[places[0]]] == []
    assert places[0] < next(i for i, line in enumerate(lines) if "set-var(txn.key)" in line)


@pytest.mark.parametrize(
    ("listen", "tls", "line"),
    [
        ("0.0.0.0", False, "    bind 0.0.0.0:11434\n"),  # noqa: S104
        ("::", False, "    bind 0.0.0.0:11434,[::]:11434 v6only\n"),
        ("192.168.1.5", True, "    bind 192.168.1.5:11434 ssl crt /etc/edge-slm/proxy/tls.pem alpn http/1.1\n"),
    ],
)
def test_where_it_listens(listen: str, tls: bool, line: str) -> None:
    assert line in proxying.render(Settings(listen=listen), [CHAT], tls, "digest")


def test_tls_settings_are_there_only_with_tls() -> None:
    assert "ssl-min-ver TLSv1.2" in proxying.render(Settings(), [CHAT], True, "digest")
    assert "ssl" not in proxying.render(Settings(), [CHAT], False, "digest")


def test_other_origins_are_nothing_by_default() -> None:
    assert "Access-Control" not in proxying.render(Settings(), [CHAT], False, "digest")
    given = Settings(cors_origins=("https://a.lan", "app://b.md", "localhost"))
    rule = (
        "{ req.hdr(origin) -m str https://a.lan } or { req.hdr(origin) -m str app://b.md } or { req.hdr(origin) -m reg "
    )
    assert rule in proxying.render(given, [CHAT], False, "mark")


def test_what_is_reported_fits_into_single_quotes() -> None:
    config = proxying.render(Settings(cors_origins=("localhost",)), [CHAT, BOSS], True, "digest")
    assert [line for line in config.splitlines() if line.count("'") % 2] == []


def test_the_digest_follows_all_that_is_loaded() -> None:
    def digest(settings: Settings = DEFAULTS, keys: tuple[ApiKey, ...] = (CHAT,), pem: str = "") -> str:
        return proxying.texts(settings, keys, pem).config_digest

    secure = Settings(tls_certificate="/c", tls_key="/k")
    digests = {
        digest(),
        digest(Settings(port=11436)),
        digest(keys=(CHAT, BOSS)),
        digest(keys=(ApiKey("chat", "another-key-of-chat-1"),)),
        digest(keys=(ApiKey("chat", CHAT.key, "admin"),)),
        digest(secure, pem="one"),
        digest(secure, pem="two"),
    }
    assert len(digests) == 7
    made = proxying.texts(Settings(), [CHAT], "")
    assert made.config_digest == digest()
    assert proxying.loaded_digest(f"Name: HAProxy\ndescription: {made.config_digest}\nTasks: 3\n") == made.config_digest


@pytest.mark.parametrize(("info", "seconds"), [("Uptime: 0d 0h01m05s\nUptime_sec: 65\nMemmax_MB: 0\n", 65), ("", 0)])
def test_since_when_a_worker_runs(info: str, seconds: int) -> None:
    assert proxying.uptime(info) == seconds


UNIT = Unit("loaded", "active", "running", True, False, 7, 0, "success", {"EDGE_SLM_DIGEST": "u"})


OLDER = "runs with an older configuration, keys or certificate"


@pytest.mark.parametrize(
    ("changes", "loaded", "steps"),
    [
        ({}, Loaded("c"), Steps()),
        ({"enabled": False}, Loaded("c"), Steps(enable=True, reason="is not enabled")),
        ({}, Loaded("old"), Steps(reload=True, reason=OLDER)),
        ({}, Loaded("c", current=False), Steps(reload=True, reason=OLDER)),
        ({"enabled": False}, Loaded("old"), Steps(enable=True, reload=True, reason=OLDER)),
        ({}, Loaded(), Steps(restart=True, reason="its worker does not answer")),
        ({"environment": {}}, Loaded("c"), Steps(restart=True, reason="runs under an older unit file")),
        ({"stale": True}, Loaded("c"), Steps(daemon_reload=True, restart=True, reason="runs under an older unit file")),
        ({"active": "failed", "pid": 0}, Loaded(), Steps(restart=True, reason="is failed")),
        (
            {"load": "masked", "active": "inactive", "enabled": False, "pid": 0},
            Loaded(),
            Steps(unmask=True, daemon_reload=True, enable=True, restart=True, reason="is masked"),
        ),
        (
            {"load": "not-found", "active": "inactive", "enabled": False, "pid": 0},
            Loaded(),
            Steps(daemon_reload=True, enable=True, restart=True, reason="is not there"),
        ),
    ],
)
def test_steps(changes: dict[str, Any], loaded: Loaded, steps: Steps) -> None:
    unit = Unit(**{**UNIT.__dict__, **changes})
    assert proxying.steps_to_run(unit, "u", loaded, "c") == steps


def test_a_process_of_another_user_is_restarted() -> None:
    steps = proxying.steps_to_run(UNIT, "u", Loaded("c"), "c", own_user=False)
    assert steps == Steps(restart=True, reason="does not run as edge-slm-proxy")


def test_constants_of_the_template_are_those_of_the_plan() -> None:
    role = Path(__file__).resolve().parents[3] / "roles/endpoint_proxy"
    assert yaml.safe_load((role / "vars/main.yml").read_text()) == {
        "__endpoint_proxy_user": proxying.USER,
        "__endpoint_proxy_config": proxying.CONFIG,
        "__endpoint_proxy_run_dir": proxying.RUN_DIR,
    }


def test_what_old_workers_must_forget() -> None:
    now = proxying.key_map_text([CHAT, BOSS])
    demoted = proxying.key_map_text([ApiKey("boss", BOSS.key, "infer")])
    gone = proxying.key_map_text([ApiKey("gone", "key-that-was-revoked")])
    live = "".join(f"0x55d0{i} {line}\n" for i, line in enumerate((now + demoted + gone).splitlines()))
    assert proxying.outdated(live, now) == [demoted.split()[0], gone.split()[0]]


def test_workers_are_found_on_their_way_out_too() -> None:
    # As HAProxy 2.2 and 3.0 print it.
    old = (
        "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>\n"
        "888             master          0               1               0d00h00m10s     2.2.9-2+deb11u7\n"
        "# workers\n"
        "1703            worker          1               0               0d00h00m04s     2.2.9-2+deb11u7\n"
        "# old workers\n"
        "890             worker          [was: 1]        1               0d00h00m10s     2.2.9-2+deb11u7\n"
        "# programs\n"
    )
    assert proxying.worker_pids(old) == [1703, 890]


def test_a_gateway_gets_its_own_key_and_nothing_but_what_its_policy_sees() -> None:
    settings, _problems = settings_of(backend="litellm", backend_port=4001)
    config = proxying.render(settings, [CHAT], False, "d", "sk-master")
    lines = [line.strip() for line in config.splitlines()]
    own_key = lines.index('http-request set-header Authorization "Bearer sk-master"')
    assert own_key > lines.index("http-request del-header Authorization")
    assert "http-request del-header x-litellm- -m beg" in lines
    assert "option httpchk GET /health/liveliness" in lines
    assert "server litellm 127.0.0.1:4001 check inter 2s downinter 500ms fall 2 rise 1" in lines
    assert "/v1/embeddings }" in config
    for other in ("/v1/responses", "/v1/messages", "/api/", "ollama"):
        assert [line for line in lines if other in line and not line.startswith("#")] == []
    assert "sk-master" not in proxying.render(settings, [CHAT], False, "d")


def test_another_key_of_the_backend_is_another_configuration() -> None:
    digests = {proxying.texts(DEFAULTS, [CHAT], "", key).config_digest for key in ("", "sk-a", "sk-b")}
    assert len(digests) == 3

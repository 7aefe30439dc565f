# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What HAProxy in front of Ollama or LiteLLM is configured with: keys, routes, limits; decided, not done.

The grammar is that of HAProxy 2.2 and newer. Who asks is decided in the frontend; what a key may do is decided in a
backend of its own, so that HAProxy's own metrics have a series for each key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import ALL, ALL_IPV4, as_networks, url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.origins import ANY, LOCALHOST, origin_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import overlap
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit

UNIT = "edge-slm-proxy.service"
USER = "edge-slm-proxy"
CONFIG_DIR = "/etc/edge-slm/proxy"
CONFIG = f"{CONFIG_DIR}/haproxy.cfg"
KEY_MAP = f"{CONFIG_DIR}/keys.map"
TLS_PEM = f"{CONFIG_DIR}/tls.pem"
#: What a worker loads.
LOADED = (KEY_MAP, TLS_PEM, CONFIG)
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
RUN_DIR = "/run/edge-slm-proxy"
ADMIN_SOCKET = f"{RUN_DIR}/admin.sock"
MASTER_SOCKET = f"{RUN_DIR}/master.sock"

#: Where what is behind the proxy listens: never anywhere but on this host.
BACKEND_ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Backend:
    """What is behind the proxy.

    Args:
        name: Of the program, for people.
        inference: Routes that make something from a prompt; POST. Their bodies are limited in size.
        listing: Routes that list models; GET and HEAD. /v1/models/NAME belongs to them.
        health: Path that is answered with 200 while it is there.
        controls: How headers begin that steer it, such as how long it waits; they are nobody's but the operator's.
    """

    name: str
    inference: tuple[str, ...]
    listing: tuple[str, ...]
    health: str
    controls: str = ""


OPENAI_ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
BACKENDS = {
    "ollama": Backend(
        name="Ollama",
        inference=(
            *OPENAI_ROUTES,
            "/v1/messages",
            "/v1/responses",
            "/api/chat",
            "/api/embed",
            "/api/embeddings",
            "/api/generate",
        ),
        # `ollama` asks for `/` first.
        listing=("/", "/v1/models", "/api/ps", "/api/tags", "/api/version"),
        health="/api/version",
    ),
    # Nothing else of it is looked through by the gateway's policy.
    "litellm": Backend("LiteLLM", OPENAI_ROUTES, ("/v1/models",), "/health/liveliness", controls="x-litellm-"),
}
#: Describes one model; POST, and the `ollama` command needs it before it chats.
SHOW_ROUTE = "/api/show"

#: What operators call the keys of this role.
KEYS_VARIABLE = "endpoint_proxy_api_keys"
#: What llama-server takes for `localhost`, too.
LOCAL_ORIGINS = "'^https?://(localhost|127[.]0[.]0[.]1|[[]::1[]])(:[0-9]+)?$'"

#: How often a server is asked whether it is there, and how many answers count.
CHECKED = "inter 2s downinter 500ms fall 2 rise 1"
#: Seconds after which a client that was not served may ask again.
RETRY_SECONDS = 2

#: Whole numbers among the inputs: name without the role's, least and greatest value.
NUMBERS = {
    "port": (1024, 65535),
    "backend_port": (1024, 65535),
    "max_connections": (16, 16384),
    "key_connections": (1, 16384),
    "key_queue": (0, 16384),
    "queue_timeout_seconds": (1, 3600),
    "key_requests_per_minute": (1, 1000000),
    "body_max_mib": (1, 1024),
    "header_timeout_seconds": (1, 600),
    "generation_timeout_seconds": (10, 86400),
}

#: TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
TLS12_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
#: Of the section `global`.
TLS_LINES = (
    "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
    f"ssl-default-bind-ciphers {':'.join(TLS12_CIPHERS)}",
)


@dataclass(frozen=True)
class Settings:
    """The role's inputs but for keys, checked. Paths of the certificate and its key are empty for plain HTTP."""

    backend: str = "ollama"
    backend_key_file: str = ""
    listen: str = ALL
    port: int = 11434
    backend_port: int = 11435
    cors_origins: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    max_connections: int = 512
    key_connections: int = 16
    key_queue: int = 128
    queue_timeout_seconds: int = 60
    key_requests_per_minute: int = 600
    body_max_mib: int = 32
    header_timeout_seconds: int = 10
    generation_timeout_seconds: int = 600


@dataclass(frozen=True)
class Steps:
    """What has to be done with the unit, and the `reason`."""

    unmask: bool = False
    daemon_reload: bool = False
    enable: bool = False
    restart: bool = False
    reload: bool = False
    reason: str = ""


def certificate_paths(raw: Mapping[str, Any], role: str, problems: Problems) -> tuple[str, str]:
    """Read the paths of a role's certificate and key on the host; adds every problem."""
    paths = str(raw["tls_certificate"] or ""), str(raw["tls_key"] or "")
    for name, path in zip(("tls_certificate", "tls_key"), paths):  # noqa: B905 (Python 3.9)
        if not path and any(paths):
            problems.add(f"{role}_{name}", "is missing; give certificate and key together, or neither for plain HTTP.")
        elif path and not path.startswith("/"):
            problems.add(f"{role}_{name}", f"{path!r} is not an absolute path; give one of the device.")
    return paths


def as_address(value: object, variable: str, problems: Problems) -> str:
    """Cast the address to listen on, or add a problem and return all of both families."""
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        problems.add(variable, f"{str(value)!r} is not an IP address; give 0.0.0.0, :: or the device's.")
        return ALL


def parse_settings(raw: Mapping[str, Any], problems: Problems) -> Settings:
    """Read the inputs by their names without the role's; adds every problem."""
    defaults = Settings()
    numbers = {
        name: as_int(raw[name], f"endpoint_proxy_{name}", low, high, problems, getattr(defaults, name))
        for name, (low, high) in NUMBERS.items()
    }
    backend = str(raw["backend"])
    if backend not in BACKENDS:
        problems.add("endpoint_proxy_backend", f"{backend!r} is not known; give {' or '.join(BACKENDS)}.")
        backend = defaults.backend
    key_file = str(raw["backend_key_file"] or "")
    if key_file and not key_file.startswith("/"):
        problems.add(
            "endpoint_proxy_backend_key_file", f"{key_file!r} is not an absolute path; give one of the device."
        )
    listen = as_address(raw["listen"], "endpoint_proxy_listen", problems)
    origins = raw["cors_origins"] if isinstance(raw["cors_origins"], (list, tuple)) else [raw["cors_origins"]]
    for index, problem in enumerate(map(origin_problem, origins)):
        if problem:
            problems.add(f"endpoint_proxy_cors_origins[{index}]", f"{problem}.")
    if numbers["port"] == numbers["backend_port"] and overlap(BACKEND_ADDRESS, listen):
        problems.add(
            "endpoint_proxy_backend_port",
            f"is {numbers['port']}, as endpoint_proxy_port is: the proxy would ask itself. "
            f"Give {BACKENDS[backend].name} another one.",
        )
    as_networks(raw["allowed_cidrs"], "endpoint_proxy_allowed_cidrs", problems)
    certificate, key = certificate_paths(raw, "endpoint_proxy", problems)
    return Settings(
        backend=backend,
        backend_key_file=key_file,
        listen=listen,
        cors_origins=tuple(map(str, origins)),
        tls_certificate=certificate,
        tls_key=key,
        **numbers,
    )


def url_of(settings: Settings) -> str:
    """Return where the device itself reaches the proxy."""
    return serving.base_url(settings.listen, settings.port, tls=bool(settings.tls_certificate))


def port_problem(settings: Settings, owner: str) -> str:
    """Return the refusal for a port that another program, `owner`, holds."""
    hint = (
        f" Ollama belongs on {BACKEND_ADDRESS}:{settings.backend_port}, behind the proxy."
        if owner.startswith("ollama")
        else ""
    )
    return f"port {settings.port} is taken by {owner}; stop it, or give another port.{hint}"


def key_digest(key: str) -> str:
    """Return what is known of a key on the device: its sha256 as HAProxy writes it."""
    return hashlib.sha256(key.encode()).hexdigest().upper()


def key_map_text(keys: Sequence[ApiKey]) -> str:
    """Return the map from a key's sha256 to its scope and name."""
    return "".join(f"{key_digest(key.key)} {key.scope}/{key.name}\n" for key in keys)


def outdated(live_map: str, key_map: str) -> list[str]:
    """Return the digests of keys that a worker still takes for what they no longer are.

    Args:
        live_map: A worker's answer to `show map`: an address, a digest, scope and name in each line.
        key_map: The map as it should be.
    """
    valid = {tuple(line.split()) for line in key_map.splitlines()}
    rows = [tuple(line.split()[1:]) for line in live_map.splitlines() if len(line.split()) == 3]
    return [row[0] for row in rows if row not in valid]


def error_body(message: str, kind: str, code: str) -> str:
    """Return an error in the form of OpenAI's API; single quotes would end HAProxy's string."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


#: Answers of HAProxy itself when something goes wrong on the way.
OWN_ERRORS = {
    400: error_body("The request is malformed.", "invalid_request_error", "bad_request"),
    408: error_body("The request did not arrive in time.", "invalid_request_error", "request_timeout"),
    500: error_body("The proxy failed.", "server_error", "proxy_error"),
    502: error_body("The model server broke off.", "server_error", "bad_gateway"),
    503: error_body("The model server does not answer.", "server_error", "service_unavailable"),
    504: error_body("The model server was silent for too long.", "server_error", "gateway_timeout"),
}
NO_KEY = error_body(
    "A right API key is needed. Send it as: Authorization: Bearer KEY, or as: x-api-key: KEY",
    "invalid_request_error",
    "invalid_api_key",
)
NOT_ALLOWED = error_body("This key may only ask models.", "invalid_request_error", "insufficient_permissions")
TOO_FAST = error_body("Too many requests a minute with this key.", "requests", "rate_limit_exceeded")
TOO_MANY = error_body("Too many requests wait already with this key.", "requests", "rate_limit_exceeded")
#: What HAProxy itself answers for a request in a key's queue: its time was up, or the backend went away.
NOT_SERVED = error_body("The model server did not take the request; try again.", "requests", "overloaded")
NO_LENGTH = error_body(
    "Send the body with a Content-Length, not in chunks.", "invalid_request_error", "length_required"
)


def _answer(status: int, body: str, condition: str, *headers: str) -> str:
    """Return a rule that answers at once."""
    added = "".join(f" hdr {header}" for header in headers)
    return f"http-request return status {status} content-type application/json string '{body}'{added} {condition}"


def bind_line(listen: str, port: int, pem: str = "") -> str:
    """Return the line with the address to listen on; `pem` is the file of certificate and key, empty for plain HTTP."""
    # Two sockets: over one of both families the log would show an IPv4 client as ::ffff:192.168.1.7.
    every = f"{ALL_IPV4}:{port}," if listen == ALL else ""
    only = " v6only" if every else ""
    secure = f" ssl crt {pem} alpn http/1.1" if pem else ""
    return f"bind {every}{url_host(listen)}:{port}{only}{secure}"


def _cors(origins: Sequence[str]) -> list[str]:
    """Return the rules for web pages of other origins; browsers send no key with the question before the question."""
    if not origins:
        return []
    matches = [f"-m reg {LOCAL_ORIGINS}" if origin == LOCALHOST else f"-m str {origin}" for origin in origins]
    allowed = "-m found" if ANY in origins else " } or { req.hdr(origin) ".join(matches)
    preflight = "{ method OPTIONS } { req.hdr(access-control-request-method) -m found } { var(txn.origin) -m found }"
    return [
        f"http-request set-var(txn.origin) req.hdr(origin) if {{ req.hdr(origin) {allowed} }}",
        "http-request set-var(txn.wanted) req.fhdr(access-control-request-headers)",
        "http-after-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if { var(txn.origin) -m found }",
        "http-after-response set-header Vary Origin if { var(txn.origin) -m found }",
        "http-request return status 204"
        ' hdr Access-Control-Allow-Methods "GET, HEAD, POST, DELETE"'
        ' hdr Access-Control-Allow-Headers "%[var(txn.wanted)]"'
        f" hdr Access-Control-Max-Age 600 if {preflight}",
    ]


def _frontend(settings: Settings, tls: bool, backend_key: str) -> list[str]:
    """Return the frontend: who asks, and for which kind of route."""
    backend = BACKENDS[settings.backend]
    health = "{ path /healthz } { method GET }"
    down = OWN_ERRORS[503]
    return [
        bind_line(settings.listen, settings.port, TLS_PEM if tls else ""),
        'log-format "key=%[var(txn.key)] status=%ST method=%HM path=%[var(txn.path)] first_byte_ms=%Tr '
        'total_ms=%Ta bytes=%B client=%ci end=%ts"',
        "http-request set-var(txn.path) path",
        f"# Open to everybody, and nothing else is: does {backend.name} answer?",
        f"http-request set-log-level silent if {health}",
        _answer(200, '{"status": "ok"}', f"if {health} {{ nbsrv({settings.backend}) ge 1 }}"),
        _answer(503, down, f"if {health}"),
        *_cors(settings.cors_origins),
        "# One header, two words: Bearer and a key whose sha256 is known.",
        'http-request set-var(txn.digest) req.fhdr(authorization),word(2," "),sha2(256),hex'
        " if { req.fhdr_cnt(authorization) 1 }"
        ' { req.fhdr(authorization),word(1," "),lower -m str bearer }'
        ' !{ req.fhdr(authorization),word(3," ") -m len gt 0 }',
        "# What clients of /v1/messages send. It counts where there is no Authorization, as with llama-server.",
        "http-request set-var(txn.digest) req.fhdr(x-api-key),sha2(256),hex"
        " if { req.fhdr_cnt(x-api-key) 1 } !{ req.fhdr_cnt(authorization) gt 0 }",
        f"http-request set-var(txn.key) var(txn.digest),map_str({KEY_MAP}),field(2,/)"
        " if { var(txn.digest) -m found }",
        _answer(401, NO_KEY, "unless { var(txn.key) -m found }", "WWW-Authenticate Bearer"),
        f"# Exactly these paths, letter by letter: whatever else a path may mean to {backend.name} is for admin keys.",
        f"http-request set-var(txn.route) str(inference) if {{ method POST }} {{ path {' '.join(backend.inference)} }}",
        f"http-request set-var(txn.route) str(listing) if {{ method GET HEAD }} {{ path {' '.join(backend.listing)} }}",
        *(
            [f"http-request set-var(txn.route) str(listing) if {{ method POST }} {{ path {SHOW_ROUTE} }}"]
            if settings.backend == "ollama"
            else []
        ),
        "http-request set-var(txn.route) str(listing) if { method GET HEAD } { path_beg /v1/models/ }"
        " !{ path,field(5,/) -m len gt 0 } !{ path_sub .. ; '#' %2 %5 }",
        f"# What {backend.name} gets to see: no key of a client, no origin (Ollama would refuse it), its own address,"
        " no other host in the URL.",
        "http-request set-uri %[pathq] if { pathq -m beg / }",
        "http-request del-header Authorization",
        "http-request del-header X-Api-Key",
        *([f"http-request del-header {backend.controls} -m beg"] if backend.controls else []),
        *([f'http-request set-header Authorization "Bearer {backend_key}"'] if backend_key else []),
        "http-request del-header Origin",
        "http-request del-header Upgrade",
        f"http-request set-header Host {BACKEND_ADDRESS}:{settings.backend_port}",
        "http-request set-header X-Forwarded-For %[src]",
        "use_backend key-%[var(txn.key)]",
    ]


def _key_backend(key: ApiKey, settings: Settings) -> list[str]:
    """Return the backend of one key: what it may do, and how much of it."""
    inference = "{ var(txn.route) -m str inference }"
    limit = settings.body_max_mib << 20
    too_large = error_body(
        f"The body is larger than {settings.body_max_mib} MiB.", "invalid_request_error", "request_too_large"
    )
    if key.scope == "admin":
        scope = ["http-request use-service prometheus-exporter if { path /metrics } { method GET }"]
    else:
        scope = [_answer(403, NOT_ALLOWED, "unless { var(txn.route) -m found }")]
    return [
        "http-request track-sc0 var(txn.key) table rates",
        _answer(429, TOO_FAST, f"if {{ sc_http_req_rate(0) gt {settings.key_requests_per_minute} }}", "Retry-After 10"),
        *scope,
        _answer(503, OWN_ERRORS[503], f"if {{ nbsrv({settings.backend}) lt 1 }}", f"Retry-After {RETRY_SECONDS}"),
        "# More than can be worked on wait for their turn; the 503 at the end of that time becomes a 429.",
        _answer(
            429,
            TOO_MANY,
            f"if {{ be_conn gt {settings.key_connections + settings.key_queue} }}",
            f"Retry-After {RETRY_SECONDS}",
        ),
        "option abortonclose",
        f"timeout queue {settings.queue_timeout_seconds}s",
        f"http-error status 503 content-type application/json string '{NOT_SERVED}' hdr Retry-After {RETRY_SECONDS}",
        "http-request set-var(txn.begun) date()",
        "http-after-response set-var(txn.waited) date(),sub(txn.begun) if { var(txn.begun) -m found }",
        "http-after-response set-status 429 if { status 503 }"
        f" {{ var(txn.waited) -m int ge {settings.queue_timeout_seconds} }}",
        # The size of a body in chunks is known only when all of it has passed.
        _answer(411, NO_LENGTH, f"if {inference} {{ req.hdr(transfer-encoding) -m found }}"),
        _answer(411, NO_LENGTH, f"if {inference} !{{ req.hdr(content-length) -m found }}"),
        _answer(413, too_large, f"if {inference} {{ req.body_size gt {limit} }}"),
        f"server {settings.backend} {BACKEND_ADDRESS}:{settings.backend_port}"
        f" track {settings.backend}/{settings.backend}"
        f" maxconn {settings.key_connections}",
    ]


def section(head: str, lines: Iterable[str]) -> str:
    """Return one section of the configuration."""
    return "\n".join([head, *(f"    {line}" for line in lines)]) + "\n"


def render(settings: Settings, keys: Sequence[ApiKey], tls: bool, config_digest: str, backend_key: str = "") -> str:
    """Return HAProxy's configuration.

    Args:
        settings: The inputs.
        keys: Keys; only names and scopes are written.
        tls: Whether `TLS_PEM` is there to be used.
        config_digest: What the running process is to be known by; a worker reports it on its socket.
        backend_key: What is sent to the backend in place of the client's key; nothing where it is empty.
    """
    parts = [
        "# Written by the role edge_slm.fleet.endpoint_proxy; changes are overwritten.\n",
        section(
            "global",
            [
                f"description {config_digest}",
                "log stdout format raw daemon",
                f"maxconn {settings.max_connections}",
                # The CPU is the model's; two threads pass on more than any board can answer.
                "nbthread 2",
                f"stats socket {ADMIN_SOCKET} mode 600 level admin expose-fd listeners",
                *(TLS_LINES if tls else []),
            ],
        ),
        section(
            "defaults",
            [
                "mode http",
                "log global",
                "option dontlognull",
                "# A token is sent when it is there.",
                "option http-no-delay",
                "retries 1",
                "timeout connect 5s",
                f"timeout http-request {settings.header_timeout_seconds}s",
                "timeout http-keep-alive 30s",
                "timeout client 30s",
                f"timeout server {settings.generation_timeout_seconds}s",
                *(
                    f"http-error status {status} content-type application/json string '{body}'"
                    for status, body in OWN_ERRORS.items()
                ),
            ],
        ),
        section("frontend endpoint", _frontend(settings, tls, backend_key)),
        section(
            f"# Asks {BACKENDS[settings.backend].name} every two seconds whether it is there, twice a second while it"
            " is not:\n# nobody is turned away by what was true before a restart. The others believe this one.\n"
            f"backend {settings.backend}",
            [
                f"option httpchk GET {BACKENDS[settings.backend].health}",
                f"server {settings.backend} {BACKEND_ADDRESS}:{settings.backend_port} check {CHECKED}",
            ],
        ),
        section(
            "# Requests a minute of each key.\nbackend rates",
            ["stick-table type string len 64 size 1k expire 2m store http_req_rate(60s)"],
        ),
        *(section(f"backend key-{key.name}", _key_backend(key, settings)) for key in keys),
    ]
    return "\n".join(parts)


@dataclass(frozen=True)
class Texts:
    """The texts of what HAProxy reads, and what a process that has loaded them is known by."""

    config: str
    key_map: str
    config_digest: str


def texts(settings: Settings, keys: Sequence[ApiKey], pem: str, backend_key: str = "") -> Texts:
    """Return what HAProxy is to read.

    Args:
        settings: The inputs.
        keys: The keys.
        pem: Certificate and key, empty for plain HTTP; only their digest is used.
        backend_key: What is sent to the backend in place of the client's key; nothing where it is empty.
    """
    tls = bool(settings.tls_certificate)
    key_map = key_map_text(keys)
    secret = hashlib.sha256(pem.encode()).hexdigest()
    config = render(settings, keys, tls, "", backend_key)
    config_digest = digest({"config": config, "keys": key_map, "tls": secret})[:32]
    return Texts(render(settings, keys, tls, config_digest, backend_key), key_map, config_digest)


@dataclass(frozen=True)
class Loaded:
    """What the running worker has loaded.

    Attributes:
        digest: Of configuration, keys and certificate; empty where no worker answers.
        current: Whether none of its files has been written since it started.
    """

    digest: str = ""
    current: bool = True


def steps_to_run(unit: Unit, unit_digest: str, loaded: Loaded, config_digest: str, own_user: bool = True) -> Steps:
    """Decide how the proxy gets to run with its files, from the live state alone.

    Args:
        unit: The unit; its environment is that of the running master.
        unit_digest: What the unit's file sets for a process started under it.
        loaded: What the running worker has.
        config_digest: Digest of the configuration on the disk.
        own_user: Whether the running master belongs to the user that the unit names.
    """
    masked = unit.load == "masked"
    stale = unit.stale or masked or unit.load == "not-found"
    if masked:
        reason = "is masked"
    elif unit.active not in ("active", "reloading") or not unit.pid:
        reason = f"is {unit.active}" if unit.active and unit.load != "not-found" else "is not there"
    elif stale or unit.digest != unit_digest:
        reason = "runs under an older unit file"
    elif not own_user:
        reason = f"does not run as {USER}"
    elif not loaded.digest:
        reason = "its worker does not answer"
    else:
        changed = loaded.digest != config_digest or not loaded.current
        reason = "runs with an older configuration, keys or certificate" if changed else ""
        if not (reason or unit.enabled):
            reason = "is not enabled"
        return Steps(enable=not unit.enabled, reload=changed, reason=reason)
    return Steps(unmask=masked, daemon_reload=stale, enable=not unit.enabled, restart=True, reason=reason)


def loaded_digest(show_info: str) -> str:
    """Return the digest that a worker reports in its answer to `show info`."""
    found = re.search(r"^description: *(\S+)", show_info, re.M | re.I)
    return found.group(1) if found else ""


def uptime(show_info: str) -> int:
    """Return since how many seconds a worker runs, from its answer to `show info`."""
    found = re.search(r"^Uptime_sec: *(\d+)", show_info, re.M)
    return int(found.group(1)) if found else 0


def worker_pids(show_proc: str) -> list[int]:
    """Return the workers in the master's answer to `show proc`, those on their way out too."""
    return [int(row[0]) for row in map(str.split, show_proc.splitlines()) if len(row) > 1 and row[1] == "worker"]

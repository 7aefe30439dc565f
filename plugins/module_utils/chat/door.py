# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What HAProxy in front of the chat page is configured with.

The door is HTTP basic authentication with a key of the fleet as the password. Browsers ask for it and send it with
every request by themselves, also with those that the page's own scripts make; nothing has to be kept of a login, and
as at the other doors the host knows no more of a key than its sha256. With HTTP in the clear a key can be read on the
way, as with bearer tokens.
"""

from __future__ import annotations

from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import TLS_LINES, bind_line, section

#: Where SillyTavern listens: never anywhere but on this host.
BACKEND_ADDRESS = "127.0.0.1"
NO_KEY = "A key of this fleet opens the page: give it as the password, with any user name."
NOT_THERE = "SillyTavern does not answer. It takes seconds to start, on a small board minutes: try again."
CHALLENGE = 'Basic realm="Chat page of the fleet", charset="UTF-8"'


def answer(status: int, text: str) -> str:
    """Return a rule that answers at once, without its condition."""
    return f"http-request return status {status} content-type text/plain string '{text}'"


def config_text(listen: str, port: int, backend_port: int, key_map: str, pem: str, timeout: int) -> str:
    """Return HAProxy's configuration.

    Args:
        listen: IP address of the page.
        port: Port of the page.
        backend_port: SillyTavern's.
        key_map: File with the sha256 of each key and its name.
        pem: File with certificate and key; empty for plain HTTP.
        timeout: Seconds that SillyTavern may be silent.
    """
    health = "{ path /healthz } { method GET }"
    basic = "{ req.fhdr_cnt(authorization) 1 } { req.fhdr(authorization),word(1,' '),lower -m str basic }"
    return "\n".join(
        [
            "# Written by the role edge_slm.fleet.chat_frontend; changes are overwritten.\n",
            section(
                "global",
                ["log stdout format raw daemon", "maxconn 256", "nbthread 2", *(TLS_LINES if pem else ())],
            ),
            section(
                "defaults",
                [
                    "mode http",
                    "log global",
                    "option dontlognull",
                    "# A token is sent when it is there.",
                    "option http-no-delay",
                    "retries 3",
                    "timeout connect 5s",
                    "timeout check 10s",
                    "timeout http-request 30s",
                    "timeout http-keep-alive 30s",
                    "timeout client 30s",
                    f"timeout server {timeout}s",
                    f"http-error status 503 content-type text/plain string '{NOT_THERE}'",
                ],
            ),
            section(
                "frontend page",
                [
                    bind_line(listen, port, pem),
                    'log-format "key=%[var(txn.key)] status=%ST method=%HM path=%[var(txn.path)] total_ms=%Ta bytes=%B'
                    ' client=%ci end=%ts"',
                    "http-request set-var(txn.path) path",
                    "# Open to everybody, and nothing else is: does SillyTavern answer?",
                    f"http-request set-log-level silent if {health}",
                    f"{answer(200, 'ok')} if {health} {{ nbsrv(chat) ge 1 }}",
                    f"{answer(503, NOT_THERE)} if {health}",
                    "# Any user name, and as the password a key whose sha256 is known; a key may have colons in it.",
                    "http-request set-var(txn.key) req.fhdr(authorization),word(2,' '),b64dec,field(2,:,0),sha2(256),"
                    f"hex,map_str({key_map}) if {basic}",
                    f"{answer(401, NO_KEY)} hdr WWW-Authenticate '{CHALLENGE}' unless {{ var(txn.key) -m found }}",
                    "# A page is two hundred files: logged is who opens it, what is done there, and who is refused.",
                    "http-request set-var(txn.file) bool(true) if { method GET HEAD } !{ path / }",
                    "http-response set-log-level silent if { var(txn.file) -m bool } { status lt 400 }",
                    "# What SillyTavern gets to see: no key, and nobody but its one neighbour.",
                    "http-request del-header Authorization",
                    "http-request del-header X-Forwarded-For",
                    "http-request del-header X-Real-IP",
                    "default_backend chat",
                ],
            ),
            section(
                "backend chat",
                [
                    "option httpchk HEAD /favicon.ico",
                    "# One file that does not come is a page that does not start: a board that is busy is not down.",
                    f"server sillytavern {BACKEND_ADDRESS}:{backend_port} check inter 2s fall 5 rise 1",
                ],
            ),
        ]
    )

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What HAProxy in front of the chat page is configured with.

The door is HTTP basic authentication with a key of the fleet as the password. Browsers ask for it and send it with
every request by themselves, also with those that the page's own scripts make; nothing has to be kept of a login, and
as at the other doors the host knows no more of a key than its sha256. With HTTP in the clear a key can be read on the
way, as with bearer tokens.

A page with accounts sends tokens of its own in the same header. There a cookie has what the browser would send, until
it is closed, and the page is told whose key it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy.config import TLS_LINES, bind_line, section

#: Where the page's server listens: never anywhere but on this host.
BACKEND_ADDRESS = "127.0.0.1"
NO_KEY = "A key of this fleet opens the page: give it as the password, with any user name."
CHALLENGE = 'Basic realm="Chat page of the fleet", charset="UTF-8"'
#: Headers that tell a page with accounts who asks; what a browser sends in them is replaced.
IDENTITY = {"email": "X-Edge-Slm-Email", "name": "X-Edge-Slm-Name", "role": "X-Edge-Slm-Role"}
#: Accounts are named like mail addresses; this domain is nobody's.
DOMAIN = "fleet.internal"
COOKIE = "edge-slm-chat"
#: A request that has exactly one header of the kind that browsers send.
BASIC = "{ req.fhdr_cnt(authorization) 1 } { req.fhdr(authorization),word(1,' '),lower -m str basic }"


@dataclass(frozen=True)
class Page:
    """A server behind the door.

    Attributes:
        title: What people call it.
        health: Method and path of a request that it answers when it is up.
        cookie: For a page with accounts, the cookie that it keeps its tokens in.
    """

    title: str
    health: str
    cookie: str = ""

    @property
    def not_there(self) -> str:
        """What people read where it is down."""
        return f"{self.title} does not answer. It takes seconds to start, on a small board minutes: try again."


def answer(status: int, text: str) -> str:
    """Return a rule that answers at once, without its condition."""
    return f"http-request return status {status} content-type text/plain string '{text}'"


def keys_rules(key_map: str, page: Page, admins: Sequence[str], secure: bool) -> list[str]:
    """Return the rules that let those in who have a key.

    Args:
        key_map: File with the sha256 of each key and its name.
        page: What is behind the door.
        admins: Names of the keys that administer a page with accounts.
        secure: People come by TLS.
    """
    name = "var(txn.key)"
    refused = f"{answer(401, NO_KEY)} hdr WWW-Authenticate '{CHALLENGE}' unless {{ {name} -m found }}"
    known = (
        "http-request set-var(txn.key) var(txn.login),b64dec,field(2,:,0),sha2(256),hex,"
        f"map_str({key_map}) if {{ var(txn.login) -m found }}"
    )
    given = f"http-request set-var(txn.login) req.fhdr(authorization),word(2,' ') if {BASIC}"
    note = "# Any user name, and as the password a key whose sha256 is known; a key may have colons in it."
    if not page.cookie:
        return [note, given, known, refused]
    kept = f"http-request set-var(txn.login) req.cook({COOKIE}) unless {{ var(txn.login) -m found }}"
    attributes = "; ".join(["Path=/", "HttpOnly", "SameSite=Strict", *(["Secure"] if secure else [])])
    return [
        note,
        given,
        f"http-request set-var(txn.asked) bool(true) if {BASIC}",
        kept,
        known,
        refused,
        "# The page's own tokens come in the same header: what opened the door is a cookie from now on.",
        f'http-response add-header Set-Cookie "{COOKIE}=%[var(txn.login)]; {attributes}"'
        " if { var(txn.asked) -m bool }",
        # No regular expression, which is compiled to memory that it then executes: the unit forbids that.
        f"http-request set-var(txn.token) req.cook({page.cookie})",
        "http-request del-header Cookie",
        f"http-request set-header Cookie {page.cookie}=%[var(txn.token)] if {{ var(txn.token) -m found }}",
        "# Who asks, as the page is to believe it.",
        f"http-request set-header {IDENTITY['email']} %[{name}]@{DOMAIN}",
        f"http-request set-header {IDENTITY['name']} %[{name}]",
        f"http-request set-header {IDENTITY['role']} user",
        *(
            [f"http-request set-header {IDENTITY['role']} admin if {{ {name} -m str {' '.join(admins)} }}"]
            if admins
            else []
        ),
    ]


def config_text(
    page: Page,
    listen: str,
    port: int,
    backend_port: int,
    keys: Sequence[ApiKey],
    key_map: str,
    pem: str,
    timeout: int,
) -> str:
    """Return HAProxy's configuration.

    Args:
        page: What is behind the door.
        listen: IP address of the page.
        port: Port of the page.
        backend_port: That of the page's server.
        keys: Those that open the page.
        key_map: File with the sha256 of each key and its name.
        pem: File with certificate and key; empty for plain HTTP.
        timeout: Seconds that the page's server may be silent.
    """
    health = "{ path /healthz } { method GET }"
    admins = [key.name for key in keys if key.scope == "admin"]
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
                    *(["timeout tunnel 1h"] if page.cookie else []),
                    f"http-error status 503 content-type text/plain string '{page.not_there}'",
                ],
            ),
            section(
                "frontend page",
                [
                    bind_line(listen, port, pem),
                    'log-format "key=%[var(txn.key)] status=%ST method=%HM path=%[var(txn.path)] total_ms=%Ta bytes=%B'
                    ' client=%ci end=%ts"',
                    "http-request set-var(txn.path) path",
                    f"# Open to everybody, and nothing else is: does {page.title} answer?",
                    f"http-request set-log-level silent if {health}",
                    f"{answer(200, 'ok')} if {health} {{ nbsrv(chat) ge 1 }}",
                    f"{answer(503, page.not_there)} if {health}",
                    *keys_rules(key_map, page, admins, bool(pem)),
                    "# A page is two hundred files: logged is who opens it, what is done there, and who is refused.",
                    "http-request set-var(txn.file) bool(true) if { method GET HEAD } !{ path / }",
                    "http-response set-log-level silent if { var(txn.file) -m bool } { status lt 400 }",
                    f"# What {page.title} gets to see: no key, and nobody but its one neighbour.",
                    f"http-request del-header Authorization if {BASIC}",
                    "http-request del-header X-Forwarded-For",
                    "http-request del-header X-Real-IP",
                    "default_backend chat",
                ],
            ),
            section(
                "backend chat",
                [
                    f"option httpchk {page.health}",
                    "# One file that does not come is a page that does not start: a board that is busy is not down.",
                    f"server page {BACKEND_ADDRESS}:{backend_port} check inter 2s fall 5 rise 1",
                ],
            ),
        ]
    )

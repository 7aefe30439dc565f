# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP with nothing but the standard library: what devices are asked by, and ask themselves by.

No proxy is used and no redirect followed: all that is asked is on this device or is one of the fleet, and a key must
not go elsewhere.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True)
class Response:
    """What came back, an error's body too. Headers are found whatever their case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection_to(url: str, timeout: float, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """Return a connection to the server of a URL; nothing has been sent yet.

    Args:
        url: Its scheme, host and port count.
        timeout: Seconds without a sign of life.
        tls: Whom to trust; the host's own CAs without it.

    Raises:
        ValueError: It is not an http:// or https:// URL.
    """
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError(f"{url!r} is not an HTTP URL")
    if split.scheme == "https":
        return http.client.HTTPSConnection(split.hostname, split.port, timeout=timeout, context=tls)
    return http.client.HTTPConnection(split.hostname, split.port, timeout=timeout)


def send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> http.client.HTTPResponse:
    """Send a request, with a body as JSON where there is one; return the answer, of which only the head was read.

    Raises:
        OSError: There was no answer.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, target, data, {"Content-Type": "application/json", **(headers or {})})
        return connection.getresponse()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def read(answer: http.client.HTTPResponse) -> bytes:
    """Return the body of an answer.

    Raises:
        OSError: It broke off.
    """
    try:
        return answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def request(
    url: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    tls: ssl.SSLContext | None = None,
    method: str = "",
) -> Response:
    """Send one request and return the whole answer, whatever its status.

    Args:
        url: An http:// or https:// URL.
        body: Sent as JSON; nothing where it is None.
        headers: Beside Content-Type.
        timeout: Seconds without a sign of life.
        tls: Whom to trust; the host's own CAs without it.
        method: POST where there is a body and GET where there is none, if it is empty.

    Raises:
        OSError: There was no whole answer.
        ValueError: It is not an http:// or https:// URL.
    """
    connection = connection_to(url, timeout, tls)
    split = urlsplit(url)
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    try:
        answer = send(connection, method or ("GET" if body is None else "POST"), target, body, headers)
        return Response(answer.status, answer.headers, read(answer))
    finally:
        connection.close()


def shown_url(url: str) -> str:
    """Return a URL without credentials and signatures, for messages and for files that others may read."""
    split = urlsplit(url)
    return urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", ""))


def token_problem(token: str) -> str:
    """Return why a token cannot be sent in a header, or ''; it never shows the token, as the library's error would."""
    return (
        ""
        if all("!" <= character <= "~" for character in token)
        else ("holds a space, a line end or another character that no header may have; copy the token alone")
    )


def trusting(certificates: str = "") -> ssl.SSLContext:
    """Return a context that trusts the host's CAs, and those of a text in PEM beside them where one is given."""
    context = ssl.create_default_context()
    # Python 3.13 refuses CAs without a key usage, which Docker takes, and which many small CAs are.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificates:
        context.load_verify_locations(cadata=certificates)
    return context

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speak to an Ollama server (calls, streams of JSON lines, uploads)."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import BLOCK, mib
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import connection_to, request, send

#: A call that moves no model data is answered within this time, in seconds.
CALL_SECONDS = 30.0
#: Called with the bytes that are there and the bytes that there will be.
Report = Callable[[int, int], None]


class OllamaError(Exception):
    """Ollama or a registry could not do what it was asked. The message is meant for the operator."""


class Refused(OllamaError):
    """It answered, with an error.

    Args:
        what: What was asked.
        status: The HTTP status; 200 for an error within a stream.
        reason: As the server gave it.
    """

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {reason or 'no reason given'} (HTTP {status})")
        self.status = status
        self.reason = reason


class Unanswered(OllamaError):
    """No answer, or one that broke off: another attempt may help."""


def error_text(body: bytes) -> str:
    """Return the reason in a refusal's body: Ollama's `error`, a registry's first `errors`, or how its text begins."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return " ".join(body.decode("utf-8", errors="replace").split())[:200]
    if not isinstance(parsed, dict):
        return str(parsed)[:200]
    errors = parsed.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("message") or errors[0].get("code") or "")
    error = parsed.get("error")
    if isinstance(error, dict):  # the OpenAI routes
        error = error.get("message")
    return str(error or "")


def url_problem(url: str) -> str:
    """Return what is wrong with a server's URL, or ''."""
    split = urllib.parse.urlsplit(url)
    try:
        usable = split.scheme in ("http", "https") and bool(split.hostname) and split.path in ("", "/")
        _unused = split.port
    except ValueError:
        usable = False
    return "" if usable else f"{url!r} is not a server's URL; write it like http://127.0.0.1:11435"


@dataclass(frozen=True)
class Server:
    """An Ollama server. Never uses a proxy: it is on this device.

    Args:
        url: Like http://127.0.0.1:11435.
    """

    url: str

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection; nothing has been sent yet."""
        return connection_to(self.url, timeout)

    def _lost(self, what: str, error: Exception) -> Unanswered:
        """Describe a connection that was not made or broke."""
        reason = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = "nothing came in time"
        elif isinstance(error, ConnectionRefusedError):
            reason = "connection refused; is Ollama running?"
        return Unanswered(f"{what} at {self.url}: {reason}")

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = CALL_SECONDS
    ) -> tuple[int, bytes]:
        """Send one request; return status and body.

        Raises:
            Unanswered: There was no whole answer.
        """
        try:
            response = request(f"{self.url}{path}", body, timeout=timeout, method=method)
        except OSError as error:
            raise self._lost(path, error) from error
        return response.status, response.body

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = CALL_SECONDS
    ) -> dict[str, Any]:
        """Send one request; return the JSON object that came back (empty where the body is).

        Raises:
            Refused: The status is an error.
            Unanswered: There was no whole answer.
        """
        status, content = self.ask(method, path, body, timeout)
        if status >= 400:
            raise Refused(path, status, error_text(content))
        try:
            parsed = json.loads(content) if content.strip() else {}
        except ValueError as error:
            raise Refused(path, status, f"no JSON but {error_text(content)!r}") from error
        return parsed if isinstance(parsed, dict) else {}

    def version(self) -> str:
        """Return the server's version."""
        return str(self.call("GET", "/api/version").get("version") or "")

    def tags(self) -> list[dict[str, Any]]:
        """Return the models that it holds."""
        return list(self.call("GET", "/api/tags").get("models") or [])

    def running(self) -> list[dict[str, Any]]:
        """Return the models that are loaded."""
        return list(self.call("GET", "/api/ps").get("models") or [])

    def show(self, model: str) -> dict[str, Any]:
        """Return what it knows of a model."""
        return self.call("POST", "/api/show", {"model": model})

    def copy(self, source: str, destination: str) -> None:
        """Give a model another name; what had that name before is replaced."""
        self.call("POST", "/api/copy", {"source": source, "destination": destination})

    def delete(self, model: str) -> None:
        """Take a name away, and the files that no other name needs. One that is not there is fine."""
        try:
            self.call("DELETE", "/api/delete", {"model": model})
        except Refused as error:
            if error.status != 404:
                raise

    def stream(
        self, path: str, body: Mapping[str, Any], patience: Callable[[Mapping[str, Any]], float]
    ) -> Generator[dict[str, Any], None, None]:
        """Send a request and yield the JSON lines that answer it.

        Args:
            path: The route.
            body: Sent as JSON.
            patience: Given the line before (empty at first), how long the next may take, in seconds.

        Raises:
            Refused: The status is an error, or a line of a 200 holds one.
            Unanswered: There was no answer, or it ended before its last line.
        """
        connection = self._connect(patience({}))
        finished = False
        try:
            connection.connect()
            socket = connection.sock
            answer = send(connection, "POST", path, body)
            if answer.status >= 400:
                raise Refused(path, answer.status, error_text(answer.read()))
            while line := answer.readline():
                if not line.strip():
                    continue
                try:
                    item = json.loads(line)
                except ValueError as error:  # a line that was cut
                    raise Unanswered(f"{path} at {self.url}: the answer broke off within a line") from error
                if not isinstance(item, dict):
                    raise Refused(path, answer.status, f"not an object but {line[:200]!r}")
                if item.get("error"):
                    raise Refused(path, answer.status, error_text(line))
                finished = item.get("status") == "success" or item.get("done") is True
                yield item
                socket.settimeout(max(0.1, patience(item)))
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(path, error) from error
        finally:
            connection.close()
        if not finished:
            raise Unanswered(f"{path} at {self.url}: the answer broke off before its end")

    def has_blob(self, digest: str) -> bool:
        """Return whether a file of that digest (sha256:…) is there."""
        status, _body = self.ask("HEAD", f"/api/blobs/{digest}")
        if status not in (200, 404):
            raise Refused(f"/api/blobs/{digest}", status, "")
        return status == 200

    def send_blob(self, digest: str, path: str, size: int, report: Report, quiet: float) -> None:
        """Upload a file. Ollama hashes it and keeps it only if the digest is right.

        Args:
            digest: sha256:…
            path: The file.
            size: Its size in bytes.
            report: Called for each block.
            quiet: How long the server may take nothing, in seconds.

        Raises:
            Refused: Ollama does not keep it; the reason may be a full disk or a wrong digest.
            Unanswered: The connection broke.
        """
        route = f"/api/blobs/{digest}"
        connection = self._connect(quiet)
        sent, broken = 0, ""
        try:
            connection.putrequest("POST", route)
            connection.putheader("Content-Type", "application/octet-stream")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            try:
                with open(path, "rb") as file:
                    for block in iter(lambda: file.read(BLOCK), b""):
                        connection.send(block)
                        sent += len(block)
                        report(sent, size)
            except (BrokenPipeError, ConnectionResetError) as error:
                # It has reset the connection early; its answer may still be in the socket, with the reason.
                broken = f" after {mib(sent)} of {mib(size)} ({error.strerror})"
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"{self._lost(route, error)}{broken}") from error
        finally:
            connection.close()
        if answer.status not in (200, 201):
            raise Refused(route, answer.status, f"{error_text(content)}{broken}")

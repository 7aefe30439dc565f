# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's Engine API over its unix socket, with nothing but the standard library.

community.docker needs python3-requests on the device; what must work before that is there, or must see the
stream of a pull, speaks to the engine through this.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import UnixConnection, read, send

SOCKET = "/run/docker.sock"


class EngineError(Exception):
    """Docker refused something, or cannot be asked. `status` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """The Docker daemon of this machine."""

    def __init__(self, path: str = SOCKET, timeout: float = 60) -> None:
        self._path = path
        self._timeout = timeout

    def _send(
        self, method: str, target: str, body: object, headers: Mapping[str, str], timeout: float
    ) -> tuple[UnixConnection, http.client.HTTPResponse]:
        """Send a request and return its connection and answer; raises where the answer is a refusal."""
        connection = UnixConnection(self._path, timeout)
        try:
            answer = send(connection, method, target, body, headers)
        except OSError as error:
            connection.close()
            raise EngineError(f"Docker does not answer on {self._path}: {error}") from error
        if answer.status >= 400:
            text = answer.read().decode("utf-8", "replace")
            connection.close()
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["message"]
            raise EngineError(text.strip() or f"HTTP {answer.status}", answer.status)
        return connection, answer

    def read(self, method: str, target: str, body: object = None, timeout: float = 0) -> bytes:
        """Return the body of an answer.

        Raises:
            EngineError: The daemon refuses or does not answer.
        """
        connection, answer = self._send(method, target, body, {}, timeout or self._timeout)
        try:
            return read(answer)
        except OSError as error:
            raise EngineError(f"Docker's answer broke off: {error}") from error
        finally:
            connection.close()

    def call(self, method: str, target: str, body: object = None, timeout: float = 0) -> dict[str, Any]:
        """Return the JSON object of an answer; empty where there is none."""
        text = self.read(method, target, body, timeout)
        found = json.loads(text) if text.strip() else {}
        return found if isinstance(found, dict) else {}

    def find(self, target: str) -> dict[str, Any] | None:
        """Return an object, or None where there is no such thing."""
        try:
            return self.call("GET", target)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def answers(self) -> bool:
        """Return whether the daemon is up."""
        try:
            self.read("GET", "/_ping", timeout=10)
        except EngineError:
            return False
        return True

    def info(self) -> dict[str, Any]:
        """Return what `docker info` shows; empty where the daemon cannot be asked."""
        try:
            return self.find("/info") or {}
        except EngineError:
            return {}

    def container(self, name: str) -> dict[str, Any] | None:
        """Return what `docker inspect` shows of a container."""
        return self.find(f"/containers/{quote(name)}/json")

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return what `docker image inspect` shows."""
        return self.find(f"/images/{quote(reference, safe='/:@')}/json")

    def running(self) -> list[dict[str, Any]]:
        """Return the containers that run: Id, Names, Labels."""
        return list(json.loads(self.read("GET", "/containers/json")))

    def logs(self, name: str, lines: int = 20) -> str:
        """Return a container's last lines."""
        query = urlencode({"stdout": 1, "stderr": 1, "tail": lines})
        try:
            return demultiplex(self.read("GET", f"/containers/{quote(name)}/logs?{query}"))
        except EngineError as error:
            return f"(no log: {error})"

    def pull(self, repository: str, digest: str, auth: str = "", timeout: float = 0) -> Iterator[dict[str, Any]]:
        """Pull an image by digest and yield the lines of the stream; an error can be one of them.

        Args:
            repository: Name with the registry's host, without tag and digest.
            digest: `sha256:…`.
            auth: Value of X-Registry-Auth; none where empty.
            timeout: Seconds without a sign of life.
        """
        query = urlencode({"fromImage": repository, "tag": digest})
        headers = {"X-Registry-Auth": auth} if auth else {}
        connection, answer = self._send("POST", f"/images/create?{query}", None, headers, timeout or self._timeout)
        try:
            for line in answer:
                if line.strip():
                    yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineError(f"the pull's stream broke off: {error}") from error
        finally:
            connection.close()


def demultiplex(data: bytes) -> str:
    """Join the frames of a log without a terminal: 8 bytes of header (stream, length), then the text."""
    text = b""
    while len(data) >= 8 and data[0] in (0, 1, 2) and data[1:4] == b"\0\0\0":
        size = int.from_bytes(data[4:8], "big")
        text += data[8 : 8 + size]
        data = data[8 + size :]
    return (text + data).decode("utf-8", "replace")

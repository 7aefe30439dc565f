# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The beginning of a file elsewhere, and what a hub lists: read before anything is downloaded."""

from __future__ import annotations

import fnmatch
import http.client
import io
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url, trusting
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import proxies_for

#: Seconds without a sign of life.
PATIENCE = 10
#: Bytes that one request brings.
STEP = 1 << 20
#: The header of a model is read, never the model: more than this is none.
LARGEST_HEADER = 64 << 20
#: A list of files, or a configuration.
LARGEST_TEXT = 16 << 20


@dataclass(frozen=True)
class Access:
    """How a host gets there.

    Args:
        token: For the hub; it is sent nowhere else.
        environment: Variables of proxies.
    """

    token: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def opened(url: str, access: Access, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Ask for a URL.

    Raises:
        OSError: It was not given.
    """
    proxies = proxies_for(urllib.parse.urlsplit(url).hostname or "", access.environment)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=trusting())
    )
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310  (checked by the catalogue)
    if access.token:
        # Where a hub sends on to is somebody else's.
        request.add_unredirected_header("Authorization", f"Bearer {access.token}")
    try:
        answer: http.client.HTTPResponse = opener.open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        raise OSError(f"{shown_url(url)} answered {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OSError(f"{shown_url(url)} cannot be reached: {getattr(error, 'reason', '') or error}") from error
    return answer


class _Ranges(io.RawIOBase):
    """A file elsewhere, of which only what is read is fetched."""

    def __init__(self, url: str, access: Access) -> None:
        super().__init__()
        self._url, self._access = url, access
        self._place = self._fetched = 0
        with opened(url, access, {"Range": "bytes=0-0"}) as answer:
            found = re.fullmatch(r"bytes 0-0/(\d+)", answer.headers.get("Content-Range", ""))
            self.has_ranges = answer.status == 206 and bool(found)
            self.size = int(found[1]) if found else int(answer.headers.get("Content-Length") or 0)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that any place can be read."""
        return True

    def tell(self) -> int:
        """Return where it is read next."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  (whatever can be written to)
        """Fetch what comes next."""
        length = min(len(buffer), self.size - self._place)
        if length <= 0:
            return 0
        if not self.has_ranges:
            raise OSError(f"{shown_url(self._url)} gives no part of its file: its header cannot be read")
        self._fetched += length
        if self._fetched > LARGEST_HEADER:
            raise OSError(f"{shown_url(self._url)} has a header of more than {LARGEST_HEADER >> 20} MiB")
        wanted = f"bytes={self._place}-{self._place + length - 1}"
        with opened(self._url, self._access, {"Range": wanted}) as answer:
            try:
                content = answer.read(length)
            except http.client.HTTPException as error:
                raise OSError(f"{shown_url(self._url)} broke off") from error
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


class RemoteFile(io.BufferedReader):
    """A file elsewhere, read in steps.

    Raises:
        OSError: It is not given.
    """

    def __init__(self, url: str, access: Access) -> None:
        ranges = _Ranges(url, access)
        super().__init__(ranges, STEP)
        #: In bytes; 0 where its server does not tell.
        self.size = ranges.size


def wanted(path: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    """Return whether a repository's file is to be fetched."""
    included = not list(include) or any(fnmatch.fnmatchcase(path, glob) for glob in include)
    return included and not any(fnmatch.fnmatchcase(path, glob) for glob in exclude)


class Hub:
    """A revision of a repository on a hub."""

    def __init__(self, endpoint: str, repo: str, revision: str, access: Access) -> None:
        self._root, self._repo, self._revision = endpoint.rstrip("/"), repo, revision
        self._access = access

    def sizes(self) -> dict[str, int]:
        """Return the sizes of its files by path.

        Raises:
            OSError: The hub did not tell.
        """
        url = f"{self._root}/api/models/{self._repo}/tree/{self._revision}?recursive=true"
        entries = self._json(url)
        if not isinstance(entries, list):
            raise OSError(f"{shown_url(url)} gave no list of files")
        return {str(one["path"]): int(one["size"]) for one in entries if one.get("type") == "file"}

    def file(self, path: str) -> RemoteFile:
        """Return one of its files."""
        return RemoteFile(self._url(path), self._access)

    def json(self, path: str) -> Any:  # noqa: ANN401  (what is in a file)
        """Return the content of a small file."""
        return self._json(self._url(path))

    def _url(self, path: str) -> str:
        """Return where a file is."""
        return f"{self._root}/{self._repo}/resolve/{self._revision}/{urllib.parse.quote(path)}"

    def _json(self, url: str) -> Any:  # noqa: ANN401  (what is there)
        """Return what is at a URL."""
        with opened(url, self._access) as answer:
            try:
                return json.loads(answer.read(LARGEST_TEXT))
            except (ValueError, http.client.HTTPException) as error:
                raise OSError(f"{shown_url(url)} gave something else than JSON") from error

#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small Hugging Face hub for demo and tests, where huggingface.co cannot be reached (HF_ENDPOINT).

    local_hub.py publish ROOT ORG/NAME DIRECTORY [--ref main]   prints the revision
    local_hub.py serve   ROOT [--bind 127.0.0.1] [--port 8099] [--token T] [--cdn URL] [--rate BYTES_PER_S]

ROOT is laid out like the hub's own cache: models--ORG--NAME/refs/REF and .../snapshots/REVISION/.
Faults are set while it runs:  curl -X POST 'http://HUB/_fault?match=safetensors&times=1&cut=100000'
  match=TEXT     only for files whose path holds TEXT      times=N      only for the next N requests
  cut=N          drop the connection after N bytes          corrupt=N    flip the byte at offset N
  norange=1      ignore Range                               status=CODE  answer with this status
An empty query clears them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import re
import shutil
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache
from pathlib import Path
from typing import Any

BLOCK = 1 << 16
#: Files from this size on are in LFS, as on the real hub; these suffixes are there whatever their size.
LFS_SIZE = 1 << 20
LFS_SUFFIXES = {".safetensors", ".gguf", ".bin"}


@dataclass(frozen=True)
class Stored:
    """What the hub reports about a file. `sha256` is empty for a file that is in git itself."""

    size: int
    blob_id: str
    sha256: str

    def as_entry(self, path: str) -> dict[str, Any]:
        """Return the file's entry in a tree listing."""
        entry: dict[str, Any] = {"type": "file", "path": path, "size": self.size, "oid": self.blob_id}
        if self.sha256:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        return entry


def blob_id(size: int, *contents: bytes) -> str:
    """Return git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % size + b"".join(contents), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=4096)
def _stored(path: Path, size: int, _mtime_ns: int) -> Stored:
    """Read a file once per version of it."""
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha256.update(block)
            git.update(block)
    if size < LFS_SIZE and path.suffix not in LFS_SUFFIXES:
        return Stored(size, git.hexdigest(), "")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256.hexdigest()}\nsize {size}\n".encode()
    return Stored(size, blob_id(len(pointer), pointer), sha256.hexdigest())


def stored(path: Path) -> Stored:
    """Return what the hub reports about a file."""
    status = path.stat()
    return _stored(path, status.st_size, status.st_mtime_ns)


def repository(root: Path, name: str) -> Path:
    """Return where a repository is."""
    return root / f"models--{name.replace('/', '--')}"


def publish(root: Path, name: str, source: Path, ref: str = "main") -> str:
    """Add a directory as a revision of a repository.

    Returns:
        The revision: 40 hex digits that depend on the files' names and contents alone.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file() and ".cache" not in path.parts)
    listing = "".join(f"{path.relative_to(source)} {stored(path).blob_id}\n" for path in files)
    revision = hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()
    base = repository(root, name)
    for path in files:
        target = base / "snapshots" / revision / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            try:
                os.link(path, target)
            except OSError:
                shutil.copy(path, target)
    reference = base / "refs" / ref
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(revision, encoding="utf-8")
    return revision


@dataclass(frozen=True)
class Request:
    """One request as it came in, kept for tests to look at."""

    method: str
    path: str
    range: str
    authorization: str


@dataclass(frozen=True)
class Answer:
    """An answer that is not a file."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def answer_json(status: int, content: object, **headers: str) -> Answer:
    """Return an answer in JSON. An underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


def answer_error(status: int, code: str, message: str) -> Answer:
    """Return an error in the form that huggingface_hub expects."""
    return answer_json(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)


class Hub(http.server.ThreadingHTTPServer):
    """The server.

    Args:
        root: Where the repositories are.
        address: Host and port to listen on; port 0 takes a free one.
        token: What callers must show, '' for an open hub.
        cdn: Base URL that LFS files are redirected to; '' serves them here. This server answers there too.
        rate: Bytes per second and connection, 0 for no limit.
        verbose: Log requests on stderr.
    """

    daemon_threads = True

    def __init__(
        self,
        root: Path,
        address: tuple[str, int] = ("127.0.0.1", 0),
        token: str = "",
        cdn: str = "",
        rate: float = 0,
        verbose: bool = False,
    ) -> None:
        """Listen; `serve_forever` answers."""
        super().__init__(address, Handler)
        self.root = root
        self.token = token
        self.cdn = cdn.rstrip("/")
        self.rate = rate
        self.verbose = verbose
        self.faults: dict[str, str] = {}
        self.requests: list[Request] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL (HF_ENDPOINT)."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def take_faults(self, path: str) -> dict[str, str]:
        """Return the faults that apply to this request for a file, and count it."""
        with self.lock:
            if not self.faults or self.faults.get("match", "") not in path:
                return {}
            if "times" in self.faults:
                left = int(self.faults["times"])
                if left <= 0:
                    return {}
                self.faults["times"] = str(left - 1)
            return dict(self.faults)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer the calls that huggingface_hub and llama-server make."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Log to stderr where asked for."""
        if self.server.verbose:
            headers: Message | dict[str, str] = getattr(self, "headers", {})
            sys.stderr.write(f"{headers.get('Range', '-')} {format % args}\n")

    def do_POST(self) -> None:
        """Set faults."""
        split = urllib.parse.urlsplit(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if split.path != "/_fault":
            self.send(answer_error(404, "", "no such route"))
            return
        self.server.faults = dict(urllib.parse.parse_qsl(split.query))
        self.send(answer_json(200, self.server.faults))

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer a listing or a file."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        authorization = self.headers.get("Authorization", "")
        self.server.requests.append(Request(self.command, path, self.headers.get("Range", ""), authorization))
        on_cdn = re.fullmatch(r"/cdn/([^/]+)/([0-9a-f]{40})/(.+)", path)
        if on_cdn:
            snapshot = self.server.root / on_cdn[1] / "snapshots" / on_cdn[2]
            self.send_file(snapshot, on_cdn[3])
            return
        if self.server.token and authorization != f"Bearer {self.server.token}":
            self.send(answer_error(401, "", "Invalid credentials in Authorization header"))
            return
        call = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)(?:/.*)?", path)
        call = call or re.fullmatch(r"/api/models/([^/]+/[^/]+)()()", path)
        call = call or re.fullmatch(r"/([^/]+/[^/]+)/(resolve)/([^/]+)/(.+)", path)
        if not call:
            self.send(answer_error(404, "", "no such route"))
            return
        base = repository(self.server.root, call[1])
        if not base.is_dir():
            self.send(answer_error(404, "RepoNotFound", "Repository not found"))
            return
        reference = base / "refs" / (call[3] or "main")
        revision = reference.read_text(encoding="utf-8").strip() if reference.is_file() else call[3]
        snapshot = base / "snapshots" / revision
        if not re.fullmatch("[0-9a-f]{40}", revision) or not snapshot.is_dir():
            self.send(answer_error(404, "RevisionNotFound", f"Invalid rev id: {call[3]}"))
        elif call[2] == "resolve":
            self.send_file(snapshot, call[4])
        else:
            self.send(self.listing(call[1], snapshot, tree=call[2] == "tree"))

    def listing(self, name: str, snapshot: Path, tree: bool) -> Answer:
        """Return what a revision holds: its tree, or the model's description."""
        paths = sorted(path for path in snapshot.rglob("*") if path.is_file())
        names = {str(path.relative_to(snapshot)): path for path in paths}
        if tree:
            return answer_json(200, [stored(path).as_entry(name) for name, path in names.items()])
        return answer_json(
            200,
            {
                "_id": snapshot.name[:24],
                "id": name,
                "modelId": name,
                "sha": snapshot.name,
                "private": False,
                "gated": False,
                "disabled": False,
                "tags": [],
                "lastModified": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": entry} for entry in names],
            },
        )

    def send(self, answer: Answer) -> None:
        """Send an answer that is not a file."""
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_file(self, snapshot: Path, name: str) -> None:
        """Send a file or the part of it that Range asks for, with the faults that are set."""
        path = snapshot / name
        if not path.resolve().is_relative_to(self.server.root.resolve()) or not path.is_file():
            self.send(answer_error(404, "EntryNotFound", "Entry not found"))
            return
        known = stored(path)
        headers = {"X-Repo-Commit": snapshot.name, "ETag": f'"{known.sha256 or known.blob_id}"'}
        if known.sha256:
            headers.update({"X-Linked-Size": str(known.size), "X-Linked-Etag": f'"{known.sha256}"'})
            if self.server.cdn and not self.path.startswith("/cdn/"):
                place = f"/cdn/{snapshot.parent.parent.name}/{snapshot.name}/{urllib.parse.quote(name)}"
                self.send(Answer(302, b"", {**headers, "Location": f"{self.server.cdn}{place}"}))
                return
        faults = self.server.take_faults(str(path)) if self.command == "GET" else {}
        if "status" in faults:
            self.send(answer_error(int(faults["status"]), "", "injected fault"))
            return
        first, last = 0, known.size - 1
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        partly = bool(wanted) and "norange" not in faults
        if wanted and partly:
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            if first >= known.size:
                self.send(Answer(416, b"", {"Content-Range": f"bytes */{known.size}"}))
                return
            headers["Content-Range"] = f"bytes {first}-{last}/{known.size}"
        if "norange" not in faults:
            headers["Accept-Ranges"] = "bytes"
        self.send_response(206 if partly else 200)
        headers.update({"Content-Length": str(last - first + 1), "Content-Type": "application/octet-stream"})
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_bytes(path, first, last, faults)

    def send_bytes(self, path: Path, first: int, last: int, faults: dict[str, str]) -> None:
        """Send bytes `first` to `last` of a file."""
        cut = int(faults.get("cut", last + 1))
        bad = int(faults.get("corrupt", -1))
        sent, start = 0, time.monotonic()
        with path.open("rb") as file:
            file.seek(first)
            while first + sent <= last:
                block = bytearray(file.read(min(BLOCK, last + 1 - first - sent, cut - sent)))
                if not block:
                    self.close_connection = True
                    return
                if 0 <= bad - first - sent < len(block):
                    block[bad - first - sent] ^= 0xFF
                try:
                    self.wfile.write(block)
                except OSError:
                    self.close_connection = True
                    return
                sent += len(block)
                if self.server.rate:
                    time.sleep(max(0.0, sent / self.server.rate - (time.monotonic() - start)))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("publish", help="add a directory as a revision and print its name")
    adding.add_argument("root", type=Path)
    adding.add_argument("repo", help="ORG/NAME")
    adding.add_argument("source", type=Path)
    adding.add_argument("--ref", default="main")
    serving = verbs.add_parser("serve", help="answer until stopped")
    serving.add_argument("root", type=Path)
    serving.add_argument("--bind", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8099)
    serving.add_argument("--token", default="", help="what callers must show")
    serving.add_argument("--cdn", default="", help="base URL that large files are redirected to")
    serving.add_argument("--rate", type=float, default=0, help="bytes per second and connection")
    arguments = parser.parse_args()
    if arguments.verb == "publish":
        sys.stdout.write(publish(arguments.root, arguments.repo, arguments.source, arguments.ref) + "\n")
        return
    address = (arguments.bind, arguments.port)
    with Hub(arguments.root, address, arguments.token, arguments.cdn, arguments.rate, verbose=True) as hub:
        sys.stderr.write(f"serving {arguments.root} at {hub.url}\n")
        hub.serve_forever()


if __name__ == "__main__":
    main()

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring one file to a device: resumed when it breaks, verified before it gets its final name.

aria2 does the transfer, from a list on its standard input: nothing secret shows in the process table.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import IO

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    BLOCK,
    Digest,
    DurableError,
    directory_lock,
    finish,
    is_verified,
    mib,
    remember_verified,
    remove,
    require_space,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import run_watched
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress

#: Attempts that brought no new byte before a fetch is given up. One that made progress does not count.
FRUITLESS_ATTEMPTS = 5
MAX_REDIRECTS = 10

#: aria2's exit codes (aria2c(1), EXIT STATUS) that another attempt cannot fix, and what they mean.
HOPELESS = {
    3: "the server does not have it (404 or 410)",
    9: "the disk is full",
    24: "the server wants other credentials (401 or 403)",
}
#: Its codes that come and go.
PASSING = {
    1: "the server refused or broke off",
    2: "the server did not answer in time",
    5: "it came too slowly",
    6: "the network failed",
    8: "the server cannot resume",
    19: "the server's name does not resolve",
    22: "the server answered with an unexpected status",
    29: "the server is overloaded (503)",
}


@dataclass(frozen=True)
class Fetch:
    """One file to bring.

    Args:
        url: http, https, file:///… or an absolute path on the device.
        dest: Its final name.
        digest: What its content must be.
        size: Its size in bytes where it is known beforehand, else 0.
        bearer_token: Sent to the url's own host and to no other that it redirects to.
        retry_wait: Seconds between attempts.
        name: What its progress is shown under; '' for the last part of `dest`.
    """

    url: str
    dest: str
    digest: Digest
    size: int = 0
    bearer_token: str = ""
    retry_wait: int = 2
    name: str = ""

    @property
    def part(self) -> str:
        """The name while it is not whole."""
        return f"{self.dest}.part"

    @property
    def progress(self) -> Progress:
        """Where to report how much of it has arrived."""
        return Progress(self.name or os.path.basename(self.dest), self.size)

    @property
    def shown_url(self) -> str:
        """The URL without credentials and signatures, for messages."""
        return shown_url(self.url)

    @property
    def local_path(self) -> str:
        """Where it is on the device itself, or '' for the network."""
        return local_path(self.url)


def local_path(url: str) -> str:
    """Return where an address is on the device itself, or '' for the network."""
    if url.startswith("/"):
        return url
    split = urllib.parse.urlsplit(url)
    return urllib.parse.unquote(split.path) if split.scheme == "file" else ""


def url_problem(url: str) -> str:
    """Return what is wrong with a URL, or ''."""
    if any(character.isspace() or ord(character) < 32 for character in url):
        return "must not contain spaces or control characters (write %20)"
    split = urllib.parse.urlsplit(url)
    if url.startswith("/"):
        return ""
    if split.scheme == "file":
        return "" if split.netloc in ("", "localhost") and split.path.startswith("/") else "must be file:///…"
    if split.scheme not in ("http", "https") or not split.netloc:
        return "must be http://…, https://…, file:///… or an absolute path on the device"
    return ""


def is_present(job: Fetch, remember: bool = True) -> bool:
    """Return whether the file is there already and right."""
    if job.size and os.path.isfile(job.dest) and os.path.getsize(job.dest) != job.size:
        return False
    return is_verified(job.dest, job.digest, remember)


def fetch(job: Fetch) -> bool:
    """Bring a file to its final name.

    Returns:
        Whether anything was brought; False when it was there already and right.

    Raises:
        DurableError: It could not be brought. Its final name is untouched. What has arrived intact stays
            under the `.part` name for the next attempt.
    """
    if is_present(job):
        return False
    os.makedirs(os.path.dirname(job.dest), exist_ok=True)
    with directory_lock(os.path.dirname(job.dest)) as lock:
        if is_present(job):  # the run that we waited for has brought it
            return False
        resumed = _part_size(job)
        problem = _attempt(job, lock)
        if problem and resumed:  # what an earlier run left may have been of another file
            problem = _attempt(job, lock)
        if problem:
            raise DurableError(problem)
        finish(job.part, job.dest)
        remember_verified(job.dest, job.digest)
    return True


def _part_size(job: Fetch) -> int:
    """Return how much of the file has arrived, in bytes."""
    return os.path.getsize(job.part) if os.path.isfile(job.part) else 0


def _attempt(job: Fetch, lock: int) -> str:
    """Complete the `.part` file and verify it; return what is wrong with it, after having removed it."""
    if job.size and _part_size(job) > job.size:
        remove(job.part)
    if not job.size or _part_size(job) < job.size:
        require_space(job.dest, job.size - _part_size(job), f"{os.path.basename(job.dest)} ({mib(job.size)})")
        if job.local_path:
            _copy(job)
        else:
            _download(job, lock)
    arrived = _part_size(job)
    if job.size and arrived != job.size:
        remove(job.part)
        return f"{job.shown_url}: expected {job.size} bytes, found {arrived}; the partial file was removed"
    found = job.digest.of(job.part)
    if found != job.digest:
        remove(job.part)
        return (
            f"{job.shown_url} is not what was expected: expected {job.digest}, found {found} "
            f"in {arrived} bytes; it was removed. Either the sha256 is for another version of the file or the "
            "transfer was corrupted: compare the sha256 with its source and run again"
        )
    return ""


def _copy(job: Fetch) -> None:
    """Copy a file that is on the device."""
    try:
        with open(job.local_path, "rb") as source, open(job.part, "wb") as target, job.progress as progress:
            for block in iter(lambda: source.read(BLOCK), b""):
                target.write(block)
                progress.update(target.tell(), os.path.getsize(job.local_path))
    except OSError as error:
        remove(job.part)
        raise DurableError(f"cannot copy {job.local_path} to {job.part}: {error.strerror}") from error


def _download(job: Fetch, lock: int) -> None:
    """Complete the `.part` file with aria2; attempts that make progress may go on for as long as it takes."""
    program = shutil.which("aria2c")
    if program is None:
        raise DurableError("aria2c is missing on this device: install the package aria2")
    fruitless = 0
    while True:
        before = _part_size(job)
        url, header = resolve(job)
        code, output = _aria2(program, job, url, header, lock)
        if code == 0:
            return
        if "status=403" in output or "status=410" in output:  # aria2 has one code for all of these
            code = 24 if "403" in output else 3
        if code in HOPELESS:
            raise DurableError(f"cannot fetch {job.shown_url}: {HOPELESS[code]}")
        fruitless = 0 if _part_size(job) > before else fruitless + 1
        if fruitless >= FRUITLESS_ATTEMPTS:
            raise DurableError(
                f"cannot fetch {job.shown_url}: {PASSING.get(code, f'aria2c ended with {code}')}, "
                f"{fruitless} times in a row with {_part_size(job)} bytes here; run again to go on from there"
                f"{f' ({output})' if output else ''}"
            )
        time.sleep(job.retry_wait)


def _aria2(program: str, job: Fetch, url: str, header: str, lock: int) -> tuple[int, str]:
    """Run aria2 once; return its exit code and its last line."""
    # One connection writes in order, so the file's length is the progress. aria2's own note of it is up to
    # a minute old after a kill, and would throw that minute away.
    remove(f"{job.part}.aria2")
    lines = [url, f"  dir={os.path.dirname(job.part)}", f"  out={os.path.basename(job.part)}"]
    if header:
        lines.append(f"  header={header}")
    arguments = [
        program,
        "--input-file=-",
        "--no-conf=true",
        "--no-netrc=true",
        "--continue=true",
        "--always-resume=false",
        "--max-resume-failure-tries=1",
        "--auto-file-renaming=false",
        "--allow-overwrite=true",
        "--file-allocation=none",
        "--disk-cache=0",
        "--split=1",
        "--max-connection-per-server=1",
        "--max-tries=1",
        "--connect-timeout=20",
        "--timeout=60",
        "--follow-torrent=false",
        "--follow-metalink=false",
        "--remote-time=false",
        "--auto-save-interval=0",
        "--console-log-level=error",
        "--download-result=hide",
        # It prints how large the file is where that was not given.
        f"--summary-interval={0 if job.size else 1}",
        "--show-console-readout=false",
        "--enable-color=false",
        f"--stop-with-process={os.getpid()}",
    ]
    with job.progress as progress:
        finished = run_watched(
            arguments,
            lambda output: progress.update(_part_size(job), announced_size(output)),
            stdin_text="\n".join(lines) + "\n",
            pass_fds=(lock,),
        )
    remove(f"{job.part}.aria2")
    output = [line for line in finished.stdout.splitlines() if "errorCode=" in line or "status=" in line]
    reason = re.sub(r"^.*?errorCode=\d+ ?", "", output[-1]) if output else ""
    return finished.returncode, re.sub(r"https?://\S+", job.shown_url, reason)


def announced_size(output: str) -> int:
    """Return the file's size in bytes, rounded, that aria2's summary has; 0 where it has none."""
    found = re.findall(r"/([0-9.]+)([KMG]i)?B\([0-9]+%\)", output)
    return int(float(found[-1][0]) * {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[found[-1][1]]) if found else 0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Hand redirects to the caller."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow nothing."""


def resolve(job: Fetch) -> tuple[str, str]:
    """Follow redirects as far as the token may go.

    aria2 would show its headers to every host on the way.

    Returns:
        The URL to fetch, and the header to send with it ('' once another host has been reached).
    """
    if not job.bearer_token:
        return job.url, ""
    header = f"Bearer {job.bearer_token}"
    opener = urllib.request.build_opener(_NoRedirect)
    url = job.url
    for _hop in range(MAX_REDIRECTS):
        if _origin(url) != _origin(job.url):
            return url, ""
        request = urllib.request.Request(  # noqa: S310  (url_problem has seen to the scheme)
            url, headers={"Authorization": header, "Range": "bytes=0-0"}
        )
        location = ""
        try:
            with contextlib.closing(opener.open(request, timeout=30)):
                return url, f"Authorization: {header}"
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (301, 302, 303, 307, 308):
                    return url, f"Authorization: {header}"  # aria2 meets it too, and knows what to do
                location = _location(error.headers)
        except OSError:
            return url, f"Authorization: {header}"
        url = urllib.parse.urljoin(url, location)
        if url_problem(url) or url.startswith(("/", "file:")):
            raise DurableError(f"{job.shown_url} redirects to something that is not a web address")
    raise DurableError(f"{job.shown_url} redirects in a circle")


def _location(headers: Message) -> str:
    """Return where a redirect points to."""
    return str(headers.get("Location", ""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port."""
    split = urllib.parse.urlsplit(url)
    return split.scheme, split.hostname, split.port

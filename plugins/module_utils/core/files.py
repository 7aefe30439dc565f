# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are either whole under their final name or not there at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress

BLOCK = 1 << 20

#: Left free on a file system by every disk check, in bytes: the system needs some to live on.
DISK_RESERVE = 64 << 20


class DurableError(Exception):
    """A file could not be brought to its final name. The message is meant for the operator."""


@dataclass(frozen=True)
class Digest:
    """What a file's content must hash to.

    Args:
        hex: Lower-case hexadecimal digits.
        algorithm: `sha256`, or `git-sha1` for git's blob id (how a hub names files that are not in LFS).
    """

    hex: str
    algorithm: str = "sha256"

    def of(self, path: str) -> Digest:
        """Return the digest of a file by the same algorithm."""
        if self.algorithm == "sha256":
            state = hashlib.sha256()
        else:
            # Git's own naming of contents; no security rests on it that git does not rest on it too.
            state = hashlib.new("sha1", b"blob %d\0" % os.path.getsize(path), usedforsecurity=False)
        name = os.path.basename(path).removesuffix(".part")
        with open(path, "rb") as file, Progress(f"check of {name}", os.path.getsize(path)) as progress:
            for block in iter(lambda: file.read(BLOCK), b""):
                state.update(block)
                progress.update(file.tell())
        return Digest(state.hexdigest(), self.algorithm)

    def __str__(self) -> str:
        """Read like `sha256 0123…`."""
        return f"{self.algorithm} {self.hex}"


def sha256_digest(text: str) -> Digest:
    """Return the digest that 64 hex digits stand for.

    Raises:
        ValueError: It is not a sha256.
    """
    lowered = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", lowered):
        raise ValueError(f"must be 64 hexadecimal digits (it has {len(text)} characters)")
    return Digest(lowered)


def read_text(path: str | os.PathLike[str]) -> str:
    """Return a file's text, '' where it cannot be read (it is missing, or one of /sys that refuses)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the object in a JSON file; it is empty where the file is missing, torn or something else."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


#: How the name of a file ends that has not got its final name yet.
DRAFT_END = "-edge-slm-new"


def draft_name(path: str) -> str:
    """Return the name beside a file that its new content has until it is finished.

    It is a fixed one, so that what a killed run leaves is used again, and hidden and without a suffix, so that no
    reader of a directory of settings takes it for one of them.
    """
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name.lstrip('.').replace('.', '-')}{DRAFT_END}")


def write_draft(path: str, text: str, mode: int | None = 0o644, owner: str = "", group: str = "") -> str:
    """Write the new content of a file beside it. `finish` then puts it in the file's place.

    Args:
        path: The file; its directory is there.
        text: All of its content, in UTF-8.
        mode: Its permission bits; None leaves them as they are, which on FAT is all that is possible.
        owner: Its user; whoever writes where it is empty.
        group: Its group; that of whoever writes where it is empty.

    Returns:
        The draft's name.
    """
    draft = draft_name(path)
    remove(draft)
    # Until owner and mode are right nobody else may read it.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644 if mode is None else 0o600)
    with open(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        if owner:
            shutil.chown(draft, user=owner)
        if group:
            shutil.chown(draft, group=group)
        if mode is not None:
            os.fchmod(descriptor, mode)
        else:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
    return draft


def write_text(path: str, text: str, mode: int | None = 0o644, owner: str = "", group: str = "") -> None:
    """Write a file whole: a reader sees the old content or the new one, never a part, and so after a power cut.

    Args:
        path: The file; its directory is made where it is missing.
        text: As write_draft has it; so are the rest.
        mode: Its permission bits.
        owner: Its user.
        group: Its group.
    """
    os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
    finish(write_draft(path, text, mode, owner, group), path)


def write_json(path: str, content: object, mode: int = 0o644) -> None:
    """Write a JSON file whole: a reader sees the old content or the new one, never a part."""
    finish(write_draft(path, json.dumps(content, indent=2, sort_keys=True) + "\n", mode), path)


def finish(part: str, dest: str) -> None:
    """Give a finished file its final name, after its bytes have reached the disk."""
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, dest)
    directory = os.open(os.path.dirname(dest) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove(*paths: str) -> None:
    """Remove files that may be missing."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def directory_lock(directory: str, patience: float = 3600) -> Iterator[int]:
    """Hold a directory for one writer at a time.

    An earlier run whose controller died may still be at work here: wait for it instead of writing into its
    files. The lock is the directory itself, so nothing is left behind, and it ends with its last holder:
    hand the descriptor to child processes that write.

    Args:
        directory: An existing directory.
        patience: Seconds to wait.

    Yields:
        The descriptor that holds the lock.

    Raises:
        DurableError: It is still held after that time.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + patience
        waiting = Progress(directory)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DurableError(
                        f"{directory} is held by another run since {patience / 60:.0f} minutes: "
                        "wait for it or end it (fuser -v on that directory names it)"
                    ) from None
                waiting.update(0, note="waits for another run that works there")
                time.sleep(0.5)
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(directory: str) -> list[str]:
    """Return the names in a directory, sorted; none where there is no such directory."""
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def sidecar(path: str) -> str:
    """Return the name of the hidden file beside a file that remembers its digest."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.verified")


def modified(path: str) -> float:
    """Return when a file was written, in seconds since the epoch; 0 where there is none.

    A time in the future is 0 too: it is from before the clock was set back, and whatever is compared with it would be
    out of date for ever.
    """
    try:
        written = os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0
    return written if written <= time.time() else 0.0


def identity(path: str) -> dict[str, int]:
    """Return what changes when a file's content does; its times cannot all be set back."""
    status = os.stat(path)
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "inode": status.st_ino,
    }


def remember_verified(path: str, digest: Digest) -> None:
    """Note the digest that a file was found to have, so that it need not be read again."""
    write_json(sidecar(path), {**identity(path), "algorithm": digest.algorithm, "hex": digest.hex})


def noted_digest(path: str, algorithm: str = "sha256") -> str:
    """Return the digest that an existing file had when it was last read; '' where it has changed since."""
    noted = read_json(sidecar(path))
    known = {**identity(path), "algorithm": algorithm}
    return str(noted.get("hex", "")) if all(noted.get(name) == value for name, value in known.items()) else ""


def is_verified(path: str, digest: Digest, remember: bool = True) -> bool:
    """Return whether a file has that content. It is read only when it has changed since it was last read.

    Args:
        path: The file; it may be missing.
        digest: What its content must be.
        remember: Note the digest that was found (off in check mode).
    """
    if not os.path.isfile(path):
        return False
    noted = noted_digest(path, digest.algorithm)
    if noted:
        return noted == digest.hex
    found = digest.of(path)
    if remember:
        remember_verified(path, found)
    return found == digest


def sha256_of(path: str) -> str:
    """Return a file's sha256, from its note where the file has not changed since."""
    noted = noted_digest(path)
    if noted:
        return noted
    digest = Digest("").of(path)
    remember_verified(path, digest)
    return digest.hex


def existing_parent(path: str) -> str:
    """Return the nearest directory above a path that exists."""
    parent = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    return parent


def mib(size: int) -> str:
    """Write a size in bytes as MiB."""
    return f"{size / (1 << 20):.1f} MiB"


def free_bytes(path: str) -> int:
    """Return the free space where a path is, or is going to be."""
    status = os.statvfs(existing_parent(path))
    return status.f_bavail * status.f_frsize


def require_space(path: str, needed: int, what: str) -> None:
    """Refuse to start what would fill the disk.

    Args:
        path: Where it is going to be written.
        needed: How much is still to be written, in bytes.
        what: Named in the refusal.

    Raises:
        DurableError: It does not fit beside the reserve.
    """
    parent, free = existing_parent(path), free_bytes(path)
    if needed > 0 and needed + DISK_RESERVE > free:
        raise DurableError(
            f"disk too small for {what}: {mib(needed)} to write and {mib(DISK_RESERVE)} to keep free, "
            f"but {parent} has {mib(free)} free: make room there or mount a larger disk"
        )

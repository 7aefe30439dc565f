# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring models into an Ollama server: pulls that survive interruptions, uploads, and what is left on its disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    existing_parent,
    is_verified,
    mib,
    require_space,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access, RegistryError
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, checked_header
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import prompt
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import (
    OllamaError,
    Refused,
    Report,
    Server,
    Unanswered,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    DEFAULT_REGISTRY,
    File,
    Held,
    Model,
    held_models,
    parse_manifest,
    replaced_name,
    stored_form,
)

#: Attempts that brought not one byte more than the ones before, until a pull is given up.
FRUITLESS_ATTEMPTS = 5
#: Less than this within the time without progress is none: a registry may drip for hours.
LEAST_PROGRESS = 1 << 20
#: Seconds between attempts: the first, and the longest.
FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
#: Errors of Ollama that another attempt does not cure, and what they mean.
HOPELESS: tuple[tuple[str, str], ...] = (
    (r"no space left|ENOSPC|disk quota exceeded", "the disk is full"),
    (r"file does not exist|manifest unknown|not found", "the registry does not have it"),
    (r"unauthorized|forbidden|access denied", "the registry wants a login, which Ollama's pull cannot give"),
    (r"digest mismatch", "what came is not what the manifest names; Ollama has thrown it away"),
    (r"x509|certificate", "the registry's certificate is of no CA that the server trusts"),
    (
        r"insecure protocol|HTTP response to HTTPS client",
        "the registry speaks plain HTTP; its entry of jetson_ollama_registries must have insecure: true",
    ),
    (r"newer version of ollama|requires a newer", "this version of Ollama is too old for it"),
    (r"read-only file system|permission denied", "Ollama cannot write to its models' directory"),
)


def hopeless(reason: str) -> str:
    """Return what an error means that another attempt cannot cure; '' for one that may pass."""
    return next((meaning for pattern, meaning in HOPELESS if re.search(pattern, reason, re.IGNORECASE)), "")


@dataclass
class PullState:
    """How far a pull has come, over all its attempts.

    Args:
        sizes: Bytes of each file of the model, by digest, from its manifest.
        limit: Seconds without progress until it is given up.
        deadline: When all of it must be over, by the clock `now`.
        now: The clock.
    """

    sizes: Mapping[str, int]
    limit: float
    deadline: float
    now: Callable[[], float] = time.monotonic
    moved: float = 0.0
    best: int = 0
    fruitless: int = 0
    attempts: int = 0
    _done: dict[str, int] = field(default_factory=dict)
    _best_before: int = 0
    _answered: bool = False
    _counted: int = 0

    def __post_init__(self) -> None:
        """The clock of progress starts now."""
        self.moved = self.now()

    @property
    def total(self) -> int:
        """Bytes of the whole model."""
        return sum(self.sizes.values())

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return sum(self._done.values())

    def begin(self) -> None:
        """A new attempt: Ollama goes on with what it kept, which may be less than what had come."""
        self.attempts += 1
        self._done = {}
        self._best_before = self.best
        self._answered = False
        self._counted = 0

    def see(self, item: Mapping[str, Any]) -> None:
        """Take in a line of the stream.

        Raises:
            OllamaError: There was no progress for too long, or the time is up.
        """
        self._answered = True
        digest = str(item.get("digest") or "")
        if digest:
            completed = int(item.get("completed") or 0)
            known = self._done.get(digest)
            self._done[digest] = completed
            whole = completed >= self.sizes.get(digest, completed) and completed != known
            if known is None or whole or self.done >= self._counted + LEAST_PROGRESS:
                self.moved, self._counted = self.now(), self.done
        else:  # another step has been reached
            self.moved = self.now()
        self.best = max(self.best, self.done)
        self.check()

    def patience(self, item: Mapping[str, Any]) -> float:
        """Return how long the next line may take. While Ollama hashes what has come it sends nothing."""
        left = self.deadline - self.now()
        return left if str(item.get("status") or "").startswith("verifying") else min(left, self.limit)

    def check(self, last: str = "") -> None:
        """Raise where the pull must be given up."""
        still = self.now() - self.moved
        where = f"{mib(self.best)} of {mib(self.total)} had come, in {self.attempts} attempts"
        why = f"; last: {last}" if last else ""
        if self.now() >= self.deadline:
            raise OllamaError(f"the time is up: {where}{why}; a longer `timeout` or another run goes on from there")
        if still >= self.limit:
            raise OllamaError(
                f"less than {mib(LEAST_PROGRESS)} came within {still:.0f} s: {where}{why}; "
                "the server's log shows what it waits for, and another run goes on from there"
            )

    def failed(self, error: OllamaError) -> None:
        """Take in how an attempt ended.

        Raises:
            OllamaError: It is not worth another one.
        """
        meaning = hopeless(error.reason) if isinstance(error, Refused) else ""
        if meaning:
            raise OllamaError(
                f"{meaning}: {error} ({mib(self.best)} of {mib(self.total)} had come, in {self.attempts} attempts)"
            ) from error
        # A server that does not even answer is being restarted: only the clock of progress counts.
        if isinstance(error, Refused) or self._answered:
            self.fruitless = 0 if self.best > self._best_before else self.fruitless + 1
        if self.fruitless >= FRUITLESS_ATTEMPTS:
            raise OllamaError(
                f"{self.fruitless} attempts in a row brought nothing new: {mib(self.best)} of {mib(self.total)} had "
                f"come; last: {error}; another run goes on from there"
            ) from error
        self.check(str(error))


def pull_stream(
    server: Server, name: str, insecure: bool, state: PullState, report: Report, sleep: Callable[[float], None]
) -> None:
    """Pull a model; taken up again as long as there is progress.

    Raises:
        OllamaError: It was given up; the message has how far it had come.
    """
    wait = FIRST_WAIT
    while True:
        state.begin()
        try:
            body = {"model": name, "insecure": insecure, "stream": True}
            with contextlib.closing(server.stream("/api/pull", body, state.patience)) as lines:
                for item in lines:
                    state.see(item)
                    report(state.done, state.total)
            return
        except (Refused, Unanswered) as error:
            state.failed(error)
        if state.best > 0 and state.fruitless == 0:
            wait = FIRST_WAIT
        sleep(min(wait, LONGEST_WAIT))
        wait *= 2


def blob_path(models_dir: str, digest: str) -> str:
    """Return where Ollama keeps a file."""
    return os.path.join(models_dir, "blobs", digest.replace(":", "-"))


def missing_bytes(models_dir: str, sizes: Mapping[str, int]) -> int:
    """Return how many bytes of a model's files are still to be written."""
    missing = 0
    for digest, size in sizes.items():
        path = blob_path(models_dir, digest)
        if os.path.isfile(path):
            continue
        with contextlib.suppress(OSError):  # a partial file is as long as the whole one, with holes in it
            size -= min(size, os.stat(f"{path}-partial").st_blocks * 512)
        missing += size
    return missing


def drop_damaged(models_dir: str, digests: Iterable[str]) -> list[str]:
    """Remove files whose content does not match their name, and return their names.

    Ollama renames a finished file without waiting for the disk and never reads it again: after a power loss it
    may be whole in length and empty in content, and the next pull would take it as it is.
    """
    dropped = []
    for digest in digests:
        path = blob_path(models_dir, digest)
        if os.path.isfile(path) and Digest(digest.partition(":")[2]).of(path).hex != digest.partition(":")[2]:
            os.unlink(path)
            dropped.append(os.path.basename(path))
    return dropped


def flush(models_dir: str, digests: Iterable[str]) -> None:
    """Wait until a model's files have reached the disk."""
    for digest in digests:
        with contextlib.suppress(OSError):
            descriptor = os.open(blob_path(models_dir, digest), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    # Names and manifests are small files all over the tree.
    if os.path.isdir(models_dir):
        os.sync()


def free_text(models_dir: str) -> str:
    """Return how much room there is, for messages."""
    parent = existing_parent(os.path.join(models_dir, "blobs"))
    status = os.statvfs(parent)
    return f"{parent} has {mib(status.f_bavail * status.f_frsize)} free"


@dataclass(frozen=True)
class Bringer:
    """Brings models, one at a time.

    Args:
        server: Where to.
        models_dir: The server's models' directory on this device; '' where it cannot be seen.
        access: How registries are reached; the server has the same proxies and certificates.
        stall_timeout: Seconds without progress until a transfer is given up.
        timeout: Seconds that one model may take.
        sleep: Waits between attempts.
        lost: By model, what of the chat template of its file could not be carried over; '' where all of it was.
    """

    server: Server
    models_dir: str = ""
    access: Access = field(default_factory=Access)
    stall_timeout: float = 120
    timeout: float = 3600
    sleep: Callable[[float], None] = time.sleep
    lost: dict[str, str] = field(default_factory=dict)

    def bring(self, model: Model, held: Mapping[str, Held], report: Report) -> Held:
        """Pull or create a model, and return it as the server then holds it.

        Raises:
            OllamaError: It could not be brought; one that was there before is still there.
            DurableError: The disk is too small, or the model's file is not what it should be.
        """
        self.keep_replaced(model.name, held)
        digests = self._create(model, report) if model.sha256 else self._pull(model, held, report)
        if self.models_dir:
            flush(self.models_dir, digests)
        after = held_models(self.server.tags()).get(model.name.lower())
        if after is None:
            raise OllamaError("Ollama reports success, but does not list the model")
        if model.digest and after.digest != model.digest:
            raise OllamaError(
                f"Ollama lists it with the digest sha256:{after.digest}, wanted is sha256:{model.digest}: the registry "
                "changed the name while it was pulled; run again"
            )
        return after

    def keep_replaced(self, name: str, held: Mapping[str, Held]) -> None:
        """Give a model that is going to be replaced another name, so that its files go with that name."""
        if name.lower() in held:
            self.server.copy(name, replaced_name(name))

    def _pull(self, model: Model, held: Mapping[str, Held], report: Report) -> list[str]:
        """Pull a model of a registry; return its files' digests."""
        files = self.check_manifest(model)
        sizes = {str(file["digest"]): int(file["size"]) for file in files}
        name = model.pull_name
        there = held.get(name.lower())
        if name == model.name or there is None or there.digest != model.digest:
            if self.models_dir:
                drop_damaged(self.models_dir, sizes)
                require_space(
                    os.path.join(self.models_dir, "blobs"), missing_bytes(self.models_dir, sizes), f"the model {name}"
                )
            state = PullState(sizes, self.stall_timeout, time.monotonic() + self.timeout)
            try:
                insecure = model.registry in self.access.insecure
                pull_stream(self.server, name, insecure, state, report, self.sleep)
            except OllamaError as error:
                raise OllamaError(f"{error}{self._room(str(error), state.total)}") from error
        if name != model.name:
            found = held_models(self.server.tags()).get(name.lower())
            if found is None or found.digest != model.digest:
                # The plain name keeps what it had.
                self.server.delete(name)
                raise OllamaError(
                    f"Ollama has pulled sha256:{found.digest if found else '(nothing)'}, wanted is "
                    f"sha256:{model.digest}: the registry changed the name while it was pulled; run again"
                )
            self.server.copy(name, model.name)
            self.server.delete(name)
        return list(sizes)

    def check_manifest(self, model: Model) -> list[dict[str, Any]]:
        """Compare the registry's manifest with the pinned digest; return the files that it lists.

        Raises:
            OllamaError: It is not there, is another one, or could not be compared after the pull.
        """
        registry = model.registry or DEFAULT_REGISTRY
        asked = self.access.registry(registry, deadline=min(self.stall_timeout, self.timeout))
        try:
            content = asked.manifest(model.repository, model.tag)
        except RegistryError as error:
            raise OllamaError(str(error)) from error
        found = _sha256(content)
        where = f"{registry}/{model.repository}:{model.tag}"
        if found != model.digest:
            raise OllamaError(
                f"{where} is not what was pinned: expected sha256:{model.digest}, the registry has sha256:{found}; "
                "nothing was pulled. Either the name points to a newer model, whose digest may then be pinned, or "
                "somebody changed it"
            )
        try:
            files = parse_manifest(content)
        except ValueError as error:
            raise OllamaError(f"{where}: {error}") from error
        kept = _sha256(stored_form(content))
        if kept != found:
            raise OllamaError(
                f"{where}: Ollama would keep this manifest in another form, as sha256:{kept}, so that nothing could be "
                "compared afterwards; push the model with `ollama push`"
            )
        return files

    def _create(self, model: Model, report: Report) -> list[str]:
        """Make a model from files; return their digests."""
        digests = [file.digest for file in model.files.values()]
        if self.models_dir:
            drop_damaged(self.models_dir, digests)
        for kind, file in model.files.items():
            if self.server.has_blob(file.digest):
                self._check(kind, self._place(file))
            else:
                self._upload(model.name, kind, file, report)
        body = model.create_request()
        if not model.template:
            body.update(self._own_template(model))

        def patience(_item: Mapping[str, Any]) -> float:
            return self.timeout

        try:
            with contextlib.closing(self.server.stream("/api/create", body, patience)) as lines:
                for _item in lines:
                    pass
        except Refused as error:
            raise OllamaError(
                f"Ollama does not make a model of {model.path}: {error}{self._room(str(error), 0)}"
            ) from error
        return digests

    def _own_template(self, model: Model) -> dict[str, str]:
        """Return the template of a model's own file for the request that makes the model, and note what is lost."""
        try:
            own = prompt.read_template(self._place(model.files["model"]))
        except (OSError, GgufError) as error:  # what is wrong with the file, Ollama reports
            self.lost[model.name] = f"its file cannot be read ({error})"
            return {}
        template, self.lost[model.name] = prompt.carry_over(own) if own else ("", "")
        return {"template": template} if template else {}

    def _place(self, file: File) -> str:
        """Return where a file can be read on this device; '' where it cannot."""
        places = (file.path, blob_path(self.models_dir, file.digest) if self.models_dir else "")
        return next((place for place in places if os.path.isfile(place)), "")

    def _check(self, kind: str, path: str) -> None:
        """Refuse a file that cannot be what it is meant for; Ollama would make something of it."""
        try:
            if path:
                checked_header(path, kind)
        except GgufError as error:
            raise DurableError(str(error)) from error

    def _upload(self, model: str, kind: str, file: File, report: Report) -> None:
        """Bring a file of a model to the server."""
        if not os.path.isfile(file.path):
            raise DurableError(f"{file.path} is not there, and Ollama does not have it (sha256 {file.sha256})")
        if not is_verified(file.path, Digest(file.sha256)):
            raise DurableError(
                f"{file.path} is not what was expected: expected sha256 {file.sha256}, found "
                f"sha256 {Digest('').of(file.path).hex}"
            )
        self._check(kind, file.path)
        size = os.path.getsize(file.path)
        if self.models_dir:
            require_space(os.path.join(self.models_dir, "blobs"), size, f"the {kind} of {model} ({mib(size)})")
        for attempt in range(FRUITLESS_ATTEMPTS):
            try:
                self.server.send_blob(file.digest, file.path, size, report, self.stall_timeout)
                return
            except Refused as error:
                raise OllamaError(f"Ollama does not take {file.path}: {error}{self._room(str(error), size)}") from error
            except Unanswered as error:
                # An upload starts at its beginning again: Ollama keeps no part of it.
                if attempt + 1 == FRUITLESS_ATTEMPTS:
                    raise OllamaError(f"{attempt + 1} uploads of {file.path} broke off; last: {error}") from error
                self.sleep(min(FIRST_WAIT * 2**attempt, LONGEST_WAIT))

    def _room(self, reason: str, needed: int) -> str:
        """Return the numbers that belong to a full disk; '' for any other reason."""
        if "disk is full" not in reason and hopeless(reason) != "the disk is full":
            return ""
        what = f" (it needs {mib(needed)})" if needed else ""
        return f"{what}; {free_text(self.models_dir)}" if self.models_dir else what


def _sha256(content: bytes) -> str:
    """Return the sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()

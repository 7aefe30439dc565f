# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Published models: immutable files named by their sha256, and one manifest that is written last."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    BLOCK,
    DRAFT_END,
    Digest,
    finish,
    is_verified,
    names_in,
    noted_digest,
    read_json,
    remember_verified,
    remove,
    require_space,
    sha256_of,
    sidecar,
    write_json,
)

MANIFEST = "manifest.json"
KINDS = ("model", "projector")
#: Size of a file in bytes that takes a second or so to read, on a slow card, too.
QUICKLY_READ = 128 << 20
#: What a manifest remembers of those before it.
REMEMBERED = ("inputs_digest", "source", "outtype", "quantisation", "converter", "files")


class ManifestError(ValueError):
    """A manifest cannot be used."""


@dataclass(frozen=True)
class Artifact:
    """A published file.

    Args:
        kind: model or projector.
        path: Its name in the model's directory.
        sha256: Of its content.
        size: In bytes.
    """

    kind: str
    path: str
    sha256: str
    size: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return asdict(self)


def artifact(kind: str, sha256: str, size: int) -> Artifact:
    """Name a file by its sha256."""
    prefix = "mmproj-" if kind == "projector" else ""
    return Artifact(kind, f"{prefix}{sha256[:12]}.gguf", sha256, size)


def artifacts(manifest: Mapping[str, Any]) -> list[Artifact]:
    """Read the files that a manifest lists.

    Raises:
        ManifestError: The list is missing, or holds what this collection does not write.
    """
    files = manifest.get("files")
    if not isinstance(files, Sequence) or not files:
        raise ManifestError("it lists no files")
    found = []
    for entry in files:
        if not isinstance(entry, Mapping):
            raise ManifestError(f"it lists {entry!r}, which is not a file")
        kind, sha256, size = entry.get("kind"), str(entry.get("sha256", "")), entry.get("size")
        if kind not in KINDS or not re.fullmatch("[0-9a-f]{64}", sha256) or not isinstance(size, int):
            raise ManifestError(f"its file {entry.get('path')!r} has no proper kind, sha256 and size")
        expected = artifact(kind, sha256, size)
        # The name decides where a device writes to: nothing but the one that follows from the sha256 is taken.
        if entry.get("path") != expected.path:
            raise ManifestError(f"its file {entry.get('path')!r} should be named {expected.path}")
        found.append(expected)
    if [item.kind for item in found].count("model") != 1:
        raise ManifestError("it must list exactly one file of the kind model")
    return found


def model_and_projector(manifest: Mapping[str, Any]) -> tuple[Artifact, Artifact | None]:
    """Return the files of a manifest by what they are for.

    Raises:
        ManifestError: As `artifacts` does.
    """
    files = {file.kind: file for file in artifacts(manifest)}
    return files["model"], files.get("projector")


def content_of(path: str, deep: bool = False) -> str:
    """Return a file's sha256 as far as that is quick: noted, or of a file that is small; '' where it is not known.

    Args:
        path: An existing file.
        deep: Read it in any case.
    """
    if deep:
        return Digest("").of(path).hex
    return sha256_of(path) if os.path.getsize(path) <= QUICKLY_READ else noted_digest(path)


def damage(directory: str, manifest: Mapping[str, Any], deep: bool = False) -> tuple[str, list[str]]:
    """Compare the files of a manifest with those that are there, without reading gigabytes.

    Args:
        directory: Where they are.
        manifest: What lists them.
        deep: Read all files, whatever is noted about them.

    Returns:
        What is wrong, empty where nothing is, and the names of files that have changed since they were read: what is in
        them is not known.
    """
    try:
        files = artifacts(manifest)
    except ManifestError as error:
        return f"its {MANIFEST} cannot be used: {error}", []
    unknown: list[str] = []
    for file in files:
        path = os.path.join(directory, file.path)
        if not os.path.isfile(path):
            return f"its file {file.path} is missing", []
        found = content_of(path, deep) if os.path.getsize(path) == file.size else "another"
        if found and found != file.sha256:
            return f"its file {file.path} differs from its manifest", []
        if not found:
            unknown.append(file.path)
    return "", unknown


def intact(directory: str, manifest: Mapping[str, Any], remember: bool = True) -> bool:
    """Return whether all files of a manifest are in a directory and have the right content; read what is not known."""
    try:
        files = artifacts(manifest)
    except ManifestError:
        return False
    return all(is_verified(os.path.join(directory, file.path), Digest(file.sha256), remember) for file in files)


def place(source: str, dest: str, sha256: str) -> None:
    """Bring a finished file to its published name: by hard link, by copy where file systems differ.

    Args:
        source: Where it is.
        dest: Its published name.
        sha256: Of its content, known to be right.
    """
    digest = Digest(sha256)
    if is_verified(dest, digest):
        return
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    part = f"{dest}.part"
    remove(part)
    try:
        os.link(source, part)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        require_space(dest, os.path.getsize(source), os.path.basename(dest))
        with open(source, "rb") as given, open(part, "wb") as copy:
            shutil.copyfileobj(given, copy, BLOCK)
    os.chmod(part, 0o644)
    finish(part, dest)
    remember_verified(dest, digest)


def with_history(manifest: Mapping[str, Any], before: Mapping[str, Any], keep: int) -> dict[str, Any]:
    """Add to a manifest what was published before it.

    Args:
        manifest: The new one.
        before: The one that it replaces; empty if there is none.
        keep: How many versions stay on disk, the new one among them.
    """
    earlier = [before, *before.get("history", [])] if before else []
    names = {file["path"] for file in manifest["files"]}
    history = [
        {key: version[key] for key in REMEMBERED if key in version}
        for version in earlier
        if {file["path"] for file in version.get("files", [])} != names
    ]
    return {**manifest, "history": history[: max(0, keep - 1)]}


def publish(directory: str, manifest: Mapping[str, Any], keep: int) -> dict[str, Any]:
    """Write the manifest, the one step that makes files visible as the model, and clear what it lets go.

    Args:
        directory: The model's directory. All files of the manifest are in it.
        manifest: What to write, without history.
        keep: How many versions stay on disk.

    Returns:
        What was written.
    """
    path = os.path.join(directory, MANIFEST)
    before = read_json(path)
    written = with_history({key: value for key, value in manifest.items() if key != "history"}, before, keep)
    if written != before:
        write_json(path, written)
    kept = {file["path"] for version in [written, *written["history"]] for file in version["files"]}
    for name in os.listdir(directory):
        if name.endswith((".gguf", ".part", DRAFT_END)) and name not in kept:
            stray = os.path.join(directory, name)
            remove(stray, sidecar(stray))
    return written


def published(models_path: str) -> dict[str, dict[str, Any]]:
    """Return the manifests of all published models by name."""
    found: dict[str, dict[str, Any]] = {}
    for name in names_in(models_path):
        manifest = read_json(os.path.join(models_path, name, MANIFEST))
        if manifest.get("name") == name:
            found[name] = manifest
    return found


def releases(releases_path: str) -> dict[str, dict[str, Any]]:
    """Return the descriptors of published releases by CPU class."""
    found: dict[str, dict[str, Any]] = {}
    for name in names_in(releases_path):
        if name.endswith(".json") and not name.startswith("."):
            descriptor = read_json(os.path.join(releases_path, name))
            if {"key", "cpu_class", "file", "sha256", "size"} <= descriptor.keys():
                found[str(descriptor["cpu_class"])] = descriptor
    return found

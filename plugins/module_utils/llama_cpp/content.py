# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a release of llama.cpp: described when it is admitted, compared ever after."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    identity,
    read_json,
    sidecar,
    write_json,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_access
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import Directory, access_difference

#: Describes a release; its last file.
DESCRIPTION = "release.json"
#: What Python leaves beside the converter when it runs.
COMPILED = "__pycache__"


def files_in(directory: str) -> list[str]:
    """Return the paths of a release's files, below its directory."""
    found = []
    for parent, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != COMPILED]
        paths = [os.path.relpath(os.path.join(parent, name), directory) for name in names]
        found += [path for path in paths if path != DESCRIPTION and not os.path.islink(os.path.join(directory, path))]
    return sorted(found)


def set_access(directory: str) -> None:
    """Give a release to root, with one mode for programs and one for everything else."""
    for parent, _directories, names in os.walk(directory):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            os.chown(path, 0, 0, follow_symlinks=False)
            if not os.path.islink(path):
                runs = os.path.isdir(path) or os.stat(path).st_mode & stat.S_IXUSR
                os.chmod(path, 0o755 if runs else 0o644)


def describe(directory: str) -> dict[str, dict[str, Any]]:
    """Return size, mode and sha256 of each file of a release."""
    found = {}
    for name in files_in(directory):
        path = os.path.join(directory, name)
        status = os.stat(path)
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        found[name] = {"size": status.st_size, "mode": mode, "sha256": Digest("").of(path).hex}
    return found


def described(directory: str) -> dict[str, Any]:
    """Return the description that a release has of itself."""
    return read_json(os.path.join(directory, DESCRIPTION))


def published_as(directory: str) -> dict[str, Any]:
    """Return what a release's descriptor says of it beside its tarball's checksum and size; nothing of none."""
    known = described(directory)
    if not known.keys() >= {"cpu_class", "key"}:
        return {}
    own = {name: known.get(name) or {} for name in ("cpu_class", "key", "requires")}
    return {**own, "file": f"{known['key']}.tar.gz"}


def damage(directory: str, deep: bool = False) -> str:
    """Return how a release differs from what was admitted, empty where it does not.

    A file is read only when it has changed since it was last read; what was found is noted beside the directory.

    Args:
        directory: The release.
        deep: Read all files, whatever is noted about them.
    """
    if not os.path.isdir(directory):
        return "is not on this host"
    files = described(directory).get("files")
    if not isinstance(files, Mapping) or not files:
        return f"its {DESCRIPTION} does not list its files"
    noted = read_json(sidecar(directory))
    found: dict[str, Any] = {}
    for name, wanted in files.items():
        path = os.path.join(directory, name)
        if not os.path.isfile(path):
            return f"its file {name} is missing"
        known = identity(path)
        if known["size"] != wanted["size"]:
            return f"its file {name} has {known['size']} bytes, not {wanted['size']}"
        before = noted.get(name) or {}
        unchanged = not deep and known.items() <= before.items()
        sha256 = str(before.get("sha256")) if unchanged else Digest("").of(path).hex
        if sha256 != wanted["sha256"]:
            return f"its file {name} is not the one that was admitted (its sha256 differs)"
        found[name] = {**known, "sha256": sha256}
    if found != noted:
        with contextlib.suppress(OSError):
            write_json(sidecar(directory), found)
    return ""


def access_differences(directory: str) -> list[tuple[Directory, str]]:
    """Return those directories and files of a whole release whose mode or owner has changed, and how."""
    files: Mapping[str, Any] = described(directory).get("files") or {}
    wanted = {os.path.join(directory, name): str(file["mode"]) for name, file in files.items()}
    for name in files:
        while name:
            name = os.path.dirname(name)
            wanted.setdefault(os.path.join(directory, name).rstrip("/"), "0755")
    wanted[os.path.join(directory, DESCRIPTION)] = "0644"
    found = [(Directory(path, mode), read_access(path)) for path, mode in sorted(wanted.items())]
    differing = [(one, access_difference(one, live)) for one, live in found]
    return [(one, difference) for one, difference in differing if difference]


def admit(staged: str, release: str, description: Mapping[str, Any] | None) -> str:
    """Give a release that is laid out beside its final name that name, in place of a damaged one.

    Args:
        staged: The directory as it is laid out.
        release: Its final name.
        description: What it describes beside its files; None where it brings its description along.

    Returns:
        Why it cannot be admitted; empty when it was.
    """
    set_access(staged)
    if description is None:
        key = described(staged).get("key")
        if key != os.path.basename(release):
            return f"it is the release {key}, not {os.path.basename(release)}"
    else:
        write_json(os.path.join(staged, DESCRIPTION), {**description, "files": describe(staged)})
    problem = damage(staged)
    if problem:
        return problem
    # Names must not reach the disk before contents do.
    os.sync()
    old = f"{release}.old.part"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.lexists(release):
        # A run that is killed between the two renames leaves no release, and the next one makes it again.
        os.rename(release, old)
        os.rename(staged, release)
        shutil.rmtree(old)
    else:
        os.rename(staged, release)
    # A rename leaves the files as they were.
    os.replace(sidecar(staged), sidecar(release))
    return ""

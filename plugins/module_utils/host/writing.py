# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write what a plan wants: directories, files, removals; whole or not at all, each flushed and renamed."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import finish, remove, write_draft
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    LiveFile,
    pending_directories,
    pending_files,
)

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet

#: Size in bytes up to which a diff shows a file.
LARGEST_SHOWN = 1 << 20


def apply(module: AnsibleModule, wanted: FileSet) -> list[dict[str, Any]]:
    """Write and remove what is wanted; return the differences as Ansible's `diff`. Check mode writes nothing.

    No file gets its name before all of them have been written beside theirs and have been accepted.
    """
    found = _read(wanted)
    diffs = differences(wanted)
    if module.check_mode:
        return diffs
    for directory in pending_directories(wanted.directories, found):
        make_directory(directory)
    files = pending_files(wanted.files, found)
    if files:
        write(module, files, wanted.check)
    for path in wanted.remove:
        if os.path.lexists(path):
            remove_tree(path)
    for path in wanted.prune:
        if os.path.isdir(path) and not os.listdir(path) and not os.path.ismount(path):
            diffs.append(_difference(path, "", "", "is removed"))
            os.rmdir(path)
    return diffs


def differences(wanted: FileSet) -> list[dict[str, Any]]:
    """Return what writing would change, as Ansible's `diff`."""
    found = _read(wanted)
    return [
        *(_difference(one.path, "", "", one.difference) for one in pending_directories(wanted.directories, found)),
        *(
            _text_difference(file, found[file.path].content if file.path in found else "")
            for file in pending_files(wanted.files, found)
        ),
        *(
            _difference(path, _shown(found[path]) if path in found else "", "", "is removed")
            for path in wanted.remove
            if os.path.lexists(path)
        ),
    ]


def _read(wanted: FileSet) -> dict[str, LiveFile]:
    """Read what is there of all that matters; symbolic links are followed."""
    live = read_files(_target(path) for path in _paths(wanted) if _is_shown(path))
    return {path: live[_target(path)] for path in _paths(wanted) if _target(path) in live}


def _is_shown(path: str) -> bool:
    """Return whether a path is read at all: of what is large, such as a tarball, only the name is shown."""
    return not os.path.isfile(path) or os.path.getsize(path) <= LARGEST_SHOWN


def _paths(wanted: FileSet) -> list[str]:
    """Return all paths that matter."""
    return [*(one.path for one in wanted.directories), *(one.path for one in wanted.files), *wanted.remove]


def _target(path: str) -> str:
    """Return where a path leads; a link to a device is replaced (a masked unit is one to /dev/null)."""
    target = os.path.realpath(path)
    return path if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)) else target


def _shown(file: LiveFile) -> str:
    """Return what a diff may show of a file that is removed: nothing where not everybody may read it."""
    return file.content if file.mode & stat.S_IROTH and "PRIVATE KEY-" not in file.content else ""


def _difference(path: str, before: str, after: str, note: str) -> dict[str, Any]:
    """Return one element of a diff; a note stands for what no text shows."""
    if before == after:
        before, after = "", f"{note}\n"
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _text_difference(file: ConfigFile, before: str) -> dict[str, Any]:
    """Return a file's element of a diff; of a secret one only that it changes."""
    if file.secret:
        return _difference(file.path, "", "", file.difference)
    return _difference(file.path, before, file.content, file.difference)


def remove_tree(path: str) -> None:
    """Remove a file, a link, or a directory with all that is in it."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def make_directory(directory: Directory) -> None:
    """Make a directory and those above it, and give it its mode and owner."""
    os.makedirs(directory.path, mode=0o755, exist_ok=True)
    os.chmod(directory.path, int(directory.mode, 8))
    os.chown(directory.path, pwd.getpwnam(directory.owner).pw_uid, grp.getgrnam(directory.group).gr_gid)


def write(
    module: AnsibleModule, files: Sequence[ConfigFile], check: Callable[[Mapping[str, str]], str] | None = None
) -> None:
    """Put files in their places, or fail before anything has changed."""
    drafts: dict[str, str] = {}
    for file in files:
        path = _target(file.path)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        # FAT has one mode and owner for all files.
        access = (int(file.mode, 8), file.owner, file.group) if file.mode else (None, "", "")
        drafts[file.path] = write_draft(path, file.content, *access)
        problem = _refusal(module, file, drafts[file.path])
        if problem:
            remove(*drafts.values())
            module.fail_json(msg=f"{path} was not written: {problem}")
    problem = check(drafts) if check else ""
    if problem:
        remove(*drafts.values())
        module.fail_json(msg=f"{', '.join(drafts)}: not written, what was there is unchanged: {problem}")
    for path, draft in drafts.items():
        finish(draft, _target(path))


def _refusal(module: AnsibleModule, file: ConfigFile, draft: str) -> str:
    """Return why a file's own command does not accept its new content; empty where it does."""
    if not file.validate:
        return ""
    argv = [word.replace("%s", draft) for word in shlex.split(file.validate)]
    code, out_text, error = module.run_command(argv)
    return f"`{file.validate}` refuses it: {(error or out_text).strip()}" if code else ""

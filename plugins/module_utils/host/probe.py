# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read on a device what the baseline roles decide on. Nothing here changes anything."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import modified, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import show
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit

#: What is asked of `systemctl show`.
UNIT_PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "StateChangeTimestampMonotonic")


class SshConnection(NamedTuple):
    """The SSH connection that this process runs in; empty and 0 where it is another kind of connection."""

    user: str = ""
    client: str = ""
    #: Address and port of this host.
    server: str = ""
    port: int = 0


def _name(number: int, names: Callable[[int], Sequence[Any]]) -> str:
    """Return the name of a user or group; its number where it has none."""
    try:
        return str(names(number)[0])
    except KeyError:
        return str(number)


def read_access(path: str, text: str = "") -> LiveFile:
    """Return an existing file or directory with mode and owner; the text is taken as given."""
    status = os.stat(path)
    owner, group = _name(status.st_uid, pwd.getpwuid), _name(status.st_gid, grp.getgrgid)
    return LiveFile(text, stat.S_IMODE(status.st_mode), modified(path), owner, group)


def read_files(paths: Iterable[str]) -> dict[str, LiveFile]:
    """Return those of the paths that are files or directories."""
    found: dict[str, LiveFile] = {}
    for path in paths:
        text = ""
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                text = file.read()
        elif not os.path.isdir(path):
            continue
        found[path] = read_access(path, text)
    return found


def unit_state(properties: Mapping[str, str], boot: float) -> LiveUnit:
    """Return a unit's state from its properties.

    Args:
        properties: As `systemctl show` has them.
        boot: When the monotonic clock was zero, in seconds since the epoch.
    """
    return LiveUnit(
        loaded=properties.get("LoadState") == "loaded",
        active=properties.get("ActiveState") == "active",
        enabled=properties.get("UnitFileState") in {"enabled", "enabled-runtime", "static", "alias", "indirect"},
        since=boot + int(properties.get("StateChangeTimestampMonotonic") or 0) / 1e6,
        masked=properties.get("LoadState") == "masked",
    )


def read_units(names: Iterable[str]) -> dict[str, LiveUnit]:
    """Return the state of systemd units by one call; the monotonic clock survives a clock set at boot."""
    boot = time.time() - time.monotonic()
    return {unit["Id"]: unit_state(unit, boot) for unit in show(UNIT_PROPERTIES, names) if "Id" in unit}


def ssh_connection() -> SshConnection:
    """Find the SSH session that this process descends from; sudo has cleaned our own environment of it."""
    pid = os.getpid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read().decode("utf-8", "replace").split("\0")
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                pid = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            break
        values = dict(item.split("=", 1) for item in environment if "=" in item)
        words = values.get("SSH_CONNECTION", "").split()
        if len(words) == 4:
            client, server = (word.split("%")[0] for word in (words[0], words[2]))
            return SshConnection(values.get("USER", ""), client, server, int(words[3]))
    return SshConnection()


def default_target(directories: Iterable[str] = ("/etc/systemd/system", "/usr/lib/systemd/system")) -> str:
    """Return what the host boots to, as `systemctl get-default` prints it; '' where there is no such link."""
    links = (os.path.join(directory, "default.target") for directory in directories)
    return next((os.path.basename(os.path.realpath(link)) for link in links if os.path.islink(link)), "")


def boot_time() -> float:
    """Return when the kernel was booted, in seconds since the epoch."""
    for line in read_text("/proc/stat").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0

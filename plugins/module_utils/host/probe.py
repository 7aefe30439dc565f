# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read on a device what the baseline roles decide on. Nothing here changes anything."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit

#: Where commands of the system administrator live; sudo and non-login shells may leave them out of PATH.
ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SshConnection(NamedTuple):
    """The SSH connection that this process runs in; empty and 0 where it is another kind of connection."""

    user: str
    client: str
    port: int


def find_command(name: str) -> str:
    """Return a command's path, or '' where it is not installed."""
    return shutil.which(name, path=ADMIN_PATH) or ""


def output_of(argv: list[str]) -> str:
    """Return what a command prints, or '' where it is not installed or fails."""
    command = find_command(argv[0])
    if not command:
        return ""
    done = subprocess.run(
        [command, *argv[1:]],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "C"},
    )
    return done.stdout if done.returncode == 0 else ""


def read_files(paths: Iterable[str]) -> dict[str, LiveFile]:
    """Return those of the paths that are files."""
    found: dict[str, LiveFile] = {}
    for path in paths:
        if os.path.isfile(path):
            status = os.stat(path)
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                found[path] = LiveFile(file.read(), stat.S_IMODE(status.st_mode), status.st_mtime)
    return found


def read_text(path: str) -> str:
    """Return a file's text, or '' where it cannot be read (files in /sys may refuse)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def parse_units(text: str, boot: float) -> dict[str, LiveUnit]:
    """Parse `systemctl show` of several units.

    Args:
        text: Properties as NAME=VALUE, one block a unit, blocks apart by an empty line.
        boot: When the monotonic clock was zero, in seconds since the epoch.
    """
    units: dict[str, LiveUnit] = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in values:
            units[values["Id"]] = LiveUnit(
                loaded=values.get("LoadState") == "loaded",
                active=values.get("ActiveState") == "active",
                enabled=values.get("UnitFileState") in {"enabled", "enabled-runtime", "static", "alias", "indirect"},
                since=boot + int(values.get("StateChangeTimestampMonotonic") or 0) / 1e6,
            )
    return units


def read_units(names: Iterable[str]) -> dict[str, LiveUnit]:
    """Return the state of systemd units by one call; the monotonic clock survives a clock set at boot."""
    properties = "Id,LoadState,ActiveState,UnitFileState,StateChangeTimestampMonotonic"
    text = output_of(["systemctl", "show", "--property", properties, *names])
    return parse_units(text, time.time() - time.monotonic())


def parse_dpkg_status(text: str) -> dict[str, str]:
    """Return installed packages with their versions from the text of /var/lib/dpkg/status."""
    installed: dict[str, str] = {}
    for paragraph in text.split("\n\n"):
        name = version = ""
        complete = False
        for line in paragraph.splitlines():
            if line.startswith("Package: "):
                name = line[9:]
            elif line.startswith("Version: "):
                version = line[9:]
            elif line.startswith("Status: "):
                complete = line.endswith(" ok installed")
        if name and complete:
            installed[name] = version
    return installed


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
            return SshConnection(values.get("USER", ""), words[0].split("%")[0], int(words[3]))
    return SshConnection("", "", 0)


def boot_time() -> float:
    """Return when the kernel was booted, in seconds since the epoch."""
    for line in read_text("/proc/stat").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0

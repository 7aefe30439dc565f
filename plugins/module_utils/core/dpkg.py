# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What dpkg knows of this host's packages."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of

STATUS = "/var/lib/dpkg/status"
#: Debian's names of architectures that the kernel calls otherwise.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


class Package(NamedTuple):
    """An installed package; `selection` is what is wanted of it: install, hold, deinstall, purge."""

    version: str
    selection: str
    #: Other names that it stands for.
    provides: tuple[str, ...] = ()


def parse_status(text: str) -> dict[str, Package]:
    """Return the installed packages from the text of dpkg's status file; those in between states are left out."""
    installed: dict[str, Package] = {}
    for paragraph in text.split("\n\n"):
        name = version = ""
        words: list[str] = []
        provides: list[str] = []
        for line in paragraph.splitlines():
            if line.startswith("Package: "):
                name = line[9:]
            elif line.startswith("Version: "):
                version = line[9:]
            elif line.startswith("Status: "):
                words = line[8:].split()
            elif line.startswith("Provides: "):
                # Each may have a version in brackets.
                provides = [re.split(r"[ (:]", item.strip())[0] for item in line[10:].split(",")]
        if name and words[1:] == ["ok", "installed"]:
            installed[name] = Package(version, words[0], tuple(provides))
    return installed


def userland(kernel: str) -> str:
    """Return the architecture that programs here are built for, by the kernel's names.

    A 64-bit kernel says aarch64 on a 32-bit Raspberry Pi OS, too.

    Args:
        kernel: What `uname -m` says, for systems without dpkg.
    """
    name = output_of(["dpkg", "--print-architecture"]).strip()
    return ARCHITECTURES.get(name, name) or kernel


def installed_versions() -> dict[str, str]:
    """Return this host's installed packages with their versions, also under the names that they provide."""
    found = parse_status(read_text(STATUS))
    provided = {name: package.version for package in found.values() for name in package.provides}
    return {**provided, **{name: package.version for name, package in found.items()}}


def is_as_packaged(path: str) -> bool:
    """Return whether a configuration file is as its package brought it, by the md5 that dpkg noted of it."""
    noted = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})$", read_text(STATUS), re.MULTILINE)
    try:
        with open(path, "rb") as file:
            found = hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except OSError:
        return False
    return bool(noted and noted[1] == found)

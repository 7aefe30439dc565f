# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the programs of a release need of the system that runs them, and whether a host has it.

Read from the programs when they are built, noted in release.json and in the published descriptor, and compared with a
device before the release is sent there: an older C library would show itself only when a program is started.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core import elf
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.elf import Elf, ElfError
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of

#: Largest pages of memory by architecture, in bytes: the kernel of Raspberry Pi OS for the Pi 5 has pages of 16 KiB.
LARGEST_PAGE = {"aarch64": 16 << 10, "x86_64": 4 << 10}

#: Libraries that come with packages which the role installs, by the package.
BROUGHT_BY = {"libgomp.so.1": "libgomp1", "libssl.so.3": "openssl", "libcrypto.so.3": "openssl"}

#: A line of `ldconfig -p`: name and path of a library.
CACHED = re.compile(r"^\s+(?P<name>\S+) \(.*\) => (?P<path>/\S.*)$", re.MULTILINE)


class LinkageError(Exception):
    """A program is not one that the devices can load."""


def needed(programs: Mapping[str, Elf], architecture: str) -> dict[str, Any]:
    """Return what programs need together, as it is noted: `architecture`, and `libraries` with their symbol versions.

    Args:
        programs: By file name.
        architecture: What they are to be built for (`uname -m`).

    Raises:
        LinkageError: One is for another architecture, or cannot be loaded where pages are large.
    """
    libraries: dict[str, set[str]] = {}
    page = LARGEST_PAGE.get(architecture, 0)
    for name, program in programs.items():
        if program.machine != architecture:
            raise LinkageError(f"{name} is for {program.machine}, not {architecture}")
        if program.alignment < page:
            raise LinkageError(
                f"the segments of {name} are aligned to {program.alignment} bytes, and {architecture} has kernels with "
                f"pages of {page} bytes, which do not load it; link it with -Wl,-z,max-page-size=65536"
            )
        for library in program.libraries:
            libraries.setdefault(library, set()).update(program.versions.get(library, ()))
    return {
        "architecture": architecture,
        "libraries": {name: sorted(versions) for name, versions in sorted(libraries.items())},
    }


def read_programs(directory: str, architecture: str) -> dict[str, Any]:
    """Return what the programs in a release's directory need.

    Raises:
        LinkageError: One is not a program that devices of that architecture can load.
        OSError: They cannot be read.
    """
    programs = {}
    for name in sorted(os.listdir(directory)):
        try:
            programs[name] = elf.read(os.path.join(directory, name))
        except ElfError as error:
            raise LinkageError(f"{name} cannot be read as a program: {error}") from error
    return needed(programs, architecture)


def is_well_formed(requires: Mapping[str, Any]) -> bool:
    """Return whether what an inventory or a descriptor says of a release is as `needed` returns it."""
    libraries = requires.get("libraries")
    return (
        isinstance(requires.get("architecture"), str)
        and isinstance(libraries, Mapping)
        and all(isinstance(versions, list) for versions in libraries.values())
        and all(isinstance(version, str) for versions in libraries.values() for version in versions)
    )


def provided(names: Iterable[str], architecture: str) -> dict[str, frozenset[str]]:
    """Return those of the libraries that this host has, with the symbol versions that they define."""
    wanted = set(names)
    found: dict[str, frozenset[str]] = {}
    for match in CACHED.finditer(output_of(["ldconfig", "-p"])):
        if match["name"] not in wanted or match["name"] in found:
            continue
        try:
            library = elf.read(match["path"])
        except (ElfError, OSError):  # of a 32-bit system beside this one
            continue
        if library.machine == architecture:
            found[match["name"]] = frozenset(library.defines)
    return found


def unmet(
    requires: Mapping[str, Any], architecture: str, has: Mapping[str, frozenset[str]], coming: Collection[str]
) -> list[str]:
    """Return what a host lacks of what a release needs, in sentences without an end.

    Args:
        requires: As `needed` returns it.
        architecture: The host's.
        has: The host's libraries.
        coming: Packages that the role is going to install.
    """
    if requires.get("architecture") != architecture:
        return [f"is for {requires.get('architecture')}, and this host is {architecture}"]
    found = []
    for library, versions in requires.get("libraries", {}).items():
        if library not in has:
            if BROUGHT_BY.get(library) not in coming:
                found.append(f"needs the library {library}, which this host does not have")
            continue
        missing = [version for version in versions if version not in has[library]]
        # The newest of each kind says it all: who has that has the older ones.
        for kind in sorted({_kind(version) for version in missing}):
            newest = max((version for version in missing if _kind(version) == kind), key=_order)
            own = [version for version in has[library] if _kind(version) == kind and _order(version)]
            what = f"goes up to {max(own, key=_order)}" if own else "has none of that kind"
            found.append(f"needs {newest} of {library}, this host's {what}")
    return found


def _kind(version: str) -> str:
    """Return the kind of a symbol version: GLIBC of GLIBC_2.34."""
    return version.rpartition("_")[0]


def _order(version: str) -> list[int]:
    """Return what orders the symbol versions of one kind; nothing for a name such as CXXABI_FLOAT128."""
    number = version.rpartition("_")[2]
    return [int(part) for part in number.split(".")] if re.fullmatch(r"\d+(\.\d+)*", number) else []

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Jetson Linux (L4T) is which JetPack, and what runs on it. One table, with its sources."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

RELEASE_FILE = "/etc/nv_tegra_release"

#: `# R36 (release), REVISION: 4.3, GCID: …, BOARD: generic, EABI: aarch64, DATE: …`
FIRST_LINE = re.compile(r"^#\s*R(?P<release>\d+)\s*\(release\),\s*REVISION:\s*(?P<revision>\d+(?:\.\d+)*)", re.M)


@dataclass(frozen=True)
class L4t:
    """The content of /etc/nv_tegra_release: release 36, revision 4.3. Release 0 means that none is in it."""

    release: int = 0
    revision: str = ""
    text: str = ""

    @property
    def name(self) -> str:
        """Return it as people write it: R36.4.3."""
        return f"R{self.release}.{self.revision}" if self.release else ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return {**asdict(self), "name": self.name}


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    Args:
        l4t: Revisions that it is for: `36.4.3`, or `36.4` for all that start so.
        jetpack: JetPack's version.
        ubuntu: Ubuntu below it.
        cuda: CUDA that JetPack brings.
        family: Which images run there: they are built for a CUDA, not for an L4T.
        source: Where this was read.
    """

    l4t: str
    jetpack: str
    ubuntu: str
    cuda: str
    family: str
    source: str


@dataclass(frozen=True)
class Family:
    """Images that run on a family of releases.

    Args:
        images: Repositories that are known to hold such images, the first is the one to take.
        jetpack: What JETSON_JETPACK is set to; Ollama's own image carries CUDA libraries for several
            kinds of boards and cannot read the host's release file from inside of a container.
        source: Where this was read.
    """

    images: tuple[str, ...]
    jetpack: str
    source: str


FAMILIES = {
    "r36": Family(
        images=("ollama/ollama", "dustynv/ollama"),
        jetpack="6",
        source="ollama/ollama docs/docker.mdx (JETSON_JETPACK) and discover/; dustynv/ollama's tags …-r36.x",
    ),
    "r39": Family(
        # The GPU library of servers (SBSA) serves these: Ollama names no JetPack for them.
        images=("ollama/ollama",),
        jetpack="",
        source="ollama/ollama discover/: L4T newer than 36 uses the SBSA CUDA libraries",
    ),
}

ARCHIVE = "developer.nvidia.com/embedded/jetson-linux-archive"

#: The first row that fits counts: longer revisions come before shorter ones.
MATRIX = (
    Row("36.2", "6.0 DP", "22.04", "12.2", "r36", f"{ARCHIVE}, Jetson Linux 36.2"),
    Row("36.3", "6.0", "22.04", "12.2", "r36", f"{ARCHIVE}, Jetson Linux 36.3"),
    Row("36.4.3", "6.2", "22.04", "12.6", "r36", f"{ARCHIVE}, Jetson Linux 36.4.3"),
    Row("36.4.4", "6.2.1", "22.04", "12.6", "r36", f"{ARCHIVE}, Jetson Linux 36.4.4"),
    Row("36.4.7", "6.2.1", "22.04", "12.6", "r36", f"{ARCHIVE}, Jetson Linux 36.4.7 (an update by apt)"),
    Row("36.4", "6.1", "22.04", "12.6", "r36", f"{ARCHIVE}, Jetson Linux 36.4"),
    Row("36.5", "6.2.2", "22.04", "12.6", "r36", f"{ARCHIVE}, Jetson Linux 36.5"),
    Row("39.2.1", "7.2.1", "24.04", "13.2", "r39", f"{ARCHIVE}, Jetson Linux 39.2.1"),
    Row("39.2", "7.2", "24.04", "13.2", "r39", f"{ARCHIVE}, Jetson Linux 39.2"),
)

#: Releases that are known and not supported: what to do about them.
REFUSED = {
    32: "JetPack 4 (Ubuntu 18.04, CUDA 10.2) runs no current Ollama, and its boards (Nano, TX2) take no newer JetPack",
    34: "this is a preview of JetPack 5; flash an Orin with JetPack 6.2 (R36.4)",
    35: (
        "JetPack 5 (Ubuntu 20.04, CUDA 11.4) is not supported; an Orin takes JetPack 6.2: update its firmware to "
        "36.x and flash R36.4 with SDK Manager or an SD card image. A Xavier takes no newer JetPack"
    ),
    38: "JetPack 7.0 and 7.1 are for Thor; update to JetPack 7.2 (R39.2)",
}


def parse_release(text: str) -> L4t:
    """Parse /etc/nv_tegra_release; any other text is release 0."""
    found = FIRST_LINE.search(text)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return L4t(int(found["release"]), found["revision"], first) if found else L4t(text=first)


def find_row(l4t: L4t) -> Row | None:
    """Return the line of the matrix for a release; the longest one that fits."""
    name = f"{l4t.release}.{l4t.revision}"
    fitting = [row for row in MATRIX if name == row.l4t or name.startswith(f"{row.l4t}.")]
    return max(fitting, key=lambda row: len(row.l4t), default=None)


def supported_names() -> str:
    """Name what is supported, for messages."""
    return "R36.2 to R36.5 (JetPack 6) and R39.2 (JetPack 7.2)"


def refusal(l4t: L4t) -> str:
    """Return why a release is refused and what to do; '' for one that is supported."""
    if find_row(l4t):
        return ""
    if not l4t.release:
        state = f"has {l4t.text!r}" if l4t.text else "is not there"
        return (
            f"{RELEASE_FILE} {state}: this is not a Jetson with Jetson Linux. Supported are {supported_names()}: "
            "flash one of them, or take this host out of the Jetsons."
        )
    advice = REFUSED.get(l4t.release, "it is not known here: flash one of those, or update this collection")
    return f"Jetson Linux {l4t.name} is not supported ({supported_names()} are): {advice}."

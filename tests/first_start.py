"""Boards that start for the first time from what provision.yml has made: containers in place of boards.

What the firmware does is done here: the boot partition's files are taken out of the image and mounted, and init gets
the words of cmdline.txt. Everything after that is real: systemd, cloud-init's data source NoCloud, sshd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from devices import FLEET, NETWORK, ROOT, wait_until
from plays import played

FIRMWARE = "/boot/firmware"
#: Where the first partition of a stand-in begins.
OFFSET = 8192 * 512
#: Where the controller reaches the only one that runs.
ADDRESS = "127.0.11.41"


def shell(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


@dataclass(frozen=True)
class Board:
    """A container that stands for a board."""

    name: str
    boot: Path

    @property
    def container(self) -> str:
        return f"{NETWORK}-{self.name}"

    @property
    def ssh_options(self) -> list[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        return [word for option in options for word in ("-o", option)]

    def ssh(self, command: str, user: str = "me") -> subprocess.CompletedProcess[str]:
        key = ("-i", str(FLEET / "id_ed25519"))
        return shell("ssh", *self.ssh_options, *key, f"{user}@{ADDRESS}", command)

    def says(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, image: str, *words: str) -> None:
        """Start it; Docker's own /etc/hostname would come back with each start."""
        unified = "/sys/fs/cgroup/unified"
        cgroup = unified if os.path.isdir(unified) else "/sys/fs/cgroup"
        init = f"umount /etc/hostname; exec /sbin/init {' '.join(words)} $(cat {FIRMWARE}/cmdline.txt)"
        done = shell(
            *("docker", "run", "--detach", "--name", self.container, "--hostname", "raspberrypi"),
            *("--label", f"edge-slm.fleet={NETWORK}", "--restart", "unless-stopped"),
            *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined"),
            *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--cgroupns=host", "--volume", f"{cgroup}:/sys/fs/cgroup:rw"),
            *("--volume", f"{self.boot}:{FIRMWARE}", "--publish", f"{ADDRESS}:22:22"),
            *(image, "sh", "-c", init),
        )
        assert done.returncode == 0, done.stderr

    def wait(self) -> None:
        """Wait until it has started and let the controller in."""
        wait_until(lambda: self.ssh("true").returncode == 0, f"{self.name} lets me in", 120)
        self.ssh("systemctl is-system-running --wait")

    def baseline(self, where: Path) -> str:
        """Apply what site.yml begins with; return what was printed."""
        variables = {
            "ansible_host": ADDRESS,
            "ansible_user": "me",
            "ansible_ssh_private_key_file": str(FLEET / "id_ed25519"),
            "ansible_ssh_common_args": " ".join(self.ssh_options),
        }
        inventory = where / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"first_start": {"hosts": {self.name: variables}}}))
        return played("molecule/provision/baseline.yml", "--inventory", inventory, limit=self.name)

    def restart(self) -> None:
        """Start it again, as any other day."""
        shell("docker", "restart", self.container)
        self.wait()


def boot_files(image: Path, where: Path) -> None:
    """Take the boot partition's files out of an image, as FAT shows them: all can be read, and run."""
    done = shell(
        *("mcopy", "-s", "-i", f"{image}@@{OFFSET}", "::*", str(where)),
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
    )
    assert done.returncode == 0, done.stderr
    for path in (where, *where.iterdir()):
        path.chmod(0o755)


def system(suite: str) -> str:
    """Return the name of the container image of a system that has never been started."""
    done = shell(str(ROOT / "tools/first-start-image"), suite)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def started(image: Path, container_image: str, where: Path, *words: str) -> Iterator[Board]:
    """Start a board from a card's image.

    Args:
        image: The card's image.
        container_image: The system that would be on it.
        where: An empty directory.
        words: Further words for init.
    """
    board = Board(image.stem, where)
    boot_files(image, where)
    try:
        board.start(container_image, *words)
        board.wait()
        yield board
    finally:
        shell("docker", "rm", "--force", board.container)
        shutil.rmtree(where, ignore_errors=True)

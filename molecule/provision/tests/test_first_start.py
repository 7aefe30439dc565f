"""Boards that start for the first time, from what provision.yml has made: containers in place of boards.

What the firmware does is done here: the boot partition's files are taken out of the image and mounted, and init gets
the words of cmdline.txt. Everything after that is real: systemd, cloud-init's data source NoCloud, sshd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from devices import FLEET, NETWORK, ROOT, wait_until
from plays import played, refused

MADE = ROOT / ".cache/first-start/made"
CONVERGE = ROOT / "molecule/provision/converge.yml"
GIVEN = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[1]["vars"]
#: The key that WPA derives from the network's name and passphrase, as wpa_passphrase prints it.
PSK = "a26e5b6346c17ed6b28f10d327aeff491537b4f2409cd5b545c95af1e2afb2ae"
SECRETS = (GIVEN["provision_password_hash"], GIVEN["provision_wifi_passphrase"], PSK)
FIRMWARE = "/boot/firmware"
#: Where the first partition of a stand-in begins.
OFFSET = 8192 * 512


def shell(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)


@dataclass(frozen=True)
class Board:
    """A container that stands for a board."""

    name: str
    address: str
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
        return shell("ssh", *self.ssh_options, *key, f"{user}@{self.address}", command)

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
            *("--volume", f"{self.boot}:{FIRMWARE}", "--publish", f"{self.address}:22:22"),
            *(image, "sh", "-c", init),
        )
        assert done.returncode == 0, done.stderr

    def wait(self) -> None:
        """Wait until it has started and let the controller in."""
        wait_until(lambda: self.ssh("true").returncode == 0, f"{self.name} lets me in", 120)
        self.ssh("systemctl is-system-running --wait")


def put_in_place(name: str, address: str, where: Path) -> Board:
    """Take the boot partition's files out of an image, as FAT shows them: all can be read, and run."""
    done = shell(
        *("mcopy", "-s", "-i", f"{MADE}/{name}.img@@{OFFSET}", "::*", str(where)),
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
    )
    assert done.returncode == 0, done.stderr
    for path in (where, *where.iterdir()):
        path.chmod(0o755)
    return Board(name, address, where)


@pytest.fixture(scope="module")
def image() -> str:
    done = shell(str(ROOT / "tools/first-start-image"))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=["first-trixie", "first-bookworm"])
def board(request: pytest.FixtureRequest, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board of each way, started for the first time."""
    name = request.param
    found = put_in_place(name, "127.0.11.41", tmp_path_factory.mktemp(name))
    try:
        # Raspberry Pi OS 12 has no cloud-init.
        found.start(image, *([] if name == "first-trixie" else ["cloud-init=disabled"]))
        found.wait()
        yield found
    finally:
        shell("docker", "rm", "--force", found.container)
        shutil.rmtree(found.boot, ignore_errors=True)


def test_it_has_its_name_and_lets_in_the_user_by_key_alone(board: Board) -> None:
    assert board.says("hostname") == board.name
    assert board.says("id -un; id -u; sudo -n id -u").split() == ["me", "1000", "0"]
    assert "sudo" in board.says("id -Gn").split()
    assert "passwordauthentication no" in board.says("sudo sshd -T")
    assert board.ssh("true", "pi").returncode != 0, "the image's own user is not there"
    assert board.says("systemctl is-enabled ssh") == "enabled"
    assert board.says("systemctl is-system-running") == "running"


def test_it_speaks_as_it_was_told(board: Board) -> None:
    assert board.says("cat /etc/timezone; cat /etc/default/locale | grep ^LANG").split() == [
        "Europe/Berlin",
        "LANG=de_DE.UTF-8",
    ]
    assert "de_DE.utf8" in board.says("locale -a").split()
    assert "XKBLAYOUT=de" in board.says("cat /etc/default/keyboard").replace('"', "")


def test_the_password_is_that_of_the_hash(board: Board) -> None:
    assert board.says("sudo getent shadow me").split(":")[1] == GIVEN["provision_password_hash"]


def test_networkmanager_finds_the_wifi_and_the_address(board: Board) -> None:
    """Netplan's generator writes it for NetworkManager on the way of cloud-init, the script on the older one."""
    files = "/run/NetworkManager/system-connections /etc/NetworkManager/system-connections"
    text = board.says(f"sudo grep -rh . {files} 2>/dev/null; true")
    assert f"psk={PSK}" in text
    assert "address1=192.0.2.21/24" in text
    readable = board.says(f"sudo find {files} /etc/netplan -type f -perm /o+r 2>/dev/null; true")
    assert readable == ""


def test_no_user_of_the_board_can_read_a_secret_on_the_boot_partition(board: Board) -> None:
    found = board.says(
        f"cat {FIRMWARE}/*-data {FIRMWARE}/network-config {FIRMWARE}/*.txt {FIRMWARE}/*.sh 2>/dev/null; true"
    )
    assert "rootwait" in found
    assert [secret for secret in SECRETS if secret in found] == []
    assert "systemd.run" not in found


@pytest.mark.parametrize("board", ["first-trixie"], indirect=True)
def test_cloud_init_does_not_complain(board: Board) -> None:
    status = board.says("cloud-init status --long")
    assert "status: done" in status
    assert "errors: []" in status
    assert "recoverable_errors: {}" in status
    assert "DataSourceNoCloud" in status


@pytest.mark.parametrize("board", ["first-trixie"], indirect=True)
def test_ansible_takes_over(board: Board, tmp_path: Path) -> None:
    variables = {
        "ansible_host": board.address,
        "ansible_user": "me",
        "ansible_ssh_private_key_file": str(FLEET / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(board.ssh_options),
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"pi": {"hosts": {board.name: variables}}}))
    output = played("molecule/provision/baseline.yml", "--inventory", inventory, limit=board.name)
    assert "failed=0" in output
    shell("docker", "restart", board.container)
    board.wait()
    assert board.says("hostname") == board.name
    assert "Europe/Berlin" in board.says("cat /etc/timezone")


def test_the_schema_takes_the_files_as_they_are_made(image: str, tmp_path: Path) -> None:
    put_in_place("first-trixie", "", tmp_path)
    assert GIVEN["provision_password_hash"] in (tmp_path / "user-data").read_text()
    check = "; ".join(
        f"cloud-init schema --schema-type {kind} --config-file {FIRMWARE}/{name}"
        for kind, name in (("cloud-config", "user-data"), ("network-config", "network-config"))
    )
    done = shell("docker", "run", "--rm", "--volume", f"{tmp_path}:{FIRMWARE}:ro", image, "sh", "-c", check)
    assert done.stdout.count("Valid schema") == 2, done.stdout + done.stderr


def test_an_image_is_its_owners_and_nothing_shows_a_secret(tmp_path: Path) -> None:
    assert {file.stat().st_mode & 0o777 for file in MADE.glob("*.img*")} == {0o600}
    output = played(CONVERGE, "-vvv", "--diff", provision_output=str(tmp_path))
    assert "changed=" in output
    assert [secret for secret in SECRETS if secret in output] == []


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("pi-01", "is not a mounted partition, but a directory of"),
        ("pi", "one card is for one host, and this run is for pi-01, pi-02; name one of them by --limit"),
    ],
)
def test_nothing_but_a_card_is_written_to(limit: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.txt").write_text("")
    printed = refused(
        *("playbooks/provision.yml",),
        limit=limit,
        provision_boot=str(tmp_path),
        provision_user_keys=[f"ssh-ed25519 {'A' * 68} me"],
    )
    assert message in printed
    assert os.listdir(tmp_path) == ["config.txt"]


def test_an_image_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(b"PK\x03\x04" + bytes(1 << 20))
    digest = shell("sha256sum", str(other)).stdout.split()[0]
    printed = refused(
        *("playbooks/provision.yml",),
        limit="pi-01",
        provision_image=str(other),
        provision_image_sha256=digest,
        provision_output=str(tmp_path / "made"),
        provision_user_keys=[f"ssh-ed25519 {'A' * 68} me"],
    )
    assert "has no table of partitions (it is packed by zip; unpack it, or give the .img.xz)" in printed
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["base"]

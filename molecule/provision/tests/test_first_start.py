"""Boards of both ways that start from what converge.yml has made, and what provision.yml refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from devices import ROOT
from first_start import FIRMWARE, Board, boot_files, shell, started, system
from plays import played, refused

MADE = ROOT / ".cache/first-start/made"
CONVERGE = ROOT / "molecule/provision/converge.yml"
GIVEN = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[1]["vars"]
#: The key that WPA derives from the network's name and passphrase, as wpa_passphrase prints it.
PSK = "a26e5b6346c17ed6b28f10d327aeff491537b4f2409cd5b545c95af1e2afb2ae"
SECRETS = (GIVEN["provision_password_hash"], GIVEN["provision_wifi_passphrase"], PSK)


@pytest.fixture(scope="module")
def image() -> str:
    return system("trixie")


@pytest.fixture(scope="module", params=["first-trixie", "first-bookworm"])
def board(request: pytest.FixtureRequest, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board of each way, started for the first time. Raspberry Pi OS 12 has no cloud-init."""
    words = [] if request.param == "first-trixie" else ["cloud-init=disabled"]
    with started(MADE / f"{request.param}.img", image, tmp_path_factory.mktemp("boot"), *words) as found:
        yield found


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
    assert "failed=0" in board.baseline(tmp_path)
    assert "gpu_mem=16" in board.says(f"cat {FIRMWARE}/config.txt")
    board.restart()
    assert board.says("hostname") == board.name
    assert "Europe/Berlin" in board.says("cat /etc/timezone")


@pytest.mark.parametrize("board", ["first-trixie"], indirect=True)
def test_a_card_that_has_been_started_takes_other_settings(board: Board, tmp_path: Path) -> None:
    """They are another instance to cloud-init: here another password, for a user that is there."""
    boot_files(MADE / "first-trixie.img", tmp_path)
    other = "$5$another$" + "x" * 43
    for name, old, new in (
        ("user-data", GIVEN["provision_password_hash"], other),
        ("meta-data", f'"{board.name}-', f'"{board.name}-other-'),
    ):
        text = (tmp_path / name).read_text()
        assert old in text
        (board.boot / name).write_text(text.replace(old, new))
    board.restart()
    assert board.says("sudo getent shadow me").split(":")[1] == other
    assert other not in board.says(f"cat {FIRMWARE}/user-data")


def test_the_schema_takes_the_files_as_they_are_made(image: str, tmp_path: Path) -> None:
    boot_files(MADE / "first-trixie.img", tmp_path)
    assert GIVEN["provision_password_hash"] in (tmp_path / "user-data").read_text()
    check = "; ".join(
        f"cloud-init schema --schema-type {kind} --config-file {FIRMWARE}/{name}"
        for kind, name in (("cloud-config", "user-data"), ("network-config", "network-config"))
    )
    done = shell("docker", "run", "--rm", "--volume", f"{tmp_path}:{FIRMWARE}:ro", image, "sh", "-c", check)
    assert done.stdout.count("Valid schema") == 2, done.stdout + done.stderr


def test_an_image_is_its_owners_and_nothing_shows_a_secret(tmp_path: Path) -> None:
    assert {file.stat().st_mode & 0o777 for file in MADE.glob("*.img*")} == {0o600}
    for_devices = {
        "ansible_python_interpreter": "/nonexistent/python",
        "ansible_become": True,
        "ansible_become_exe": "/nonexistent/sudo",
        "ansible_connection": "ssh",
    }
    output = played(CONVERGE, "-vvv", "--diff", provision_output=str(tmp_path), **for_devices)
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

"""Ubuntu Server on a Raspberry Pi, as far as its packages for x86-64 show it: `make ubuntu`.

What its image has beside them (the kernel, its boot partition's layout, the file system's enlargement) is not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from devices import ROOT
from first_start import FIRMWARE, Board, shell, started, system
from plays import played

#: What provision.yml, the role's tests on Debian aside, must get right on Ubuntu: keys, a locale, a fixed address.
SETTINGS = {
    "provision_hostname": "first-ubuntu",
    "provision_user": "me",
    "provision_timezone": "Europe/Berlin",
    "provision_locale": "de_DE.UTF-8",
    "provision_keyboard": "de",
    "provision_address": "192.0.2.21/24",
    "provision_gateway": "192.0.2.1",
    "provision_nameservers": ["192.0.2.1"],
}


@pytest.fixture(scope="module")
def key() -> str:
    """Return the public key of the test fleet; it is made where there is none."""
    file = ROOT / ".cache/fleet/id_ed25519"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shell("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edge-slm-local-fleet", "-f", str(file))
    return file.with_suffix(".pub").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def board(key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    where = tmp_path_factory.mktemp("ubuntu")
    base = where / "stand-in-ubuntu.img"
    # Its boot partition brings a user-data as well.
    assert shell(str(ROOT / "molecule/stand_ins/card-image"), str(base), "trixie").returncode == 0
    digest = shell("sha256sum", str(base)).stdout.split()[0]
    played(
        "playbooks/provision.yml",
        limit="pi-01",
        provision_image=str(base),
        provision_image_sha256=digest,
        provision_output=str(where / "made"),
        provision_user_keys=[key],
        **SETTINGS,
    )
    with started(where / "made/first-ubuntu.img", system("noble"), tmp_path_factory.mktemp("boot")) as found:
        yield found


def test_cloud_init_does_as_it_was_told(board: Board) -> None:
    status = board.says("cloud-init status --long")
    assert "status: done" in status
    assert "errors: []" in status
    assert "DataSourceNoCloud" in status
    assert board.says("hostname; id -un; sudo -n id -u").split() == ["first-ubuntu", "me", "0"]
    assert "passwordauthentication no" in board.says("sudo sshd -T")
    assert board.says("cat /etc/timezone") == "Europe/Berlin"
    assert "LANG=de_DE.UTF-8" in board.says("cat /etc/default/locale")
    assert "de_DE.utf8" in board.says("locale -a").split()
    assert "192.0.2.21/24" in board.says("sudo netplan get network.ethernets.eth0")
    assert "Valid schema" in board.says(f"cloud-init schema --config-file {FIRMWARE}/user-data")


def test_the_baseline_is_applied_and_a_second_run_changes_nothing(board: Board, tmp_path: Path) -> None:
    assert "Ubuntu 24.04" in board.says("cat /etc/os-release")
    assert "failed=0" in board.baseline(tmp_path)
    assert "changed=0" in board.baseline(tmp_path)
    assert "gpu_mem=16" in board.says(f"cat {FIRMWARE}/config.txt")
    assert "cgroup_enable=memory" in board.says(f"cat {FIRMWARE}/cmdline.txt")
    board.restart()
    assert board.says("hostname; systemctl is-system-running").split() == ["first-ubuntu", "running"]

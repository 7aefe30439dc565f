"""The plan of provision: a mounted card, or an image for the host."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import provision
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import card_image
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import collect

ROOT = Path(__file__).resolve().parents[3]
KEYS = [f"ssh-ed25519 {'A' * 68} me"]


def raw(**changes: Any) -> dict[str, Any]:
    defaults = yaml.safe_load((ROOT / "roles/provision/defaults/main.yml").read_text(encoding="utf-8"))
    given = {"hostname": "pi-01", "user": "me", "user_keys": KEYS, "output": "/images"}
    return {**{name.removeprefix("provision_"): value for name, value in defaults.items()}, **given, **changes}


def plan(**changes: Any) -> Plan:
    return provision.plan(raw(**changes), Host())


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a mounted card, as the kernel would show it."""
    where = tmp_path / "bootfs"
    where.mkdir()
    for name in ("config.txt", "bcm2712-rpi-5-b.dtb"):
        (where / name).write_text("")
    (where / "cmdline.txt").write_text("root=x\n")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 0 8:2 / / rw - ext4 /dev/sda2 rw\n2 1 179:1 / {where} rw - vfat /dev/mmcblk0p1 rw\n")
    monkeypatch.setattr(provision.boot_partition, "MOUNTS", str(mounts))
    return where


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, "provision_boot: neither it nor provision_image is set; give a mounted card"),
        ({"boot": "/a", "image": "/b", "image_sha256": "0" * 64}, "provision_boot: both are set"),
        ({"state": "gone"}, "provision_state: 'gone' is not one of present, absent."),
        ({"image": "/dev/null", "image_sha256": "0" * 64}, "provision_image: /dev/null is not a file"),
        ({"image": "raspios.img", "image_sha256": "0" * 64}, "provision_image: must be http://…"),
        ({"image": "/b.img"}, "provision_image_sha256: must be 64 hexadecimal digits"),
        ({"state": "absent", "hostname": "../a"}, "provision_hostname: '../a' is not a host name"),
        ({"boot": "/nowhere"}, "provision_boot: /nowhere is not a mounted partition"),
    ],
)
def test_refused(changes: dict[str, Any], refusal: str) -> None:
    (found,) = plan(**changes).refusals
    assert found.startswith(refusal)


@pytest.mark.parametrize(
    ("brought", "names"),
    [(["user-data"], ["meta-data", "network-config", "user-data"]), ([], ["cmdline.txt", "firstrun.sh"])],
)
def test_a_card(card: Path, brought: list[str], names: list[str]) -> None:
    for name in brought:
        (card / name).write_text("#cloud-config\n")
    found = plan(boot=str(card))
    files = found.files["configure"].files
    assert sorted(os.path.basename(file.path) for file in files) == names
    assert {(file.mode, file.secret, os.path.dirname(file.path)) for file in files} == {("", True, str(card))}
    assert len(found.pending) == len(names)
    for file in files:
        Path(file.path).write_text(file.content, encoding="utf-8")
    assert plan(boot=str(card)).pending == []


def test_a_card_that_has_been_started_does_not_get_its_secrets_again(card: Path) -> None:
    (card / "user-data").write_text("#cloud-config\n")
    given = {"boot": str(card), "password_hash": "$6$salt$0123456789", "wifi_ssid": "Home", "wifi_country": "DE"}
    given["wifi_passphrase"] = "correct horse battery"
    for file in plan(**given).files["configure"].files:
        lines = file.content.splitlines(keepends=True)
        left = [line for line in lines if '"hashed_passwd"' not in line and '"password"' not in line]
        Path(file.path).write_text("".join(left), encoding="utf-8")
    assert plan(**given).pending == []
    other = plan(**{**given, "wifi_passphrase": "another one"})
    written = {os.path.basename(file.path): file.content for file in other.files["configure"].files}
    assert set(written) == {"user-data", "network-config", "meta-data"}
    assert "$6$salt$0123456789" in written["user-data"], "all of it, for an instance that is new"
    (card / "user-data").write_text("#cloud-config\n")
    (by_hand,) = plan(**given).files["configure"].files
    assert by_hand.path == str(card / "user-data")


def test_a_card_that_is_none(card: Path) -> None:
    (card / "config.txt").unlink()
    (found,) = plan(boot=str(card)).refusals
    assert "bootfs is not a Raspberry Pi's boot partition" in found
    assert "found: bcm2712-rpi-5-b.dtb, cmdline.txt" in found


def test_a_link_to_a_card_is_where_it_leads(card: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(card)
    assert plan(boot=str(tmp_path / "link")).refusals == []


def test_an_image(tmp_path: Path) -> None:
    image = tmp_path / "stand-in.img"
    subprocess.run([ROOT / "molecule/stand_ins/card-image", image, "trixie"], check=True, capture_output=True)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    given = {"image": str(image), "image_sha256": digest, "output": str(tmp_path / "out")}
    found = plan(**given)
    base = f"{tmp_path}/out/base/{digest[:12]}-stand-in.img"
    assert found.needs == {
        "fetch": {"url": str(image), "sha256": digest, "dest": base},
        "image": f"{tmp_path}/out/pi-01.img",
    }
    assert found.pending == [f"file {base}: is to be fetched", f"image {tmp_path}/out/pi-01.img: is missing"]
    os.makedirs(os.path.dirname(base))
    image.rename(base)
    assert plan(**given).pending == [f"image {tmp_path}/out/pi-01.img: is missing"]
    cast = provision.cast(raw(**given), Problems())
    card_image.make(cast.base, digest, cast.result, cast.settings)
    os.unlink(base)
    assert plan(**given).pending == [], "what it was made from is not needed any more"
    Path(card_image.part(cast.result)).touch()
    gone = plan(**given, state="absent")
    assert gone.files["uninstall"].remove == [cast.result, f"{cast.result}.json", f"{cast.result}.part"]
    for path in gone.files["uninstall"].remove:
        os.unlink(path)
    assert plan(**given, state="absent").pending == []


def test_the_name_of_a_fetched_image_has_no_query() -> None:
    given = {"image": "https://example.org/raspios.img.xz?mirror=1", "image_sha256": "0" * 64}
    assert provision.cast(raw(**given), Problems()).base == "/images/base/000000000000-raspios.img.xz"


def test_a_controller_without_mtools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "find_command", lambda _name: "")
    (found,) = plan(image="https://example.org/a.img", image_sha256="0" * 64).refusals
    assert found == "provision_image: the controller has no mtools; install the package mtools."


@pytest.mark.parametrize(("hosts", "refused"), [(["pi-01"], False), (["pi-01", "pi-02"], True)])
def test_one_card_is_for_one_host(hosts: list[str], *, refused: bool) -> None:
    variables = {"inventory_hostname_short": "pi-01", "provision_boot": "/media/card", "ansible_play_hosts_all": hosts}
    inputs = collect("provision", DataLoader(), variables)
    controller_side.before(inputs)
    assert [sentence.partition(":")[0] for sentence in inputs.refusals] == ["provision_boot"] * refused

"""What discover writes and what it leaves alone, with sightings in place of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible_collections.edge_slm.fleet.plugins.action import discover
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import Sighting

DEBIAN = "SSH-2.0-OpenSSH_10.0p2 Debian-7"
PI = Sighting("192.168.1.9", mac="2c:cf:67:01:02:03", banner=DEBIAN, keys={"ssh-ed25519": "AAAA"}, here=True)
OTHER_CARD = Sighting("192.168.1.9", mac="2c:cf:67:01:02:03", banner=DEBIAN, keys={"ssh-ed25519": "CCCC"}, here=True)
SOURCE = "plugin: edge_slm.fleet.discovered\n"


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> list[Sighting]:
    """What is around."""
    found = [PI]
    monkeypatch.setattr(discover, "own_addresses", lambda: ())
    monkeypatch.setattr(discover, "discover", lambda *_arguments: found)
    return found


def run(check: bool = False, **given: Any) -> dict[str, Any]:
    task = Task.load({"name": "Look", "action": {"module": "edge_slm.fleet.discover", **given}})
    task.check_mode = check
    action = discover.ActionModule(task, Mock(), Mock(check_mode=check), DataLoader(), None, None)
    found: dict[str, Any] = action.run(task_vars={})
    return found


def files(where: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in where.iterdir()}


def test_nothing_is_written_unless_it_is_asked_for(around: list[Sighting], tmp_path: Path) -> None:
    result = run(record=str(tmp_path / "scan.json"))
    assert [board["name"] for board in result["boards"]] == ["pi-010203"]
    assert not result["changed"]
    assert files(tmp_path) == {}


def test_check_mode_shows_what_it_would_write(around: list[Sighting], tmp_path: Path) -> None:
    asked = {
        "inventory": str(tmp_path / "home/hosts.yml"),
        "scan": "192.168.1.0/24",
        "record": str(tmp_path / "x.json"),
    }
    result = run(check=True, **asked)
    assert result["changed"]
    assert [Path(change["after_header"]).name for change in result["diff"]] == ["known_hosts", "hosts.yml"]
    assert files(tmp_path) == {}
    assert run(**asked)["changed"]
    assert sorted(files(tmp_path / "home")) == ["hosts.yml", "known_hosts"]
    assert json.loads((tmp_path / "x.json").read_text())["networks"] == ["192.168.1.0/24"]
    assert not run(**asked)["changed"]


def test_an_inventory_that_is_there_stays_and_gives_its_names(around: list[Sighting], tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    text = "pi:\n  hosts:\n    kitchen:\n      ansible_host: 192.168.1.9\n"
    inventory.write_text(text)
    around.append(Sighting("192.168.1.10", mac="2c:cf:67:01:02:04", banner=DEBIAN, keys={"ssh-ed25519": "CCCC"}))
    result = run(inventory=str(inventory))
    assert files(tmp_path) == {
        "hosts.yml": text,
        "known_hosts": "kitchen ssh-ed25519 AAAA\npi-010204 ssh-ed25519 CCCC\n",
    }
    notes = "\n".join(result["notes"])
    assert '"pi-010204": # 2c:cf:67:01:02:04 Debian\n    ansible_host: "192.168.1.10"' in notes
    assert "kitchen" not in notes
    # So that the keys count, this has to be written there.
    shown = yaml.safe_load(notes[notes.index("  ansible_ssh_common_args") :])
    assert shown["ansible_ssh_common_args"].startswith("-o HostKeyAlias={{ inventory_hostname }} ")


def test_an_inventory_is_written_anew_when_that_is_asked_for(around: list[Sighting], tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {}\n")
    assert run(inventory=str(inventory), overwrite=True)["changed"]
    assert list(yaml.safe_load(inventory.read_text())["all"]["children"]["pi"]["hosts"]) == ["pi-010203"]


def test_the_source_of_the_inventory_plugin_stays_and_is_no_reason_for_a_note(
    around: list[Sighting], tmp_path: Path
) -> None:
    inventory = tmp_path / "discovered.yml"
    inventory.write_text(SOURCE)
    assert run(inventory=str(inventory))["notes"] == []
    assert files(tmp_path) == {"discovered.yml": SOURCE, "known_hosts": "pi-010203 ssh-ed25519 AAAA\n"}


def test_another_key_is_refused_and_nothing_is_written(around: list[Sighting], tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    run(inventory=str(inventory))
    before = files(tmp_path)
    around[:] = [OTHER_CARD]
    with pytest.raises(AnsibleActionFail, match=r"pi-010203: the board at .* has another host key"):
        run(inventory=str(inventory), overwrite=True)
    assert files(tmp_path) == before
    run(inventory=str(inventory), accept=["pi-010203"])
    assert files(tmp_path)["known_hosts"] == "pi-010203 ssh-ed25519 CCCC\n"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"scan": "10.0.0.0/8"}, "edge_slm_discover_scan: 10.0.0.0/8 is larger than a /22"),
        ({"seconds": 600}, "edge_slm_discover_seconds: must be more than 0 and at most 60"),
        ({"inventory": "hosts"}, "edge_slm_discover_inventory: 'hosts' is not the name of a YAML file"),
        ({"inventory": "torn.yml"}, "edge_slm_discover_inventory: torn.yml cannot be read"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(
    given: dict[str, Any], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torn.yml").write_text("a: [\n")
    monkeypatch.setattr(discover, "own_addresses", lambda: ())
    monkeypatch.setattr(discover, "discover", Mock(side_effect=AssertionError))
    with pytest.raises(AnsibleActionFail) as refused:
        run(**given)
    assert problem in str(refused.value)

"""Plans of the baseline roles: states, wrong inputs, systems that nothing is read on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import default_target
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import host_baseline, pi_baseline
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import planner

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = ("host_baseline", "pi_baseline", "jetson_baseline")


def inputs(role: str, **changes: Any) -> dict[str, Any]:
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text(encoding="utf-8"))
    values = {name.removeprefix(f"{role}_"): value for name, value in defaults.items()}
    return {**values, **({"hostname": "pi-01"} if "hostname" in values else {}), **changes}


@pytest.mark.parametrize("role", NAMES)
def test_an_unknown_state_is_refused(role: str) -> None:
    found = planner(role)(inputs(role, state="gone"), Host())
    assert found.refusals == [f"{role}_state: 'gone' is unknown; choose present or absent."]
    assert found.unfit == []


@pytest.mark.parametrize("role", NAMES)
def test_reading_any_host_comes_to_an_end(role: str) -> None:
    """Whatever this machine is: a plan reads it without an error, and reports what differs or what it cannot be."""
    for state in ("present", "absent"):
        found = planner(role)(inputs(role, state=state), Host())
        assert found.refusals == []
        assert all(": " in sentence for sentence in found.pending)
        assert set(found.as_dict()["files"].values()) <= {True, False}


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("host_baseline", {"hostname": "a.b", "packages": "curl", "journal_max_mib": "many", "firewall": "perhaps"}),
        ("pi_baseline", {"swap_mib": "much", "boot_config": "gpu_mem=16", "headless": "maybe"}),
        ("jetson_baseline", {"swap_mib": 1.5, "jtop_users": {"a": 1}, "clocks": "fast"}),
    ],
)
def test_every_wrong_type_is_reported_at_once(role: str, changes: dict[str, Any]) -> None:
    found = planner(role)(inputs(role, **changes), Host())
    assert {sentence.split(":")[0] for sentence in found.refusals} == {f"{role}_{name}" for name in changes}
    gone = planner(role)(inputs(role, state="absent", **changes), Host())
    assert gone.refusals == [], "what does not matter for removal is not checked"


@pytest.mark.parametrize("plans", [host_baseline, pi_baseline])
def test_nothing_is_read_on_an_unknown_system(plans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("an unknown system was read")

    monkeypatch.setattr(plans, "read_live", refuse)
    host = Host()
    host.__dict__["device"] = {
        "os_id": "fedora",
        "os_version": "41",
        "architecture": "x86_64",
        "systemd": True,
        "container": False,
        "real_board": False,
        "boot_partition": "",
    }
    found = plans.plan(inputs(plans.__name__.rsplit(".", 1)[1]), host)
    assert (len(found.unfit), found.refusals) == (1, [])
    assert found.unfit[0].startswith("This host runs fedora 41")


@pytest.mark.parametrize(
    ("etc", "usr", "target"),
    [
        ("multi-user.target", "graphical.target", "multi-user.target"),
        ("", "graphical.target", "graphical.target"),
        ("", "", ""),
    ],
)
def test_what_the_host_boots_to(tmp_path: Path, etc: str, usr: str, target: str) -> None:
    directories = []
    for name, wanted in (("etc", etc), ("usr", usr)):
        directory = tmp_path / name
        directory.mkdir()
        directories.append(str(directory))
        if wanted:
            (directory / wanted).touch()
            (directory / "default.target").symlink_to(directory / wanted)
    assert default_target(directories) == target

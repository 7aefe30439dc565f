"""Decisions of the role pi_baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ConfigFile, LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.pi.baseline import (
    DPHYS_CONF,
    DPHYS_UNIT,
    GOVERNOR_PATH,
    GOVERNOR_UNIT,
    REBOOT_REQUIRED,
    RPI_SWAP_CONF,
    WATCHDOG_CONF,
    Inputs,
    Live,
    governor_unit,
    plan,
    plan_absent,
    problems,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "pi_baseline"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
BOOT = "/boot/firmware"
PI = {
    "os_id": "debian",
    "os_version": "13",
    "architecture": "aarch64",
    "systemd": True,
    "container": False,
    "real_board": True,
    "boot_partition": BOOT,
}
CONTAINER = {**PI, "architecture": "x86_64", "container": True, "real_board": False, "boot_partition": ""}
UP = LiveUnit(True, True, True, 900.0)


def inputs(**changes: Any) -> Inputs:
    values = {name.removeprefix("pi_baseline_"): value for name, value in DEFAULTS.items()}
    return Inputs.of({**values, **changes})


def bare(**changes: Any) -> Live:
    """Return a board as flashed: Raspberry Pi OS Lite of 2026."""
    values: dict[str, Any] = {
        "files": {
            f"{BOOT}/config.txt": LiveFile("dtparam=audio=on\n", 0o755, 10.0),
            f"{BOOT}/cmdline.txt": LiveFile("root=PARTUUID=1 rootwait\n", 0o755, 10.0),
        },
        "packages": {"rpi-swap": "1.0"},
        "governors_known": ("ondemand", "performance"),
        "governors_now": ("ondemand",),
        "watchdog": True,
        "default_target": "graphical.target",
        "booted": 500.0,
        **changes,
    }
    return Live(**values)


def files_of(found: Plan) -> dict[str, ConfigFile]:
    """Return what is to be written, by path."""
    return {file.path: file for file in found.files["configure"].files}


def converged(live: Live, found: Plan, modified: float) -> Live:
    """Return the board after the plan was carried out."""
    files = dict(live.files)
    for file in files_of(found).values():
        files[file.path] = LiveFile(file.content, int(file.mode or "755", 8), modified)
    return bare(
        files=files,
        packages=live.packages,
        governors_now=("performance",),
        watchdog_now=15.0,
        default_target="multi-user.target",
        units={GOVERNOR_UNIT: UP, DPHYS_UNIT: UP},
    )


@pytest.mark.parametrize(
    "device",
    [
        PI,
        CONTAINER,
        {**PI, "os_id": "raspbian", "os_version": "12"},
        {**PI, "os_id": "ubuntu", "os_version": "24.04"},
    ],
)
def test_defaults_have_no_problems(device: dict[str, Any]) -> None:
    assert problems(inputs(), device, bare()) == ([], [])


@pytest.mark.parametrize(
    ("device", "part"),
    [
        ({"os_id": "ubuntu", "os_version": "22.04"}, "This host runs ubuntu 22.04"),
        ({"os_version": "11"}, "This host runs debian 11"),
        ({"architecture": "armv7l"}, "64-bit Raspberry Pi OS"),
        ({"architecture": "armhf"}, "built for armhf"),
        ({"systemd": False}, "not booted by systemd"),
    ],
)
def test_unsupported_systems_are_refused(device: dict[str, Any], part: str) -> None:
    refusals, unfit = problems(inputs(), {**PI, **device}, bare())
    assert refusals == [], "a wrong system is not an error in the inventory"
    assert [part in sentence for sentence in unfit] == [True]


@pytest.mark.parametrize(
    ("changes", "live", "part"),
    [
        ({"swap_mechanism": "disk"}, {}, "pi_baseline_swap_mechanism: 'disk' is unknown"),
        ({"swap_mib": -1}, {}, "pi_baseline_swap_mib"),
        ({"cpu_governor": "x; reboot"}, {"governors_known": ()}, "pi_baseline_cpu_governor"),
        ({"boot_config": ["gpu_mem 16"]}, {}, "pi_baseline_boot_config[0]"),
        ({"boot_config": ["gpu_mem=16", "a=1\nb"]}, {}, "pi_baseline_boot_config[1]"),
        ({"watchdog_seconds": 60}, {}, "pi_baseline_watchdog_seconds: must be a whole number from 0 to 15; it is 60"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], live: dict[str, Any], part: str) -> None:
    refusals, unfit = problems(inputs(**changes), PI, bare(**live))
    assert [part in sentence for sentence in refusals] == [True]
    assert unfit == []


@pytest.mark.parametrize(
    ("changes", "live", "part"),
    [
        ({"swap_mechanism": "zram"}, {"packages": {"dphys-swapfile": "1"}}, "choose auto, swapfile or none"),
        ({"cpu_governor": "turbo"}, {}, "choose one of ondemand, performance"),
    ],
)
def test_what_this_board_cannot_be_is_not_an_inventory_error(
    changes: dict[str, Any], live: dict[str, Any], part: str
) -> None:
    refusals, unfit = problems(inputs(**changes), PI, bare(**live))
    assert refusals == []
    assert [part in sentence for sentence in unfit] == [True]


def test_a_bare_board_gets_everything_and_then_nothing() -> None:
    first = plan(inputs(), PI, bare())
    written = {path: file.content for path, file in files_of(first).items()}
    assert set(written) == {
        f"{BOOT}/config.txt",
        f"{BOOT}/cmdline.txt",
        RPI_SWAP_CONF,
        GOVERNOR_PATH,
        WATCHDOG_CONF,
    }
    assert written[f"{BOOT}/cmdline.txt"] == "root=PARTUUID=1 rootwait cgroup_enable=memory cgroup_memory=1\n"
    assert "RuntimeWatchdogSec=15s" in written[WATCHDOG_CONF]
    assert "Mechanism=auto" in written[RPI_SWAP_CONF]
    assert first.needs["reexec"]
    assert first.needs["target"] == "multi-user.target"
    assert len(first.needs["reboot"]) == 3
    assert first.not_applicable == []
    after = plan(inputs(), PI, converged(bare(), first, modified=400.0))
    assert (after.pending, after.needs["reboot"]) == ([], [])


def test_a_kill_before_the_reboot_is_seen() -> None:
    first = plan(inputs(), PI, bare())
    unbooted = plan(inputs(), PI, converged(bare(), first, modified=800.0))
    assert [sentence.split(":")[0] for sentence in unbooted.pending] == ["reboot"] * 3
    assert len(unbooted.needs["reboot"]) == 3
    waiting = plan(inputs(reboot=False), PI, converged(bare(), first, modified=800.0))
    assert waiting.pending == []
    assert "pi_baseline_reboot is false" in waiting.not_applicable[-1]


def test_upgrades_reboot_only_when_allowed() -> None:
    first = plan(inputs(), PI, bare())
    live = converged(bare(), first, modified=400.0)
    live = bare(files={**live.files, REBOOT_REQUIRED: LiveFile("", 0o644, 1.0)}, packages=live.packages)
    assert plan(inputs(), PI, live).needs["reboot"] == []
    assert plan(inputs(reboot_for_upgrades=True), PI, live).needs["reboot"] == ["an upgraded package asks for it"]


@pytest.mark.parametrize(
    ("mechanism", "size"),
    [("auto", "CONF_SWAPSIZE=2048"), ("none", "CONF_SWAPSIZE=0"), ("swapfile", "=2048")],
)
def test_bookworm_swaps_by_dphys_swapfile(mechanism: str, size: str) -> None:
    live = bare(packages={"dphys-swapfile": "1"})
    found = plan(inputs(swap_mechanism=mechanism), {**PI, "os_version": "12"}, live)
    assert size in files_of(found)[DPHYS_CONF].content
    assert DPHYS_UNIT in [unit["name"] for unit in found.needs["units"]]
    assert not any("swap" in reason for reason in found.needs["reboot"])


def test_a_container_has_nothing_of_a_board() -> None:
    found = plan(inputs(), CONTAINER, Live(default_target="multi-user.target"))
    assert found.pending == []
    assert found.needs["reboot"] == []
    assert [text.split(":")[0] for text in found.not_applicable] == [
        "swap",
        "CPU governor",
        "boot settings",
        "memory controller",
        "watchdog",
    ]


def test_features_turned_off_are_undone() -> None:
    first = plan(inputs(), PI, bare())
    live = converged(bare(), first, modified=400.0)
    off = plan(
        inputs(swap_mechanism="", cpu_governor="", boot_config=[], cgroup_memory=False, watchdog_seconds=0),
        PI,
        live,
    )
    assert off.files["configure"].remove == sorted([RPI_SWAP_CONF, WATCHDOG_CONF, GOVERNOR_PATH])
    assert off.needs["units"] == []
    assert off.needs["stops"] == [
        {"name": GOVERNOR_UNIT, "state": "stopped", "enabled": False, "why": "is no longer wanted"}
    ]
    assert "gpu_mem" not in files_of(off)[f"{BOOT}/config.txt"].content
    assert off.needs["reexec"]


def test_governor_that_drifted_is_set_again() -> None:
    files = {GOVERNOR_PATH: LiveFile(governor_unit("performance"), 0o644, 1.0)}
    live = bare(files=files, units={GOVERNOR_UNIT: UP}, governors_now=("ondemand", "performance"))
    found = plan(inputs(), {**PI, "boot_partition": ""}, live)
    assert f"unit {GOVERNOR_UNIT}: the CPU governor is ondemand, not performance" in found.pending
    assert [(unit["name"], unit["state"]) for unit in found.needs["units"]] == [(GOVERNOR_UNIT, "restarted")]


def test_absent_takes_away_what_the_role_wrote_and_nothing_else() -> None:
    live = converged(bare(), plan(inputs(), PI, bare()), modified=400.0)
    found = plan_absent(PI, live)
    assert found.files["configure"].remove == sorted([RPI_SWAP_CONF, WATCHDOG_CONF, GOVERNOR_PATH])
    assert [unit["name"] for unit in found.needs["stops"]] == [GOVERNOR_UNIT]
    # The board's own lines stay, and so does what was added to the kernel's command line.
    assert {path: file.content for path, file in files_of(found).items()} == {
        f"{BOOT}/config.txt": "dtparam=audio=on\n"
    }
    assert found.needs["target"] == ""
    assert found.not_applicable[0].startswith("what stays: parameters in cmdline.txt")
    assert "what the next boot ends" in found.not_applicable[1]
    left = {f"{BOOT}/config.txt": LiveFile("dtparam=audio=on\n", 0o755, 10.0)}
    assert plan_absent(PI, bare(files=left, watchdog_now=0.0)).pending == []
    assert plan_absent(CONTAINER, Live()).pending == []


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        (LiveUnit(True, False, True, 900.0), "is not running"),
        (LiveUnit(True, True, False, 900.0), "is not enabled"),
        (LiveUnit(False, False, False, 0.0, masked=True), "is masked"),
        (LiveUnit(True, True, True, 100.0), f"runs since before {GOVERNOR_PATH} changed"),
    ],
)
def test_drift_of_the_governors_unit(unit: LiveUnit, why: str) -> None:
    done = converged(bare(), plan(inputs(), PI, bare()), modified=400.0)
    live = bare(
        files=done.files,
        units={GOVERNOR_UNIT: unit},
        governors_now=("performance",),
        watchdog_now=15.0,
        default_target="multi-user.target",
    )
    assert plan(inputs(), PI, live).pending == [f"unit {GOVERNOR_UNIT}: {why}"]


def test_ubuntu_swaps_by_what_is_installed() -> None:
    ubuntu = {**PI, "os_id": "ubuntu", "os_version": "24.04"}
    without = plan(inputs(), ubuntu, bare(packages={}))
    assert any(sentence.startswith("swap: not applicable: neither rpi-swap") for sentence in without.not_applicable)
    assert f"{BOOT}/config.txt" in files_of(without)
    with_tool = plan(inputs(), ubuntu, bare(packages={"dphys-swapfile": "20100506"}))
    assert "CONF_SWAPSIZE=2048" in files_of(with_tool)[DPHYS_CONF].content

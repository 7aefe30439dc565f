"""Decisions of the role pi_baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit
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
    problems,
)

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
        "now": 1000.0,
        **changes,
    }
    return Live(**values)


def converged(live: Live, found: dict[str, Any], modified: float) -> Live:
    """Return the board after the plan was carried out."""
    files = dict(live.files)
    for file in found["files"]:
        files[file["path"]] = LiveFile(file["content"], int(file["mode"] or "755", 8), modified)
    return bare(
        files=files,
        packages=live.packages,
        governors_now=("performance",),
        watchdog_now=15.0,
        default_target="multi-user.target",
        units={GOVERNOR_UNIT: UP, DPHYS_UNIT: UP},
    )


def test_role_passes_every_deciding_input_to_its_module() -> None:
    passed = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__pi_baseline_inputs"]
    assert set(passed) == set(Inputs.__dataclass_fields__)
    assert all(value == f"{{{{ pi_baseline_{name} }}}}" for name, value in passed.items())


@pytest.mark.parametrize("device", [PI, CONTAINER, {**PI, "os_id": "raspbian", "os_version": "12"}])
def test_defaults_have_no_problems(device: dict[str, Any]) -> None:
    assert problems(inputs(), device, bare()) == []


@pytest.mark.parametrize(
    ("device", "part"),
    [
        ({"os_id": "ubuntu", "os_version": "24.04"}, "This host runs ubuntu 24.04"),
        ({"os_version": "11"}, "This host runs debian 11"),
        ({"architecture": "armv7l"}, "64-bit Raspberry Pi OS"),
        ({"systemd": False}, "not booted by systemd"),
    ],
)
def test_unsupported_systems_are_refused(device: dict[str, Any], part: str) -> None:
    assert part in " ".join(problems(inputs(), {**PI, **device}, bare()))


@pytest.mark.parametrize(
    ("changes", "live", "part"),
    [
        ({"swap_mechanism": "disk"}, {}, "pi_baseline_swap_mechanism: 'disk' is unknown"),
        ({"swap_mechanism": "zram"}, {"packages": {"dphys-swapfile": "1"}}, "choose auto, swapfile or none"),
        ({"swap_mib": -1}, {}, "pi_baseline_swap_mib"),
        ({"cpu_governor": "turbo"}, {}, "choose one of ondemand, performance"),
        ({"cpu_governor": "x; reboot"}, {"governors_known": ()}, "pi_baseline_cpu_governor"),
        ({"boot_config": ["gpu_mem 16"]}, {}, "pi_baseline_boot_config[0]"),
        ({"boot_config": ["gpu_mem=16", "a=1\nb"]}, {}, "pi_baseline_boot_config[1]"),
        ({"watchdog_seconds": 60}, {}, "pi_baseline_watchdog_seconds: is 60 s; give 1 to 15"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], live: dict[str, Any], part: str) -> None:
    assert part in " ".join(problems(inputs(**changes), PI, bare(**live)))


def test_a_bare_board_gets_everything_and_then_nothing() -> None:
    first = plan(inputs(), PI, bare())
    written = {file["path"]: file["content"] for file in first["files"]}
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
    assert first["reexec"]
    assert first["target"] == "multi-user.target"
    assert len(first["reboot"]) == 3
    assert first["not_applicable"] == []
    after = plan(inputs(), PI, converged(bare(), first, modified=400.0))
    assert (after["pending"], after["reboot"]) == ([], [])


def test_a_kill_before_the_reboot_is_seen() -> None:
    first = plan(inputs(), PI, bare())
    unbooted = plan(inputs(), PI, converged(bare(), first, modified=800.0))
    assert unbooted["pending"] == []
    assert len(unbooted["reboot"]) == 3
    future = plan(inputs(), PI, converged(bare(), first, modified=2000.0))
    assert future["reboot"] == [], "a file from the future must not ask for a reboot for ever"


def test_upgrades_reboot_only_when_allowed() -> None:
    first = plan(inputs(), PI, bare())
    live = converged(bare(), first, modified=400.0)
    live = bare(files={**live.files, REBOOT_REQUIRED: LiveFile("", 0o644, 1.0)}, packages=live.packages)
    assert plan(inputs(), PI, live)["reboot"] == []
    assert plan(inputs(reboot_for_upgrades=True), PI, live)["reboot"] == ["an upgraded package asks for it"]


@pytest.mark.parametrize(
    ("mechanism", "size"),
    [("auto", "CONF_SWAPSIZE=2048"), ("none", "CONF_SWAPSIZE=0"), ("swapfile", "=2048")],
)
def test_bookworm_swaps_by_dphys_swapfile(mechanism: str, size: str) -> None:
    live = bare(packages={"dphys-swapfile": "1"})
    found = plan(inputs(swap_mechanism=mechanism), {**PI, "os_version": "12"}, live)
    assert size in next(file["content"] for file in found["files"] if file["path"] == DPHYS_CONF)
    assert DPHYS_UNIT in [unit["name"] for unit in found["units"]]
    assert not any("swap" in reason for reason in found["reboot"])


def test_a_container_has_nothing_of_a_board() -> None:
    found = plan(inputs(), CONTAINER, Live(default_target="multi-user.target"))
    assert found["pending"] == []
    assert found["reboot"] == []
    assert [text.split(":")[0] for text in found["not_applicable"]] == [
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
    assert off["remove"] == [RPI_SWAP_CONF, WATCHDOG_CONF]
    assert off["units"] == [{"name": GOVERNOR_UNIT, "state": "stopped", "enabled": False}]
    assert "gpu_mem" not in next(file["content"] for file in off["files"] if file["path"] == f"{BOOT}/config.txt")
    assert off["reexec"]


def test_governor_that_drifted_is_set_again() -> None:
    files = {GOVERNOR_PATH: LiveFile(governor_unit("performance"), 0o644, 1.0)}
    live = bare(files=files, units={GOVERNOR_UNIT: UP}, governors_now=("ondemand", "performance"))
    found = plan(inputs(), {**PI, "boot_partition": ""}, live)
    assert {"name": GOVERNOR_UNIT, "state": "restarted", "enabled": True} in found["units"]

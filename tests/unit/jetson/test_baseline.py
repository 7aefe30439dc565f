"""Decisions of the role jetson_baseline.

What nvpmodel and jetson_clocks print here has the form that boards print, in numbers of an AGX Orin and an Orin Nano.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ConfigFile, LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.baseline import (
    CLOCKS_PATH,
    CLOCKS_UNIT,
    DESKTOP_UNIT,
    HEADER,
    JTOP_INSTALLED,
    JTOP_PATH,
    JTOP_PROGRAM,
    JTOP_REQUIREMENTS,
    JTOP_UNIT,
    MODE_STATUS,
    MODE_WAITING,
    NVPMODEL_CONF,
    REBOOT_REQUIRED,
    ZRAM_UNIT,
    Inputs,
    Live,
    PowerMode,
    clocks_locked,
    clocks_unit,
    find_mode,
    mode_verdict,
    parse_modes,
    parse_status,
    plan,
    problems,
    swap_unit,
    swap_unit_name,
    with_status,
    zram_in_use,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.jetson_baseline import (
    read_jtop_version,
    read_swap_file,
)

ROLE = Path(__file__).resolve().parents[3] / "roles" / "jetson_baseline"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
BOARD = {"systemd": True, "container": False, "real_board": True}
CONTAINER = {"systemd": True, "container": True, "real_board": False}
UP = LiveUnit(True, True, True, 900.0)
SWAP_FILE = "/var/lib/edge-slm/swapfile"
SWAP_UNIT = r"var-lib-edge\x2dslm-swapfile.swap"

AGX_ORIN = """\
# Copyright: somebody's
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

# MAXN is no power budget
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_0 1
GPU MAX_FREQ -1

< POWER_MODEL ID=1 NAME=MODE_15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MODE_30W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=3 NAME=MODE_50W >
CPU_ONLINE CORE_0 1
# mandatory section to configure the default power mode
< PM_CONFIG DEFAULT=2 >
"""
ORIN_NANO_SUPER = """\
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL NAME=MAXN_SUPER ID=2 >
< PM_CONFIG DEFAULT=1 >
"""
QUESTION = """\
NVPM WARN: Golden image context is already created
NVPM WARN: Reboot required for changing to this power mode: 0
NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:
NVPM ERROR: optMask is 1, no request for power mode
"""
FREE = """\
SOC family:tegra234  Machine:NVIDIA Jetson AGX Orin Developer Kit
Online CPUs: 0-1
cpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1728000 CurrentFreq=1420800 IdleStates: WFI=1 c7=1
cpu1:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1728000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
cpu2:  Online=0 Governor=schedutil MinFreq=729600 MaxFreq=1728000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
GPU MinFreq=306000000 MaxFreq=624750000 CurrentFreq=306000000
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
DLA0_CORE:   Online=1 MinFreq=0 MaxFreq=1369600000 CurrentFreq=1369600000
FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=102
NV Power Mode: MODE_30W
"""
#: As JetPack 7 prints it: no Online=, and a list of CPUs that are off.
LOCKED = """\
SOC family:tegra234  Machine:NVIDIA Jetson AGX Orin Developer Kit
Online CPUs: 0-1, Offline CPUs:
cpu0:  Governor=schedutil MinFreq=2201600 MaxFreq=2201600 CurrentFreq=2201600 IdleStates: WFI=0 c7=0
cpu10: Governor=schedutil MinFreq=2201600 MaxFreq=2201600 CurrentFreq=2201600 IdleStates: WFI=0 c7=0
GPU MinFreq=1300500000 MaxFreq=1300500000 CurrentFreq=1300500000
EMC MinFreq=3199000000 MaxFreq=3199000000 CurrentFreq=3199000000
DLA0_CORE:   Online=1 MinFreq=0 MaxFreq=1600000000 CurrentFreq=1600000000
NV Power Mode: MAXN
"""
ZRAM = "Filename\t\tType\t\tSize\tUsed\tPriority\n/dev/zram0                              partition\t1310720\t0\t5\n"


def inputs(**changes: Any) -> Inputs:
    values = {name.removeprefix("jetson_baseline_"): value for name, value in DEFAULTS.items()}
    return Inputs.of({**values, **changes})


def file(text: str, modified: float = 10.0) -> LiveFile:
    return LiveFile(text, 0o644, modified)


def bare(**changes: Any) -> Live:
    """Return a board as flashed with JetPack 6."""
    values: dict[str, Any] = {
        "files": {NVPMODEL_CONF: file(AGX_ORIN), MODE_STATUS: file("pmode:0002")},
        "units": {ZRAM_UNIT: LiveUnit(True, False, True, 5.0), DESKTOP_UNIT: UP},
        "nvpmodel": True,
        "jetson_clocks": "/usr/bin/jetson_clocks",
        "mode_text": "NV Power Mode: MODE_30W\n2\n",
        "clocks_text": FREE,
        "default_target": "graphical.target",
        "swaps": ZRAM,
        "disk_free_mib": 40000,
        "users": ("root", "nvidia"),
        "login": "nvidia",
        **changes,
    }
    return Live(**values)


def files_of(found: Plan) -> dict[str, ConfigFile]:
    """Return what is to be written, by path."""
    return {wanted.path: wanted for wanted in found.files["configure"].files}


def names_of(actions: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    """Return what is to be done to units, without the reasons."""
    return [(action["name"], action["state"], action["enabled"]) for action in actions]


def converged(found: Plan, **changes: Any) -> Live:
    """Return the board after the plan was carried out and the board rebooted."""
    files = {NVPMODEL_CONF: file(AGX_ORIN), MODE_STATUS: file("pmode:0000"), JTOP_INSTALLED: file(JTOP_REQUIREMENTS)}
    files.update({path: file(wanted.content) for path, wanted in files_of(found).items()})
    values: dict[str, Any] = {
        "files": files,
        "units": {
            ZRAM_UNIT: LiveUnit(True, False, False, 5.0),
            CLOCKS_UNIT: UP,
            JTOP_UNIT: UP,
            SWAP_UNIT: UP,
        },
        "mode_text": "NV Power Mode: MAXN\n0\n",
        "clocks_text": LOCKED,
        "default_target": "multi-user.target",
        "swaps": "",
        "swap_units": {f"/etc/systemd/system/{SWAP_UNIT}": SWAP_FILE},
        "swap_file_mib": 16384,
        "swap_file_access": "0600 root",
        "jtop_version": "7.2.2",
        "jtop_link": JTOP_PROGRAM,
        "jtop_dir": True,
        "jtop_members": ("nvidia",),
        **changes,
    }
    return bare(**values)


@pytest.mark.parametrize(
    ("conf", "modes"),
    [
        (AGX_ORIN, [(0, "MAXN"), (1, "MODE_15W"), (2, "MODE_30W"), (3, "MODE_50W")]),
        (ORIN_NANO_SUPER, [(0, "15W"), (1, "25W"), (2, "MAXN_SUPER")]),
        ("# nothing\n< POWER_MODEL ID=x NAME=Y >\n", []),
    ],
)
def test_modes_are_read_from_the_boards_own_file(conf: str, modes: list[tuple[int, str]]) -> None:
    assert parse_modes(conf) == [PowerMode(*mode) for mode in modes]


@pytest.mark.parametrize(
    ("name", "conf", "mode"),
    [
        ("MAXN", AGX_ORIN, 0),
        ("MODE_30W", AGX_ORIN, 2),
        ("30W", AGX_ORIN, 2),
        ("mode_50w", AGX_ORIN, 3),
        ("MODE_25W", ORIN_NANO_SUPER, 1),
        ("MAXN SUPER", ORIN_NANO_SUPER, 2),
        ("MAXN", ORIN_NANO_SUPER, None),
        ("0", AGX_ORIN, None),
    ],
)
def test_names_of_modes(name: str, conf: str, mode: int | None) -> None:
    found = find_mode(name, parse_modes(conf))
    assert (found.id if found else None) == mode


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", "pmode:0003\n"), ("pmode:0002", "pmode:0003"), ("pmode:0000 fmode:quiet\n", "pmode:0003 fmode:quiet\n")],
)
def test_the_mode_of_the_next_boot(text: str, wanted: str) -> None:
    assert with_status(text, 3) == wanted
    assert parse_status(wanted) == 3


@pytest.mark.parametrize(
    ("code", "output", "verdict"),
    [
        (0, "", "applied"),
        (234, QUESTION, "reboot"),
        (0, QUESTION, "reboot"),
        (255, "NVPM ERROR: bad input!\n", "failed"),
        (0, "NVPM ERROR: Error writing 1 to /sys/devices/system/cpu/cpu9/online\n", "failed"),
        (1, "", "failed"),
    ],
)
def test_what_nvpmodel_did(code: int, output: str, verdict: str) -> None:
    assert mode_verdict(code, output) == verdict


@pytest.mark.parametrize(
    ("text", "locked"),
    [
        (FREE, False),
        (LOCKED, True),
        (LOCKED.replace("GPU MinFreq=1300500000", "GPU MinFreq=306000000"), False),
        ("Error: Run this script(/usr/bin/jetson_clocks) as a root user\n", None),
        ("", None),
    ],
)
def test_clocks_at_their_maximum(text: str, locked: bool | None) -> None:
    assert clocks_locked(text) is locked


def test_swap_to_compressed_memory() -> None:
    assert zram_in_use(ZRAM)
    assert not zram_in_use("Filename Type Size Used Priority\n/swapfile file 1 0 -2\n")


@pytest.mark.parametrize(
    ("path", "name"),
    [("/swapfile", "swapfile.swap"), ("/mnt/nvme/16GB.swap", "mnt-nvme-16GB.swap.swap"), (SWAP_FILE, SWAP_UNIT)],
)
def test_swap_units_are_named_as_systemd_wants(path: str, name: str) -> None:
    assert swap_unit_name(path) == name
    assert f"What={path}\n" in swap_unit(path).content


def test_clocks_are_stored_where_nothing_is_overwritten() -> None:
    text = clocks_unit("/usr/bin/jetson_clocks").content
    assert "RuntimeDirectory=edge-slm-jetson-clocks\n" in text
    stored = "/run/edge-slm-jetson-clocks/before\n"
    assert f"ExecStartPre=/usr/bin/jetson_clocks --store {stored}" in text
    assert f"ExecStop=/usr/bin/jetson_clocks --restore {stored}" in text


@pytest.mark.parametrize("device", [BOARD, CONTAINER])
def test_defaults_have_no_problems(device: dict[str, Any]) -> None:
    assert problems(inputs(), device, bare()) == ([], [])


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"swap_mechanism": "disk"}, "jetson_baseline_swap_mechanism: 'disk' is unknown"),
        ({"swap_mib": 1}, "jetson_baseline_swap_mib: must be a whole number from 256 to"),
        ({"swap_file": "swapfile"}, "jetson_baseline_swap_file: 'swapfile' is not an absolute path"),
        ({"swap_file": "/mnt/swap file"}, "jetson_baseline_swap_file"),
        ({"jtop_users": ["Me"]}, "jetson_baseline_jtop_users[0]: 'Me' is not a user name"),
        ({"jtop_users": "me"}, "jetson_baseline_jtop_users: is not a list"),
        ({"clocks": "fast"}, "jetson_baseline_clocks: 'fast' is not a boolean"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], part: str) -> None:
    refusals, unfit = problems(inputs(**changes), BOARD, bare())
    assert [part in sentence for sentence in refusals] == [True]
    assert unfit == []


@pytest.mark.parametrize(
    ("changes", "device", "live", "part"),
    [
        ({"power_mode": "TURBO"}, BOARD, {}, "choose one of MAXN, MODE_15W, MODE_30W, MODE_50W"),
        (
            {},
            BOARD,
            {"disk_free_mib": 18000},
            "a swap file of 16384 MiB does not fit at /var/lib/edge-slm/swapfile: 18000",
        ),
        ({}, {**BOARD, "systemd": False}, {}, "not booted by systemd"),
    ],
)
def test_what_this_board_cannot_be_is_not_an_inventory_error(
    changes: dict[str, Any], device: dict[str, Any], live: dict[str, Any], part: str
) -> None:
    refusals, unfit = problems(inputs(**changes), device, bare(**live))
    assert refusals == []
    assert [part in sentence for sentence in unfit] == [True]


def test_a_swap_file_that_is_there_needs_no_room() -> None:
    assert problems(inputs(), BOARD, bare(swap_file_mib=16384, disk_free_mib=100)) == ([], [])
    assert problems(inputs(swap_mib=8192), BOARD, bare(swap_file_mib=16384, disk_free_mib=100)) == ([], [])


def test_a_flashed_board_gets_everything_and_then_nothing() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    swap_path = f"/etc/systemd/system/{SWAP_UNIT}"
    assert set(files_of(first)) == {CLOCKS_PATH, JTOP_PATH, swap_path}
    assert first.needs["mode"] == {"id": 0, "name": "MAXN"}
    assert "power mode: is MODE_30W, not MAXN" in first.pending
    assert first.needs["swap_file"] == {"path": SWAP_FILE, "mib": 16384}
    assert names_of(first.needs["stops"]) == [(ZRAM_UNIT, "stopped", False)]
    assert {start["name"] for start in first.needs["starts"]} == {CLOCKS_UNIT, JTOP_UNIT, SWAP_UNIT}
    assert (first.needs["jtop"]["install"], first.needs["jtop"]["link"], first.needs["jtop"]["group"]) == (
        True,
        True,
        True,
    )
    assert first.needs["jtop"]["users"] == ["nvidia"]
    assert first.not_applicable == []
    assert first.needs["reboot"] == [
        "swap in compressed memory is off, but still in use",
        "the desktop is off, but still runs",
    ]
    after = plan(inputs(power_mode="MAXN"), BOARD, converged(first))
    assert (after.pending, after.needs["reboot"]) == ([], [])


def test_a_mode_that_waits_for_a_boot_is_not_set_again() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    done = converged(first)
    waiting = {**done.files, MODE_WAITING: file("0\n")}
    found = plan(inputs(power_mode="MAXN"), CONTAINER, converged(first, files=waiting))
    assert found.needs["mode"] == {}
    assert not any("reboot" in sentence for sentence in found.pending), "a container is not rebooted"
    assert "reboot: is needed (power mode MAXN can be set at boot only)" in found.not_applicable[-1]
    board = plan(inputs(power_mode="MAXN"), BOARD, converged(first, files=waiting))
    assert board.pending == ["reboot: power mode MAXN can be set at boot only"]
    kept = plan(inputs(power_mode="MAXN", reboot=False), BOARD, converged(first, files=waiting))
    assert (kept.pending, kept.needs["reboot"]) == ([], [])
    assert "jetson_baseline_reboot is false" in kept.not_applicable[-1]
    # Whatever `-q` prints meanwhile: it may read what is kept or what is set.
    other = converged(first, files=waiting, mode_text="NV Power Mode: MODE_30W\n2\n")
    assert plan(inputs(power_mode="MAXN"), BOARD, other).needs["mode"] == {}
    back = plan(inputs(power_mode="30W"), BOARD, converged(first, files=waiting))
    assert back.needs["mode"] == {"id": 2, "name": "MODE_30W"}


def test_a_note_without_its_status_is_not_a_mode() -> None:
    """A kill between the two files must not leave the board in the mode it had."""
    files = {NVPMODEL_CONF: file(AGX_ORIN), MODE_STATUS: file("pmode:0002"), MODE_WAITING: file("0\n")}
    found = plan(inputs(power_mode="MAXN"), BOARD, bare(files=files))
    assert found.needs["mode"] == {"id": 0, "name": "MAXN"}


def test_clocks_go_back_before_the_mode_changes() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    found = plan(inputs(power_mode="50W"), BOARD, converged(first))
    assert names_of(found.needs["stops"]) == [(CLOCKS_UNIT, "stopped", True)]
    assert names_of(found.needs["starts"]) == [(CLOCKS_UNIT, "started", True)]


def test_clocks_that_somebody_set_back_are_set_again() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    found = plan(inputs(power_mode="MAXN"), BOARD, converged(first, clocks_text=FREE))
    assert names_of(found.needs["starts"]) == [(CLOCKS_UNIT, "restarted", True)]


def test_a_swap_file_of_another_size_is_off_before_it_is_made_again() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_mib=8192), BOARD, converged(first))
    assert names_of(found.needs["stops"]) == [(SWAP_UNIT, "stopped", True)]
    assert found.needs["swap_file"]["mib"] == 8192
    assert names_of(found.needs["starts"]) == [(SWAP_UNIT, "started", True)]


def test_a_swap_file_that_moves_leaves_nothing_behind() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_file="/mnt/nvme/swapfile"), BOARD, converged(first, swap_file_mib=None))
    assert (SWAP_UNIT, "stopped", False) in names_of(found.needs["stops"])
    assert found.files["uninstall"].remove == [f"/etc/systemd/system/{SWAP_UNIT}"]
    assert found.needs["remove_swap"] == [SWAP_FILE]
    left = plan(inputs(swap_mechanism=""), BOARD, converged(first))
    assert (left.files["uninstall"].remove, left.needs["remove_swap"], left.needs["stops"]) == ([], [], [])


def test_zram_as_jetpack_has_it() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_mechanism="zram"), BOARD, converged(first))
    assert (ZRAM_UNIT, "started", True) in names_of(found.needs["starts"])
    assert found.needs["remove_swap"] == [SWAP_FILE]
    assert plan(inputs(swap_mechanism="zram"), BOARD, bare()).needs["reboot"] == ["the desktop is off, but still runs"]
    absent = plan(inputs(swap_mechanism="zram"), BOARD, bare(units={})).not_applicable
    assert absent == [f"swap in compressed memory: not applicable: {ZRAM_UNIT} is not installed"]


def test_upgrades_reboot_only_when_allowed() -> None:
    first = plan(inputs(), BOARD, bare())
    live = converged(first)
    live = converged(first, files={**live.files, REBOOT_REQUIRED: file("")})
    assert plan(inputs(), BOARD, live).needs["reboot"] == []
    assert plan(inputs(reboot_for_upgrades=True), BOARD, live).needs["reboot"] == ["an upgraded package asks for it"]


@pytest.mark.parametrize("change", [{"jtop_version": ""}, {"jtop_version": "4.3.2"}, {"files": {}}])
def test_jtop_that_does_not_run_or_is_another_one_is_made_again(change: dict[str, Any]) -> None:
    live = converged(plan(inputs(), BOARD, bare()), **change)
    found = plan(inputs(), BOARD, live)
    assert found.needs["jtop"]["install"]
    assert (JTOP_UNIT, "restarted", True) in names_of(found.needs["starts"])


def test_jtop_for_a_user_that_is_not_there_is_reported() -> None:
    found = plan(inputs(jtop_users=["ops"]), BOARD, bare())
    assert found.needs["jtop"]["users"] == ["nvidia"]
    assert "jtop for ops: not applicable: there is no such user" in found.not_applicable


def test_a_container_without_stand_ins_has_nothing_of_a_board() -> None:
    live = Live(default_target="multi-user.target", users=("root",), login="root")
    found = plan(inputs(power_mode="MAXN", jtop=False), CONTAINER, live)
    assert (found.pending, found.needs["reboot"]) == ([], [])
    assert [text.split(":")[0] for text in found.not_applicable] == ["power mode", "jetson_clocks", "swap"]
    reasons = plan(inputs(), CONTAINER, live).not_applicable
    assert any(text.startswith("jtop.service: not applicable: this is not a real board") for text in reasons)


def test_absent_takes_away_what_the_role_wrote_and_nothing_else() -> None:
    live = converged(plan(inputs(), BOARD, bare()))
    found = plan(Inputs.absent(), BOARD, live)
    assert {stop["name"] for stop in found.needs["stops"]} == {CLOCKS_UNIT, JTOP_UNIT, SWAP_UNIT}
    assert found.files["uninstall"].remove == sorted([CLOCKS_PATH, JTOP_PATH, f"/etc/systemd/system/{SWAP_UNIT}"])
    assert found.needs["remove_swap"] == [SWAP_FILE]
    assert (found.needs["jtop"]["remove"], found.needs["jtop"]["remove_link"]) == (True, True)
    assert (found.needs["mode"], found.needs["target"], found.needs["starts"], found.needs["reboot"]) == (
        {},
        "",
        [],
        [],
    )
    gone = plan(Inputs.absent(), BOARD, bare())
    assert gone.pending == []


def test_a_jtop_that_is_not_ours_stays_unless_jtop_is_wanted() -> None:
    foreign = bare(
        files={NVPMODEL_CONF: file(AGX_ORIN), JTOP_PATH: file("[Unit]\nDescription=jtop service\n")},
        units={JTOP_UNIT: UP},
        jtop_link="/home/nvidia/.local/bin/jtop",
    )
    for left in (inputs(jtop=False), Inputs.absent()):
        found = plan(left, BOARD, foreign)
        assert JTOP_PATH not in found.files["uninstall"].remove
        assert JTOP_UNIT not in {stop["name"] for stop in found.needs["stops"]}
        assert not found.needs["jtop"]["remove"]
    taken = plan(inputs(), BOARD, foreign)
    assert files_of(taken)[JTOP_PATH].content.startswith(HEADER)
    assert taken.needs["jtop"]["link"]


CLOCKS_SENTENCE = f"unit {CLOCKS_UNIT}: the clocks are not at their maximum"


@pytest.mark.parametrize(
    ("changes", "pending"),
    [
        ({"clocks_text": FREE}, [CLOCKS_SENTENCE]),
        ({"swap_file_access": "0644 root"}, [f"swap file {SWAP_FILE}: its access is 0644 root, not 0600 root"]),
        ({"swap_file_mib": 512}, [f"swap file {SWAP_FILE}: has 512 MiB, not 16384 MiB", f"unit {SWAP_UNIT}: its swap"]),
        ({"default_target": "graphical.target"}, ["boot target: is graphical.target, not multi-user.target"]),
        ({"jtop_members": None}, ["group jtop: is missing", "user nvidia: is not a member of the group jtop"]),
        ({"jtop_link": ""}, ["link /usr/local/bin/jtop: leads to nothing, not to /opt/edge-slm/jtop/bin/jtop"]),
        (
            {"mode_text": "NV Power Mode: MODE_30W\n2\n"},
            ["power mode: is MODE_30W, not MAXN", "the power mode changes"],
        ),
    ],
)
def test_drift_in_sentences(changes: dict[str, Any], pending: list[str]) -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    found = plan(inputs(power_mode="MAXN"), BOARD, converged(first, **changes)).pending
    assert [part in sentence for part, sentence in zip(pending, found, strict=True)] == [True] * len(pending)


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        (LiveUnit(True, False, True, 900.0), "is not running"),
        (LiveUnit(True, True, False, 900.0), "is not enabled"),
        (LiveUnit(False, False, False, 0.0, masked=True), "is masked"),
        (LiveUnit(True, True, True, 5.0), f"runs since before {JTOP_PATH} changed"),
    ],
)
def test_drift_of_units(unit: LiveUnit, why: str) -> None:
    done = converged(plan(inputs(), BOARD, bare()))
    found = plan(inputs(), BOARD, converged(plan(inputs(), BOARD, bare()), units={**done.units, JTOP_UNIT: unit}))
    assert found.pending == [f"unit {JTOP_UNIT}: {why}"]


def test_what_jtop_needs_comes_before_pip() -> None:
    found = plan(inputs(), BOARD, bare())
    assert found.needs["jtop"]["packages"] == ["python3-venv"]
    assert [wanted.content for wanted in found.files["pins"].files] == [JTOP_REQUIREMENTS]
    assert [wanted.path for wanted in found.files["installed"].files] == [JTOP_INSTALLED]
    assert plan(inputs(), BOARD, bare(packages={"python3-venv": "3.11"})).needs["jtop"]["packages"] == []
    done = plan(inputs(), BOARD, converged(found))
    assert not done.files["pins"]
    assert not done.files["installed"]


@pytest.mark.parametrize(
    ("python", "program", "version"),
    [("python3.12", True, "7.2.2"), ("python3.13", True, ""), ("python3.12", False, "")],
)
def test_version_of_jtop_without_running_it(tmp_path: Path, python: str, program: bool, version: str) -> None:
    (tmp_path / "lib/python3.12/site-packages/jetson_stats-7.2.2.dist-info").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / python).touch(mode=0o755)
    (tmp_path / "bin/python3").symlink_to(tmp_path / python)
    if program:
        (tmp_path / "bin/jtop").touch(mode=0o755)
    assert read_jtop_version(str(tmp_path)) == version


def test_the_swap_file_is_not_read(tmp_path: Path) -> None:
    swap = tmp_path / "swapfile"
    with swap.open("wb") as out:
        out.truncate(512 << 20)
    swap.chmod(0o640)
    mib, access = read_swap_file(str(swap))
    assert (mib, access[:4]) == (512, "0640")
    assert read_swap_file(str(tmp_path / "gone")) == (None, "")

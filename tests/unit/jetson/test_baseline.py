"""Decisions of the role jetson_baseline.

What nvpmodel and jetson_clocks print here has the form that boards print, in numbers of an AGX Orin and an Orin Nano.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit
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


def converged(found: dict[str, Any], **changes: Any) -> Live:
    """Return the board after the plan was carried out and the board rebooted."""
    files = {NVPMODEL_CONF: file(AGX_ORIN), MODE_STATUS: file("pmode:0000"), JTOP_INSTALLED: file(JTOP_REQUIREMENTS)}
    files.update({wanted["path"]: file(wanted["content"]) for wanted in found["files"]})
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
        "jtop_version": "jtop 7.2.2\n",
        "jtop_link": JTOP_PROGRAM,
        "jtop_dir": True,
        "jtop_members": ("nvidia",),
        **changes,
    }
    return bare(**values)


def test_role_passes_every_deciding_input_to_its_module() -> None:
    passed = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__jetson_baseline_inputs"]
    assert set(passed) == set(Inputs.__dataclass_fields__) - {"wrong"}
    assert all(value == f"{{{{ jetson_baseline_{name} }}}}" for name, value in passed.items())


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
    assert problems(inputs(), device, bare()) == []


@pytest.mark.parametrize(
    ("changes", "live", "part"),
    [
        ({"state": "gone"}, {}, "jetson_baseline_state: 'gone' is unknown; choose present or absent"),
        ({"power_mode": "TURBO"}, {}, "choose one of MAXN, MODE_15W, MODE_30W, MODE_50W"),
        ({"swap_mechanism": "disk"}, {}, "jetson_baseline_swap_mechanism: 'disk' is unknown"),
        ({"swap_mib": 1}, {}, "jetson_baseline_swap_mib: must be a whole number from 256 to"),
        ({}, {"disk_free_mib": 18000}, "a swap file of 16384 MiB does not fit at /var/lib/edge-slm/swapfile: 18000"),
        ({"swap_file": "swapfile"}, {}, "jetson_baseline_swap_file: 'swapfile' is no absolute path"),
        ({"swap_file": "/mnt/swap file"}, {}, "jetson_baseline_swap_file"),
        ({"jtop_users": ["Me"]}, {}, "jetson_baseline_jtop_users[0]: 'Me' is no user name"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], live: dict[str, Any], part: str) -> None:
    assert part in " ".join(problems(inputs(**changes), BOARD, bare(**live)))


def test_a_swap_file_that_is_there_needs_no_room() -> None:
    assert problems(inputs(), BOARD, bare(swap_file_mib=16384, disk_free_mib=100)) == []
    assert problems(inputs(swap_mib=8192), BOARD, bare(swap_file_mib=16384, disk_free_mib=100)) == []


def test_a_flashed_board_gets_everything_and_then_nothing() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    swap_path = f"/etc/systemd/system/{SWAP_UNIT}"
    assert {wanted["path"] for wanted in first["files"]} == {CLOCKS_PATH, JTOP_PATH, swap_path}
    assert first["mode"] == {"id": 0, "name": "MAXN"}
    assert first["power_mode"] == "MODE_30W"
    assert first["swap_file"] == {"path": SWAP_FILE, "mib": 16384}
    assert first["stops"] == [{"name": ZRAM_UNIT, "state": "stopped", "enabled": False}]
    assert {start["name"] for start in first["starts"]} == {CLOCKS_UNIT, JTOP_UNIT, SWAP_UNIT}
    assert (first["jtop"]["install"], first["jtop"]["link"], first["jtop"]["group"]) == (True, True, True)
    assert first["jtop"]["users"] == ["nvidia"]
    assert first["not_applicable"] == []
    assert first["reboot"] == [
        "swap in compressed memory is off, but still in use",
        "the desktop is off, but still runs",
    ]
    after = plan(inputs(power_mode="MAXN"), BOARD, converged(first))
    assert (after["pending"], after["reboot"]) == ([], [])


def test_a_mode_that_waits_for_a_boot_is_not_set_again() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    done = converged(first)
    waiting = {**done.files, MODE_WAITING: file("0\n")}
    found = plan(inputs(power_mode="MAXN"), CONTAINER, converged(first, files=waiting))
    assert found["mode"] == {}
    assert found["reboot"] == ["power mode MAXN can be set at boot only"]
    # Whatever `-q` says meanwhile: it may read what is kept or what is set.
    other = converged(first, files=waiting, mode_text="NV Power Mode: MODE_30W\n2\n")
    assert plan(inputs(power_mode="MAXN"), BOARD, other)["mode"] == {}
    back = plan(inputs(power_mode="30W"), BOARD, converged(first, files=waiting))
    assert back["mode"] == {"id": 2, "name": "MODE_30W"}


def test_a_note_without_its_status_is_no_mode() -> None:
    """A kill between the two files must not leave the board in the mode it had."""
    files = {NVPMODEL_CONF: file(AGX_ORIN), MODE_STATUS: file("pmode:0002"), MODE_WAITING: file("0\n")}
    found = plan(inputs(power_mode="MAXN"), BOARD, bare(files=files))
    assert found["mode"] == {"id": 0, "name": "MAXN"}


def test_clocks_go_back_before_the_mode_changes() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    found = plan(inputs(power_mode="50W"), BOARD, converged(first))
    assert found["stops"] == [{"name": CLOCKS_UNIT, "state": "stopped", "enabled": True}]
    assert found["starts"] == [{"name": CLOCKS_UNIT, "state": "started", "enabled": True}]


def test_clocks_that_somebody_set_back_are_set_again() -> None:
    first = plan(inputs(power_mode="MAXN"), BOARD, bare())
    found = plan(inputs(power_mode="MAXN"), BOARD, converged(first, clocks_text=FREE))
    assert found["starts"] == [{"name": CLOCKS_UNIT, "state": "restarted", "enabled": True}]


def test_a_swap_file_of_another_size_is_off_before_it_is_made_anew() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_mib=8192), BOARD, converged(first))
    assert found["stops"] == [{"name": SWAP_UNIT, "state": "stopped", "enabled": True}]
    assert found["swap_file"]["mib"] == 8192
    assert found["starts"] == [{"name": SWAP_UNIT, "state": "started", "enabled": True}]


def test_a_swap_file_that_moves_leaves_nothing_behind() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_file="/mnt/nvme/swapfile"), BOARD, converged(first, swap_file_mib=None))
    assert {"name": SWAP_UNIT, "state": "stopped", "enabled": False} in found["stops"]
    assert found["remove"] == [f"/etc/systemd/system/{SWAP_UNIT}"]
    assert found["remove_swap"] == [SWAP_FILE]
    left = plan(inputs(swap_mechanism=""), BOARD, converged(first))
    assert (left["remove"], left["remove_swap"], left["stops"]) == ([], [], [])


def test_zram_as_jetpack_has_it() -> None:
    first = plan(inputs(), BOARD, bare())
    found = plan(inputs(swap_mechanism="zram"), BOARD, converged(first))
    assert {"name": ZRAM_UNIT, "state": "started", "enabled": True} in found["starts"]
    assert found["remove_swap"] == [SWAP_FILE]
    assert plan(inputs(swap_mechanism="zram"), BOARD, bare())["reboot"] == ["the desktop is off, but still runs"]
    absent = plan(inputs(swap_mechanism="zram"), BOARD, bare(units={}))["not_applicable"]
    assert absent == [f"swap in compressed memory: not applicable: {ZRAM_UNIT} is not installed"]


def test_upgrades_reboot_only_when_allowed() -> None:
    first = plan(inputs(), BOARD, bare())
    live = converged(first)
    live = converged(first, files={**live.files, REBOOT_REQUIRED: file("")})
    assert plan(inputs(), BOARD, live)["reboot"] == []
    assert plan(inputs(reboot_for_upgrades=True), BOARD, live)["reboot"] == ["an upgraded package asks for it"]


@pytest.mark.parametrize("change", [{"jtop_version": ""}, {"jtop_version": "jtop 4.3.2\n"}, {"files": {}}])
def test_jtop_that_does_not_run_or_is_another_one_is_made_anew(change: dict[str, Any]) -> None:
    live = converged(plan(inputs(), BOARD, bare()), **change)
    found = plan(inputs(), BOARD, live)
    assert found["jtop"]["install"]
    assert {"name": JTOP_UNIT, "state": "restarted", "enabled": True} in found["starts"]


def test_jtop_for_a_user_that_is_not_there_is_told() -> None:
    found = plan(inputs(jtop_users=["ops"]), BOARD, bare())
    assert found["jtop"]["users"] == ["nvidia"]
    assert "jtop for ops: not applicable: there is no such user" in found["not_applicable"]


def test_a_container_without_stand_ins_has_nothing_of_a_board() -> None:
    live = Live(default_target="multi-user.target", users=("root",), login="root")
    found = plan(inputs(power_mode="MAXN", jtop=False), CONTAINER, live)
    assert (found["pending"], found["reboot"]) == ([], [])
    assert [text.split(":")[0] for text in found["not_applicable"]] == ["power mode", "jetson_clocks", "swap"]
    told = plan(inputs(), CONTAINER, live)["not_applicable"]
    assert any(text.startswith("jtop.service: not applicable: this is not a real board") for text in told)


def test_absent_takes_away_what_the_role_wrote_and_nothing_else() -> None:
    live = converged(plan(inputs(), BOARD, bare()))
    found = plan(inputs(state="absent"), BOARD, live)
    assert {stop["name"] for stop in found["stops"]} == {CLOCKS_UNIT, JTOP_UNIT, SWAP_UNIT}
    assert found["remove"] == sorted([CLOCKS_PATH, JTOP_PATH, f"/etc/systemd/system/{SWAP_UNIT}"])
    assert found["remove_swap"] == [SWAP_FILE]
    assert (found["jtop"]["remove"], found["jtop"]["remove_link"]) == (True, True)
    assert (found["mode"], found["target"], found["starts"], found["reboot"]) == ({}, "", [], [])
    gone = plan(inputs(state="absent"), BOARD, bare())
    assert gone["pending"] == []


def test_a_jtop_that_is_not_ours_stays_unless_jtop_is_wanted() -> None:
    foreign = bare(
        files={NVPMODEL_CONF: file(AGX_ORIN), JTOP_PATH: file("[Unit]\nDescription=jtop service\n")},
        units={JTOP_UNIT: UP},
        jtop_link="/home/nvidia/.local/bin/jtop",
    )
    for left in (inputs(jtop=False), inputs(state="absent")):
        found = plan(left, BOARD, foreign)
        assert JTOP_PATH not in found["remove"]
        assert JTOP_UNIT not in {stop["name"] for stop in found["stops"]}
        assert not found["jtop"]["remove"]
    taken = plan(inputs(), BOARD, foreign)
    assert next(wanted for wanted in taken["files"] if wanted["path"] == JTOP_PATH)["content"].startswith(HEADER)
    assert taken["jtop"]["link"]

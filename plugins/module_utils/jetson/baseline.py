# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only a Jetson has: decisions of the role jetson_baseline.

A capability is what is there: a host with nvpmodel and its configuration has power modes, whatever it is else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ABSENT_UNIT,
    ConfigFile,
    LiveFile,
    LiveUnit,
    Unit,
    pending_files,
    pending_removals,
    pending_units,
    unit_sentences,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.nvpmodel import parse_query
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan

STATES = ("present", "absent")
SWAP_MECHANISMS = ("", "none", "swapfile", "zram")

NVPMODEL_CONF = "/etc/nvpmodel.conf"
#: Which mode nvpmodel sets at boot; it writes the file itself when a mode is set.
MODE_STATUS = "/var/lib/nvpmodel/status"
#: The mode that only a boot can set: in memory, so that the boot takes the note away.
MODE_WAITING = "/run/edge-slm/power-mode"
CLOCKS_UNIT = "edge-slm-jetson-clocks.service"
CLOCKS_PATH = f"/etc/systemd/system/{CLOCKS_UNIT}"
CLOCKS_STORE = "edge-slm-jetson-clocks"
ZRAM_UNIT = "nvzramconfig.service"
DESKTOP_UNIT = "display-manager.service"
HEADLESS_TARGET = "multi-user.target"
REBOOT_REQUIRED = "/run/reboot-required"

JTOP_DIR = "/opt/edge-slm/jtop"
JTOP_PROGRAM = f"{JTOP_DIR}/bin/jtop"
JTOP_LINK = "/usr/local/bin/jtop"
JTOP_UNIT = "jtop.service"
JTOP_PATH = f"/etc/systemd/system/{JTOP_UNIT}"
JTOP_GROUP = "jtop"
#: Written last: what it lists was installed completely.
JTOP_INSTALLED = f"{JTOP_DIR}/installed.txt"
JTOP_VERSION = "7.2.2"
#: What pip is to install.
JTOP_PINS = "/var/cache/edge-slm/jtop-requirements.txt"
#: What Python needs to make the environment.
JTOP_PACKAGES = ("python3-venv",)
#: What the role has set and does not take back.
STAYS = "the power mode, the boot target, nvzramconfig and the package python3-venv"

#: Who may read what was in memory.
SWAP_FILE_ACCESS = "0600 root"
#: Free disk that a swap file leaves, in MiB.
SWAP_DISK_RESERVE_MIB = 2048

HEADER = "# Written by edge_slm.fleet.jetson_baseline\n"

#: jetson-stats and all that it needs, wheels only, by sha256.
JTOP_REQUIREMENTS = f"""\
{HEADER}jetson-stats=={JTOP_VERSION} \\
    --hash=sha256:78fd12fcec5d84c2fbd6291b91b6256ec02b61cb747195ae8948589ba39e4b9c
distro==1.9.0 \\
    --hash=sha256:7bffd925d65168f85027d8da9af6bddab658135b840670a223589bc0c8ef02b2
nvidia-ml-py==13.615.71 \\
    --hash=sha256:959bf4adf6fe1308e4bd739e722236b0d1ec8392e2cefad33ff70c311380b9b6
smbus2==0.6.1 \\
    --hash=sha256:650feeb27ca0ed58b07db4c10201c2a662c41305b7bf6e5fab9d888056f48180
"""

#: As the project's own unit, but for the place of the program.
JTOP_UNIT_TEXT = f"""\
{HEADER}[Unit]
Description=jtop service
After=systemd-modules-load.service

[Service]
Environment=JTOP_SERVICE=True
ExecStart={JTOP_PROGRAM} --force
Restart=on-failure
RestartSec=10s
TimeoutStartSec=30s
TimeoutStopSec=30s

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Inputs:
    """The role's inputs that decide something, cast."""

    state: str
    power_mode: str
    clocks: bool
    headless: bool
    swap_mechanism: str
    swap_mib: int
    swap_file: str
    jtop: bool
    jtop_users: tuple[str, ...]
    reboot: bool
    reboot_for_upgrades: bool
    #: Values that are not of their type or out of range.
    wrong: Sequence[str]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name."""
        wrong = Problems(prefix="jetson_baseline_")
        # What the tasks alone take.
        as_int(values["reboot_timeout"], "reboot_timeout", 10, 86400, wrong)
        return cls(
            state="present",
            power_mode=str(values["power_mode"] or "").strip(),
            clocks=as_bool(values["clocks"], "clocks", wrong),
            headless=as_bool(values["headless"], "headless", wrong),
            swap_mechanism=str(values["swap_mechanism"] or ""),
            swap_mib=as_int(values["swap_mib"], "swap_mib", 256, 262144, wrong),
            swap_file=str(values["swap_file"] or ""),
            jtop=as_bool(values["jtop"], "jtop", wrong),
            jtop_users=as_texts(values["jtop_users"], "jtop_users", wrong),
            reboot=as_bool(values["reboot"], "reboot", wrong),
            reboot_for_upgrades=as_bool(values["reboot_for_upgrades"], "reboot_for_upgrades", wrong),
            wrong=wrong.found,
        )

    @classmethod
    def absent(cls) -> Inputs:
        """Return what is wanted where nothing of the role is: the operator's other inputs do not matter then."""
        return cls(
            state="absent",
            power_mode="",
            clocks=False,
            headless=False,
            swap_mechanism="",
            swap_mib=0,
            swap_file="",
            jtop=False,
            jtop_users=(),
            reboot=False,
            reboot_for_upgrades=False,
            wrong=(),
        )


@dataclass(frozen=True)
class PowerMode:
    """A power mode of nvpmodel."""

    id: int
    name: str


@dataclass(frozen=True)
class Live:
    """The board as it is. Sizes are in MiB."""

    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    #: Whether nvpmodel is installed, and the path of jetson_clocks, '' where there is none.
    nvpmodel: bool = False
    jetson_clocks: str = ""
    #: What `nvpmodel -q` and `jetson_clocks --show` print.
    mode_text: str = ""
    clocks_text: str = ""
    default_target: str = ""
    #: Text of /proc/swaps.
    swaps: str = ""
    #: Swap units that this role wrote, by path, with the file that each swaps to.
    swap_units: Mapping[str, str] = field(default_factory=dict)
    #: Size of the wanted swap file, None where there is none, and free disk where it is.
    swap_file_mib: int | None = None
    #: Its mode and owner, as in `0600 root`; '' where there is none.
    swap_file_access: str = ""
    disk_free_mib: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    #: Version of jtop in its environment, '' where it cannot run; where the link on PATH leads; whether there is an
    #: environment.
    jtop_version: str = ""
    jtop_link: str = ""
    jtop_dir: bool = False
    #: Members of the group jtop, None where there is no such group; and all users of this host.
    jtop_members: tuple[str, ...] | None = None
    users: tuple[str, ...] = ()
    #: Who Ansible has logged in as; '' for other connections than SSH.
    login: str = ""


def parse_modes(conf: str) -> list[PowerMode]:
    """Return the power modes that /etc/nvpmodel.conf defines, in its order."""
    modes: list[PowerMode] = []
    for line in re.findall(r"^\s*<\s*POWER_MODEL\s+([^>]*)>", conf, flags=re.MULTILINE):
        values = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if values.get("ID", "").isdigit() and values.get("NAME"):
            modes.append(PowerMode(int(values["ID"]), values["NAME"]))
    return modes


def parse_status(text: str) -> int | None:
    """Return the ID of the mode that will be set at boot, from nvpmodel's status file."""
    found = re.search(r"\bpmode:(\d+)", text)
    return int(found.group(1)) if found else None


def with_status(text: str, mode: int) -> str:
    """Return nvpmodel's status file with another mode; the rest of it (the fan's) stays."""
    entry = f"pmode:{mode:04d}"
    return re.sub(r"\bpmode:\d+", entry, text) if parse_status(text) is not None else f"{entry}\n"


def same_mode(name: str) -> str:
    """Return a mode's name in one spelling: the desktop has 30W and MAXN SUPER, the file MODE_30W and MAXN_SUPER."""
    return re.sub(r"^MODE_", "", re.sub(r"[\s-]+", "_", name.strip().upper()))


def find_mode(name: str, modes: list[PowerMode]) -> PowerMode | None:
    """Return the mode of that name, or None."""
    return next((mode for mode in modes if same_mode(mode.name) == same_mode(name)), None)


def mode_verdict(code: int, output: str) -> str:
    """Return what `nvpmodel -m` did, when its question about a reboot was answered with no.

    Returns:
        `applied`, `reboot` (only a boot can set this mode) or `failed`.
    """
    if "reboot required" in output.lower():
        return "reboot"
    return "applied" if code == 0 and "NVPM ERROR" not in output else "failed"


def clocks_locked(show: str) -> bool | None:
    """Return whether `jetson_clocks --show` has all running CPUs and the GPU at their maximum; None if it is silent."""
    locked: list[bool] = []
    for line in show.splitlines():
        if re.match(r"\s*(cpu\d+:|GPU )", line) and "Online=0" not in line:
            frequencies = dict(re.findall(r"\b(MinFreq|MaxFreq)=(\d+)", line))
            if len(frequencies) == 2:
                locked.append(frequencies["MinFreq"] == frequencies["MaxFreq"])
    return all(locked) if locked else None


def zram_in_use(swaps: str) -> bool:
    """Return, from /proc/swaps, whether anything swaps to compressed memory."""
    return any(re.match(r"/dev/zram\d", line) for line in swaps.splitlines())


def swap_unit_name(path: str) -> str:
    """Return the name that systemd demands for the swap unit of a file (see systemd.unit(5), escaping)."""
    plain = path.strip("/")
    escaped = "".join(
        "-" if char == "/" else char if char.isalnum() or char in ":_." else f"\\x{ord(char):02x}" for char in plain
    )
    return f"{escaped}.swap"


def swap_unit(path: str) -> ConfigFile:
    """Return the unit that swaps to a file at every boot."""
    text = (
        f"{HEADER}[Unit]\nDescription=Swap file of edge_slm.fleet\n\n"
        f"[Swap]\nWhat={path}\n\n[Install]\nWantedBy=swap.target\n"
    )
    return ConfigFile(f"/etc/systemd/system/{swap_unit_name(path)}", text)


def clocks_unit(program: str) -> ConfigFile:
    """Return the unit that sets all clocks to the maximum of the power mode, and back when it is stopped.

    What was set before is stored again at each start, in a directory that goes with the unit: `--store` asks before it
    overwrites a file, and clocks of another power mode must not be restored.
    """
    store = f"/run/{CLOCKS_STORE}/before"
    text = (
        f"{HEADER}[Unit]\nDescription=Clocks at the maximum of the power mode (jetson_clocks)\n"
        "After=nvpmodel.service nvpower.service\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        f"RuntimeDirectory={CLOCKS_STORE}\n"
        f"ExecStartPre={program} --store {store}\n"
        f"ExecStart={program}\n"
        f"ExecStop={program} --restore {store}\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    return ConfigFile(CLOCKS_PATH, text)


def has_modes(live: Live) -> bool:
    """Return whether this host has power modes."""
    return live.nvpmodel and NVPMODEL_CONF in live.files


def modes_of(live: Live) -> list[PowerMode]:
    """Return the power modes of this host."""
    return parse_modes(live.files[NVPMODEL_CONF].content) if NVPMODEL_CONF in live.files else []


def problems(inputs: Inputs, device: Mapping[str, Any], live: Live) -> tuple[list[str], list[str]]:
    """Return one sentence for each input that cannot be met, with the variable and what to do.

    Returns:
        What is wrong on any board, and what this one cannot be.
    """
    collected = Problems(list(inputs.wrong), "jetson_baseline_")
    found, refuse = collected.found, collected.add
    unfit: list[str] = []
    if not device["systemd"]:
        unfit.append("This host was not booted by systemd: start it with systemd as its init.")
    modes = modes_of(live)
    if inputs.power_mode and has_modes(live) and find_mode(inputs.power_mode, modes) is None:
        names = ", ".join(mode.name for mode in modes) or "none"
        unfit.append(
            f"jetson_baseline_power_mode: {inputs.power_mode!r} is not a mode of this board; choose one of {names}, "
            "or '' to leave it alone."
        )
    if inputs.swap_mechanism not in SWAP_MECHANISMS:
        choices = ", ".join(repr(name) for name in SWAP_MECHANISMS)
        refuse("swap_mechanism", f"{inputs.swap_mechanism!r} is unknown; choose one of {choices}.")
    # What systemd's escaping and What= would need more care for is in no sensible name of a swap file.
    if not re.fullmatch(r"(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+", inputs.swap_file):
        refuse(
            "swap_file",
            f"{inputs.swap_file!r} is not an absolute path of letters, digits, . _ and -; give one like /swapfile.",
        )
    if wants_swap_file(inputs, device) and live.swap_file_mib != inputs.swap_mib:
        free = live.disk_free_mib + (live.swap_file_mib or 0)
        if free < inputs.swap_mib + SWAP_DISK_RESERVE_MIB:
            unfit.append(
                f"jetson_baseline_swap_mib: a swap file of {inputs.swap_mib} MiB does not fit at {inputs.swap_file}: "
                f"{free} MiB are free and {SWAP_DISK_RESERVE_MIB} stay so. Give a smaller size, another "
                "jetson_baseline_swap_file, or '' as jetson_baseline_swap_mechanism to leave swap alone."
            )
    for index, name in enumerate(inputs.jtop_users):
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", name):
            refuse(f"jtop_users[{index}]", f"{name!r} is not a user name; use lower-case letters, digits, _ and -.")
    return found, unfit


def wants_swap_file(inputs: Inputs, device: Mapping[str, Any]) -> bool:
    """Return whether there shall be a swap file."""
    return inputs.state == "present" and inputs.swap_mechanism == "swapfile" and not device["container"]


def not_applicable(inputs: Inputs, device: Mapping[str, Any], live: Live) -> dict[str, str]:
    """Return which of the wanted things this host cannot have, with the reason."""
    reasons: dict[str, str] = {}
    if inputs.power_mode and not has_modes(live):
        reasons["power mode"] = "there is no nvpmodel with an /etc/nvpmodel.conf"
    if inputs.clocks and not live.jetson_clocks:
        reasons["jetson_clocks"] = "it is not installed"
    if inputs.swap_mechanism and device["container"]:
        reasons["swap"] = "a container swaps as its host does"
    elif inputs.swap_mechanism == "zram" and not live.units.get(ZRAM_UNIT, ABSENT_UNIT).loaded:
        reasons["swap in compressed memory"] = f"{ZRAM_UNIT} is not installed"
    if inputs.jtop:
        if not device["real_board"]:
            reasons[JTOP_UNIT] = "this is not a real board, and jtop reads a board's own registers and files"
        for name in inputs.jtop_users:
            if name not in live.users:
                reasons[f"jtop for {name}"] = "there is no such user"
    return reasons


def plan(inputs: Inputs, device: Mapping[str, Any], live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems.

    In what the tasks need, `stops` comes before anything is written, `starts` after that. A reboot is pending only
    where the role may do it; `reboot` has its reasons in any case.
    """
    present = inputs.state == "present"
    skip = not_applicable(inputs, device, live) if present else {}
    swap = present and bool(inputs.swap_mechanism) and "swap" not in skip
    mode = mode_to_set(inputs, live) if present else None
    clocks = present and inputs.clocks and "jetson_clocks" not in skip
    jtop = present and inputs.jtop

    files: list[ConfigFile] = []
    units: list[Unit] = []
    if clocks:
        files.append(clocks_unit(live.jetson_clocks))
        units.append(Unit(CLOCKS_UNIT, (CLOCKS_PATH,)))
    else:
        units.append(Unit(CLOCKS_UNIT, wanted=False))
    if jtop and JTOP_UNIT not in skip:
        files.append(ConfigFile(JTOP_PATH, JTOP_UNIT_TEXT))
        units.append(Unit(JTOP_UNIT, (JTOP_PATH, JTOP_INSTALLED)))
    else:
        units.append(Unit(JTOP_UNIT, wanted=False))
    swap_file = wants_swap_file(inputs, device)
    make_swap = swap_file and live.swap_file_mib != inputs.swap_mib
    if swap_file:
        files.append(swap_unit(inputs.swap_file))
        units.append(Unit(swap_unit_name(inputs.swap_file), (swap_unit(inputs.swap_file).path,)))
    # Swap files of earlier inputs; with '' as mechanism they stay as all swap does.
    keep = {file.path for file in files}
    old_swap = {path: file for path, file in live.swap_units.items() if path not in keep and (swap or not present)}
    units += [Unit(path.rsplit("/", 1)[1], wanted=False) for path in old_swap]

    write = pending_files(files, live.files)
    owned = [CLOCKS_PATH, *([JTOP_PATH] if not jtop or JTOP_UNIT in skip else []), *old_swap]
    remove = pending_removals(owned, files, live.files)
    # A unit of that name that is not this role's, as pip's jetson-stats writes it, goes only when jtop is wanted.
    remove = [path for path in remove if HEADER in live.files[path].content]
    wanted_units = [unit for unit in units if unit.name != JTOP_UNIT or unit.wanted or JTOP_PATH in remove]
    program = plan_jtop(inputs, live)
    changing = [*(file.path for file in write), *[JTOP_INSTALLED] * program["install"]]
    actions = pending_units(wanted_units, live.units, live.files, changing)
    actions += zram_actions(inputs, live) if swap else []
    stops = [action for action in actions if action["state"] == "stopped"]
    starts = [action for action in actions if action["state"] != "stopped"]

    def bounce(name: str, why: str) -> None:
        """Stop a unit before what it depends on changes, and start it afterwards."""
        if live.units.get(name, ABSENT_UNIT).active:
            stops.append({"name": name, "state": "stopped", "enabled": True, "why": ""})
        starts[:] = [action for action in starts if action["name"] != name]
        starts.append({"name": name, "state": "started", "enabled": True, "why": why})

    if make_swap:
        bounce(swap_unit_name(inputs.swap_file), "its swap file changes")
    if clocks and mode is not None:
        bounce(CLOCKS_UNIT, "the power mode changes")
    elif clocks and clocks_locked(live.clocks_text) is False and CLOCKS_UNIT not in {a["name"] for a in starts}:
        # Somebody has set the clocks back, or another power mode.
        why = "the clocks are not at their maximum"
        starts.append({"name": CLOCKS_UNIT, "state": "restarted", "enabled": True, "why": why})

    target = present and inputs.headless and live.default_target != HEADLESS_TARGET
    swap_access = swap_file and not make_swap and live.swap_file_access != SWAP_FILE_ACCESS
    reboot = reboot_reasons(inputs, device, live) if present else []
    may_reboot = inputs.reboot and bool(device["real_board"])

    pending = [*FileSet(files=write, remove=remove).sentences()]
    pending += [f"swap file {path}: is no longer wanted" for path in old_swap.values()]
    if make_swap:
        now = "is missing" if live.swap_file_mib is None else f"has {live.swap_file_mib} MiB"
        pending.append(f"swap file {inputs.swap_file}: {now}, not {inputs.swap_mib} MiB")
    if swap_access:
        pending.append(f"swap file {inputs.swap_file}: its access is {live.swap_file_access}, not {SWAP_FILE_ACCESS}")
    if mode is not None:
        pending.append(f"power mode: is {mode_name(live) or 'unknown'}, not {mode.name}")
    pending += unit_sentences(action for action in [*stops, *starts] if action["why"])
    if target:
        pending.append(f"boot target: is {live.default_target}, not {HEADLESS_TARGET}")
    pending += program.pop("pending")
    if may_reboot:
        pending += [f"reboot: {why}" for why in reboot]
    lacking = [f"{name}: not applicable: {why}" for name, why in skip.items()]
    if reboot and not may_reboot:
        why = "this is not a real board" if inputs.reboot else "jetson_baseline_reboot is false"
        lacking.append(f"reboot: is needed ({'; '.join(reboot)}), and {why}")
    if not present:
        lacking.append(f"what stays: {STAYS}")
    return Plan(
        pending=pending,
        not_applicable=lacking,
        needs={
            "mode": {"id": mode.id, "name": mode.name} if mode else {},
            "remove_swap": sorted(old_swap.values()),
            "swap_file": {"path": inputs.swap_file, "mib": inputs.swap_mib} if make_swap else {},
            "swap_access": swap_access,
            "stops": stops,
            "starts": starts,
            "target": HEADLESS_TARGET if target else "",
            "jtop": program,
            "reboot": reboot if may_reboot else [],
        },
        files={
            "configure": FileSet(files=write),
            "uninstall": FileSet(remove=remove),
            # pip reads the one, and the other shows that it has done its work.
            "pins": FileSet(files=[ConfigFile(JTOP_PINS, JTOP_REQUIREMENTS)] if program["install"] else []),
            "installed": FileSet(files=[ConfigFile(JTOP_INSTALLED, JTOP_REQUIREMENTS)] if program["install"] else []),
        },
    )


def mode_name(live: Live) -> str:
    """Return the name of the mode that the board is in, or ''."""
    now = parse_query(live.mode_text).id
    return next((mode.name for mode in modes_of(live) if mode.id == now), "")


def mode_waiting(live: Live) -> int | None:
    """Return the ID of the mode that the next boot sets, or None where none waits for it."""
    waiting = live.files[MODE_WAITING].content.strip() if MODE_WAITING in live.files else ""
    status = parse_status(live.files[MODE_STATUS].content) if MODE_STATUS in live.files else None
    return status if waiting.isdigit() and int(waiting) == status else None


def mode_to_set(inputs: Inputs, live: Live) -> PowerMode | None:
    """Return the mode that is to be set, or None where the board has it or the next boot sets it."""
    wanted = find_mode(inputs.power_mode, modes_of(live)) if inputs.power_mode and has_modes(live) else None
    waiting = mode_waiting(live)
    now = waiting if waiting is not None else parse_query(live.mode_text).id
    return wanted if wanted is not None and wanted.id != now else None


def zram_actions(inputs: Inputs, live: Live) -> list[dict[str, Any]]:
    """Return what is to be done to NVIDIA's swap in compressed memory; its unit ends once it has set that up."""
    found = live.units.get(ZRAM_UNIT, ABSENT_UNIT)
    wanted = inputs.swap_mechanism == "zram"
    if not found.loaded or found.enabled == wanted:
        return []
    why = "is not enabled" if wanted else "is enabled, and there is to be no swap in compressed memory"
    return [{"name": ZRAM_UNIT, "state": "started" if wanted else "stopped", "enabled": wanted, "why": why}]


def plan_jtop(inputs: Inputs, live: Live) -> dict[str, Any]:
    """Return what is to be done to jtop but for its unit."""
    wanted = inputs.state == "present" and inputs.jtop
    installed = live.files.get(JTOP_INSTALLED)
    complete = installed is not None and installed.content == JTOP_REQUIREMENTS and live.jtop_version == JTOP_VERSION
    ours = live.jtop_link == JTOP_PROGRAM
    members = live.jtop_members or ()
    asked = dict.fromkeys([*inputs.jtop_users, *([live.login] if live.login and live.login != "root" else [])])
    missing = [name for name in asked if name in live.users and name not in members] if wanted else []
    install, link, group = wanted and not complete, wanted and not ours, wanted and live.jtop_members is None
    remove = not wanted and (live.jtop_dir or ours)
    pending: list[str] = []
    if install:
        pending.append(f"jtop: {live.jtop_version or 'none'} runs from {JTOP_DIR}, not {JTOP_VERSION} as it is pinned")
    if link:
        pending.append(f"link {JTOP_LINK}: leads to {live.jtop_link or 'nothing'}, not to {JTOP_PROGRAM}")
    if group:
        pending.append(f"group {JTOP_GROUP}: is missing")
    pending += [f"user {name}: is not a member of the group {JTOP_GROUP}" for name in missing]
    if remove:
        pending.append(f"jtop: is in {JTOP_DIR}, and is no longer wanted")
    return {
        "pending": pending,
        "packages": [name for name in JTOP_PACKAGES if name not in live.packages] if install else [],
        "install": install,
        "link": link,
        "group": group,
        "users": missing,
        "remove": remove,
        "remove_link": remove and ours,
    }


def reboot_reasons(inputs: Inputs, device: Mapping[str, Any], live: Live) -> list[str]:
    """Return why the board must be booted again."""
    reasons = []
    waiting = mode_waiting(live)
    if waiting is not None:
        name = next((mode.name for mode in modes_of(live) if mode.id == waiting), str(waiting))
        reasons.append(f"power mode {name} can be set at boot only")
    if not device["real_board"]:
        return reasons
    zram_off = inputs.swap_mechanism in ("none", "swapfile") and live.units.get(ZRAM_UNIT, ABSENT_UNIT).loaded
    if zram_off and zram_in_use(live.swaps):
        reasons.append("swap in compressed memory is off, but still in use")
    if inputs.headless and live.units.get(DESKTOP_UNIT, ABSENT_UNIT).active:
        reasons.append("the desktop is off, but still runs")
    if inputs.reboot_for_upgrades and REBOOT_REQUIRED in live.files:
        reasons.append("an upgraded package asks for it")
    return reasons

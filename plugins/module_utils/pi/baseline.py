# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only a Raspberry Pi has: decisions of the role pi_baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    LiveFile,
    LiveUnit,
    Unit,
    pending_files,
    pending_removals,
    pending_units,
    unit_sentences,
    with_assignment,
    with_block,
    with_kernel_parameters,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan

STATES = ("present", "absent")
SUPPORTED_OS = {"debian": ("12", "13"), "raspbian": ("12", "13"), "ubuntu": ("24.04",)}
ARCHITECTURES = ("aarch64", "x86_64")
SWAP_MECHANISMS = ("", "auto", "none", "swapfile", "zram", "zram+file")
#: What the older dphys-swapfile, which knows files only, can do of them.
DPHYS_MECHANISMS = ("", "auto", "none", "swapfile")

RPI_SWAP_CONF = "/etc/rpi/swap.conf.d/50-edge-slm.conf"
DPHYS_CONF = "/etc/dphys-swapfile"
DPHYS_UNIT = "dphys-swapfile.service"
GOVERNOR_UNIT = "edge-slm-cpu-governor.service"
GOVERNOR_PATH = f"/etc/systemd/system/{GOVERNOR_UNIT}"
WATCHDOG_CONF = "/etc/systemd/system.conf.d/50-edge-slm-watchdog.conf"
REBOOT_REQUIRED = "/run/reboot-required"
HEADLESS_TARGET = "multi-user.target"
#: bcm2835_wdt counts at most 15.99 s.
WATCHDOG_MAXIMUM = 15

#: Files that belong to this role alone: removed when the input that wants them is turned off.
OWNED = (RPI_SWAP_CONF, WATCHDOG_CONF, GOVERNOR_PATH)
#: What the role has set and does not take back.
STAYS = f"parameters in cmdline.txt, sizes in {DPHYS_CONF}, the boot target"

CGROUP_PARAMETERS = ("cgroup_enable=memory", "cgroup_memory=1")

HEADER = "# Written by edge_slm.fleet.pi_baseline\n"


@dataclass(frozen=True)
class Inputs:
    """The role's inputs that decide something, cast."""

    swap_mechanism: str
    swap_mib: int
    cpu_governor: str
    boot_config: tuple[str, ...]
    cgroup_memory: bool
    headless: bool
    watchdog_seconds: int
    reboot: bool
    reboot_for_upgrades: bool
    #: Values that are not of their type or out of range.
    wrong: Sequence[str]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name."""
        wrong = Problems(prefix="pi_baseline_")
        # What the tasks alone take.
        as_int(values["reboot_timeout"], "reboot_timeout", 10, 86400, wrong)
        return cls(
            swap_mechanism=str(values["swap_mechanism"] or ""),
            swap_mib=as_int(values["swap_mib"], "swap_mib", 0, 65536, wrong),
            cpu_governor=str(values["cpu_governor"] or ""),
            boot_config=tuple(line.strip() for line in as_texts(values["boot_config"], "boot_config", wrong)),
            cgroup_memory=as_bool(values["cgroup_memory"], "cgroup_memory", wrong),
            headless=as_bool(values["headless"], "headless", wrong),
            watchdog_seconds=as_int(values["watchdog_seconds"], "watchdog_seconds", 0, WATCHDOG_MAXIMUM, wrong),
            reboot=as_bool(values["reboot"], "reboot", wrong),
            reboot_for_upgrades=as_bool(values["reboot_for_upgrades"], "reboot_for_upgrades", wrong),
            wrong=wrong.found,
        )

    @classmethod
    def absent(cls) -> Inputs:
        """Return what is wanted where nothing of the role is: the operator's other inputs do not matter then."""
        return cls(
            swap_mechanism="",
            swap_mib=0,
            cpu_governor="",
            boot_config=(),
            cgroup_memory=False,
            headless=False,
            watchdog_seconds=0,
            reboot=False,
            reboot_for_upgrades=False,
            wrong=(),
        )


@dataclass(frozen=True)
class Live:
    """The board as it is. Times are in seconds since the epoch."""

    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    #: Governors that all CPUs know, and those that they have now.
    governors_known: tuple[str, ...] = ()
    governors_now: tuple[str, ...] = ()
    watchdog: bool = False
    #: What systemd feeds the watchdog with now, in seconds.
    watchdog_now: float = 0.0
    default_target: str = ""
    booted: float = 0.0


def problems(inputs: Inputs, device: Mapping[str, Any], live: Live) -> tuple[list[str], list[str]]:
    """Return one sentence for each input that cannot be met, with the variable and what to do.

    Returns:
        What is wrong on any board, and what this one cannot be.
    """
    collected = Problems(list(inputs.wrong), "pi_baseline_")
    found, refuse = collected.found, collected.add
    unfit: list[str] = []
    if str(device["os_version"]) not in SUPPORTED_OS.get(str(device["os_id"]), ()):
        unfit.append(
            f"This host runs {device['os_id'] or 'an unknown system'} {device['os_version']}: supported are "
            "Raspberry Pi OS and Debian 12 (bookworm) and 13 (trixie), and Ubuntu Server 24.04. Install one of them."
        )
    if device["architecture"] not in ARCHITECTURES:
        unfit.append(
            f"This host's system is built for {device['architecture']}: supported are "
            f"{' and '.join(ARCHITECTURES)}. Install the 64-bit Raspberry Pi OS."
        )
    if not device["systemd"]:
        unfit.append("This host was not booted by systemd: start it with systemd as its init.")
    if inputs.swap_mechanism not in SWAP_MECHANISMS:
        choices = ", ".join(repr(name) for name in SWAP_MECHANISMS)
        refuse("swap_mechanism", f"{inputs.swap_mechanism!r} is unknown; choose one of {choices}.")
    elif swap_tool(device, live) == "dphys-swapfile" and inputs.swap_mechanism not in DPHYS_MECHANISMS:
        unfit.append(
            f"pi_baseline_swap_mechanism: {inputs.swap_mechanism} needs rpi-swap (Debian 13), and this board has "
            "dphys-swapfile; choose auto, swapfile or none for it."
        )
    if inputs.cpu_governor and live.governors_known and inputs.cpu_governor not in live.governors_known:
        unfit.append(
            f"pi_baseline_cpu_governor: {inputs.cpu_governor!r} is not known to this kernel; choose one of "
            f"{', '.join(live.governors_known)}, or '' to leave it alone."
        )
    if not re.fullmatch(r"[a-z_]*", inputs.cpu_governor):
        refuse("cpu_governor", f"{inputs.cpu_governor!r} is not a governor; performance is one.")
    for index, line in enumerate(inputs.boot_config):
        if not re.fullmatch(r"[^\s=#\[\]][^\s=]*=\S[^\n]*|\[[^\]\n]+\]", line):
            refuse(f"boot_config[{index}]", f"{line!r} is not a line of config.txt; write name=value.")
    return found, unfit


def swap_tool(device: Mapping[str, Any], live: Live) -> str:
    """Return what manages swap here: rpi-swap, dphys-swapfile, or '' for neither."""
    if device["container"]:
        return ""
    return next((name for name in ("rpi-swap", "dphys-swapfile") if name in live.packages), "")


def not_applicable(inputs: Inputs, device: Mapping[str, Any], live: Live) -> dict[str, str]:
    """Return which of the wanted things this host cannot have, with the reason."""
    reasons: dict[str, str] = {}
    container = bool(device["container"])
    if inputs.swap_mechanism and not swap_tool(device, live):
        reasons["swap"] = (
            "a container swaps as its host does"
            if container
            else "neither rpi-swap nor dphys-swapfile is installed; host_baseline_packages can bring the latter"
        )
    if inputs.cpu_governor and (container or not live.governors_known):
        reasons["CPU governor"] = (
            "a container cannot set its host's" if container else "this kernel has no frequency scaling"
        )
    if not device["boot_partition"]:
        if inputs.boot_config:
            reasons["boot settings"] = "there is no boot partition with a cmdline.txt"
        if inputs.cgroup_memory:
            reasons["memory controller"] = "there is no boot partition with a cmdline.txt"
    if inputs.watchdog_seconds and not (device["real_board"] and live.watchdog):
        reasons["watchdog"] = "this is not a real board" if not device["real_board"] else "there is no /dev/watchdog"
    return reasons


def governor_unit(governor: str) -> str:
    """Return the unit that sets the governor at every boot (the kernel forgets it)."""
    return (
        f"{HEADER}[Unit]\n"
        f"Description=CPU governor {governor}\n"
        # Raspberry Pi OS has a service of its own that may choose another one.
        "After=raspi-config.service\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStart=/bin/sh -c 'for f in /sys/devices/system/cpu/cpufreq/policy*/scaling_governor; "
        f'do echo {governor} > "$f"; done\'\n\n'
        "[Install]\nWantedBy=multi-user.target\n"
    )


def swap_files(inputs: Inputs, tool: str, live: Live) -> list[ConfigFile]:
    """Return the configuration of the tool that manages swap here."""
    size = inputs.swap_mib
    if not tool or not inputs.swap_mechanism:
        return []
    if tool == "rpi-swap":
        text = (
            f"{HEADER}[Main]\nMechanism={inputs.swap_mechanism}\n\n"
            f"[File]\nMaxSizeMiB={size}\n\n[Zram]\nMaxSizeMiB={size}\n"
        )
        return [ConfigFile(RPI_SWAP_CONF, text)]
    wanted = 0 if inputs.swap_mechanism == "none" else size
    now = live.files.get(DPHYS_CONF)
    text = with_assignment(now.content if now else "", "CONF_SWAPSIZE", str(wanted))
    # Without it, sizes above 2048 MiB are cut.
    return [ConfigFile(DPHYS_CONF, with_assignment(text, "CONF_MAXSWAP", str(max(wanted, 2048))))]


def boot_files(inputs: Inputs, boot: str, live: Live) -> list[ConfigFile]:
    """Return config.txt and cmdline.txt of the boot partition; FAT has no modes."""
    if not boot:
        return []
    files: list[ConfigFile] = []
    config, cmdline = f"{boot}/config.txt", f"{boot}/cmdline.txt"
    lines = ["[all]", *inputs.boot_config] if inputs.boot_config else []
    text = live.files[config].content if config in live.files else ""
    if lines or text:
        files.append(ConfigFile(config, with_block(text, lines), mode=""))
    if inputs.cgroup_memory and cmdline in live.files:
        text = with_kernel_parameters(live.files[cmdline].content, CGROUP_PARAMETERS)
        files.append(ConfigFile(cmdline, text, mode=""))
    return files


def plan(inputs: Inputs, device: Mapping[str, Any], live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems.

    A reboot is pending only where the role may do it; `needs.reboot` has its reasons in any case.
    """
    skip = not_applicable(inputs, device, live)
    boot = str(device["boot_partition"])
    tool = swap_tool(device, live)
    swap = swap_files(inputs, tool, live)
    files = [*boot_files(inputs, boot, live), *swap]
    units: list[Unit] = []
    if tool == "dphys-swapfile" and swap:
        units.append(Unit(DPHYS_UNIT, (DPHYS_CONF,)))
    if inputs.cpu_governor and "CPU governor" not in skip:
        files.append(ConfigFile(GOVERNOR_PATH, governor_unit(inputs.cpu_governor)))
        units.append(Unit(GOVERNOR_UNIT, (GOVERNOR_PATH,)))
    else:
        units.append(Unit(GOVERNOR_UNIT, wanted=False))
    watchdog = inputs.watchdog_seconds if inputs.watchdog_seconds and "watchdog" not in skip else 0
    if watchdog:
        text = f"{HEADER}[Manager]\nRuntimeWatchdogSec={watchdog}s\nRebootWatchdogSec=2min\n"
        files.append(ConfigFile(WATCHDOG_CONF, text))

    write = FileSet(files=pending_files(files, live.files), remove=pending_removals(OWNED, files, live.files))
    changing = [*(file.path for file in write.files), *write.remove]
    actions = pending_units(units, live.units, live.files, changing)
    drifted = sorted(set(live.governors_now) - {inputs.cpu_governor}) if inputs.cpu_governor else []
    if drifted and "CPU governor" not in skip and not any(a["name"] == GOVERNOR_UNIT for a in actions):
        why = f"the CPU governor is {', '.join(drifted)}, not {inputs.cpu_governor}"
        actions.append({"name": GOVERNOR_UNIT, "state": "restarted", "enabled": True, "why": why})
    # The hardware may round what it is asked for.
    reexec = WATCHDOG_CONF in changing or (bool(watchdog) and abs(live.watchdog_now - watchdog) >= 1)
    target = inputs.headless and live.default_target != HEADLESS_TARGET
    reboot = reboot_reasons(inputs, device, live, changing)

    pending = [*write.sentences(), *unit_sentences(actions)]
    if reexec:
        pending.append(f"watchdog: systemd feeds it every {live.watchdog_now:.0f} s, not {watchdog} s")
    if target:
        pending.append(f"boot target: is {live.default_target}, not {HEADLESS_TARGET}")
    if inputs.reboot:
        pending += [f"reboot: {why}" for why in reboot]
    lacking = [f"{name}: not applicable: {why}" for name, why in skip.items()]
    if reboot and not inputs.reboot:
        lacking.append(f"reboot: is needed ({'; '.join(reboot)}), and pi_baseline_reboot is false")
    return Plan(
        pending=pending,
        not_applicable=lacking,
        needs={
            # Before their files go, and once they are written.
            "stops": [action for action in actions if action["state"] == "stopped"],
            "units": [action for action in actions if action["state"] != "stopped"],
            "reexec": reexec,
            "target": HEADLESS_TARGET if target else "",
            "reboot": reboot,
        },
        files={"configure": write},
    )


def plan_absent(device: Mapping[str, Any], live: Live) -> Plan:
    """Return what is left on the board of what the role has written, and what stays."""
    found = plan(Inputs.absent(), device, live)
    found.not_applicable = [f"what stays: {STAYS}"]
    if found.needs["reboot"]:
        found.not_applicable.append(f"what the next boot ends: {'; '.join(found.needs['reboot'])}")
    return found


def reboot_reasons(inputs: Inputs, device: Mapping[str, Any], live: Live, changing: list[str]) -> list[str]:
    """Return why a real board must be booted again: what is read at boot only and is younger than that."""
    if not device["real_board"]:
        return []
    boot = str(device["boot_partition"])
    reasons = []
    read_at_boot = [RPI_SWAP_CONF] if swap_tool(device, live) == "rpi-swap" else []
    read_at_boot += [f"{boot}/config.txt", f"{boot}/cmdline.txt"] if boot else []
    for path in read_at_boot:
        modified = live.files[path].modified if path in live.files else 0.0
        if path in changing or modified > live.booted:
            reasons.append(f"{path} has changed")
    if inputs.reboot_for_upgrades and REBOOT_REQUIRED in live.files:
        reasons.append("an upgraded package asks for it")
    return reasons

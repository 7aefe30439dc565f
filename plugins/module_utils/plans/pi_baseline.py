# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role pi_baseline; its decisions are in pi/baseline.py."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import MANAGER
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import (
    boot_time,
    default_target,
    read_files,
    read_units,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.pi import baseline as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

POLICIES = "/sys/devices/system/cpu/cpufreq/policy*"


def read_watchdog() -> float:
    """Return the seconds within which systemd feeds the watchdog; 0 is off."""
    words = output_of(["busctl", "get-property", *MANAGER, "RuntimeWatchdogUSec"]).split()
    return int(words[1]) / 1e6 if len(words) == 2 else 0.0


def read_live(host: Host) -> decide.Live:
    """Return the board as it is."""
    boot = host.device["boot_partition"]
    known = [set(read_text(path).split()) for path in glob.glob(f"{POLICIES}/scaling_available_governors")]
    now = {read_text(path).strip() for path in glob.glob(f"{POLICIES}/scaling_governor")}
    paths = [
        *decide.OWNED,
        decide.DPHYS_CONF,
        decide.GOVERNOR_PATH,
        decide.REBOOT_REQUIRED,
        *([f"{boot}/config.txt", f"{boot}/cmdline.txt"] if boot else []),
    ]
    return decide.Live(
        files=read_files(paths),
        units=read_units([decide.DPHYS_UNIT, decide.GOVERNOR_UNIT]),
        packages=host.packages,
        governors_known=tuple(sorted(set.intersection(*known))) if known else (),
        governors_now=tuple(sorted(now)),
        watchdog=bool(glob.glob("/dev/watchdog*")),
        watchdog_now=read_watchdog(),
        default_target=default_target(),
        booted=boot_time(),
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the board with the inputs."""
    state = inputs["state"]
    if state not in decide.STATES:
        return Plan(refusals=[f"pi_baseline_state: {state!r} is unknown; choose present or absent."])
    # Paths and packages of other systems are unknown: nothing is read there.
    live = read_live(host) if host.device["os_id"] in decide.SUPPORTED_OS else decide.Live()
    if state == "absent":
        return decide.plan_absent(host.device, live)
    cast = decide.Inputs.of(inputs)
    refusals, unfit = decide.problems(cast, host.device, live)
    if refusals or unfit:
        return Plan(refusals=refusals, unfit=unfit)
    return decide.plan(cast, host.device, live)

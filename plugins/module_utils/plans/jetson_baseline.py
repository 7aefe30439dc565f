# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role jetson_baseline; its decisions are in jetson/baseline.py."""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import stat
from collections.abc import Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import (
    default_target,
    read_files,
    read_units,
    ssh_connection,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ABSENT_UNIT
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import baseline as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.facts import free_mib
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan


def read_swap_units() -> dict[str, str]:
    """Return the swap units that the role wrote, by path, with the file that each swaps to."""
    found: dict[str, str] = {}
    for path in glob.glob("/etc/systemd/system/*.swap"):
        text = read_text(path)
        if text.startswith(decide.HEADER):
            found[path] = next((line[5:] for line in text.splitlines() if line.startswith("What=")), "")
    return found


def group_members(name: str) -> tuple[str, ...] | None:
    """Return a group's members, or None where there is no such group."""
    try:
        return tuple(grp.getgrnam(name).gr_mem)
    except KeyError:
        return None


def read_swap_file(path: str) -> tuple[int | None, str]:
    """Return a swap file's size in MiB, None where there is none, and its mode and owner."""
    if not os.path.isfile(path):
        return None, ""
    status = os.stat(path)
    owner = "root" if status.st_uid == 0 else str(status.st_uid)
    return status.st_size >> 20, f"{stat.S_IMODE(status.st_mode):04o} {owner}"


def read_jtop_version(directory: str = decide.JTOP_DIR) -> str:
    """Return the version of jtop in its environment, '' where it cannot run: `jtop --version` takes half a second.

    An environment is one of one Python: after an upgrade of the distribution's its packages are not found.
    """
    python = os.path.basename(os.path.realpath(f"{directory}/bin/python3"))
    installed = glob.glob(f"{directory}/lib/{python}/site-packages/jetson_stats-*.dist-info")
    found = re.search(r"jetson_stats-([^/]+)\.dist-info$", installed[0]) if len(installed) == 1 else None
    runs = os.access(f"{directory}/bin/python3", os.X_OK) and os.access(f"{directory}/bin/jtop", os.X_OK)
    return found.group(1) if found and runs else ""


def read_live(inputs: decide.Inputs, host: Host) -> decide.Live:
    """Return the board as it is."""
    swap_units = read_swap_units()
    swap_name = decide.swap_unit_name(inputs.swap_file)
    swap_mib, swap_access = read_swap_file(inputs.swap_file)
    paths = {
        decide.NVPMODEL_CONF,
        decide.MODE_STATUS,
        decide.MODE_WAITING,
        decide.CLOCKS_PATH,
        decide.JTOP_PATH,
        decide.JTOP_INSTALLED,
        decide.REBOOT_REQUIRED,
        f"/etc/systemd/system/{swap_name}",
        *swap_units,
    }
    units = {
        decide.CLOCKS_UNIT,
        decide.JTOP_UNIT,
        decide.ZRAM_UNIT,
        decide.DESKTOP_UNIT,
        *([swap_name] if inputs.swap_file else []),
        *(os.path.basename(path) for path in swap_units),
    }
    live_units = read_units(sorted(units))
    # NVIDIA's programs take a tenth of a second each, and more on a busy board: only where it matters.
    locked = inputs.clocks and live_units.get(decide.CLOCKS_UNIT, ABSENT_UNIT).active
    return decide.Live(
        files=read_files(sorted(paths)),
        units=live_units,
        nvpmodel=bool(find_command("nvpmodel")),
        jetson_clocks=find_command("jetson_clocks"),
        mode_text=host.nvpmodel if inputs.power_mode else "",
        clocks_text=output_of(["jetson_clocks", "--show"]) if locked else "",
        default_target=default_target(),
        swaps=read_text("/proc/swaps"),
        swap_units=swap_units,
        swap_file_mib=swap_mib,
        swap_file_access=swap_access,
        disk_free_mib=free_mib(os.path.dirname(inputs.swap_file) or "/"),
        packages=host.packages,
        jtop_version=read_jtop_version(),
        jtop_link=os.path.realpath(decide.JTOP_LINK) if os.path.islink(decide.JTOP_LINK) else "",
        jtop_dir=os.path.isdir(decide.JTOP_DIR),
        jtop_members=group_members(decide.JTOP_GROUP),
        users=tuple(user.pw_name for user in pwd.getpwall()),
        login=ssh_connection().user,
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the board with the inputs."""
    state = inputs["state"]
    if state not in decide.STATES:
        return Plan(refusals=[f"jetson_baseline_state: {state!r} is unknown; choose present or absent."])
    cast = decide.Inputs.of(inputs) if state == "present" else decide.Inputs.absent()
    live = read_live(cast, host)
    refusals, unfit = decide.problems(cast, host.device, live) if state == "present" else ([], [])
    if refusals or unfit:
        return Plan(refusals=refusals, unfit=unfit)
    return decide.plan(cast, host.device, live)

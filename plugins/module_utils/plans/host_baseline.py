# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role host_baseline; its decisions are in host/baseline.py."""

from __future__ import annotations

import glob
import gzip
import os
import pwd
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import baseline as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall, sshd
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files, read_units, ssh_connection
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import SHARED_DIRS
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ZONES = "/usr/share/zoneinfo"
UNITS = (
    "systemd-journald.service",
    decide.TIMESYNC_UNIT,
    "avahi-daemon.service",
    "unattended-upgrades.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    decide.SSHD_UNIT,
    firewall.UNIT,
    firewall.FIREWALLD_UNIT,
)


def read_admin(name: str) -> tuple[tuple[str, ...] | None, str]:
    """Return a user's groups (None where there is no such user) and the text of its authorized_keys."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None, ""
    groups = [line.split(":") for line in read_text("/etc/group").splitlines()]
    names = tuple(
        words[0]
        for words in groups
        if len(words) == 4 and (name in words[3].split(",") or words[2] == str(user.pw_gid))
    )
    return names, read_text(os.path.join(user.pw_dir, ".ssh", "authorized_keys"))


def read_kernel_config() -> str:
    """Return how the kernel was built, or '' where it does not report it."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_live(host: Host, admin: str = "", timezone: str = "", locale: str = "") -> decide.Live:
    """Return the host as it is.

    Args:
        host: The host.
        admin: The admin user; '' for the user that Ansible has logged in as.
        timezone: Time zone that tzdata is asked for.
        locale: Locale that is wanted; '' and those that need not be generated are not asked for.
    """
    connection = ssh_connection()
    effective = sshd.ask(sshd.MAIN, connection.user, connection)
    ports = [*([connection.port] if connection.port else []), *map(int, effective.get("port", ()))]
    table = output_of(["nft", "list", "table", "inet", firewall.TABLE])
    ca_files = tuple(glob.glob(f"{decide.CA_DIRECTORY}/edge-slm-*.crt"))
    zone = os.path.realpath("/etc/localtime")
    groups, authorized = read_admin(admin or connection.user)
    refreshed = os.stat(decide.REFRESHED).st_mtime if os.path.exists(decide.REFRESHED) else None
    updates = "/var/lib/dpkg/updates"
    paths = (
        *SHARED_DIRS,
        *decide.OWNED,
        *decide.OWNED_ACCESS,
        decide.HOSTS,
        decide.HOSTNAME,
        decide.LOCALE_CONF,
        decide.CA_BUNDLE,
        decide.REFRESHED,
        firewall.UFW_CONF,
        *ca_files,
    )
    return decide.Live(
        hostname=os.uname().nodename,
        files=read_files(paths),
        units=read_units(UNITS),
        packages=host.packages,
        sshd=effective,
        ssh_ports=tuple(dict.fromkeys(ports)),
        controller=connection.client,
        controller_user=connection.user,
        firewall_table=table,
        # A kernel that has the table can do it.
        kernel_config="" if table else read_kernel_config(),
        now=time.time(),
        synchronised=os.path.exists(decide.SYNCHRONISED),
        timezone=os.path.relpath(zone, ZONES) if zone.startswith(ZONES + "/") else "",
        timezone_known=os.path.exists(os.path.join(ZONES, timezone)) if os.path.isdir(ZONES) else None,
        locales=tuple(output_of(["locale", "-a"]).split()) if locale not in ("", *decide.BUILT_IN_LOCALES) else (),
        refreshed_ago=time.time() - refreshed if refreshed is not None else None,
        dpkg_interrupted=os.path.isdir(updates) and any(name.isdigit() for name in os.listdir(updates)),
        cloud_init=os.path.isdir("/etc/cloud/cloud.cfg.d"),
        ca_files=ca_files,
        admin_groups=groups,
        admin_authorized=authorized,
        rollback_armed=os.path.isdir(decide.ROLLBACK_SAVED),
    )


def read_overruled(inputs: decide.Inputs, live: decide.Live) -> list[str]:
    """Return what would not count of the wanted drop-in of sshd, for whoever is known to log in."""
    users = [live.controller_user or "root", "root", *filter(None, (inputs.admin_user, *inputs.ssh_allow_users))]
    dropin = decide.sshd_dropin(inputs, live.controller_user, not inputs.unproven)
    return sshd.overruled(dropin, users, ssh_connection())


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    known_system = host.device["os_id"] in decide.SUPPORTED_OS
    state = inputs["state"]
    if state not in decide.STATES:
        return Plan(refusals=[f"host_baseline_state: {state!r} is unknown; choose present or absent."])
    if state == "absent":
        return decide.plan_absent(read_live(host) if known_system else decide.Live())
    cast = decide.Inputs.of(inputs)
    # Paths and packages of other systems are unknown: nothing is read there.
    live = decide.Live()
    if known_system:
        live = read_live(host, cast.admin_user, cast.timezone, cast.locale)
        live = replace(live, sshd_refuses=sshd.refused(cast.ssh_options))
    if live.sshd and cast.ssh_hardening and not live.sshd_refuses:
        live = replace(live, overruled=tuple(read_overruled(cast, live)))
    refusals, unfit = decide.problems(cast, host.device, live)
    if refusals or unfit:
        return Plan(refusals=refusals, unfit=unfit)
    return decide.plan(cast, host.device, live)

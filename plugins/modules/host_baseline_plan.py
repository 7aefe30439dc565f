#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.host_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_baseline_plan
short_description: Check the inputs of host_baseline and compare the host with them
version_added: 0.1.0
description:
  - Refuses inputs that cannot be met, each with the variable's name and the mend.
  - Reads the host's files, units, packages, sshd and firewall in one round trip and returns what is
    still to be done. A host that is as wanted costs this one task.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.role_plan, edge_slm.fleet.reads_only]
options:
  ca_contents:
    description: Contents of the certificate files, in the order of their paths.
    type: list
    elements: str
    default: []
  unproven:
    description: A login by key was tried in this run and failed, so password login may stay on.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Compare the host with the inputs
  edge_slm.fleet.host_baseline_plan:
    inputs: "{{ __host_baseline_inputs }}"
    device: "{{ ansible_facts['edge_slm_device'] }}"
  register: __host_baseline_plan
"""

RETURN = r"""
plan:
  description: What is to be done, by stage; RV(plan.pending) says it in words and is empty when nothing is.
  returned: success
  type: dict
  contains:
    pending:
      description: What is still to be done.
      returned: always
      type: list
      elements: str
      sample: ["package nftables", "firewall"]
    not_applicable:
      description: What this host cannot have, and why.
      returned: always
      type: list
      elements: str
      sample: ["time sync: not applicable: a container has its host's clock"]
"""

import glob
import grp
import gzip
import os
import pwd
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import installed_versions
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import baseline as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files, read_units, ssh_connection

ZONES = "/usr/share/zoneinfo"
UNITS = (
    "systemd-journald.service",
    "systemd-timesyncd.service",
    "avahi-daemon.service",
    "unattended-upgrades.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    decide.SSHD_UNIT,
    decide.WAY_BACK_UNIT,
    firewall.UNIT,
)


def read_admin(name: str) -> tuple[tuple[str, ...] | None, str]:
    """Return a user's groups (None where there is no such user) and the text of its authorized_keys."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None, ""
    groups = tuple(group.gr_name for group in grp.getgrall() if name in group.gr_mem or group.gr_gid == user.pw_gid)
    return groups, read_text(os.path.join(user.pw_dir, ".ssh", "authorized_keys"))


def read_kernel_config() -> str:
    """Return how the kernel was built, or '' where it does not tell."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def read_live(inputs: decide.Inputs) -> decide.Live:
    """Return the host as it is."""
    connection = ssh_connection()
    sshd: dict[str, str] = {}
    ports: list[int] = [connection.port] if connection.port else []
    for line in output_of(["sshd", "-T"]).splitlines():
        keyword, _, value = line.partition(" ")
        sshd.setdefault(keyword, value)
        if keyword == "port":
            ports.append(int(value))
    ca_files = tuple(glob.glob(f"{decide.CA_DIRECTORY}/edge-slm-*.crt"))
    zone = os.path.realpath("/etc/localtime")
    groups, authorized = read_admin(inputs.admin_user or connection.user)
    refreshed = os.stat(decide.REFRESHED).st_mtime if os.path.exists(decide.REFRESHED) else None
    paths = (
        *decide.OWNED,
        decide.HOSTS,
        decide.LOCALE_CONF,
        decide.AVAHI_CONF,
        decide.CLOUD_CONF,
        decide.CA_BUNDLE,
        "/etc/hostname",
        firewall.RULES_PATH,
        firewall.UNIT_PATH,
        *ca_files,
    )
    return decide.Live(
        hostname=os.uname().nodename,
        files=read_files(paths),
        units=read_units(UNITS),
        packages=installed_versions(),
        sshd=sshd,
        ssh_ports=tuple(dict.fromkeys(ports)),
        controller=connection.client,
        controller_user=connection.user,
        firewall_table=output_of(["nft", "list", "table", "inet", firewall.TABLE]),
        kernel_config=read_kernel_config(),
        timezone=os.path.relpath(zone, ZONES) if zone.startswith(ZONES + "/") else "",
        timezone_known=os.path.exists(os.path.join(ZONES, inputs.timezone)) if os.path.isdir(ZONES) else None,
        locales=tuple(output_of(["locale", "-a"]).split()),
        refreshed_ago=time.time() - refreshed if refreshed is not None else None,
        dpkg_interrupted=any(name.isdigit() for name in os.listdir("/var/lib/dpkg/updates")),
        cloud_init=os.path.isdir("/etc/cloud/cloud.cfg.d"),
        ca_files=ca_files,
        admin_groups=groups,
        admin_authorized=authorized,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "inputs": {"type": "dict", "required": True},
            "device": {"type": "dict", "required": True},
            "ca_contents": {"type": "list", "elements": "str", "default": []},
            "unproven": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    inputs = decide.Inputs.of(module.params["inputs"])
    device, contents = module.params["device"], module.params["ca_contents"]
    if device["os_id"] not in decide.SUPPORTED_OS:
        # Paths and packages of other systems are unknown: nothing is read there.
        module.fail_json(msg=" ".join(decide.problems(inputs, device, decide.Live(), contents)))
    live = read_live(inputs)
    problems = decide.problems(inputs, device, live, contents)
    if problems:
        module.fail_json(msg=" ".join(problems))
    module.exit_json(changed=False, plan=decide.plan(inputs, device, live, contents, module.params["unproven"]))


if __name__ == "__main__":
    main()

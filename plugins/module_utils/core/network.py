# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses and networks as operators write them, IPv4 and IPv6 alike."""

from __future__ import annotations

import ipaddress

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems


def network_problem(value: object) -> str:
    """Return why a value is not a network in CIDR notation, with what to write; '' where it is one."""
    text = str(value)
    try:
        if "%" in text:
            raise ValueError("a zone belongs to one host")
        ipaddress.ip_network(text)
    except ValueError as error:
        try:
            meant = f"write {ipaddress.ip_network(text.split('%')[0], strict=False)}"
        except ValueError:
            meant = "write a network such as 192.168.1.0/24 or fd00::/8"
        return f"{text!r} is not a network ({error}); {meant}"
    return ""


def as_networks(value: object, variable: str, problems: Problems) -> tuple[str, ...]:
    """Cast a list of one or more networks; what is none of them is left out and a problem."""
    if not value:
        problems.add(variable, "is empty: nobody could connect; give a network such as 192.168.1.0/24 or fd00::/8.")
        return ()
    if not isinstance(value, (list, tuple)):
        problems.add(variable, f"is not a list; write [{value!r}].")
        return ()
    wrong = {index: network_problem(network) for index, network in enumerate(value)}
    for index, problem in wrong.items():
        if problem:
            problems.add(f"{variable}[{index}]", f"{problem}.")
    return tuple(str(network) for index, network in enumerate(value) if not wrong[index])

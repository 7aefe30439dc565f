# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses and networks as operators write them, IPv4 and IPv6 alike."""

from __future__ import annotations

import ipaddress
import os

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: All addresses of IPv4 alone, and of both families, as programs listen on them.
ALL_IPV4, ALL = "0.0.0.0", "::"  # noqa: S104


def has_ipv6() -> bool:
    """Return whether this host's kernel has IPv6; one without it refuses every such address."""
    return os.path.exists("/proc/net/if_inet6")


def listening(address: str) -> str:
    """Return the address that a program of this host can listen on in place of that of an input."""
    return ALL_IPV4 if address == ALL and not has_ipv6() else address


def url_host(address: str) -> str:
    """Return a name or address as URLs want it: IPv6 in brackets, whether it was written with them or without."""
    bare = address.strip("[]")
    return f"[{bare}]" if ":" in bare else bare


def network_problem(value: object) -> str:
    """Return why a value is not a network in CIDR notation, with what to write; '' where it is one."""
    text = str(value)
    try:
        if "%" in text:
            raise ValueError("a zone belongs to one host")
        ipaddress.ip_network(text)
    except ValueError as error:
        try:
            meant = f"write {ipaddress.ip_network(text.partition('%')[0], strict=False)}"
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

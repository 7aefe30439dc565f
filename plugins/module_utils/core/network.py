# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses, networks and proxies as operators write them, IPv4 and IPv6 alike."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: All addresses of IPv4 alone, and of both families, as programs listen on them.
ALL_IPV4, ALL = "0.0.0.0", "::"  # noqa: S104

#: The variables that tell programs their way out.
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
PROXY_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^/\s:@\[\]?#]+)(:[0-9]+)?/?")
#: What no proxy is asked for: it would look on a host of its own.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


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


def as_proxies(value: object, variable: str, problems: Problems) -> dict[str, str]:
    """Cast a dictionary of http_proxy, https_proxy and no_proxy, in lower or upper case; what is empty is left out.

    A login is refused and not shown: environments of programs are on command lines, and in the files of services.
    """
    if not value:
        return {}
    if not isinstance(value, Mapping):
        problems.add(variable, "is not a dictionary; write {https_proxy: http://proxy.lan:3128}.")
        return {}
    found: dict[str, str] = {}
    for key, item in value.items():
        name = str(key).lower()
        where = f"{variable}.{key}"
        if name not in PROXIES:
            problems.add(where, f"is not known; there are {', '.join(PROXIES)}, in lower or upper case.")
        elif item and not isinstance(item, str):
            problems.add(where, "must be a text; names are separated by commas.")
        elif name in found and item and found[name] != item:
            problems.add(where, "is given twice, in lower and in upper case; give it once.")
        elif item and name == "no_proxy":
            found[name] = ",".join(re.split(r"[\s,]+", item.strip()))
        elif item and "@" in item:
            problems.add(
                where,
                "has a login, which every user of the host could read; let the proxy know the hosts by their "
                "addresses, or run one without a login that forwards to it.",
            )
        elif item and not PROXY_URL.fullmatch(item):
            problems.add(where, f"{item!r} is not valid; give a URL such as http://proxy.lan:3128.")
        elif item:
            found[name] = item.rstrip("/")
    return found


def proxy_environment(proxies: Mapping[str, str], direct: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables of a program that goes out through proxies; empty without any.

    Both cases of each: curl, and with it git, reads http_proxy in lower case alone, others prefer the upper one.

    Args:
        proxies: As `as_proxies` returns them.
        direct: Hosts that are asked without a proxy, beside those of no_proxy and this host itself.
    """
    if not set(proxies) & {"http_proxy", "https_proxy"}:
        return {}
    hosts = [*proxies.get("no_proxy", "").split(","), *LOOPBACK, *direct]
    complete = {**proxies, "no_proxy": ",".join(dict.fromkeys(filter(None, hosts)))}
    return {name: value for key, value in complete.items() for name in (key, key.upper())}

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ruleset of a host's firewall: one nftables table of its own, all other tables are left alone."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import network_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit

TABLE = "edge_slm"
RULES_PATH = "/etc/edge-slm/firewall.nft"
UNIT = "edge-slm-firewall.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
#: Other programs' firewalls, and what stops each.
STRANGERS = {"ufw": "ufw disable", "firewalld": "systemctl disable --now firewalld"}
UFW_CONF, FIREWALLD_UNIT = "/etc/ufw/ufw.conf", "firewalld.service"
RULE_KEYS = {"ports", "cidrs", "protocol", "comment"}
#: What the ruleset needs of the kernel. Boards' kernels are built with less than a distribution's.
KERNEL_OPTIONS = ("CONFIG_NF_TABLES", "CONFIG_NF_TABLES_INET", "CONFIG_NFT_CT")

# nftables.service flushes every table when it starts or reloads: this unit then follows it.
UNIT_TEXT = f"""\
# Written by edge_slm.fleet.host_baseline
[Unit]
Description=Firewall of edge_slm.fleet (nftables table inet {TABLE})
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=local-fs.target systemd-modules-load.service nftables.service
Conflicts=shutdown.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {RULES_PATH}
ExecReload=/usr/sbin/nft -f {RULES_PATH}
ExecStop=-/usr/sbin/nft delete table inet {TABLE}

[Install]
WantedBy=sysinit.target nftables.service
"""


def port_problem(value: object) -> str:
    """Return why a value is neither a port nor a range of ports, or ''."""
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(value).strip())
    if not found or isinstance(value, bool):
        return f"{value!r} is neither a port (8080) nor a range of ports (8000-8010)"
    first, last = int(found.group(1)), int(found.group(2) or found.group(1))
    if not 1 <= first <= last <= 65535:
        return f"{value!r} is outside 1 to 65535, or a range that runs backwards"
    return ""


def rule_problems(name: str, rules: Sequence[Any]) -> list[str]:
    """Return one sentence for each fault in a list of rules; `name` is the variable that holds it."""
    problems: list[str] = []
    for index, rule in enumerate(rules):
        where = f"{name}[{index}]"
        if not isinstance(rule, Mapping):
            problems.append(f"{where}: is not a mapping; write {{ports: [8080], cidrs: [192.168.0.0/16]}}.")
            continue
        unknown = sorted(set(rule) - RULE_KEYS)
        if unknown:
            problems.append(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(sorted(RULE_KEYS))}.")
        for key, check, what_to_do in (
            ("ports", port_problem, "list the ports to open, as in ports: [8080]"),
            ("cidrs", network_problem, "list who may reach them; everybody is [0.0.0.0/0, '::/0']"),
        ):
            values = rule.get(key)
            if not isinstance(values, list) or not values:
                problems.append(f"{where}.{key}: is empty or not a list; {what_to_do}.")
                continue
            problems += [f"{where}.{key}: {found}." for found in map(check, values) if found]
        if rule.get("protocol", "tcp") not in ("tcp", "udp"):
            problems.append(f"{where}.protocol: {rule['protocol']!r} is not supported; use tcp or udp.")
    return problems


def missing_kernel_options(config: str) -> list[str]:
    """Return what the ruleset needs and a kernel lacks, from its configuration; nothing where that is unknown ('')."""
    built = set(re.findall(r"^(CONFIG_\w+)=[ym]$", config, flags=re.MULTILINE))
    return [name for name in KERNEL_OPTIONS if name not in built] if config else []


def _sources(cidrs: Iterable[str]) -> list[str]:
    """Return matches on the source address for networks: none overlap, everybody needs no set."""
    matches: list[str] = []
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    v4 = list(ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network)))
    v6 = list(ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network)))
    if v4:
        listed = ", ".join(map(str, v4))
        matches.append("meta nfproto ipv4" if v4[0].prefixlen == 0 else f"ip saddr {{ {listed} }}")
    if v6:
        listed = ", ".join(map(str, v6))
        matches.append("meta nfproto ipv6" if v6[0].prefixlen == 0 else f"ip6 saddr {{ {listed} }}")
    return matches


def _ports(ports: Iterable[Any]) -> str:
    """Return ports and ranges as an nftables set, merged where they touch or overlap."""
    spans = sorted(
        (int(first), int(last or first)) for first, _unused, last in (str(p).strip().partition("-") for p in ports)
    )
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in merged)


def stranger(units: Mapping[str, LiveUnit], files: Mapping[str, LiveFile]) -> str:
    """Return the name of another program's firewall that is in force; empty where there is none."""
    # The unit of ufw is active where ufw itself is switched off, too.
    if UFW_CONF in files and re.search(r"^\s*ENABLED\s*=\s*[\"']?yes", files[UFW_CONF].content, re.M | re.I):
        return "ufw"
    return "firewalld" if FIREWALLD_UNIT in units and units[FIREWALLD_UNIT].active else ""


def render(
    rules: Sequence[Mapping[str, Any]],
    ssh_ports: Iterable[int],
    ssh_cidrs: Iterable[str],
    controller: str,
    mdns: bool,
) -> str:
    """Return the complete ruleset; loading it replaces the table in one transaction.

    Args:
        rules: Checked rules: ports, cidrs, and perhaps protocol and comment.
        ssh_ports: Ports that sshd answers on.
        ssh_cidrs: Networks that may log in.
        controller: Address that Ansible connects from; always let in. '' where it is unknown.
        mdns: Answer to names in .local.
    """
    ssh = [str(cidr) for cidr in ssh_cidrs] + ([controller] if controller else [])
    lines = [
        'iif "lo" accept',
        # By number: their names are in /etc/protocols, which a small system may lack.
        'meta l4proto { 1, 58 } accept comment "ICMP"',
        'udp sport 67 udp dport 68 accept comment "DHCP"',
        'udp sport 547 udp dport 546 accept comment "DHCPv6"',
    ]
    if mdns:
        lines.append('udp dport 5353 accept comment "mDNS"')
    ports = _ports(ssh_ports)
    lines += [f'{source} tcp dport {{ {ports} }} accept comment "SSH"' for source in _sources(ssh)]
    for rule in rules:
        comment = re.sub(r"[^\w .,:/()+-]", "", str(rule.get("comment") or ""))[:80]
        ending = f'accept comment "{comment}"' if comment else "accept"
        dports = f"{rule.get('protocol', 'tcp')} dport {{ {_ports(rule['ports'])} }}"
        lines += [f"{source} {dports} {ending}" for source in _sources(map(str, rule["cidrs"]))]
    identity = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    body = "\n".join(f"    {line}" for line in lines)
    return (
        "#!/usr/sbin/nft -f\n"
        "# Written by edge_slm.fleet.host_baseline. Only this table is touched.\n"
        f"table inet {TABLE}\n"
        f"delete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy drop;\n"
        f'    ct state {{ established, related }} accept comment "edge-slm {identity}"\n'
        "    ct state invalid drop\n"
        f"{body}\n"
        "  }\n"
        "}\n"
    )


def _verdicts(text: str) -> list[str]:
    """Return what a ruleset, or nft's listing of it, does with packets, rule by rule; its policy comes first."""
    return re.findall(r"\b(?:accept|drop|reject|return|queue|jump|goto)\b", re.sub(r'"[^"]*"|#[^\n]*', "", text))


def loaded(ruleset: str, listing: str) -> bool:
    """Return whether the ruleset is the one that the kernel has, from `nft list table`.

    nft writes rules in its own way: compared are the checksum that is in a comment, and what the rules do, so that a
    rule that somebody has added or removed is seen.
    """
    found = re.search(r'comment "(edge-slm [0-9a-f]{16})"', ruleset)
    if not found or f'comment "{found.group(1)}"' not in listing:
        return False
    return _verdicts(ruleset) == _verdicts(listing)

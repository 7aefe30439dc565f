# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a bare Debian-like host fit to serve, whatever its board: decisions of role host_baseline."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.names import (
    PUBLIC_KEY,
    host_name_problem,
    public_key_problem,
    user_name_problem,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import (
    as_networks,
    as_proxies,
    network_problem,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.sshd import DROPIN as SSHD_DROPIN
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.sshd import DROPIN_DIR, MAIN, Effective
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ABSENT_UNIT,
    SHARED_DIRS,
    ConfigFile,
    Directory,
    LiveFile,
    LiveUnit,
    Unit,
    pending_directories,
    pending_files,
    pending_removals,
    pending_units,
    unit_sentences,
    with_assignment,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan

STATES = ("present", "absent")

#: Distributions and their supported releases; Ubuntu is what a Jetson runs.
SUPPORTED_OS = {"debian": ("12", "13"), "raspbian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
#: Other daemons that keep the time; installing timesyncd would remove them.
TIME_DAEMONS = ("chrony", "ntpsec", "ntp", "openntpd")
TIMESYNC_UNIT = "systemd-timesyncd.service"
#: Is there when timesyncd has set the clock since the boot.
SYNCHRONISED = "/run/systemd/timesync/synchronized"
#: How many seconds a clock may differ from the controller's; certificates and apt take more.
CLOCK_TOLERANCE = 300
#: Locales that need not be generated.
BUILT_IN_LOCALES = ("C", "POSIX", "C.UTF-8")

#: Options that could lock the controller out if they went past the inputs that guard them.
SSH_OPTIONS_WITH_INPUTS = {
    "allowusers": "ssh_allow_users",
    "passwordauthentication": "ssh_password_login",
    "kbdinteractiveauthentication": "ssh_password_login",
    "challengeresponseauthentication": "ssh_password_login",
}

SSHD_UNIT = "ssh.service"
#: Files as they were before a change of sshd or the firewall that no login has confirmed yet
#: (roles/host_baseline/files/access-rollback).
ROLLBACK_SAVED = "/var/lib/edge-slm/access-rollback/saved"
AVAHI_CONF = "/etc/edge-slm/avahi-daemon.conf"
#: Points avahi to a file of ours: that of its package stays as it is.
AVAHI_DROPIN = "/etc/systemd/system/avahi-daemon.service.d/50-edge-slm.conf"
JOURNAL_CONF = "/etc/systemd/journald.conf.d/50-edge-slm.conf"
TIMESYNC_CONF = "/etc/systemd/timesyncd.conf.d/50-edge-slm.conf"
#: apt's way out, for what it does by itself at night as well.
APT_PROXY_CONF = "/etc/apt/apt.conf.d/52edge-slm-proxy"
UPGRADES_CONF = "/etc/apt/apt.conf.d/52edge-slm-unattended-upgrades"
CLOUD_CONF = "/etc/cloud/cloud.cfg.d/99-edge-slm.cfg"
SUDOERS = "/etc/sudoers.d/010_edge-slm-admin"
HOSTNAME = "/etc/hostname"
HOSTS = "/etc/hosts"
LOCALE_CONF = "/etc/default/locale"
CA_DIRECTORY = "/usr/local/share/ca-certificates"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
#: Touched when apt's lists were refreshed and all packages were upgraded.
REFRESHED = "/var/cache/edge-slm/apt-refreshed"

#: Files that belong to this role alone: removed when the input that wants them is turned off.
OWNED = (JOURNAL_CONF, TIMESYNC_CONF, APT_PROXY_CONF, UPGRADES_CONF, SUDOERS, CLOUD_CONF, AVAHI_CONF, AVAHI_DROPIN)
#: The same, of those that decide who can reach the host.
OWNED_ACCESS = (SSHD_DROPIN, firewall.RULES_PATH, firewall.UNIT_PATH)
#: What the role has set and does not take back.
STAYS = "packages, upgrades, the host name, /etc/hosts, the time zone, the locale, the admin user and its keys"

HEADER = "# Written by edge_slm.fleet.host_baseline\n"

AVAHI_TEXT = f"""\
{HEADER}[server]
use-ipv4=yes
use-ipv6=yes
# Bridges of container engines do not count as addresses of this host.
deny-interfaces=docker0
ratelimit-interval-usec=1000000
ratelimit-burst=1000

[wide-area]
enable-wide-area=no

[publish]
publish-hinfo=no
publish-workstation=no
"""

AVAHI_DROPIN_TEXT = f"""\
{HEADER}[Service]
ExecStart=
ExecStart=/usr/sbin/avahi-daemon -s --file={AVAHI_CONF}
"""

PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast."""

    hostname: str
    admin_user: str
    admin_keys: tuple[str, ...]
    admin_sudo: bool
    ssh_hardening: bool
    ssh_password_login: bool
    ssh_allow_users: tuple[str, ...]
    ssh_options: Mapping[str, str]
    ssh_cidrs: tuple[str, ...]
    apt_refresh_seconds: int
    full_upgrade: bool
    packages: tuple[str, ...]
    time_sync: bool
    ntp_servers: tuple[str, ...]
    timezone: str
    locale: str
    proxies: Mapping[str, str]
    unattended_upgrades: bool
    unattended_reboot_time: str
    unattended_hold: tuple[str, ...]
    journal_max_mib: int
    mdns: bool
    firewall: bool
    client_networks: tuple[str, ...]
    client_ports: tuple[str, ...]
    firewall_rules: Sequence[Any]
    #: Files on the controller, each with its certificates; None where it cannot be read there.
    ca_certificates: tuple[tuple[str, str | None], ...]
    #: The controller's time, in seconds since the epoch; None where it has not been given.
    controller_time: float | None
    #: A login by key was tried in this run and failed: password login may then stay on.
    unproven: bool
    #: Values that are not of their type or out of range.
    wrong: Sequence[str]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name."""
        wrong = Problems(prefix="host_baseline_")

        def flag(name: str) -> bool:
            return as_bool(values[name], name, wrong)

        def texts(name: str) -> tuple[str, ...]:
            return as_texts(values[name], name, wrong)

        def text(name: str) -> str:
            return str(values[name] or "").strip()

        ca_texts = list(values.get("ca_texts") or ())
        options, rules = values["ssh_options"] or {}, values["firewall_rules"] or []
        if not isinstance(options, Mapping):
            wrong.add("ssh_options", "is not a mapping; write {LoginGraceTime: 20}.")
            options = {}
        if not isinstance(rules, list):
            wrong.add("firewall_rules", "is not a list; write [{ports: [8080], cidrs: [192.168.0.0/16]}].")
            rules = []
        return cls(
            hostname=text("hostname"),
            admin_user=text("admin_user"),
            admin_keys=tuple(key.strip() for key in texts("admin_keys") if key.strip()),
            admin_sudo=flag("admin_sudo"),
            ssh_hardening=flag("ssh_hardening"),
            ssh_password_login=flag("ssh_password_login"),
            ssh_allow_users=texts("ssh_allow_users"),
            # YAML makes a boolean of sshd's yes and no.
            ssh_options={
                str(name): ("yes" if value else "no") if isinstance(value, bool) else str(value)
                for name, value in options.items()
            },
            ssh_cidrs=texts("ssh_cidrs"),
            apt_refresh_seconds=as_int(values["apt_refresh_seconds"], "apt_refresh_seconds", 0, 1 << 31, wrong),
            full_upgrade=flag("full_upgrade"),
            packages=texts("packages"),
            time_sync=flag("time_sync"),
            ntp_servers=texts("ntp_servers"),
            timezone=text("timezone"),
            locale=text("locale"),
            proxies=as_proxies(values["proxy_environment"], "proxy_environment", wrong),
            unattended_upgrades=flag("unattended_upgrades"),
            unattended_reboot_time=text("unattended_reboot_time"),
            unattended_hold=texts("unattended_hold"),
            journal_max_mib=as_int(values["journal_max_mib"], "journal_max_mib", 0, 1 << 24, wrong),
            mdns=flag("mdns"),
            firewall=flag("firewall"),
            client_networks=texts("client_networks"),
            client_ports=texts("client_ports"),
            firewall_rules=rules,
            ca_certificates=tuple(
                (path, ca_texts[index] if index < len(ca_texts) else None)
                for index, path in enumerate(texts("ca_certificates"))
            ),
            controller_time=values.get("controller_time"),
            unproven=bool(values.get("unproven")),
            wrong=wrong.found,
        )


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    #: The kernel's, which may differ from that of /etc/hostname.
    hostname: str = ""
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    #: What counts for the login of the controller's user; empty where sshd does not tell.
    sshd: Effective = field(default_factory=dict)
    #: What would not count of the drop-in, in sentences.
    overruled: tuple[str, ...] = ()
    ssh_ports: tuple[int, ...] = ()
    #: Why sshd does not take the further options; '' where it does, or is not there yet.
    sshd_refuses: str = ""
    #: Where the current SSH connection comes from and who has logged in; '' for other connections.
    controller: str = ""
    controller_user: str = ""
    firewall_table: str = ""
    #: Text of /proc/config.gz; empty where the kernel does not have its configuration.
    kernel_config: str = ""
    #: This host's time, in seconds since the epoch, and whether timesyncd has set it.
    now: float = 0.0
    synchronised: bool = False
    timezone: str = ""
    #: Whether tzdata knows the wanted zone; None where tzdata is not installed.
    timezone_known: bool | None = None
    locales: tuple[str, ...] = ()
    #: Seconds since apt's lists were refreshed and everything was upgraded; None: never.
    refreshed_ago: float | None = None
    dpkg_interrupted: bool = False
    cloud_init: bool = False
    ca_files: tuple[str, ...] = ()
    #: The admin user: groups, or None where there is no such user; and the text of its authorized_keys.
    admin_groups: tuple[str, ...] | None = None
    admin_authorized: str = ""
    #: An earlier change of sshd or the firewall has not been confirmed.
    rollback_armed: bool = False


def same_locale(name: str) -> str:
    """Return a locale's name in the spelling of `locale -a` (en_GB.utf8 for en_GB.UTF-8)."""
    language, dot, codeset = name.partition(".")
    return language + dot + codeset.lower().replace("-", "")


def admin_of(inputs: Inputs, live: Live) -> str:
    """Return the admin user's name: the one named, else the one that Ansible has logged in as."""
    return inputs.admin_user or live.controller_user


def certificates(given: Sequence[tuple[str, str | None]]) -> list[ConfigFile]:
    """Return one file for each certificate in the given PEM files, as update-ca-certificates wants them.

    Files are named after those on the controller; where two different certificates would get one name, the later one's
    has a part of its checksum, too.
    """
    files: dict[str, ConfigFile] = {}
    for path, content in given:
        stem = re.sub(r"[^A-Za-z0-9_.-]", "-", path.rsplit("/", 1)[-1].rsplit(".", 1)[0])
        for number, body in enumerate(PEM.findall(content or ""), start=1):
            text = f"-----BEGIN CERTIFICATE-----\n{body.strip()}\n-----END CERTIFICATE-----\n"
            target = f"{CA_DIRECTORY}/edge-slm-{stem}{'' if number == 1 else f'-{number}'}"
            if f"{target}.crt" in files and files[f"{target}.crt"].content != text:
                target += f"-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            files[f"{target}.crt"] = ConfigFile(f"{target}.crt", text)
    return list(files.values())


def key_blobs(text: str) -> set[str]:
    """Return the public keys in lines of .pub files or of authorized_keys, whatever their options and comments."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {found.group(1) for found in map(PUBLIC_KEY.search, lines) if found}


def bundle_lacks(files: Sequence[ConfigFile], bundle: str) -> bool:
    """Return whether a certificate is not in the system's bundle."""
    have = "".join(bundle.split())
    return any("".join(body.split()) not in have for file in files for body in PEM.findall(file.content))


def problems(inputs: Inputs, device: Mapping[str, Any], live: Live) -> tuple[list[str], list[str]]:
    """Return one sentence for each input that cannot be met, with the variable and what to do.

    Returns:
        What is wrong on any host, and what this one cannot be.
    """
    collected = Problems(list(inputs.wrong), "host_baseline_")
    found, refuse = collected.found, collected.add
    unfit: list[str] = []
    releases = SUPPORTED_OS.get(str(device["os_id"]), ())
    if str(device["os_version"]) not in releases:
        unfit.append(
            f"This host runs {device['os_id'] or 'an unknown system'} {device['os_version']}: supported are "
            "Debian and Raspberry Pi OS 12 and 13, Ubuntu 22.04 and 24.04. Install one of them."
        )
    if not device["systemd"]:
        unfit.append("This host was not booted by systemd: start it with systemd as its init.")
    for name, fault in (
        ("hostname", inputs.hostname and host_name_problem(inputs.hostname)),
        ("admin_user", inputs.admin_user and user_name_problem(inputs.admin_user)),
    ):
        if fault:
            refuse(name, fault)
    if inputs.admin_keys and not admin_of(inputs, live):
        refuse("admin_keys", "the user is not known: Ansible is not connected by SSH; set host_baseline_admin_user.")
    for index, key in enumerate(inputs.admin_keys):
        fault = public_key_problem(key)
        if fault:
            refuse(f"admin_keys[{index}]", fault)
    for name, value in inputs.ssh_options.items():
        own = SSH_OPTIONS_WITH_INPUTS.get(name.lower())
        if own:
            refuse("ssh_options", f"{name} has an input of its own: set host_baseline_{own}.")
        elif not re.fullmatch(r"[A-Za-z0-9]+", name) or "\n" in value or name.lower() in ("match", "include"):
            refuse("ssh_options", f"{name!r} cannot stand in a drop-in; see sshd_config(5) for what can.")
    if live.sshd_refuses:
        refuse("ssh_options", f"sshd does not take them: {live.sshd_refuses}; see sshd_config(5).")
    for index, user in enumerate(inputs.ssh_allow_users):
        if not re.fullmatch(r"[^\s,]+", user):
            refuse(f"ssh_allow_users[{index}]", f"{user!r} is not a user's name or a pattern of names.")
    for index, cidr in enumerate(inputs.ssh_cidrs):
        fault = network_problem(cidr)
        if fault:
            refuse(f"ssh_cidrs[{index}]", f"{fault}.")
    as_networks(inputs.client_networks, "client_networks", collected)
    for index, port in enumerate(inputs.client_ports):
        fault = firewall.port_problem(port)
        if fault:
            refuse(f"client_ports[{index}]", f"{fault}.")
    if inputs.firewall:
        found += firewall.rule_problems("host_baseline_firewall_rules", inputs.firewall_rules)
        lacking = firewall.missing_kernel_options(live.kernel_config)
        if lacking:
            unfit.append(
                f"host_baseline_firewall: this host's kernel was built without {', '.join(lacking)} and takes no "
                "nftables rules; set it to false and guard this host from outside, or build the kernel with them."
            )
        stranger = firewall.stranger(live.units, live.files)
        if stranger:
            unfit.append(
                f"host_baseline_firewall: {stranger} guards this host already, and a packet would have to pass both. "
                "Take over what it lets in by host_baseline_firewall_rules and stop it "
                f"(`{firewall.STRANGERS[stranger]}`), or set host_baseline_firewall to false and keep it."
            )
    if inputs.ssh_hardening and live.overruled:
        unfit.append(
            f"host_baseline_ssh_hardening: {'; '.join(live.overruled)}. Something in {MAIN} or {DROPIN_DIR} wins over "
            f"{SSHD_DROPIN}: put the line `Include {DROPIN_DIR}/*.conf` before all others of {MAIN}, take out Match "
            "blocks that set these, or set host_baseline_ssh_hardening to false."
        )
    if 0 < inputs.journal_max_mib < 16:
        refuse(
            "journal_max_mib",
            f"is {inputs.journal_max_mib}; give at least 16 MiB, or 0 to leave journald alone.",
        )
    for index, package in enumerate(inputs.packages):
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.:-]*(=\S+)?", package):
            refuse(f"packages[{index}]", f"{package!r} is not a package name.")
    if inputs.timezone and not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", inputs.timezone):
        refuse("timezone", f"{inputs.timezone!r} is not a time zone; use a name such as Europe/Berlin.")
    elif inputs.timezone and live.timezone_known is False:
        unfit.append(
            f"host_baseline_timezone: {inputs.timezone!r} is not known to this host; `timedatectl list-timezones` "
            "lists what is (older names are in the package tzdata-legacy)."
        )
    if (
        inputs.locale
        and inputs.locale not in BUILT_IN_LOCALES
        and not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}\.UTF-8(@\w+)?", inputs.locale)
    ):
        refuse("locale", f"{inputs.locale!r} is not supported; use C.UTF-8 or a name such as en_GB.UTF-8.")
    if inputs.unattended_reboot_time and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", inputs.unattended_reboot_time):
        refuse(
            "unattended_reboot_time",
            f"{inputs.unattended_reboot_time!r} is not a time of day; use HH:MM, or '' for never.",
        )
    for name, values in (("ntp_servers", inputs.ntp_servers), ("unattended_hold", inputs.unattended_hold)):
        for index, value in enumerate(values):
            if not re.fullmatch(r"[^\s\"';{}]+", value):
                refuse(f"{name}[{index}]", f"{value!r} holds a blank or a quote.")
    for index, value in enumerate(inputs.unattended_hold):
        try:
            re.compile(value)
        except re.error as error:
            # unattended-upgrades would end with it, and install no security fix.
            refuse(f"unattended_hold[{index}]", f"{value!r} is not a regular expression: {error}.")
    for index, (path, text) in enumerate(inputs.ca_certificates):
        if text is None:
            refuse(f"ca_certificates[{index}]", f"{path} cannot be read on the controller; check the path.")
        elif not PEM.search(text):
            refuse(f"ca_certificates[{index}]", f"{path} holds no certificate in PEM form; give one that does.")
    return found, unfit


def static_hostname(live: Live) -> str:
    """Return the name that the host gets at its next boot."""
    return live.files[HOSTNAME].content.strip() if HOSTNAME in live.files else ""


def not_applicable(inputs: Inputs, device: Mapping[str, Any], live: Live) -> dict[str, str]:
    """Return which of the wanted things this host cannot have, with the reason."""
    reasons: dict[str, str] = {}
    if device["container"] and inputs.hostname and inputs.hostname != static_hostname(live):
        reasons["hostname"] = "a container's name is given by its engine"
    if inputs.time_sync:
        other = [name for name in TIME_DAEMONS if name in live.packages]
        if device["container"]:
            reasons["time sync"] = "a container has its host's clock"
        elif other:
            reasons["time sync"] = f"{other[0]} keeps the time already"
    return reasons


def wanted_packages(inputs: Inputs, skip: Mapping[str, str]) -> list[str]:
    """Return all packages that the inputs ask for."""
    features = (
        (inputs.firewall, ("nftables",)),
        (inputs.mdns, ("avahi-daemon", "libnss-mdns")),
        (inputs.time_sync and "time sync" not in skip, ("systemd-timesyncd",)),
        (bool(inputs.timezone), ("tzdata",)),
        (bool(inputs.locale) and inputs.locale not in BUILT_IN_LOCALES, ("locales",)),
        (inputs.unattended_upgrades, ("unattended-upgrades",)),
        (bool(inputs.ca_certificates), ("ca-certificates",)),
        (bool(inputs.admin_user), ("sudo",)),
    )
    names = [*inputs.packages, *(name for asked, names in features if asked for name in names)]
    return list(dict.fromkeys(names))


def missing_packages(names: Sequence[str], installed: Mapping[str, str]) -> list[str]:
    """Return those of the packages (name or name=version) that are not installed like that."""

    def missing(package: str) -> bool:
        name, pinned, version = package.partition("=")
        found = installed.get(name.split(":")[0])
        return found is None or (bool(pinned) and found != version)

    return [package for package in names if missing(package)]


def sshd_dropin(inputs: Inputs, user: str, key_proven: bool) -> str:
    """Return the drop-in for sshd. The first value of a keyword wins, so it sorts before all others.

    Args:
        inputs: The role's inputs.
        user: Who Ansible has logged in as; '' where the connection is not SSH.
        key_proven: A login by key was seen to work, or password login was off already.
    """
    lines: dict[str, str] = dict(inputs.ssh_options)
    given = {name.lower() for name in lines}

    def put(name: str, value: str) -> None:
        if name.lower() not in given:
            lines[name] = value

    if not inputs.ssh_password_login and key_proven:
        put("PasswordAuthentication", "no")
        put("KbdInteractiveAuthentication", "no")
    if user != "root":
        put("PermitRootLogin", "no")
    elif key_proven:
        put("PermitRootLogin", "prohibit-password")
    put("PermitEmptyPasswords", "no")
    put("PermitUserEnvironment", "no")
    put("X11Forwarding", "no")
    put("AllowAgentForwarding", "no")
    put("LoginGraceTime", "30")
    put("ClientAliveInterval", "60")
    put("ClientAliveCountMax", "5")
    put("UseDNS", "no")
    if inputs.ssh_allow_users:
        names = sorted({*inputs.ssh_allow_users, *filter(None, (inputs.admin_user, user))})
        put("AllowUsers", " ".join(names))
    return HEADER + "".join(f"{name} {value}\n" for name, value in lines.items())


def password_login_is_off(live: Live) -> bool:
    """Return whether sshd takes keys only, by its effective configuration."""
    return all(live.sshd.get(f"{kind}authentication") == ("no",) for kind in ("password", "kbdinteractive"))


def upgrades_conf(inputs: Inputs) -> str:
    """Return the configuration of unattended-upgrades: security fixes only."""
    reboot = inputs.unattended_reboot_time
    held = "".join(f'  "{name}";\n' for name in inputs.unattended_hold)
    return (
        "// Written by edge_slm.fleet.host_baseline\n"
        'APT::Periodic::Update-Package-Lists "1";\n'
        'APT::Periodic::Unattended-Upgrade "1";\n'
        'APT::Periodic::AutocleanInterval "7";\n'
        "// Security fixes only; patterns of other distributions match nothing.\n"
        "#clear Unattended-Upgrade::Origins-Pattern;\n"
        "#clear Unattended-Upgrade::Allowed-Origins;\n"
        "Unattended-Upgrade::Origins-Pattern {\n"
        '  "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";\n'
        '  "origin=Debian,codename=${distro_codename},label=Debian-Security";\n'
        '  "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu";\n'
        "};\n"
        f"Unattended-Upgrade::Package-Blacklist {{\n{held}}};\n"
        f'Unattended-Upgrade::Automatic-Reboot "{"true" if reboot else "false"}";\n'
        + (f'Unattended-Upgrade::Automatic-Reboot-Time "{reboot}";\n' if reboot else "")
    )


def apt_proxy_conf(proxies: Mapping[str, str]) -> str:
    """Return apt's proxies. Of no_proxy it takes whole names alone; the rest is left to the variable of that name."""
    names = proxies.get("no_proxy", "").split(",")
    hosts = [name for name in names if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name)]
    schemes = [scheme for scheme in ("http", "https") if f"{scheme}_proxy" in proxies]
    return (
        "// Written by edge_slm.fleet.host_baseline\n"
        + "".join(f'Acquire::{scheme}::Proxy "{proxies[f"{scheme}_proxy"]}";\n' for scheme in schemes)
        + "".join(f'Acquire::{scheme}::Proxy::{host} "DIRECT";\n' for scheme in schemes for host in hosts)
    )


def hosts_text(text: str, hostname: str) -> str:
    """Return /etc/hosts with Debian's line 127.0.1.1 for the host's own name."""
    line = f"127.0.1.1\t{hostname}"
    lines = text.splitlines()
    own = [index for index, old in enumerate(lines) if old.split("#")[0].split()[:1] == ["127.0.1.1"]]
    if own:
        if hostname in lines[own[0]].split()[1:]:
            return text
        lines[own[0]] = line
    else:
        lines.append(line)
    return "\n".join(lines) + "\n"


def wanted_files(inputs: Inputs, device: Mapping[str, Any], live: Live, skip: Mapping[str, str]) -> list[ConfigFile]:
    """Return all files but those of sshd, the firewall and the certificates, which have their own stages."""
    files: list[ConfigFile] = []
    if inputs.hostname and not device["container"]:
        hosts = live.files.get(HOSTS)
        files.append(
            ConfigFile(HOSTS, hosts_text(hosts.content if hosts else "127.0.0.1\tlocalhost\n", inputs.hostname))
        )
        if live.cloud_init:
            files.append(ConfigFile(CLOUD_CONF, f"{HEADER}preserve_hostname: true\nmanage_etc_hosts: false\n"))
    if inputs.locale:
        now = live.files.get(LOCALE_CONF)
        files.append(ConfigFile(LOCALE_CONF, with_assignment(now.content if now else "", "LANG", inputs.locale)))
    if inputs.journal_max_mib:
        cap = f"{inputs.journal_max_mib}M"
        text = f"{HEADER}[Journal]\nSystemMaxUse={cap}\nRuntimeMaxUse={cap}\n"
        files.append(ConfigFile(JOURNAL_CONF, text))
    if inputs.time_sync and "time sync" not in skip and inputs.ntp_servers:
        files.append(ConfigFile(TIMESYNC_CONF, f"{HEADER}[Time]\nNTP={' '.join(inputs.ntp_servers)}\n"))
    if set(inputs.proxies) & {"http_proxy", "https_proxy"}:
        files.append(ConfigFile(APT_PROXY_CONF, apt_proxy_conf(inputs.proxies)))
    if inputs.unattended_upgrades:
        files.append(ConfigFile(UPGRADES_CONF, upgrades_conf(inputs)))
    if inputs.mdns:
        files += [ConfigFile(AVAHI_CONF, AVAHI_TEXT), ConfigFile(AVAHI_DROPIN, AVAHI_DROPIN_TEXT)]
    if inputs.admin_user and inputs.admin_sudo:
        text = f"{HEADER}{inputs.admin_user} ALL=(ALL) NOPASSWD: ALL\n"
        files.append(ConfigFile(SUDOERS, text, mode="0440", validate="/usr/sbin/visudo -cf %s"))
    return files


def wanted_units(inputs: Inputs, skip: Mapping[str, str]) -> list[Unit]:
    """Return the units that must run, without sshd and the firewall."""
    units = [Unit("systemd-journald.service", reads=(JOURNAL_CONF,))]
    if inputs.time_sync and "time sync" not in skip:
        units.append(Unit(TIMESYNC_UNIT, reads=(TIMESYNC_CONF,)))
    if inputs.mdns:
        units.append(Unit("avahi-daemon.service", reads=(AVAHI_CONF, AVAHI_DROPIN, HOSTNAME)))
    if inputs.unattended_upgrades:
        units += map(Unit, ("unattended-upgrades.service", "apt-daily.timer", "apt-daily-upgrade.timer"))
    return units


def package_sentences(missing: Sequence[str], installed: Mapping[str, str]) -> list[str]:
    """Return what is pending by packages that missing_packages has found, one sentence each."""

    def why(package: str) -> str:
        found = installed.get(package.partition("=")[0].split(":")[0])
        return f"{found} is installed" if found else "is not installed"

    return [f"package {package}: {why(package)}" for package in missing]


def upgrade_reason(inputs: Inputs, ago: float | None) -> str:
    """Return why all packages are to be upgraded, or ''."""
    if not inputs.full_upgrade or (ago is not None and 0 <= ago <= inputs.apt_refresh_seconds):
        return ""
    if ago is None:
        return "packages: all of them were never upgraded by this role"
    if ago < 0:
        return "packages: all of them were last upgraded in the future, by this host's clock"
    return f"packages: all of them were last upgraded {ago / 3600:.1f} h ago"


def wrong_clock(inputs: Inputs, live: Live) -> str:
    """Return how far the clock is from the controller's, or '' where it is near enough or set by a time server."""
    if inputs.controller_time is None or live.synchronised:
        return ""
    ahead = live.now - inputs.controller_time
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ""
    side = "ahead of" if ahead > 0 else "behind"
    return f"clock: is {timedelta(seconds=round(abs(ahead)))} {side} the controller's, and no time server has set it"


def plan(inputs: Inputs, device: Mapping[str, Any], live: Live) -> Plan:
    """Return everything that is still to be done, for inputs without problems."""
    skip = not_applicable(inputs, device, live)
    differs: list[str] = []

    packages = missing_packages(wanted_packages(inputs, skip), live.packages)
    upgrade = upgrade_reason(inputs, live.refreshed_ago)

    ca_wanted = certificates(inputs.ca_certificates)
    ca = FileSet(
        files=pending_files(ca_wanted, live.files),
        remove=sorted(set(live.ca_files) - {file.path for file in ca_wanted}),
    )
    bundle = live.files.get(CA_BUNDLE)
    unbundled = bool(ca) or bundle_lacks(ca_wanted, bundle.content if bundle else "")
    if unbundled and not ca:
        differs.append(f"file {CA_BUNDLE}: lacks a CA certificate")

    static = static_hostname(live)
    hostname = bool(inputs.hostname) and "hostname" not in skip and {static, live.hostname} != {inputs.hostname}
    if hostname:
        differs.append(f"hostname: is {live.hostname} now and {static or 'none'} at boot, not {inputs.hostname}")
    clock = wrong_clock(inputs, live) if inputs.time_sync and "time sync" not in skip else ""
    if clock:
        differs.append(clock)
    timezone = bool(inputs.timezone) and live.timezone != inputs.timezone
    if timezone:
        differs.append(f"time zone: is {live.timezone or 'unknown'}, not {inputs.timezone}")
    locale = (
        bool(inputs.locale) and inputs.locale not in BUILT_IN_LOCALES and same_locale(inputs.locale) not in live.locales
    )
    if locale:
        differs.append(f"locale {inputs.locale}: is not generated")

    admin = admin_of(inputs, live)
    user = bool(inputs.admin_user) and "sudo" not in (live.admin_groups or ())
    if user:
        why = "is missing" if live.admin_groups is None else "is not a member of the group sudo"
        differs.append(f"user {admin}: {why}")
    lacking = key_blobs("\n".join(inputs.admin_keys)) - key_blobs(live.admin_authorized)
    if lacking:
        differs.append(f"user {admin}: {len(lacking)} of its public keys may not log in")

    files = wanted_files(inputs, device, live, skip)
    write = FileSet(
        # Those that are there: what is to be in them is brought by other roles, too.
        directories=pending_directories([Directory(path) for path in SHARED_DIRS if path in live.files], live.files),
        files=pending_files(files, live.files),
        remove=pending_removals(OWNED, files, live.files),
    )
    changing = [*(file.path for file in write.files), *write.remove]
    units = pending_units(wanted_units(inputs, skip), live.units, live.files, changing)
    access = plan_access(inputs, live)
    return Plan(
        pending=[
            *package_sentences(packages, live.packages),
            *([upgrade] if upgrade else []),
            *(["dpkg: was interrupted, and packages are half installed"] if live.dpkg_interrupted else []),
            *ca.sentences(),
            *differs,
            *write.sentences(),
            *unit_sentences(units),
            *access.pending,
        ],
        not_applicable=[f"{name}: not applicable: {why}" for name, why in skip.items()],
        needs={
            "packages": packages,
            "upgrade": bool(upgrade),
            "dpkg_interrupted": live.dpkg_interrupted,
            "ca_bundle": unbundled,
            "hostname": hostname,
            "clock": {"wrong": bool(clock), "time_servers": live.units.get(TIMESYNC_UNIT, ABSENT_UNIT).loaded},
            "timezone": timezone,
            "locale": locale,
            "admin": {"name": admin, "user": user, "add_keys": list(inputs.admin_keys) if lacking else []},
            "units": units,
            "access": access.needs,
        },
        files={
            "certificates": ca,
            "apt": FileSet(
                files=[file for file in write.files if file.path == APT_PROXY_CONF],
                remove=[path for path in write.remove if path == APT_PROXY_CONF],
            ),
            "clock": FileSet(files=[file for file in write.files if clock and file.path == TIMESYNC_CONF]),
            "configure": write,
            **access.files,
        },
    )


def plan_absent(live: Live) -> Plan:
    """Return what is left on the host of what the role has written, and what stays."""
    stays = [f"what stays: {STAYS}"]
    owned = [*OWNED, REFRESHED]
    if SUDOERS in live.files and live.controller_user in live.files[SUDOERS].content.split():
        owned.remove(SUDOERS)
        stays.append(f"{SUDOERS}: stays: without it Ansible, logged in as {live.controller_user}, could not be root")
    ca = FileSet(remove=sorted(live.ca_files))
    write = FileSet(remove=pending_removals(owned, [], live.files))
    readers = {
        "systemd-journald.service": (JOURNAL_CONF,),
        TIMESYNC_UNIT: (TIMESYNC_CONF,),
        "avahi-daemon.service": (AVAHI_CONF, AVAHI_DROPIN),
    }
    units = [
        {"name": name, "state": "restarted", "why": "its configuration changes"}
        for name, reads in readers.items()
        if set(reads) & set(write.remove) and live.units.get(name, ABSENT_UNIT).active
    ]
    access = plan_access(None, live)
    return Plan(
        pending=[*ca.sentences(), *write.sentences(), *access.pending],
        not_applicable=stays,
        needs={"ca_bundle": bool(ca), "units": units, "access": access.needs},
        files={"certificates": ca, "configure": write, **access.files},
    )


def plan_access(inputs: Inputs | None, live: Live) -> Plan:
    """Return what is to be done to sshd and the firewall; without inputs nothing of this role is to be there."""
    rules, units, stop = plan_firewall(inputs, live)

    def file_set(proven: bool) -> FileSet:
        wanted = [*sshd_files(inputs, live, proven), *rules]
        return FileSet(
            files=pending_files(wanted, live.files), remove=pending_removals(OWNED_ACCESS, wanted, live.files)
        )

    proven, unproven = file_set(True), file_set(False)
    write = unproven if inputs is not None and inputs.unproven else proven
    ssh_changes = SSHD_DROPIN in [*(file.path for file in write.files), *write.remove]
    running = live.units.get(SSHD_UNIT, ABSENT_UNIT)
    stale = running.active and SSHD_DROPIN in live.files and live.files[SSHD_DROPIN].modified > running.since
    left_over = not rules and not stop and bool(live.firewall_table)

    pending = [*write.sentences(), *unit_sentences([*stop, *units])]
    if stale and not ssh_changes:
        pending.append(f"unit {SSHD_UNIT}: runs since before {SSHD_DROPIN} changed")
    if left_over:
        pending.append(f"firewall: the kernel has a table inet {firewall.TABLE}, which is no longer wanted")
    if live.rollback_armed:
        pending.append("access: an earlier change of sshd or the firewall was not confirmed by a fresh login")
    return Plan(
        pending=pending,
        needs={
            "due": bool(pending),
            # What is to be done even where no login by key can be proven.
            "due_unproven": bool(unproven or units or stop) or stale or left_over or live.rollback_armed,
            "proof": ssh_changes
            and not password_login_is_off(live)
            and sshd_files(inputs, live, True) != sshd_files(inputs, live, False),
            "reload_ssh": running.active and (ssh_changes or stale),
            "stop": stop,
            "left_over": left_over,
            "units": units,
        },
        files={"access": write},
    )


def sshd_files(inputs: Inputs | None, live: Live, proven: bool) -> list[ConfigFile]:
    """Return the wanted files of sshd, for a login by key that is proven or not."""
    if inputs is None or not inputs.ssh_hardening:
        return []
    text = sshd_dropin(inputs, live.controller_user, proven)
    return [ConfigFile(SSHD_DROPIN, text, validate="/usr/sbin/sshd -t -f %s")]


def plan_firewall(
    inputs: Inputs | None, live: Live
) -> tuple[list[ConfigFile], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the wanted files of the firewall, what is to be done to its unit once they are there, and what before."""
    if inputs is None or not inputs.firewall:
        return [], [], pending_units([Unit(firewall.UNIT, wanted=False)], live.units, {}, [])
    ports = live.ssh_ports or (22,)
    clients = {"ports": inputs.client_ports, "cidrs": inputs.client_networks, "comment": "clients"}
    opened = [*([clients] if inputs.client_ports else []), *inputs.firewall_rules]
    rules = firewall.render(opened, ports, inputs.ssh_cidrs, live.controller, inputs.mdns)
    files = [
        ConfigFile(firewall.UNIT_PATH, firewall.UNIT_TEXT),
        ConfigFile(firewall.RULES_PATH, rules, "0644", "/usr/sbin/nft -c -f %s"),
    ]
    units = pending_units(
        [Unit(firewall.UNIT, (firewall.RULES_PATH, firewall.UNIT_PATH), "reloaded")],
        live.units,
        live.files,
        [file.path for file in pending_files(files, live.files)],
    )
    if not units and not firewall.loaded(rules, live.firewall_table):
        why = f"the kernel has other rules in the table inet {firewall.TABLE}, or none"
        units = [{"name": firewall.UNIT, "state": "reloaded", "enabled": True, "why": why}]
    return files, units, []

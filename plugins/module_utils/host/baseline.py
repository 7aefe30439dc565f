# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a bare Debian-like host fit to serve, whatever its board: decisions of role host_baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ABSENT_UNIT,
    ConfigFile,
    LiveFile,
    LiveUnit,
    Unit,
    pending_files,
    pending_removals,
    pending_units,
    with_assignment,
)

#: Distributions and their supported releases; Ubuntu is what a Jetson runs.
SUPPORTED_OS = {"debian": ("12", "13"), "raspbian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
#: Other daemons that keep the time; installing timesyncd would remove them.
TIME_DAEMONS = ("chrony", "ntpsec", "ntp", "openntpd")
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
#: Armed while sshd and the firewall change; a killed run leaves it armed, and it must be called off.
WAY_BACK_UNIT = "edge-slm-way-back.timer"
SSHD_DROPIN = "/etc/ssh/sshd_config.d/00-edge-slm.conf"
AVAHI_CONF = "/etc/avahi/avahi-daemon.conf"
JOURNAL_CONF = "/etc/systemd/journald.conf.d/50-edge-slm.conf"
TIMESYNC_CONF = "/etc/systemd/timesyncd.conf.d/50-edge-slm.conf"
UPGRADES_CONF = "/etc/apt/apt.conf.d/52edge-slm-unattended-upgrades"
CLOUD_CONF = "/etc/cloud/cloud.cfg.d/99-edge-slm.cfg"
SUDOERS = "/etc/sudoers.d/010_edge-slm-admin"
HOSTS = "/etc/hosts"
LOCALE_CONF = "/etc/default/locale"
CA_DIRECTORY = "/usr/local/share/ca-certificates"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
#: Touched when apt's lists were refreshed and all packages were upgraded.
REFRESHED = "/var/cache/edge-slm/apt-refreshed"

#: Files that belong to this role alone: removed when the input that wants them is turned off.
OWNED = (SSHD_DROPIN, JOURNAL_CONF, TIMESYNC_CONF, UPGRADES_CONF, SUDOERS)

HEADER = "# Written by edge_slm.fleet.host_baseline\n"

AVAHI_TEXT = f"""\
{HEADER}[server]
use-ipv4=yes
use-ipv6=yes
# Bridges of container engines are no address of this host.
deny-interfaces=docker0
ratelimit-interval-usec=1000000
ratelimit-burst=1000

[wide-area]
enable-wide-area=no

[publish]
publish-hinfo=no
publish-workstation=no
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
    unattended_upgrades: bool
    unattended_reboot_time: str
    unattended_hold: tuple[str, ...]
    journal_max_mib: int
    mdns: bool
    firewall: bool
    firewall_rules: Sequence[Any]
    ca_certificates: tuple[str, ...]
    #: Values that are not of their type or out of range.
    wrong: Sequence[str]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name."""
        wrong = Problems(prefix="host_baseline_")

        def strings(name: str) -> tuple[str, ...]:
            return tuple(str(value) for value in values[name] or ())

        return cls(
            hostname=str(values["hostname"] or ""),
            admin_user=str(values["admin_user"] or ""),
            admin_keys=tuple(key.strip() for key in strings("admin_keys") if key.strip()),
            admin_sudo=as_bool(values["admin_sudo"], "admin_sudo", wrong),
            ssh_hardening=as_bool(values["ssh_hardening"], "ssh_hardening", wrong),
            ssh_password_login=as_bool(values["ssh_password_login"], "ssh_password_login", wrong),
            ssh_allow_users=strings("ssh_allow_users"),
            ssh_options={str(k): str(v) for k, v in (values["ssh_options"] or {}).items()},
            ssh_cidrs=strings("ssh_cidrs"),
            apt_refresh_seconds=as_int(values["apt_refresh_seconds"], "apt_refresh_seconds", 0, 1 << 31, wrong),
            full_upgrade=as_bool(values["full_upgrade"], "full_upgrade", wrong),
            packages=strings("packages"),
            time_sync=as_bool(values["time_sync"], "time_sync", wrong),
            ntp_servers=strings("ntp_servers"),
            timezone=str(values["timezone"] or ""),
            locale=str(values["locale"] or ""),
            unattended_upgrades=as_bool(values["unattended_upgrades"], "unattended_upgrades", wrong),
            unattended_reboot_time=str(values["unattended_reboot_time"] or ""),
            unattended_hold=strings("unattended_hold"),
            journal_max_mib=as_int(values["journal_max_mib"], "journal_max_mib", 0, 1 << 24, wrong),
            mdns=as_bool(values["mdns"], "mdns", wrong),
            firewall=as_bool(values["firewall"], "firewall", wrong),
            firewall_rules=list(values["firewall_rules"] or ()),
            ca_certificates=strings("ca_certificates"),
            wrong=wrong.found,
        )


@dataclass(frozen=True)
class Live:
    """The host as it is."""

    hostname: str = ""
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, LiveUnit] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    #: `sshd -T` as a dictionary with the first value of each keyword; empty where sshd cannot say.
    sshd: Mapping[str, str] = field(default_factory=dict)
    ssh_ports: tuple[int, ...] = ()
    #: Where the current SSH connection comes from and who has logged in; '' for other connections.
    controller: str = ""
    controller_user: str = ""
    firewall_table: str = ""
    #: Text of /proc/config.gz; empty where the kernel does not tell how it was built.
    kernel_config: str = ""
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


def same_locale(name: str) -> str:
    """Return a locale's name in the spelling of `locale -a` (en_GB.utf8 for en_GB.UTF-8)."""
    language, dot, codeset = name.partition(".")
    return language + dot + codeset.lower().replace("-", "")


def admin_of(inputs: Inputs, live: Live) -> str:
    """Return the admin user's name: the one named, else the one that Ansible has logged in as."""
    return inputs.admin_user or live.controller_user


def certificates(paths: Sequence[str], contents: Sequence[str]) -> list[ConfigFile]:
    """Return one file for each certificate in the given PEM files, as update-ca-certificates wants them."""
    files: dict[str, ConfigFile] = {}
    for index, path in enumerate(paths):
        stem = re.sub(r"[^A-Za-z0-9_.-]", "-", path.rsplit("/", 1)[-1].rsplit(".", 1)[0])
        for number, body in enumerate(PEM.findall(contents[index]), start=1):
            suffix = "" if number == 1 else f"-{number}"
            target = f"{CA_DIRECTORY}/edge-slm-{stem}{suffix}.crt"
            text = f"-----BEGIN CERTIFICATE-----\n{body.strip()}\n-----END CERTIFICATE-----\n"
            files[target] = ConfigFile(target, text)
    return list(files.values())


def bundle_lacks(files: Sequence[ConfigFile], bundle: str) -> bool:
    """Tell whether a certificate is not in the system's bundle."""
    have = "".join(bundle.split())
    return any("".join(body.split()) not in have for file in files for body in PEM.findall(file.content))


def problems(inputs: Inputs, device: Mapping[str, Any], live: Live, ca_contents: Sequence[str]) -> list[str]:
    """Return one sentence for each input that cannot be met; each names the variable and the mend."""
    collected = Problems(list(inputs.wrong), "host_baseline_")
    found, refuse = collected.found, collected.add
    releases = SUPPORTED_OS.get(str(device["os_id"]), ())
    if str(device["os_version"]) not in releases:
        found.append(
            f"This host runs {device['os_id'] or 'an unknown system'} {device['os_version']}: supported are "
            "Debian and Raspberry Pi OS 12 and 13, Ubuntu 22.04 and 24.04. Install one of them."
        )
    if not device["systemd"]:
        found.append("This host was not booted by systemd: start it with systemd as its init.")
    if inputs.hostname and not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", inputs.hostname):
        refuse(
            "hostname",
            f"{inputs.hostname!r} is no host name; use up to 63 letters, digits and hyphens, no dots.",
        )
    elif inputs.hostname.isdigit():
        refuse(
            "hostname",
            f"is {inputs.hostname!r}, part of an address; give the host a name, or '' to keep its own.",
        )
    if inputs.admin_user and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", inputs.admin_user):
        refuse("admin_user", f"{inputs.admin_user!r} is no user name; use lower-case letters, digits, _ and -.")
    if inputs.admin_keys and not admin_of(inputs, live):
        refuse("admin_keys", "whose are they? Ansible is not connected by SSH: name host_baseline_admin_user.")
    for index, key in enumerate(inputs.admin_keys):
        if "PRIVATE KEY" in key:
            refuse(f"admin_keys[{index}]", "is a private key; give the public one (the file ending in .pub).")
        elif not re.search(r"(^|\s)(ssh-|ecdsa-|sk-)\S+\s+[A-Za-z0-9+/=]{40,}", key):
            refuse(
                f"admin_keys[{index}]",
                "is no public key; give the line of a .pub file, as in 'ssh-ed25519 AAAA… me'.",
            )
    for name, value in inputs.ssh_options.items():
        own = SSH_OPTIONS_WITH_INPUTS.get(name.lower())
        if own:
            refuse("ssh_options", f"{name} has an input of its own: set host_baseline_{own}.")
        elif not re.fullmatch(r"[A-Za-z0-9]+", name) or "\n" in value or name.lower() in ("match", "include"):
            refuse("ssh_options", f"{name!r} cannot stand in a drop-in; see sshd_config(5) for what can.")
    for index, cidr in enumerate(inputs.ssh_cidrs):
        fault = firewall.network_problem(cidr)
        if fault:
            refuse(f"ssh_cidrs[{index}]", f"{fault}.")
    if inputs.firewall:
        found += firewall.rule_problems("host_baseline_firewall_rules", inputs.firewall_rules)
        lacking = firewall.missing_kernel_options(live.kernel_config)
        if lacking:
            refuse(
                "firewall",
                f"this host's kernel was built without {', '.join(lacking)} and takes no nftables rules; set it to "
                "false and guard this host from outside, or build the kernel with them.",
            )
    if 0 < inputs.journal_max_mib < 16:
        refuse(
            "journal_max_mib",
            f"is {inputs.journal_max_mib}; give at least 16 MiB, or 0 to leave journald alone.",
        )
    for index, package in enumerate(inputs.packages):
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.:-]*(=\S+)?", package):
            refuse(f"packages[{index}]", f"{package!r} is no package name.")
    if inputs.timezone and not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", inputs.timezone):
        refuse("timezone", f"{inputs.timezone!r} is no time zone; use a name such as Europe/Berlin.")
    elif inputs.timezone and live.timezone_known is False:
        refuse(
            "timezone",
            f"{inputs.timezone!r} is not known to this host; `timedatectl list-timezones` lists them.",
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
            f"{inputs.unattended_reboot_time!r} is no time of day; use HH:MM, or '' for never.",
        )
    for name, values in (("ntp_servers", inputs.ntp_servers), ("unattended_hold", inputs.unattended_hold)):
        for index, value in enumerate(values):
            if not re.fullmatch(r"[^\s\"';{}]+", value):
                refuse(f"{name}[{index}]", f"{value!r} holds a blank or a quote.")
    if len(ca_contents) != len(inputs.ca_certificates):
        refuse("ca_certificates", "not all of these files can be read on the controller; check the paths.")
    else:
        for index, path in enumerate(inputs.ca_certificates):
            if not PEM.search(ca_contents[index]):
                refuse("ca_certificates", f"{path} holds no certificate in PEM form.")
    return found


def not_applicable(inputs: Inputs, device: Mapping[str, Any], live: Live) -> dict[str, str]:
    """Return which of the wanted things this host cannot have, with the reason."""
    reasons: dict[str, str] = {}
    if device["container"] and inputs.hostname and inputs.hostname != live.hostname:
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
    """Tell whether sshd takes keys only, by its effective configuration."""
    return live.sshd.get("passwordauthentication") == "no" and live.sshd.get("kbdinteractiveauthentication") == "no"


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
    if inputs.unattended_upgrades:
        files.append(ConfigFile(UPGRADES_CONF, upgrades_conf(inputs)))
    if inputs.mdns:
        files.append(ConfigFile(AVAHI_CONF, AVAHI_TEXT))
    if inputs.admin_user and inputs.admin_sudo:
        text = f"{HEADER}{inputs.admin_user} ALL=(ALL) NOPASSWD: ALL\n"
        files.append(ConfigFile(SUDOERS, text, mode="0440", validate="/usr/sbin/visudo -cf %s"))
    return files


def wanted_units(inputs: Inputs, skip: Mapping[str, str]) -> list[Unit]:
    """Return the units that must run, without sshd and the firewall."""
    units = [Unit("systemd-journald.service", reads=(JOURNAL_CONF,))]
    if inputs.time_sync and "time sync" not in skip:
        units.append(Unit("systemd-timesyncd.service", reads=(TIMESYNC_CONF,)))
    if inputs.mdns:
        units.append(Unit("avahi-daemon.service", reads=(AVAHI_CONF, "/etc/hostname")))
    if inputs.unattended_upgrades:
        units += map(Unit, ("unattended-upgrades.service", "apt-daily.timer", "apt-daily-upgrade.timer"))
    return units


def plan(
    inputs: Inputs, device: Mapping[str, Any], live: Live, ca_contents: Sequence[str], unproven: bool = False
) -> dict[str, Any]:
    """Return everything that is still to be done, for inputs without problems.

    With `unproven` a login by key was tried in this run and failed: password login may then stay on.
    The key `pending` names it in words; when it is empty, the host is as wanted.
    """
    skip = not_applicable(inputs, device, live)
    pending: list[str] = []

    packages = missing_packages(wanted_packages(inputs, skip), live.packages)
    refresh = inputs.full_upgrade and (
        live.refreshed_ago is None or not 0 <= live.refreshed_ago <= inputs.apt_refresh_seconds
    )
    pending += [f"package {name}" for name in packages]
    if refresh:
        pending.append("upgrade of all packages")
    if live.dpkg_interrupted:
        pending.append("interrupted dpkg")

    ca_wanted = certificates(inputs.ca_certificates, ca_contents)
    ca_write = pending_files(ca_wanted, live.files)
    ca_remove = sorted(set(live.ca_files) - {file.path for file in ca_wanted})
    bundle = live.files.get(CA_BUNDLE)
    ca_refresh = bool(ca_write or ca_remove) or bundle_lacks(ca_wanted, bundle.content if bundle else "")
    if ca_refresh:
        pending.append("CA certificates")

    hostname = bool(inputs.hostname) and not device["container"] and live.hostname != inputs.hostname
    if hostname:
        pending.append("hostname")
    timezone = bool(inputs.timezone) and live.timezone != inputs.timezone
    if timezone:
        pending.append("timezone")
    locale = (
        bool(inputs.locale) and inputs.locale not in BUILT_IN_LOCALES and same_locale(inputs.locale) not in live.locales
    )
    if locale:
        pending.append("locale")

    admin = admin_of(inputs, live)
    user = bool(inputs.admin_user) and "sudo" not in (live.admin_groups or ())
    authorized = live.admin_authorized.split()
    keys = any(" ".join(key.split()[:2]) not in " ".join(authorized) for key in inputs.admin_keys)
    pending += [text for due, text in ((user, "admin user"), (keys, "admin keys")) if due]

    files = wanted_files(inputs, device, live, skip)
    write = pending_files(files, live.files)
    remove = pending_removals(set(OWNED) - {SSHD_DROPIN}, files, live.files)
    units = pending_units(wanted_units(inputs, skip), live.units, live.files, [*(file.path for file in write), *remove])
    pending += [f"file {file.path}" for file in write] + [f"file {path} (remove)" for path in remove]
    pending += [f"unit {unit['name']} ({unit['state']})" for unit in units]

    ssh = plan_ssh(inputs, live, unproven)
    wall = plan_firewall(inputs, live)
    armed = live.units.get(WAY_BACK_UNIT, ABSENT_UNIT).active
    pending += ["sshd"] * bool(ssh["due"]) + ["firewall"] * bool(wall["due"]) + ["way back"] * armed
    return {
        "pending": pending,
        "not_applicable": [f"{name}: not applicable: {why}" for name, why in skip.items()],
        "packages": packages,
        "refresh": refresh,
        "dpkg_interrupted": live.dpkg_interrupted,
        "ca": {"files": [file.as_dict() for file in ca_write], "remove": ca_remove, "refresh": ca_refresh},
        "hostname": hostname,
        "timezone": timezone,
        "locale": locale,
        "admin": {"name": admin, "user": user, "add_keys": keys},
        "files": [file.as_dict() for file in write],
        "remove": remove,
        "units": units,
        "ssh": ssh,
        "firewall": wall,
        "way_back_armed": armed,
    }


def plan_ssh(inputs: Inputs, live: Live, unproven: bool = False) -> dict[str, Any]:
    """Return what is to be done to sshd: whether a proof is needed, and the drop-in with it and without."""
    with_key, without_key = (
        ConfigFile(SSHD_DROPIN, sshd_dropin(inputs, live.controller_user, proven), validate="/usr/sbin/sshd -t -f %s")
        for proven in (True, False)
    )
    wanted = [without_key if unproven else with_key] if inputs.ssh_hardening else []
    write = pending_files(wanted, live.files)
    remove = pending_removals([SSHD_DROPIN], wanted, live.files)
    running = live.units.get(SSHD_UNIT, ABSENT_UNIT).active
    stale = running and bool(pending_units([Unit(SSHD_UNIT, (SSHD_DROPIN,), "reloaded")], live.units, live.files, []))
    return {
        "due": bool(write or remove) or stale,
        "needs_proof": bool(write) and not password_login_is_off(live) and with_key != without_key,
        "with_key": [with_key.as_dict()] if write else [],
        "without_key": [without_key.as_dict()] if write else [],
        "remove": remove,
        "running": running,
        "stale": stale,
    }


def plan_firewall(inputs: Inputs, live: Live) -> dict[str, Any]:
    """Return what is to be done to the firewall."""
    if not inputs.firewall:
        stop = pending_units([Unit(firewall.UNIT, wanted=False)], live.units, {}, [])
        return {"due": bool(stop), "files": [], "units": stop}
    ports = live.ssh_ports or (22,)
    rules = firewall.render(inputs.firewall_rules, ports, inputs.ssh_cidrs, live.controller, inputs.mdns)
    files = [
        ConfigFile(firewall.UNIT_PATH, firewall.UNIT_TEXT),
        ConfigFile(firewall.RULES_PATH, rules, "0644", "/usr/sbin/nft -c -f %s"),
    ]
    write = pending_files(files, live.files)
    units = pending_units(
        [Unit(firewall.UNIT, (firewall.RULES_PATH, firewall.UNIT_PATH), "reloaded")],
        live.units,
        live.files,
        [file.path for file in write],
    )
    if not units and not firewall.loaded(rules, live.firewall_table):
        units = [{"name": firewall.UNIT, "state": "reloaded", "enabled": True}]
    return {"due": bool(write or units), "files": [file.as_dict() for file in write], "units": units}

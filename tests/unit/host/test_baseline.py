"""Decisions of the role host_baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.baseline import (
    APT_PROXY_CONF,
    AVAHI_CONF,
    AVAHI_DROPIN,
    CA_BUNDLE,
    CLOUD_CONF,
    HEADER,
    HOSTNAME,
    JOURNAL_CONF,
    SSHD_DROPIN,
    SSHD_UNIT,
    SUDOERS,
    TIMESYNC_CONF,
    TIMESYNC_UNIT,
    Inputs,
    Live,
    apt_proxy_conf,
    bundle_lacks,
    certificates,
    hosts_text,
    missing_packages,
    not_applicable,
    package_sentences,
    plan,
    plan_absent,
    plan_access,
    problems,
    same_locale,
    sshd_dropin,
    upgrades_conf,
    wanted_packages,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ConfigFile, LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "host_baseline"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
KEY = "ssh-ed25519 " + "A" * 68 + " me"
PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\nQmFz\n-----END CERTIFICATE-----\n"
DEVICE = {"os_id": "debian", "os_version": "13", "systemd": True, "container": False}
UP = LiveUnit(True, True, True, 100.0)


def named(static: str, kernel: str = "") -> Live:
    """Return a host by its names in /etc/hostname and in the kernel."""
    return Live(hostname=kernel or static, files={HOSTNAME: LiveFile(f"{static}\n", 0o644, 1.0)})


def written(found: Plan, step: str = "configure") -> dict[str, ConfigFile]:
    """Return what a step is to write, by path."""
    return {file.path: file for file in found.files[step].files}


def inputs(**changes: Any) -> Inputs:
    values = {name.removeprefix("host_baseline_"): value for name, value in DEFAULTS.items()}
    return Inputs.of({**values, "hostname": "pi-01", **changes})


@pytest.mark.parametrize("device", [DEVICE, {**DEVICE, "os_id": "ubuntu", "os_version": "22.04"}])
def test_defaults_have_no_problems(device: dict[str, Any]) -> None:
    assert problems(inputs(), device, Live()) == ([], [])


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hostname": "pi_01"}, "host_baseline_hostname: 'pi_01'"),
        ({"hostname": "192"}, "host_baseline_hostname: is '192', part of an address"),
        ({"admin_user": "Pi"}, "host_baseline_admin_user"),
        ({"admin_keys": [KEY]}, "host_baseline_admin_keys: the user is not known"),
        (
            {"admin_user": "ops", "admin_keys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]},
            "admin_keys[0]: is a private",
        ),
        (
            {"admin_user": "ops", "admin_keys": [KEY, "nonsense"]},
            "host_baseline_admin_keys[1]: is not a public key",
        ),
        ({"ssh_options": {"PasswordAuthentication": "no"}}, "set host_baseline_ssh_password_login"),
        ({"ssh_options": {"AllowUsers": "me"}}, "set host_baseline_ssh_allow_users"),
        ({"ssh_options": {"Match": "all"}}, "host_baseline_ssh_options: 'Match'"),
        ({"ssh_cidrs": ["10.0.0.1/8"]}, "host_baseline_ssh_cidrs[0]"),
        ({"client_networks": []}, "host_baseline_client_networks: is empty: nobody could connect"),
        ({"client_networks": ["10.0.0.1/8"]}, "host_baseline_client_networks[0]: '10.0.0.1/8' is not a network"),
        ({"client_ports": ["http"]}, "host_baseline_client_ports[0]: 'http' is neither"),
        ({"firewall_rules": [{"ports": [80]}]}, "host_baseline_firewall_rules[0].cidrs"),
        (
            {"apt_refresh_seconds": -1},
            "host_baseline_apt_refresh_seconds: must be a whole number from 0 to",
        ),
        ({"journal_max_mib": 3}, "host_baseline_journal_max_mib: is 3"),
        ({"packages": ["curl; reboot"]}, "host_baseline_packages[0]"),
        ({"timezone": "Berlin!"}, "host_baseline_timezone"),
        ({"locale": "english"}, "host_baseline_locale"),
        ({"unattended_reboot_time": "25:00"}, "host_baseline_unattended_reboot_time"),
        ({"ntp_servers": ["a b"]}, "host_baseline_ntp_servers[0]"),
        ({"unattended_hold": ['x"']}, "host_baseline_unattended_hold[0]"),
        ({"unattended_hold": ["docker.*", "(*"]}, "host_baseline_unattended_hold[1]"),
        ({"ca_certificates": ["/gone.pem"]}, "host_baseline_ca_certificates[0]: /gone.pem cannot be read"),
        ({"ca_certificates": ["/a.pem"], "ca_texts": [""]}, "host_baseline_ca_certificates[0]: /a.pem holds no"),
        ({"packages": "curl"}, "host_baseline_packages: is not a list"),
        ({"ssh_options": ["UseDNS no"]}, "host_baseline_ssh_options: is not a mapping"),
        ({"firewall_rules": {"ports": [80]}}, "host_baseline_firewall_rules: is not a list"),
        ({"firewall": "perhaps"}, "host_baseline_firewall: 'perhaps' is not a boolean"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], part: str) -> None:
    refusals, unfit = problems(inputs(**changes), DEVICE, Live())
    assert [part in sentence for sentence in refusals] == [True]
    assert unfit == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"os_id": "fedora", "os_version": "41"}, "This host runs fedora 41"),
        ({"os_version": "11"}, "This host runs debian 11"),
        ({"systemd": False}, "not booted by systemd"),
    ],
)
def test_unsupported_hosts_are_refused(changes: dict[str, Any], part: str) -> None:
    refusals, unfit = problems(inputs(), {**DEVICE, **changes}, Live())
    assert refusals == [], "a wrong system is not an error in the inventory"
    assert [part in sentence for sentence in unfit] == [True]


def test_all_errors_are_reported_at_once() -> None:
    wrong = inputs(hostname="a.b", packages="x", apt_refresh_seconds="soon", ca_certificates=["/gone.pem"])
    refusals, unfit = problems(wrong, {**DEVICE, "systemd": False}, Live(timezone_known=False))
    assert sorted(text.split(":")[0] for text in refusals) == [
        "host_baseline_apt_refresh_seconds",
        "host_baseline_ca_certificates[0]",
        "host_baseline_hostname",
        "host_baseline_packages",
    ]
    assert len(unfit) == 2


def test_a_zone_that_only_other_hosts_know_is_not_an_inventory_error() -> None:
    refusals, unfit = problems(inputs(timezone="US/Pacific"), DEVICE, Live(timezone_known=False))
    assert refusals == []
    assert unfit[0].startswith("host_baseline_timezone: 'US/Pacific' is not known to this host")


def test_what_a_host_cannot_have_is_reported() -> None:
    container = {**DEVICE, "container": True}
    assert set(not_applicable(inputs(), container, Live(hostname="pi-01"))) == {"hostname", "time sync"}
    assert set(not_applicable(inputs(), container, named("pi-01", "x"))) == {"time sync"}
    assert not_applicable(inputs(), DEVICE, Live(packages={"chrony": "4"}))["time sync"].startswith("chrony")
    assert not_applicable(inputs(), DEVICE, Live()) == {}


def test_packages_follow_features() -> None:
    assert {"nftables", "avahi-daemon", "systemd-timesyncd", "unattended-upgrades"} <= set(
        wanted_packages(inputs(), {})
    )
    off = inputs(
        firewall=False,
        mdns=False,
        time_sync=False,
        timezone="",
        unattended_upgrades=False,
        packages=["jq=1.7"],
    )
    assert wanted_packages(off, {}) == ["jq=1.7"]
    installed = {"jq": "1.6", "curl": "8"}
    missing = missing_packages(["jq=1.7", "curl", "git"], installed)
    assert package_sentences(missing, installed) == [
        "package jq=1.7: 1.6 is installed",
        "package git: is not installed",
    ]
    assert plan(inputs(packages=["git"]), DEVICE, Live()).pending[0] == "package git: is not installed"


@pytest.mark.parametrize(
    ("changes", "user", "proven", "present", "absent"),
    [
        ({}, "pi", True, ["PasswordAuthentication no", "PermitRootLogin no"], ["AllowUsers"]),
        ({}, "pi", False, ["PermitRootLogin no"], ["PasswordAuthentication", "KbdInteractive"]),
        ({}, "root", True, ["PermitRootLogin prohibit-password"], []),
        ({}, "root", False, [], ["PermitRootLogin", "PasswordAuthentication"]),
        ({"ssh_password_login": True}, "pi", True, [], ["PasswordAuthentication"]),
        ({"ssh_allow_users": ["al"], "admin_user": "ops"}, "pi", True, ["AllowUsers al ops pi"], []),
        ({"ssh_options": {"LoginGraceTime": "9"}}, "pi", True, ["LoginGraceTime 9"], ["LoginGraceTime 30"]),
    ],
)
def test_sshd_dropin(changes: dict[str, Any], user: str, proven: bool, present: list[str], absent: list[str]) -> None:
    text = sshd_dropin(inputs(**changes), user, proven)
    assert all(f"\n{line}\n" in text for line in present)
    assert not any(line in text for line in absent)


def test_password_login_is_not_turned_off_without_proof() -> None:
    on = Live(sshd={"passwordauthentication": ("yes",)}, controller_user="pi", units={SSHD_UNIT: UP})
    first = plan_access(inputs(), on)
    assert first.needs["proof"]
    assert "PasswordAuthentication no" in written(first, "access")[SSHD_DROPIN].content
    without_key = written(plan_access(inputs(unproven=True), on), "access")[SSHD_DROPIN].content
    assert "PasswordAuthentication" not in without_key
    kept = {**firewall_files(), SSHD_DROPIN: LiveFile(without_key, 0o644, 50.0)}
    units = {**on.units, firewall.UNIT: UP}
    again = Live(sshd=on.sshd, controller_user="pi", units=units, files=kept, firewall_table=RULES)
    assert plan_access(inputs(), again).needs["proof"], "the next run tries again"
    assert not plan_access(inputs(), again).needs["due_unproven"], "and without the proof changes nothing"
    assert plan_access(inputs(unproven=True), again).pending == [], "and verify takes what could be had"
    off = Live(sshd={"passwordauthentication": ("no",), "kbdinteractiveauthentication": ("no",)}, controller_user="pi")
    assert not plan_access(inputs(), off).needs["proof"]


def test_hardening_that_would_not_count_is_refused_before_anything_changes() -> None:
    live = Live(overruled=("for pi sshd would take PasswordAuthentication yes (not no)",))
    refusals, unfit = problems(inputs(), DEVICE, live)
    assert refusals == []
    assert unfit[0].startswith(
        "host_baseline_ssh_hardening: for pi sshd would take PasswordAuthentication yes (not no)"
    )
    assert problems(inputs(ssh_hardening=False), DEVICE, live) == ([], [])


def test_sshd_that_missed_its_reload_is_seen() -> None:
    text = sshd_dropin(inputs(), "pi", True)
    missed = f"unit {SSHD_UNIT}: runs since before {SSHD_DROPIN} changed"
    for modified, stale in ((50.0, False), (150.0, True)):
        live = Live(controller_user="pi", units={SSHD_UNIT: UP}, files={SSHD_DROPIN: LiveFile(text, 0o644, modified)})
        found = plan_access(inputs(), live)
        assert found.needs["reload_ssh"] is stale
        assert (missed in found.pending) is stale


def test_sshd_that_a_socket_starts_is_as_wanted() -> None:
    """Ubuntu 24.04 enables ssh.socket in place of ssh.service."""
    text = sshd_dropin(inputs(), "pi", True)
    live = Live(
        controller_user="pi",
        units={SSHD_UNIT: LiveUnit(True, True, False, 100.0)},
        files={SSHD_DROPIN: LiveFile(text, 0o644, 50.0)},
    )
    assert not plan_access(inputs(firewall=False), live).needs["due"]


def test_kernel_without_nftables_is_unfit_before_anything_changes() -> None:
    live = Live(kernel_config="CONFIG_NETFILTER=y\n# CONFIG_NF_TABLES is not set\n")
    refusals, unfit = problems(inputs(), DEVICE, live)
    assert refusals == []
    assert "host_baseline_firewall: this host's kernel was built without CONFIG_NF_TABLES" in unfit[0]
    assert problems(inputs(firewall=False), DEVICE, live) == ([], [])


RULES = firewall.render([], [22], ["0.0.0.0/0", "::/0"], "", True)


def firewall_files() -> dict[str, LiveFile]:
    """Return the firewall's files as they should be."""
    return {
        firewall.UNIT_PATH: LiveFile(firewall.UNIT_TEXT, 0o644, 50.0),
        firewall.RULES_PATH: LiveFile(RULES, 0o644, 50.0),
    }


@pytest.mark.parametrize(
    ("changes", "pending", "state"),
    [
        ({}, [], ""),
        (
            {"firewall_table": ""},
            [f"unit {firewall.UNIT}: the kernel has other rules in the table inet edge_slm, or none"],
            "reloaded",
        ),
        ({"units": {firewall.UNIT: LiveUnit(True, False, True, 100.0)}}, ["is not running"], "started"),
        ({"units": {firewall.UNIT: LiveUnit(True, True, False, 100.0)}}, ["is not enabled"], "started"),
        ({"units": {firewall.UNIT: LiveUnit(False, False, False, 0.0, masked=True)}}, ["is masked"], "started"),
        ({"rollback_armed": True}, ["was not confirmed by a fresh login"], ""),
    ],
)
def test_drift_of_the_firewall(changes: dict[str, Any], pending: list[str], state: str) -> None:
    values = {"units": {firewall.UNIT: UP}, "files": firewall_files(), "firewall_table": RULES, **changes}
    found = plan_access(inputs(ssh_hardening=False), Live(**values))
    assert [part in sentence for part, sentence in zip(pending, found.pending, strict=True)] == [True] * len(pending)
    assert [unit["state"] for unit in found.needs["units"]] == ([state] if state else [])
    assert found.needs["due"] is bool(pending)


def test_hand_edited_rules_and_their_mode_are_seen() -> None:
    files = firewall_files()
    files[firewall.RULES_PATH] = LiveFile(RULES, 0o666, 50.0)
    files[firewall.UNIT_PATH] = LiveFile("[Unit]\n", 0o644, 50.0)
    live = Live(units={firewall.UNIT: UP}, files=files, firewall_table=RULES)
    assert plan_access(inputs(ssh_hardening=False), live).pending == [
        f"file {firewall.UNIT_PATH}: its text differs",
        f"file {firewall.RULES_PATH}: its mode is 0666, not 0644",
        f"unit {firewall.UNIT}: its configuration changes",
    ]


def test_a_firewall_turned_off_leaves_nothing() -> None:
    live = Live(units={firewall.UNIT: UP}, files=firewall_files(), firewall_table=RULES)
    off = plan_access(inputs(firewall=False, ssh_hardening=False), live)
    assert off.files["access"].remove == sorted([firewall.RULES_PATH, firewall.UNIT_PATH])
    assert [unit["state"] for unit in off.needs["stop"]] == ["stopped"]
    flushed = plan_access(inputs(firewall=False, ssh_hardening=False), Live(firewall_table=RULES))
    assert flushed.needs["left_over"]
    assert flushed.pending == ["firewall: the kernel has a table inet edge_slm, which is no longer wanted"]


@pytest.mark.parametrize(("ago", "due"), [(None, True), (10.0, False), (90000.0, True), (-5.0, True)])
def test_upgrade_is_due_by_the_time_stamp(ago: float | None, due: bool) -> None:
    found = plan(inputs(), DEVICE, Live(refreshed_ago=ago))
    assert found.needs["upgrade"] is due
    assert any(sentence.startswith("packages: all of them were") for sentence in found.pending) is due
    assert not plan(inputs(full_upgrade=False), DEVICE, Live(refreshed_ago=ago)).needs["upgrade"]


YEARS_BEHIND = Live(now=1_000_000_000.0, units={TIMESYNC_UNIT: UP})


@pytest.mark.parametrize(
    ("given", "device", "live", "sentence"),
    [
        (
            {},
            DEVICE,
            YEARS_BEHIND,
            "clock: is 3650 days, 0:00:00 behind the controller's, and no time server has set it",
        ),
        ({}, DEVICE, replace(YEARS_BEHIND, now=1_315_363_600.0), "clock: is 1:00:00 ahead of the controller's"),
        ({}, DEVICE, replace(YEARS_BEHIND, now=1_315_359_900.0), ""),
        # The controller's clock may be the wrong one.
        ({}, DEVICE, replace(YEARS_BEHIND, synchronised=True), ""),
        ({}, DEVICE, replace(YEARS_BEHIND, packages={"chrony": "4"}), ""),
        ({}, {**DEVICE, "container": True}, YEARS_BEHIND, ""),
        ({"time_sync": False}, DEVICE, YEARS_BEHIND, ""),
        ({"controller_time": None}, DEVICE, YEARS_BEHIND, ""),
    ],
)
def test_a_wrong_clock_is_seen(given: dict[str, Any], device: dict[str, Any], live: Live, sentence: str) -> None:
    wanted = inputs(**{"ntp_servers": ["ntp.lan"], "controller_time": 1_315_360_000.0, **given})
    found = plan(wanted, device, live)
    assert [text[: len(sentence)] for text in found.pending if text.startswith("clock")] == [sentence] * bool(sentence)
    assert found.needs["clock"] == {"wrong": bool(sentence), "time_servers": True}
    assert list(written(found, "clock")) == [TIMESYNC_CONF] * bool(sentence)


def test_the_clock_is_right_before_anything_is_downloaded() -> None:
    first = yaml.safe_load((ROLE / "tasks" / "install.yml").read_text(encoding="utf-8"))[0]
    assert first["ansible.builtin.include_tasks"] == "clock.yml"


@pytest.mark.parametrize(
    ("found", "pending"),
    [
        ({}, []),
        ({"/etc/edge-slm": LiveFile("", 0o755, 1.0)}, []),
        ({"/etc/edge-slm": LiveFile("", 0o777, 1.0)}, ["directory /etc/edge-slm: its mode is 0777, not 0755"]),
        (
            {"/opt/edge-slm": LiveFile("", 0o755, 1.0, "pi", "pi")},
            ["directory /opt/edge-slm: it belongs to pi:pi, not root:root"],
        ),
    ],
)
def test_shared_directories_are_roots_alone(found: dict[str, LiveFile], pending: list[str]) -> None:
    sentences = plan(inputs(), DEVICE, Live(files=found)).pending
    assert [sentence for sentence in sentences if sentence.startswith("directory")] == pending


def test_a_feature_turned_off_takes_its_file_along() -> None:
    live = Live(files={JOURNAL_CONF: LiveFile("", 0o644, 1.0)}, units={"systemd-journald.service": UP})
    found = plan(inputs(journal_max_mib=0), DEVICE, live)
    assert found.files["configure"].remove == [JOURNAL_CONF]
    assert "unit systemd-journald.service: its configuration changes" in found.pending
    assert plan(inputs(mdns=False), DEVICE, Live(files={AVAHI_DROPIN: LiveFile("", 0o644, 1.0)})).files[
        "configure"
    ].remove == [AVAHI_DROPIN]


@pytest.mark.parametrize(
    ("device", "live", "pending"),
    [
        (DEVICE, named("pi-01"), []),
        (DEVICE, named("pi-01", "other"), ["hostname: is other now and pi-01 at boot, not pi-01"]),
        (DEVICE, named("raspberrypi"), ["hostname: is raspberrypi now and raspberrypi at boot, not pi-01"]),
        (DEVICE, Live(hostname="pi-01"), ["hostname: is pi-01 now and none at boot, not pi-01"]),
        # A container's name is its engine's, but not one that somebody gave it meanwhile.
        (
            {**DEVICE, "container": True},
            named("pi-01", "other"),
            ["hostname: is other now and pi-01 at boot, not pi-01"],
        ),
        ({**DEVICE, "container": True}, named("d5f9c0"), []),
    ],
)
def test_names_of_the_host(device: dict[str, Any], live: Live, pending: list[str]) -> None:
    found = plan(inputs(), device, live)
    assert [sentence for sentence in found.pending if sentence.startswith("hostname")] == pending
    assert found.needs["hostname"] is bool(pending)


@pytest.mark.parametrize(
    ("authorized", "pending"),
    [
        (KEY, []),
        (f'from="10.0.0.0/8",no-pty {KEY} of another name', []),
        (f"# {KEY}", ["user ops: 1 of its public keys may not log in"]),
        (f"  #{KEY}\n", ["user ops: 1 of its public keys may not log in"]),
        ("", ["user ops: 1 of its public keys may not log in"]),
        (KEY.replace("A" * 68, "A" * 67 + "B"), ["user ops: 1 of its public keys may not log in"]),
        (KEY.replace("A" * 68, "A" * 72), ["user ops: 1 of its public keys may not log in"]),
    ],
)
def test_admin_keys_are_compared_as_sshd_reads_them(authorized: str, pending: list[str]) -> None:
    live = Live(admin_groups=("ops", "sudo"), admin_authorized=authorized)
    found = plan(inputs(admin_user="ops", admin_keys=[KEY]), DEVICE, live)
    assert [sentence for sentence in found.pending if sentence.startswith("user")] == pending


@pytest.mark.parametrize(
    ("groups", "pending"),
    [
        (None, ["user ops: is missing"]),
        (("ops",), ["user ops: is not a member of the group sudo"]),
        (("ops", "sudo"), []),
    ],
)
def test_the_admin_user(groups: tuple[str, ...] | None, pending: list[str]) -> None:
    found = plan(inputs(admin_user="ops"), DEVICE, Live(admin_groups=groups))
    assert [sentence for sentence in found.pending if sentence.startswith("user")] == pending


@pytest.mark.parametrize(
    ("unit", "pending", "action"),
    [
        (UP, [], {}),
        (LiveUnit(True, False, True, 100.0), ["is not running"], {"state": "started", "enabled": True}),
        (LiveUnit(True, True, False, 100.0), ["is not enabled"], {"state": "started", "enabled": True}),
        (
            LiveUnit(False, False, False, 0.0, masked=True),
            ["is masked"],
            {"state": "started", "enabled": True, "masked": False},
        ),
    ],
)
def test_drift_of_units(unit: LiveUnit, pending: list[str], action: dict[str, Any]) -> None:
    found = plan(inputs(), DEVICE, Live(units={"apt-daily.timer": unit}))
    assert [text for text in found.pending if "apt-daily.timer" in text] == [
        f"unit apt-daily.timer: {why}" for why in pending
    ]
    actions = [entry for entry in found.needs["units"] if entry["name"] == "apt-daily.timer"]
    assert [action.items() <= entry.items() for entry in actions] == [True] * len(pending)


def test_apt_goes_out_as_the_host_does() -> None:
    proxies = {"https_proxy": "http://p:3128", "no_proxy": "mirror.lan,.lan,10.0.0.0/8,::1"}
    assert apt_proxy_conf(proxies).splitlines()[1:] == [
        'Acquire::https::Proxy "http://p:3128";',
        'Acquire::https::Proxy::mirror.lan "DIRECT";',
    ]
    found = plan(inputs(proxy_environment=proxies), DEVICE, Live())
    assert set(written(found, "apt")) == {APT_PROXY_CONF}, "before apt is asked for anything"
    there = Live(files={APT_PROXY_CONF: LiveFile("", 0o644, 1.0)})
    for without in ({}, {"no_proxy": "a"}):
        assert plan(inputs(proxy_environment=without), DEVICE, there).files["apt"].remove == [APT_PROXY_CONF]


def test_absent_takes_away_what_the_role_wrote() -> None:
    paths = (JOURNAL_CONF, AVAHI_CONF, AVAHI_DROPIN, CLOUD_CONF, SUDOERS, SSHD_DROPIN)
    live = Live(
        files={**firewall_files(), **{path: LiveFile("", 0o644, 50.0) for path in paths}},
        units=dict.fromkeys((firewall.UNIT, SSHD_UNIT, "avahi-daemon.service", "systemd-journald.service"), UP),
        ca_files=("/usr/local/share/ca-certificates/edge-slm-corp.crt",),
        firewall_table=RULES,
    )
    found = plan_absent(live)
    assert set(found.files["configure"].remove) == set(paths) - {SSHD_DROPIN}
    assert set(found.files["access"].remove) == {SSHD_DROPIN, firewall.RULES_PATH, firewall.UNIT_PATH}
    assert found.files["certificates"].remove == list(live.ca_files)
    assert found.needs["access"]["reload_ssh"]
    assert not found.needs["access"]["proof"]
    assert {unit["name"] for unit in found.needs["units"]} == {"avahi-daemon.service", "systemd-journald.service"}
    assert f"{JOURNAL_CONF}: is no longer wanted" in found.pending
    assert "packages, upgrades, the host name" in found.not_applicable[0]
    assert plan_absent(Live(units={SSHD_UNIT: UP})).pending == []


def test_absent_does_not_take_root_from_the_user_that_removes() -> None:
    files = {SUDOERS: LiveFile(f"{HEADER}ops ALL=(ALL) NOPASSWD: ALL\n", 0o440, 50.0)}
    kept = plan_absent(Live(files=files, controller_user="ops"))
    assert kept.pending == []
    assert any(text.startswith(f"{SUDOERS}: stays") for text in kept.not_applicable)
    assert plan_absent(Live(files=files, controller_user="pi")).files["configure"].remove == [SUDOERS]


def test_certificates_get_a_file_each() -> None:
    files = certificates([("/some where/corp ca.pem", "# bundle\n" + PEM + PEM.replace("TUlJ", "QUJD"))])
    assert [file.path.rsplit("/", 1)[1] for file in files] == [
        "edge-slm-corp-ca.crt",
        "edge-slm-corp-ca-2.crt",
    ]
    assert not bundle_lacks(files, "".join(file.content for file in files))
    assert bundle_lacks(files, PEM)


def test_certificates_of_one_name_are_all_written() -> None:
    other, third = PEM.replace("TUlJ", "QUJD"), PEM.replace("TUlJ", "REVG")
    files = certificates([("/a/ca.pem", PEM + third), ("/b/ca.pem", other), ("/c/ca.pem", PEM), ("/d/ca-2.pem", other)])
    assert len({file.path for file in files}) == len(files)
    assert {file.content for file in files} == {PEM, other, third}
    assert files == certificates([("/a/ca.pem", PEM + third), ("/b/ca.pem", other), ("/d/ca-2.pem", other)])


def test_a_certificate_that_the_bundle_lacks_is_seen() -> None:
    target = certificates([("/ca.pem", PEM)])[0]
    files = {target.path: LiveFile(target.content, 0o644, 1.0), CA_BUNDLE: LiveFile("", 0o644, 1.0)}
    found = plan(inputs(ca_certificates=["/ca.pem"], ca_texts=[PEM]), DEVICE, Live(files=files))
    assert f"file {CA_BUNDLE}: lacks a CA certificate" in found.pending
    assert found.needs["ca_bundle"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1\tlocalhost\n", "127.0.0.1\tlocalhost\n127.0.1.1\tpi-01\n"),
        ("127.0.1.1 raspberrypi\n", "127.0.1.1\tpi-01\n"),
        ("127.0.1.1 pi-01.lan pi-01\n", "127.0.1.1 pi-01.lan pi-01\n"),
    ],
)
def test_own_name_in_hosts(before: str, after: str) -> None:
    assert hosts_text(before, "pi-01") == after


def test_only_security_fixes_come_unattended() -> None:
    text = upgrades_conf(inputs(unattended_hold=["docker.*"], unattended_reboot_time="03:30"))
    assert 'label=Debian-Security"' in text
    assert "label=Debian," not in text
    assert '"docker.*";' in text
    assert 'Automatic-Reboot-Time "03:30"' in text
    assert 'Automatic-Reboot "false"' in upgrades_conf(inputs())


def test_locale_names_are_compared_as_the_system_spells_them() -> None:
    assert same_locale("en_GB.UTF-8") == "en_GB.utf8"


@pytest.mark.parametrize(
    ("files", "units", "named"),
    [
        pytest.param({}, {}, "", id="none"),
        pytest.param({firewall.UFW_CONF: "ENABLED=no\n"}, {}, "", id="ufw disabled"),
        pytest.param({firewall.UFW_CONF: "# on\nENABLED=yes\n"}, {}, "ufw guards", id="ufw"),
        pytest.param({}, {"firewalld.service": LiveUnit(True, True, True, 1.0)}, "firewalld guards", id="firewalld"),
        pytest.param({}, {"firewalld.service": LiveUnit(True, False, False, 1.0)}, "", id="firewalld stopped"),
    ],
)
def test_somebody_elses_firewall_is_named_with_the_ways_out(
    files: dict[str, str], units: dict[str, LiveUnit], named: str
) -> None:
    live = Live(files={path: LiveFile(text, 0o644, 1.0) for path, text in files.items()}, units=units)
    _refusals, unfit = problems(inputs(), DEVICE, live)
    assert [named in sentence for sentence in unfit] == ([True] if named else [])
    assert problems(inputs(firewall=False), DEVICE, live)[1] == []


def test_clients_reach_the_ports_of_services_and_nothing_else() -> None:
    given = inputs(client_ports=[8080, 8090], client_networks=["100.64.0.0/10", "2001:db8::/32"])
    rules = written(plan_access(given, Live()), "access")[firewall.RULES_PATH].content
    assert 'ip saddr { 100.64.0.0/10 } tcp dport { 8080, 8090 } accept comment "clients"' in rules
    assert 'ip6 saddr { 2001:db8::/32 } tcp dport { 8080, 8090 } accept comment "clients"' in rules
    closed = inputs(client_networks=["100.64.0.0/10"])
    assert "clients" not in written(plan_access(closed, Live()), "access")[firewall.RULES_PATH].content

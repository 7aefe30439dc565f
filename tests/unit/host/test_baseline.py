"""Decisions of the role host_baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import firewall
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.baseline import (
    JOURNAL_CONF,
    SSHD_DROPIN,
    SSHD_UNIT,
    WAY_BACK_UNIT,
    Inputs,
    Live,
    bundle_lacks,
    certificates,
    hosts_text,
    missing_packages,
    not_applicable,
    plan,
    plan_firewall,
    plan_ssh,
    problems,
    same_locale,
    sshd_dropin,
    upgrades_conf,
    wanted_packages,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit

ROLE = Path(__file__).resolve().parents[3] / "roles" / "host_baseline"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
KEY = "ssh-ed25519 " + "A" * 68 + " me"
PEM = "-----BEGIN CERTIFICATE-----\nTUlJ\nQmFz\n-----END CERTIFICATE-----\n"
DEVICE = {"os_id": "debian", "os_version": "13", "systemd": True, "container": False}
UP = LiveUnit(True, True, True, 100.0)


def inputs(**changes: Any) -> Inputs:
    values = {name.removeprefix("host_baseline_"): value for name, value in DEFAULTS.items()}
    return Inputs.of({**values, "hostname": "pi-01", **changes})


def test_role_passes_every_input_to_its_module() -> None:
    passed = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__host_baseline_inputs"]
    assert {f"host_baseline_{name}": value.strip("{} ") for name, value in passed.items()} == {
        name: name for name in DEFAULTS
    }


@pytest.mark.parametrize("device", [DEVICE, {**DEVICE, "os_id": "ubuntu", "os_version": "22.04"}])
def test_defaults_have_no_problems(device: dict[str, Any]) -> None:
    assert problems(inputs(), device, Live(), []) == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hostname": "pi_01"}, "host_baseline_hostname: 'pi_01'"),
        ({"hostname": "192"}, "host_baseline_hostname: is '192', part of an address"),
        ({"admin_user": "Pi"}, "host_baseline_admin_user"),
        ({"admin_keys": [KEY]}, "host_baseline_admin_keys: whose are they"),
        (
            {"admin_user": "ops", "admin_keys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]},
            "admin_keys[0]: is a private",
        ),
        (
            {"admin_user": "ops", "admin_keys": [KEY, "nonsense"]},
            "host_baseline_admin_keys[1]: is no public key",
        ),
        ({"ssh_options": {"PasswordAuthentication": "no"}}, "set host_baseline_ssh_password_login"),
        ({"ssh_options": {"AllowUsers": "me"}}, "set host_baseline_ssh_allow_users"),
        ({"ssh_options": {"Match": "all"}}, "host_baseline_ssh_options: 'Match'"),
        ({"ssh_cidrs": ["10.0.0.1/8"]}, "host_baseline_ssh_cidrs[0]"),
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
        ({"ca_certificates": ["/gone.pem"]}, "host_baseline_ca_certificates: not all"),
    ],
)
def test_bad_inputs_are_refused_by_name(changes: dict[str, Any], part: str) -> None:
    assert part in " ".join(problems(inputs(**changes), DEVICE, Live(), []))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"os_id": "fedora", "os_version": "41"}, "This host runs fedora 41"),
        ({"os_version": "11"}, "This host runs debian 11"),
        ({"systemd": False}, "not booted by systemd"),
    ],
)
def test_unsupported_hosts_are_refused(changes: dict[str, Any], part: str) -> None:
    assert part in " ".join(problems(inputs(), {**DEVICE, **changes}, Live(), []))


def test_unknown_zone_and_broken_certificate_are_refused() -> None:
    found = problems(
        inputs(timezone="Mars/Olympus", ca_certificates=["/ca.pem"]),
        DEVICE,
        Live(timezone_known=False),
        ["text"],
    )
    assert [text.split(":")[0] for text in found] == [
        "host_baseline_timezone",
        "host_baseline_ca_certificates",
    ]


def test_what_a_host_cannot_have_is_told() -> None:
    container = {**DEVICE, "container": True}
    assert set(not_applicable(inputs(), container, Live(hostname="x"))) == {"hostname", "time sync"}
    assert set(not_applicable(inputs(), container, Live(hostname="pi-01"))) == {"time sync"}
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
    assert missing_packages(["jq=1.7", "curl", "git"], {"jq": "1.6", "curl": "8"}) == ["jq=1.7", "git"]


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
    on = Live(sshd={"passwordauthentication": "yes"}, controller_user="pi", units={SSHD_UNIT: UP})
    first = plan_ssh(inputs(), on)
    assert first["needs_proof"]
    assert "PasswordAuthentication no" in first["with_key"][0]["content"]
    assert "PasswordAuthentication" not in first["without_key"][0]["content"]
    kept = LiveFile(first["without_key"][0]["content"], 0o644, 50.0)
    again = Live(sshd=on.sshd, controller_user="pi", units=on.units, files={SSHD_DROPIN: kept})
    assert plan_ssh(inputs(), again)["needs_proof"], "the next run tries again"
    assert not plan_ssh(inputs(), again, unproven=True)["due"], "and verify takes what could be had"
    off = Live(sshd={"passwordauthentication": "no", "kbdinteractiveauthentication": "no"}, controller_user="pi")
    assert not plan_ssh(inputs(), off)["needs_proof"]


def test_sshd_that_missed_its_reload_is_seen() -> None:
    text = sshd_dropin(inputs(), "pi", True)
    for modified, stale in ((50.0, False), (150.0, True)):
        live = Live(controller_user="pi", units={SSHD_UNIT: UP}, files={SSHD_DROPIN: LiveFile(text, 0o644, modified)})
        assert plan_ssh(inputs(), live)["stale"] is stale


def test_kernel_without_nftables_is_refused_before_anything_changes() -> None:
    live = Live(kernel_config="CONFIG_NETFILTER=y\n# CONFIG_NF_TABLES is not set\n")
    found = " ".join(problems(inputs(), DEVICE, live, []))
    assert "host_baseline_firewall: this host's kernel was built without CONFIG_NF_TABLES" in found
    assert problems(inputs(firewall=False), DEVICE, live, []) == []


def test_firewall_that_was_flushed_is_seen() -> None:
    rules = firewall.render([], [22], ["0.0.0.0/0", "::/0"], "", True)
    files = {
        firewall.UNIT_PATH: LiveFile(firewall.UNIT_TEXT, 0o644, 50.0),
        firewall.RULES_PATH: LiveFile(rules, 0o644, 50.0),
    }
    whole = Live(units={firewall.UNIT: UP}, files=files, firewall_table=rules)
    assert not plan_firewall(inputs(), whole)["due"]
    flushed = Live(units={firewall.UNIT: UP}, files=files)
    assert plan_firewall(inputs(), flushed)["units"][0]["state"] == "reloaded"
    assert plan_firewall(inputs(firewall=False), whole)["units"][0]["state"] == "stopped"


def test_a_way_back_left_armed_is_pending() -> None:
    assert "way back" in plan(inputs(), DEVICE, Live(units={WAY_BACK_UNIT: UP}), [])["pending"]


@pytest.mark.parametrize(("ago", "due"), [(None, True), (10.0, False), (90000.0, True), (-5.0, True)])
def test_upgrade_is_due_by_the_time_stamp(ago: float | None, due: bool) -> None:
    assert plan(inputs(), DEVICE, Live(refreshed_ago=ago), [])["refresh"] is due
    assert not plan(inputs(full_upgrade=False), DEVICE, Live(refreshed_ago=ago), [])["refresh"]


def test_a_feature_turned_off_takes_its_file_along() -> None:
    live = Live(files={JOURNAL_CONF: LiveFile("", 0o644, 1.0)}, units={"systemd-journald.service": UP})
    found = plan(inputs(journal_max_mib=0), DEVICE, live, [])
    assert found["remove"] == [JOURNAL_CONF]
    assert {"name": "systemd-journald.service", "state": "restarted", "enabled": True} in found["units"]


def test_certificates_get_a_file_each() -> None:
    files = certificates(["/some where/corp ca.pem"], ["# bundle\n" + PEM + PEM.replace("TUlJ", "QUJD")])
    assert [file.path.rsplit("/", 1)[1] for file in files] == [
        "edge-slm-corp-ca.crt",
        "edge-slm-corp-ca-2.crt",
    ]
    assert not bundle_lacks(files, "".join(file.content for file in files))
    assert bundle_lacks(files, PEM)


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

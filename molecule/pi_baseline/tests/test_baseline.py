"""The roles host_baseline and pi_baseline, seen from outside and from within."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices import INVENTORY, NETWORK, ROOT, connect, wait_for_boot, wait_until
from plays import refused

OPEN, CLOSED = 8080, 9100
ROLLBACK = Path(__file__).resolve().parents[3] / "roles/host_baseline/files/access-rollback"


@pytest.fixture(scope="module")
def host() -> Any:
    return connect("pi-01")


@pytest.fixture(scope="module")
def neighbour() -> Any:
    return connect("pi-02")


@pytest.fixture(scope="module")
def login() -> list[str]:
    """Return the ssh command of the controller, without the user."""
    argv = ["ansible", "pi-01", "--inventory", INVENTORY, "--module-name", "ansible.builtin.debug", "--args"]
    message = "msg={{ ansible_host }}|{{ fleet_key }}|"
    # One line, whatever callback the configuration chooses.
    done = subprocess.run(
        [*argv, message], capture_output=True, check=True, text=True, env={**os.environ, "COLUMNS": "1000"}
    )
    address, key = done.stdout.split("msg", 1)[1].strip("': \"").replace("\n", "").split("|")[:2]
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    return ["ssh", *(word for option in options for word in ("-o", option)), "-i", key, address]


def test_sshd_takes_keys_only(host: Any) -> None:
    effective = host.run("/usr/sbin/sshd -T").stdout.splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no"} <= set(effective)


def test_controller_logs_in_by_key_and_not_without(login: list[str]) -> None:
    assert subprocess.run([*login, "-l", "pi", "true"], check=False).returncode == 0
    refused = subprocess.run(
        [*login[:1], "-o", "PubkeyAuthentication=no", *login[1:], "-l", "pi", "true"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert "Permission denied (publickey)" in refused.stderr


def test_admin_user_logs_in_and_is_root_by_sudo(login: list[str]) -> None:
    done = subprocess.run([*login, "-l", "ops", "sudo -n id -u"], capture_output=True, check=False, text=True)
    assert done.stdout.strip() == "0"


def test_no_rollback_timer_is_left(host: Any) -> None:
    assert host.run("systemctl is-active edge-slm-access-rollback.timer").stdout.strip() == "inactive"
    assert not host.file("/var/lib/edge-slm/access-rollback").exists


SSHD_CONFIG = "/etc/ssh/sshd_config"
DROPIN, RULES = "/etc/ssh/sshd_config.d/00-edge-slm.conf", "/etc/edge-slm/firewall.nft"
SAVED = "/var/lib/edge-slm/access-rollback/saved"


@pytest.fixture
def rollback(host: Any) -> str:
    """Return the command of the rollback script, which is on the host only while access changes."""
    text = base64.b64encode(ROLLBACK.read_bytes()).decode()
    host.run_expect([0], f"echo {text} | base64 -d > /run/access-rollback")
    return "bash /run/access-rollback"


def access_of(host: Any) -> tuple[str, ...]:
    """Return what decides who can reach the host, in files, in sshd and in the kernel."""
    commands = (
        f"cat {DROPIN} {RULES} /etc/systemd/system/edge-slm-firewall.service",
        "/usr/sbin/sshd -T",
        "nft list table inet edge_slm",
        "systemctl is-active edge-slm-firewall",
        "systemctl is-enabled edge-slm-firewall",
    )
    return tuple(host.run(command).stdout for command in commands)


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_access_that_nobody_confirms_is_restored(host: Any, rollback: str, change: str) -> None:
    before = access_of(host)
    host.run_expect([0], f"{rollback} arm 4")
    if change == "edited":
        host.run_expect([0], f"echo 'DenyUsers nobody' >> {DROPIN}; echo > {RULES}; nft delete table inet edge_slm")
    else:
        host.run_expect([0], f"systemctl disable --now edge-slm-firewall; rm {DROPIN} {RULES}")
    # Of two changes that nobody has confirmed, what was before the first counts.
    host.run_expect([0], f"{rollback} arm 4")
    assert access_of(host) != before
    until = time.monotonic() + 30
    while host.file(SAVED).exists and time.monotonic() < until:
        time.sleep(0.5)
    assert access_of(host) == before
    assert host.run("systemctl list-unit-files edge-slm-access-rollback.*").rc == 1
    late = host.run(f"{rollback} confirm")
    assert late.rc == 1
    assert "The rollback timer has run before" in late.stderr


def test_access_that_nobody_confirms_is_restored_after_a_power_cut(host: Any, rollback: str) -> None:
    before = access_of(host)
    host.run_expect([0], f"{rollback} arm 4 && echo 'DenyUsers nobody' >> {DROPIN} && rm {RULES}")
    subprocess.run(["docker", "restart", "--time", "0", f"{NETWORK}-pi-01"], check=True, capture_output=True)
    wait_for_boot(host)
    wait_until(lambda: not host.file(SAVED).exists, "the timer runs after the boot")
    assert access_of(host) == before
    assert host.run("systemctl list-unit-files edge-slm-access-rollback.*").rc == 1


def test_access_that_is_confirmed_stays(host: Any, rollback: str) -> None:
    before = access_of(host)
    host.run_expect([0], f"{rollback} arm 4")
    host.run_expect([0], f"systemctl is-enabled edge-slm-access-rollback.timer && {rollback} confirm")
    host.run("sleep 6")
    assert access_of(host) == before
    assert not host.file("/var/lib/edge-slm/access-rollback").exists


@pytest.mark.parametrize("edit", ["1i PasswordAuthentication yes", "$a Match User pi\\n  PasswordAuthentication yes"])
def test_hardening_that_sshd_would_not_follow_is_refused(host: Any, edit: str) -> None:
    host.run_expect([0], f"cp -p {SSHD_CONFIG} /run/sshd_config && sed -i '{edit}' {SSHD_CONFIG}")
    try:
        found = refused(ROOT / "molecule/pi_baseline/converge.yml")
    finally:
        host.run_expect([0], f"cp -p /run/sshd_config {SSHD_CONFIG}")
    assert "host_baseline_ssh_hardening: for pi" in found
    assert "sshd would take PasswordAuthentication yes (not no)" in found


@pytest.fixture
def listeners(host: Any) -> Iterator[None]:
    """Answer on an open and on a closed port, where nothing answers yet."""
    units = []
    for port in (OPEN, CLOSED):
        if not host.run(f"ss -Hltn sport = :{port}").stdout:
            units.append(f"edge-slm-test-{port}")
            host.run_expect(
                [0], f"systemd-run --quiet --collect --unit={units[-1]} python3 -m http.server {port} -d /srv"
            )
    host.run("sleep 1")
    yield
    for unit in units:
        host.run(f"systemctl stop {unit}")


@pytest.mark.usefixtures("listeners")
def test_firewall_lets_in_what_is_named_and_drops_the_rest(host: Any, neighbour: Any) -> None:
    for port, reached in ((OPEN, True), (CLOSED, False)):
        local = host.run(f"curl -s -o /dev/null -m 5 http://127.0.0.1:{port}/")
        assert local.rc == 0, f"{port} answers on the host itself"
        distant = neighbour.run(f"curl -s -o /dev/null -m 5 http://pi-01:{port}/")
        assert (distant.rc == 0) is reached, f"{port} from the neighbour"


def test_firewall_owns_one_table_and_survives_a_boot(host: Any) -> None:
    tables = host.run("nft list tables").stdout.split("\n")
    assert "table inet edge_slm" in tables
    assert "table ip nat" in tables, "the engine's own table is still there"
    unit = host.service("edge-slm-firewall")
    assert unit.is_enabled
    assert unit.is_running


def test_firewall_comes_back_after_its_table_was_lost(host: Any) -> None:
    host.run_expect([0], "nft delete table inet edge_slm")
    host.run_expect([0], "systemctl restart edge-slm-firewall.service")
    assert "policy drop" in host.run("nft list table inet edge_slm").stdout


def test_name_in_the_local_network(host: Any) -> None:
    assert host.service("avahi-daemon").is_running
    assert host.run("getent hosts pi-01.local").rc == 0


def test_time_zone_and_locale(host: Any) -> None:
    assert host.file("/etc/localtime").linked_to == "/usr/share/zoneinfo/Europe/Berlin"
    assert "en_GB.utf8" in host.run("locale -a").stdout
    assert "LANG=en_GB.UTF-8" in host.file("/etc/default/locale").content_string


def test_security_fixes_come_unattended(host: Any) -> None:
    settings = host.run("apt-config dump").stdout
    origins = [line for line in settings.splitlines() if line.startswith("Unattended-Upgrade::Origins-Pattern::")]
    assert origins
    assert all("ecurity" in line for line in origins)
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    assert "docker.*" in settings


def test_journal_is_capped(host: Any) -> None:
    assert "SystemMaxUse=200M" in host.run("systemd-analyze cat-config systemd/journald.conf").stdout


def test_boot_settings(host: Any) -> None:
    config = host.file("/boot/firmware/config.txt").content_string
    assert config.startswith("dtparam=audio=on\n")
    assert config.count("gpu_mem=16") == 1
    assert config.index("[cm5]") < config.rindex("[all]") < config.index("gpu_mem=16")
    cmdline = host.file("/boot/firmware/cmdline.txt").content_string
    assert "\n" not in cmdline.strip(), "the kernel reads one line"
    assert "cgroup_enable=memory" in cmdline.split()


def test_system_is_sound(host: Any) -> None:
    assert host.run("systemctl get-default").stdout.strip() == "multi-user.target"
    assert host.run("systemctl --failed --no-legend").stdout == ""

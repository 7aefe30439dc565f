"""The roles host_baseline and jetson_baseline on a Jetson with a running Docker, seen from outside and from within."""

from __future__ import annotations

import time
from typing import Any

import pytest
from devices import connect

PUBLISHED, OPEN, SHUT = 8088, 11500, 9777


@pytest.fixture(scope="module")
def host() -> Any:
    return connect("jetson-01")


@pytest.fixture(scope="module")
def neighbour() -> Any:
    return connect("pi-02")


def docker_rules(host: Any) -> list[str]:
    """Return Docker's own rules, without counters."""
    return [line for line in host.run("iptables-save").stdout.splitlines() if line.startswith("-A")]


def reached(neighbour: Any) -> dict[int, bool]:
    """Return which ports of the Jetson answer to another host."""
    url = "http://jetson-01:{}/index.html"
    return {port: neighbour.run(f"curl -s -m 5 {url.format(port)}").rc == 0 for port in (PUBLISHED, OPEN, SHUT)}


def test_containers_are_reached_as_docker_and_the_firewall_say(neighbour: Any) -> None:
    assert reached(neighbour) == {PUBLISHED: True, OPEN: True, SHUT: False}


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_firewall_leaves_docker_alone(host: Any, neighbour: Any, verb: str) -> None:
    before = docker_rules(host)
    assert any("--dport 8088" in rule for rule in before)
    host.run_expect([0], f"systemctl {verb} edge-slm-firewall.service")
    assert docker_rules(host) == before
    assert reached(neighbour) == {PUBLISHED: True, OPEN: True, SHUT: False}


def test_docker_leaves_the_firewall_alone(host: Any, neighbour: Any) -> None:
    before = host.run("nft list table inet edge_slm").stdout
    host.run_expect([0], "systemctl restart docker.service")
    assert host.run("nft list table inet edge_slm").stdout == before
    wanted = {PUBLISHED: True, OPEN: True, SHUT: False}
    until = time.monotonic() + 30
    while (found := reached(neighbour)) != wanted and time.monotonic() < until:
        time.sleep(1)
    assert found == wanted


def test_a_package_on_hold_stays_while_all_others_are_upgraded(host: Any) -> None:
    assert host.package("edge-slm-held").version == "1"
    assert host.package("edge-slm-free").version == "2"


def test_what_unattended_upgrades_leave_alone(host: Any) -> None:
    settings = host.run("apt-config dump Unattended-Upgrade::Package-Blacklist").stdout
    assert all(f'"{name}"' in settings for name in ("docker.*", "containerd.*", "nvidia-l4t-.*"))


def test_the_power_mode_waits_for_a_boot_that_did_not_come(host: Any) -> None:
    assert host.file("/var/lib/nvpmodel/status").content_string.startswith("pmode:0000")
    assert host.file("/run/edge-slm/power-mode").content_string.strip() == "0"
    # The GPU's partitions are still those of the boot, in MODE_30W.
    assert host.file("/run/nvpmodel-stand-in.mask").content_string.strip() == "240"


def test_clocks_are_locked_and_go_back(host: Any) -> None:
    unit = host.service("edge-slm-jetson-clocks")
    assert unit.is_enabled
    assert unit.is_running
    locked = "GPU MinFreq=1300500000 MaxFreq=1300500000"
    assert locked in host.run("jetson_clocks --show").stdout
    host.run_expect([0], "systemctl stop edge-slm-jetson-clocks")
    assert locked not in host.run("jetson_clocks --show").stdout
    host.run_expect([0], "systemctl start edge-slm-jetson-clocks")
    assert locked in host.run("jetson_clocks --show").stdout


def test_jtop_is_on_path_in_the_pinned_version(host: Any) -> None:
    assert host.run("jtop --version").stdout.strip() == "jtop 7.2.2"
    assert host.file("/usr/local/bin/jtop").linked_to == "/opt/edge-slm/jtop/bin/jtop"
    assert "jtop" in host.user("pi").groups


def test_jtops_service_is_left_out_where_there_is_no_tegra(host: Any) -> None:
    assert not host.file("/etc/systemd/system/jtop.service").exists


def test_no_desktop_at_boot(host: Any) -> None:
    assert host.run("systemctl get-default").stdout.strip() == "multi-user.target"


def test_system_is_sound(host: Any) -> None:
    assert host.run("systemctl --failed --no-legend").stdout == ""

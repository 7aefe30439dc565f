"""discover.yml on a network of boards: real avahi and sshd, each in a network namespace, on a bridge of their own.

A board here is a container whose interface has a MAC address such as boards have; the controller is this machine.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery import boards
from devices import FLEET, NETWORK, ROOT, wait_until
from first_start import shell
from plays import changes, environment, played, refused

PREFIX = f"{NETWORK}-discover"
#: Of the range for tests of network devices (RFC 2544), which is nobody's LAN and in none of Docker's address pools:
#: NAT for a network around this one would give questions by mDNS another source port, and nobody would answer them.
#: Somebody is at each of its addresses: a scan waits three seconds for those where nobody is.
SUBNET = "198.18.250.0/29"
#: What makes the device image a system that has its name told, as Raspberry Pi OS does. No D-Bus runs here.
DOCKERFILE = """
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends avahi-daemon
RUN sed -i 's/^#\\?enable-dbus=.*/enable-dbus=no/' /etc/avahi/avahi-daemon.conf
"""
#: Ubuntu's sshd says so.
UBUNTU = "printf '%s\\n' 'DebianBanner no' 'VersionAddendum Ubuntu-3ubuntu0.13' >>/etc/ssh/sshd_config"


@dataclass(frozen=True)
class Host:
    """A container on the network."""

    name: str
    address: str
    mac: str
    setup: str = "true"

    def docker(self, *words: str) -> str:
        done = shell("docker", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, image: str, key: str) -> None:
        begin = (
            f"ip link set dev eth0 address {self.mac}; ssh-keygen -A >/dev/null; {self.setup}; "
            f"echo '{key}' >/home/pi/.ssh/authorized_keys; mkdir -p /run/sshd; /usr/sbin/sshd; "
            "rm -f /run/avahi-daemon/pid; exec avahi-daemon"
        )
        self.docker(
            *("run", "--detach", "--init", "--name", f"{PREFIX}-{self.name}", "--hostname", self.name),
            *("--label", f"edge-slm.fleet={NETWORK}", "--network", PREFIX, "--ip", self.address),
            *("--cap-add", "NET_ADMIN", image, "sh", "-c", begin),
        )

    def switch(self, on: bool) -> None:
        self.docker("start" if on else "stop", *(() if on else ("--time", "1")), f"{PREFIX}-{self.name}")
        if on:
            self.wait()
        else:
            wait_until(lambda: self.silent() >= 1, f"{self.name} is silent", 20)

    def silent(self) -> float:
        """Return for how many whole seconds it has been silent, as the kernel tells it and a scan compares it."""
        table = json.loads(shell("ip", "-statistics", "-json", "neighbour", "show", self.address).stdout)
        return boards.neighbours(table)[self.address].silent

    def wait(self) -> None:
        wait_until(lambda: shell("ssh-keyscan", "-T", "1", self.address).stdout != "", f"{self.name} answers", 20)

    def new_card(self) -> None:
        """Give it another host key, as the system on another card has."""
        new = "rm /etc/ssh/ssh_host_* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
        again = f"{new} && pkill -o -x sshd && sleep 0.2 && /usr/sbin/sshd"
        self.docker("exec", f"{PREFIX}-{self.name}", "sh", "-c", again)
        self.wait()

    def fingerprint(self) -> str:
        path = "/etc/ssh/ssh_host_ed25519_key.pub"
        return self.docker("exec", f"{PREFIX}-{self.name}", "ssh-keygen", "-lf", path).split()[1]


#: Not named yet, as it comes from the card.
FRESH = Host("raspberrypi", "198.18.250.2", "b8:27:eb:00:0a:01")
NAMED = Host("llmpi-07", "198.18.250.3", "2c:cf:67:00:0a:02")
JETSON = Host("tegra-ubuntu", "198.18.250.4", "48:b0:2d:00:0a:03", UBUNTU)
DESKTOP = Host("desktop", "198.18.250.5", "a8:a1:59:00:0a:04")
#: It has a MAC address of NVIDIA's, and no SSH.
TELEVISION = Host("shield", "198.18.250.6", "00:04:4b:00:0a:05", "exec avahi-daemon")
HOSTS = (FRESH, NAMED, JETSON, DESKTOP, TELEVISION)
#: Their names, where nobody has given them one.
NAMES = {FRESH: "pi-000a01", NAMED: "llmpi-07", JETSON: "jetson-000a03"}


def away() -> None:
    for host in HOSTS:
        shell("docker", "rm", "--force", f"{PREFIX}-{host.name}")
    shell("docker", "network", "rm", PREFIX)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    base = shell(str(ROOT / "tools/device-image")).stdout.strip()
    image = f"edge-slm/discover:{base.rpartition(':')[2]}"
    built = shell("docker", "build", "--tag", image, "-", input=f"FROM {base}\n{DOCKERFILE}")
    assert built.returncode == 0, built.stderr
    away()
    key = (FLEET / "id_ed25519.pub").read_text(encoding="utf-8").strip()
    try:
        assert shell("docker", "network", "create", "--subnet", SUBNET, PREFIX).returncode == 0
        for host in HOSTS:
            host.start(image, key)
        for host in HOSTS[:-1]:
            host.wait()
        yield
    finally:
        away()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the inventory is, in a directory whose name ssh has to be told with care."""
    return tmp_path_factory.mktemp("my home")


def settings(home: Path, **more: Any) -> dict[str, Any]:
    return {
        "edge_slm_discover_scan": SUBNET,
        # Who has just told its name to all says nothing for a second.
        "edge_slm_discover_seconds": 3,
        "edge_slm_discover_file": str(home / "scan.json"),
        **more,
    }


def found(home: Path, **more: Any) -> str:
    return played("playbooks/discover.yml", **settings(home, **more))


def row(text: str, host: Host) -> list[str]:
    return next((line.split() for line in text.splitlines() if f" {host.address} " in line), [])


def command(inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Ansible's on an inventory; a connection that is open already would show no host key."""
    variables = {"ansible_user": "pi", "ansible_ssh_private_key_file": str(FLEET / "id_ed25519")}
    given = () if words[0] == "ansible-inventory" else ("--extra-vars", json.dumps(variables))
    return shell(
        *words,
        "--inventory",
        str(inventory),
        *given,
        cwd=ROOT,
        env=environment() | {"ANSIBLE_SSH_ARGS": "-o ControlPath=none"},
    )


def reached(inventory: Path) -> list[str]:
    """Return the hosts that Ansible logs in to."""
    done = command(inventory, "ansible", "all", "--module-name", "ansible.builtin.raw", "--args", "true")
    return sorted(line.split(" ")[0] for line in done.stdout.splitlines() if "| rc=0 " in line)


def test_names_are_heard_without_a_scan(home: Path) -> None:
    text = found(home, edge_slm_discover_scan="")
    assert row(text, FRESH)[:4] == ["pi-000a01", "pi", FRESH.address, FRESH.mac]
    assert row(text, JETSON)[:2] == ["jetson-000a03", "jetson"]
    assert not row(text, DESKTOP)
    assert not any(home.iterdir())


def test_a_scan_finds_every_board_and_writes_an_inventory_that_ansible_logs_in_by(home: Path) -> None:
    inventory = home / "hosts.yml"
    text = found(home, edge_slm_discover_inventory=str(inventory))
    assert changes(text) == [1]
    for host, name in NAMES.items():
        kind = "jetson" if host is JETSON else "pi"
        system = "Ubuntu" if host is JETSON else "Debian"
        shown = [name, kind, host.address, host.mac, host.name, system, host.fingerprint(), "(ED25519)", "new"]
        assert row(text, host) == shown
    assert not row(text, DESKTOP)
    assert f"{TELEVISION.address}: its MAC address is NVIDIA's, but SSH does not answer" in text
    assert "This is the first scan" in text
    children = yaml.safe_load(inventory.read_text())["all"]["children"]
    # Whoever runs this may have boards of their own.
    here = {host.address for host in HOSTS}
    written = {
        group: sorted(name for name, values in entry["hosts"].items() if values["ansible_host"] in here)
        for group, entry in children.items()
    }
    assert written == {"pi": ["llmpi-07", "pi-000a01"], "jetson": ["jetson-000a03"]}
    assert reached(inventory) == sorted(NAMES.values())


def test_a_second_time_nothing_changes_and_what_is_written_stays(home: Path) -> None:
    inventory = home / "hosts.yml"
    edited = inventory.read_text().replace("jetson-000a03", "orin-01") + "# mine\n"
    inventory.write_text(edited)
    keys = home / "known_hosts"
    keys.write_text(keys.read_text().replace("jetson-000a03", "orin-01"))
    text = found(home, edge_slm_discover_inventory=str(inventory))
    assert changes(text) == [0]
    assert row(text, JETSON)[0] == "orin-01"
    assert row(text, JETSON)[-1] == "pinned"
    assert inventory.read_text() == edited


def test_what_comes_and_goes_is_told(home: Path) -> None:
    NAMED.switch(on=False)
    assert f"- {NAMED.address} {NAMED.mac} llmpi-07 Raspberry Pi" in found(home)
    NAMED.switch(on=True)
    text = found(home)
    assert f"+ {NAMED.address} {NAMED.mac} llmpi-07 Raspberry Pi" in text
    assert "nothing has come" not in text


def test_the_inventory_plugin_has_the_same_hosts(home: Path) -> None:
    source = home / "discovered.yml"
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(home / "cache")}
    given = {"plugin": "edge_slm.fleet.discovered", "scan": SUBNET, "seconds": 3, **cache}
    source.write_text(yaml.safe_dump(given))
    done = command(source, "ansible-inventory", "--list")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert {"llmpi-07", "pi-000a01"} <= set(listed["pi"]["hosts"])
    assert "orin-01" in listed["jetson"]["hosts"]
    assert reached(source) == ["llmpi-07", "orin-01", "pi-000a01"]


def test_a_replaced_board_is_refused_until_it_is_accepted(home: Path) -> None:
    inventory, keys = home / "hosts.yml", home / "known_hosts"
    before = keys.read_text()
    NAMED.new_card()
    assert reached(inventory) == ["orin-01", "pi-000a01"]
    # The neighbour table knows it without a scan.
    asked = settings(home, edge_slm_discover_inventory=str(inventory), edge_slm_discover_scan="")
    text = refused("playbooks/discover.yml", **asked)
    assert "llmpi-07: the board at 198.18.250.3 has another host key" in text
    assert NAMED.fingerprint() in text
    assert "-e edge_slm_discover_accept=llmpi-07" in text
    assert keys.read_text() == before
    assert changes(played("playbooks/discover.yml", **asked, edge_slm_discover_accept="llmpi-07")) == [1]
    assert reached(inventory) == ["llmpi-07", "orin-01", "pi-000a01"]
    others = [line for line in before.splitlines() if not line.startswith("llmpi-07 ")]
    assert [line for line in keys.read_text().splitlines() if not line.startswith("llmpi-07 ")] == others

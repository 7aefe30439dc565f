"""What somebody changed on live devices: reported by drift.yml in a sentence each, fixed by a plain run of site.yml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import plays
import pytest
from devices import connect
from endpoints import MODEL


class Drift(NamedTuple):
    """One thing that is changed by hand, and what the sentence about it names."""

    host: str
    command: str
    role: str
    named: str


SERVICE = f"llama-server@{MODEL}"
CONFIG = "/etc/edge-slm/llama-server"
RELEASES = "/opt/edge-slm/llama.cpp"
MODELS = "/var/lib/edge-slm/models"
PUBLISHED = "/var/lib/edge-slm/artifacts/releases"
#: The file that is served: versions before it may be kept beside it.
SERVED_FILE = f"{MODELS}/{MODEL}/$(grep -o '[0-9a-f]*[.]gguf' {MODELS}/{MODEL}/manifest.json | head -1)"

#: What can be injected together is: one run of drift.yml and one of site.yml for each round. A service whose release or
#: model is gone only waits for them, so what is wrong with the service itself is in the other round.
ROUNDS: list[list[Drift]] = [
    [
        Drift("pi-01", f"systemctl stop {SERVICE}", "llama_service", f"unit {SERVICE}.service"),
        Drift("pi-01", f"chmod 0644 {CONFIG}/api-keys", "llama_service", f"file {CONFIG}/api-keys"),
        Drift("pi-01", f"chmod 0777 {CONFIG}", "llama_service", f"directory {CONFIG}"),
        Drift("pi-01", "echo 'X11Forwarding yes' >> /etc/ssh/sshd_config.d/00-edge-slm.conf", "host_baseline", "sshd"),
        Drift(
            "pi-01", "rm /etc/systemd/journald.conf.d/50-edge-slm.conf", "host_baseline", "file /etc/systemd/journald"
        ),
        Drift("pi-01", "ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", "host_baseline", "time zone"),
        Drift("pi-02", f"systemctl disable {SERVICE}", "llama_service", f"unit {SERVICE}.service"),
        Drift("pi-02", f"echo EVIL=1 >> {CONFIG}/{MODEL}.env", "llama_service", f"file {CONFIG}/{MODEL}.env"),
        Drift("pi-02", f"truncate -s 0 {RELEASES}/current/bin/llama-bench", "llama_cpp", "bin/llama-bench"),
        Drift("pi-02", f"printf x | dd conv=notrunc of={SERVED_FILE}", "model_pipeline", ".gguf"),
        Drift("pi-02", "nft delete table inet edge_slm", "host_baseline", "edge-slm-firewall"),
        Drift("pi-02", "systemctl mask --now avahi-daemon.service", "host_baseline", "unit avahi-daemon.service"),
        Drift("pi-02", "dpkg --purge --force-depends libnss-mdns", "host_baseline", "package libnss-mdns"),
        Drift("builder-01", "systemctl stop edge-slm-artifacts", "artifact_store", "unit edge-slm-artifacts.service"),
        Drift("builder-01", f"rm {PUBLISHED}/*.tar.gz", "llama_cpp", ".tar.gz: is missing"),
        Drift("builder-01", "systemctl stop edge-slm-gateway", "fleet_gateway", "unit edge-slm-gateway.service"),
        Drift("jetson-01", "docker stop ollama", "jetson_ollama", "container ollama"),
        Drift("jetson-01", "rm /usr/local/bin/ollama", "jetson_ollama", "file /usr/local/bin/ollama"),
        Drift("jetson-01", "echo '# x' >> /etc/edge-slm/proxy/haproxy.cfg", "endpoint_proxy", "haproxy.cfg"),
        Drift("jetson-01", "systemctl disable --now edge-slm-jetson-clocks", "jetson_baseline", "jetson-clocks"),
    ],
    [
        Drift("pi-01", f"rm {RELEASES}/current", "llama_cpp", f"link {RELEASES}/current"),
        Drift("pi-01", f"rm {MODELS}/{MODEL}/manifest.json", "model_pipeline", f"model {MODEL}"),
        Drift(
            "pi-01", "echo '// x' >> /etc/apt/apt.conf.d/52edge-slm-unattended-upgrades", "host_baseline", "apt.conf.d"
        ),
        Drift("pi-02", f"systemctl mask --now {SERVICE}", "llama_service", f"unit {SERVICE}.service"),
        Drift(
            "pi-02", "echo '# x' >> /etc/systemd/system/llama-server@.service", "llama_service", "llama-server@.service"
        ),
        Drift("pi-02", f"chown nobody {CONFIG}", "llama_service", f"directory {CONFIG}"),
        Drift("pi-02", "hostname somebody-else", "host_baseline", "hostname"),
        Drift("builder-01", f"rm {PUBLISHED}/*.json", "llama_cpp", ".json: is missing"),
        Drift(
            "builder-01",
            "echo '# x' >> /etc/edge-slm/artifacts/nginx.conf",
            "artifact_store",
            "/etc/edge-slm/artifacts/nginx.conf",
        ),
        Drift("jetson-01", "systemctl stop edge-slm-proxy", "endpoint_proxy", "unit edge-slm-proxy.service"),
        Drift("jetson-01", "docker exec ollama ollama rm phi3:mini", "jetson_ollama", "model phi3:mini"),
    ],
]


def drifted(tmp_path: Path) -> tuple[int, dict[str, Any]]:
    """Return what drift.yml reports: exit code and report."""
    file = tmp_path / "drift.json"
    done = plays.play("playbooks/drift.yml", edge_slm_drift_file=str(file))
    assert file.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(file.read_text())


def test_there_are_25_kinds() -> None:
    assert len({(drift.role, drift.command) for drifts in ROUNDS for drift in drifts}) >= 25


@pytest.mark.parametrize("drifts", ROUNDS, ids=["first", "second"])
def test_drift_is_reported_in_a_sentence_each_and_fixed_by_a_plain_run(tmp_path: Path, drifts: list[Drift]) -> None:
    code, report = drifted(tmp_path)
    assert (code, {host: found["pending"] for host, found in report["hosts"].items() if found["pending"]}) == (0, {})

    for drift in drifts:
        done = connect(drift.host).run(drift.command)
        assert done.rc == 0, f"{drift.command}: {done.stderr}"
    code, report = drifted(tmp_path)
    assert code == 2
    unreported = [
        drift
        for drift in drifts
        if not any(drift.named in sentence for sentence in report["hosts"][drift.host]["pending"].get(drift.role, []))
    ]
    assert unreported == [], json.dumps(report, indent=1)

    plays.played("site.yml")
    assert drifted(tmp_path)[0] == 0


def test_a_wrong_variable_of_one_host_changes_nothing_on_any(tmp_path: Path) -> None:
    extra = tmp_path / "hosts.yml"
    extra.write_text("all: {hosts: {pi-02: {pi_baseline_swap_mib: lots}}}\n")
    connect("pi-01").check_output(f"systemctl stop {SERVICE}")
    # A second inventory beside the fleet's.
    done = plays.play("--inventory", extra, "site.yml")
    assert done.returncode == 2
    assert "pi-02: pi_baseline_swap_mib" in done.stdout
    assert "changed: [" not in done.stdout
    assert not connect("pi-01").service(SERVICE).is_running
    plays.played("site.yml")
    assert connect("pi-01").service(SERVICE).is_running


def test_a_full_disk_of_one_device_drops_that_one(tmp_path: Path) -> None:
    """The others are repaired meanwhile; the report names the device and the reason; with room a run repairs it."""
    for host in ("pi-01", "pi-02"):
        connect(host).check_output(f"systemctl stop {SERVICE}")
    connect("pi-02").check_output(f"mount -t tmpfs -o size=10m tmpfs {MODELS}")
    try:
        done = plays.play("site.yml")
        assert done.returncode == 2
        failed = [line for line in done.stdout.splitlines() if line.startswith("fatal: [")]
        assert failed
        assert all(line.startswith("fatal: [pi-02]") for line in failed), failed
        assert "MiB" in done.stdout[done.stdout.rindex("Report the hosts that dropped out or failed") :]
        assert connect("pi-01").service(SERVICE).is_running
    finally:
        connect("pi-02").check_output(f"umount {MODELS}")
    plays.played("site.yml")
    assert drifted(tmp_path)[0] == 0

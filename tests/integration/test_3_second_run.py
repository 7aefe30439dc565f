"""site.yml driven by ansible-runner, as an ops team's automation does it."""

from __future__ import annotations

from pathlib import Path

import ansible_runner
from devices import INVENTORY, ROOT, connect

#: Host-tasks (ok and skipped) that a host meets where nothing is to be done. Ansible's price is their number.
BUDGET = 8


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    runner = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook="site.yml",
        inventory=str(INVENTORY),
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        quiet=True,
    )
    printed = runner.stdout.read()
    assert runner.rc == 0, printed[-3000:]
    # Kinds of hosts that this inventory does not have are no mistake.
    assert "Could not match supplied host pattern" not in printed
    changed = [
        f"{event['event_data']['host']}: {event['event_data']['task']}"
        for event in runner.events
        if event["event"] == "runner_on_ok" and event["event_data"]["res"].get("changed")
    ]
    assert changed == []
    assert sorted(runner.stats["ok"]) == ["builder-01", "jetson-01", "pi-01", "pi-02"]
    assert not runner.stats["failures"]
    assert not runner.stats["dark"]
    met = {host: count + runner.stats["skipped"].get(host, 0) for host, count in runner.stats["ok"].items()}
    assert max(met.values()) <= BUDGET, met


def test_its_events_hold_no_secret(tmp_path: Path, key: str) -> None:
    """Also where the roles that handle keys have something to do."""
    connect("pi-01").check_output("chmod 0644 /etc/edge-slm/llama-server/api-keys")
    connect("jetson-01").check_output("chmod 0644 /etc/edge-slm/proxy/keys.map")
    runner = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook="playbooks/service.yml",
        inventory=str(INVENTORY),
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        verbosity=3,
        quiet=True,
    )
    assert runner.rc == 0
    assert runner.stats["changed"].keys() >= {"pi-01", "jetson-01"}
    written = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if key in path.read_text(errors="replace")] == []

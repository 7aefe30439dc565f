"""site.yml driven by ansible-runner, as an ops team's automation does it."""

from __future__ import annotations

from pathlib import Path

import ansible_runner
from devices import INVENTORY, ROOT


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    runner = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook="site.yml",
        inventory=str(INVENTORY),
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        quiet=True,
    )
    assert runner.rc == 0, runner.stdout.read()[-3000:]
    changed = [
        f"{event['event_data']['host']}: {event['event_data']['task']}"
        for event in runner.events
        if event["event"] == "runner_on_ok" and event["event_data"]["res"].get("changed")
    ]
    assert changed == []
    assert sorted(runner.stats["ok"]) == ["builder-01", "jetson-01", "pi-01", "pi-02"]
    assert not runner.stats["failures"]
    assert not runner.stats["dark"]


def test_its_events_hold_no_secret(tmp_path: Path, key: str) -> None:
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
    written = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if key in path.read_text(errors="replace")] == []

"""Long work shows how far it is, keeps quiet where nobody looks, and outlives the run that has started it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ansible_runner
import pytest
import testinfra
import yaml
from devices import INVENTORY, ROOT, connect, managed
from plays import played, playing

DEVICE = "pi-01"
PLACE = "/var/cache/edge-slm/test-progress"
PORT = 8077
SIZES = {"slow-1": 5_000_000, "slow-2": 18_000_000}
RATE = 600_000
LINE = re.compile(rf"{DEVICE} \| slow-\d \| (\d+) % of 5\.0 MB \| ([0-9.]+) kB/s \| (\d+) s left")


@dataclass(frozen=True)
class Slow:
    """A server on the device itself that hands out a file slowly, and the playbook that fetches from it."""

    device: testinfra.host.Host
    playbook: Path
    revision: str

    def arrived(self, name: str) -> int:
        """Bytes of a file that are there."""
        found = self.device.run(f"stat --format %s {PLACE}/fetched/{name}.part").stdout
        return int(found or 0)

    def started(self, name: str) -> list[str]:
        """The requests for a file: the hub notes each when it begins."""
        journal = self.device.check_output("journalctl --unit edge-slm-test-hub --output cat")
        return [line for line in journal.splitlines() if f"/{self.revision}/{name} " in line]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    device = connect(DEVICE)
    managed(DEVICE).ansible("copy", f"src={ROOT}/tools/local_hub.py dest={PLACE}/ mode=0755", check=False)
    hub = f"python3 {PLACE}/local_hub.py"
    made = device.check_output(
        f"systemctl stop edge-slm-test-hub 2>/dev/null; set -e; cd {PLACE};"
        "rm -rf hub files fetched; mkdir files; cd files;"
        + "".join(f"head -c {size} /dev/urandom > {name};" for name, size in SIZES.items())
        + f"sha256sum *; {hub} publish {PLACE}/hub test/slow .;"
        f"systemd-run --quiet --collect --unit edge-slm-test-hub {hub} serve {PLACE}/hub --port {PORT} --rate {RATE}"
    )
    *listed, revision = made.split("\n")
    sums = {name: digest for digest, name in (line.split() for line in listed)}
    task = {
        "name": "Fetch",
        "edge_slm.fleet.fetched_file": {
            "url": f"http://127.0.0.1:{PORT}/test/slow/resolve/{revision}/{{{{ wanted }}}}",
            "dest": f"{PLACE}/fetched/{{{{ wanted }}}}",
            "sha256": "{{ sums[wanted] }}",
            "size": "{{ sizes[wanted] }}",
        },
    }
    playbook = tmp_path_factory.mktemp("slow") / "slow.yml"
    playbook.write_text(
        yaml.safe_dump(
            [{"hosts": DEVICE, "gather_facts": False, "vars": {"sums": sums, "sizes": SIZES}, "tasks": [task]}]
        )
    )
    yield Slow(device, playbook, revision)
    device.run(f"systemctl stop edge-slm-test-hub; rm -rf {PLACE}")


def test_lines_in_the_events_of_ansible_runner(slow: Slow, tmp_path: Path) -> None:
    events: list[str] = []
    done = ansible_runner.run(
        private_data_dir=str(tmp_path),
        project_dir=str(ROOT),
        playbook=str(slow.playbook),
        inventory=str(INVENTORY),
        extravars={"wanted": "slow-1"},
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        event_handler=lambda event: events.append(event["stdout"]),
        quiet=True,
    )
    assert done.status == "successful", events
    lines = [found for stdout in events for found in LINE.finditer(stdout)]
    assert 1 <= len(lines) <= 3, events
    for share, rate, left in ((int(line[1]), float(line[2]), int(line[3])) for line in lines):
        assert 0.7 * RATE < rate * 1000 < 1.3 * RATE
        assert left == pytest.approx(SIZES["slow-1"] * (100 - share) / 100 / RATE, abs=4)


def test_a_killed_run_leaves_its_download_at_work_and_the_next_one_waits_for_it(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(slow.playbook, wanted="slow-2") as run:
        # Far enough for lines to have been shown to whoever looks.
        run.wait_until(lambda: slow.arrived("slow-2") > SIZES["slow-2"] // 3, "a third of the file")
        assert " | " not in run.text, "its output is not a terminal"

    monkeypatch.setenv("EDGE_SLM_PROGRESS", "always")
    again = played(slow.playbook, wanted="slow-2")
    assert "| started by an earlier run" in again
    assert re.search(r"ok=1\b.*changed=0", again), "it was the earlier run that has fetched it"
    assert len(slow.started("slow-2")) == 1, "fetched twice"

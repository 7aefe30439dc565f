#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of site.yml costs that changes nothing, in pings.

Needs the demo fleet (`make demo`). On the same hosts, with warm connections, each best of three: `ansible -m ping`,
site.yml without its last stage and with it, and the ratios. With --clones N the fleet is larger by N containers made of
the converged pi-01, which are removed afterwards. Then a table of where the time goes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
INVENTORY = ROOT / "inventory/demo"
IMAGE = "edge-slm/clone:latest"
#: As deep as the demo's own: what its variables name by relative paths is the same.
LARGER = ROOT / ".demo/second-run"
RUNS = 3
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.M)


def ansible(program: str, *arguments: str, **environment: str) -> tuple[float, str]:
    """Run one of Ansible's programs on the fleet; return its seconds and its output."""
    started = time.monotonic()
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def best(program: str, *arguments: str) -> tuple[float, str]:
    """Return the shortest of some runs, and its output."""
    return min((ansible(program, *arguments) for _ in range(RUNS)), key=lambda run: run[0])


def host_tasks(output: str) -> int:
    """Return the most host-tasks (ok and skipped) that a host has met; exit where something has changed."""
    counts = []
    for host, ok, changed, unreachable, failed, skipped in RECAP.findall(output):
        if int(changed) or int(unreachable) or int(failed):
            sys.exit(f"{host} is not converged: run make demo first.\n{output}")
        counts.append(int(ok) + int(skipped))
    return max(counts)


def measure(inventory: Path) -> dict[str, Any]:
    """Measure one fleet and print it."""
    source = ("-i", str(inventory))
    ansible("ansible-playbook", *source, "site.yml")
    ping, listing = best("ansible", *source, "all", "-m", "ansible.builtin.ping")
    without, _ = best("ansible-playbook", *source, "site.yml", "--skip-tags", "verify")
    whole, output = best("ansible-playbook", *source, "site.yml")
    found = {
        "hosts": listing.count("SUCCESS"),
        "ping_seconds": round(ping, 2),
        "site_without_verify_seconds": round(without, 2),
        "site_seconds": round(whole, 2),
        "ratio_without_verify": round(without / ping, 2),
        "ratio": round(whole / ping, 2),
        "host_tasks": host_tasks(output),
    }
    print(
        f"{found['hosts']:3} hosts   ping {ping:5.2f} s   "
        f"site.yml without verify {without:5.2f} s = {without / ping:4.2f} pings   "
        f"with verify {whole:5.2f} s = {whole / ping:4.2f} pings   "
        f"at most {found['host_tasks']} host-tasks a host"
    )
    return found


def where(inventory: Path) -> None:
    """Print where the time of one run goes."""
    source = ("-i", str(inventory))
    started = time.monotonic()
    subprocess.run([BIN / "ansible-playbook", "--version"], capture_output=True, check=True, cwd=ROOT)
    start = time.monotonic() - started
    whole, output = ansible("ansible-playbook", *source, "site.yml", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    report = json.loads(output[output.index("{") :])
    print(f"\n{'start of Ansible':48} {start:6.2f} s")
    for play in report["plays"]:
        for task in play["tasks"]:
            duration = task["task"]["duration"]
            times = [_stamp(duration[end]) for end in ("start", "end")]
            print(f"{task['task']['name'][:48]:48} {times[1] - times[0]:6.2f} s")
            looks = {host: result["timings"] for host, result in task["hosts"].items() if "timings" in result}
            for host, timings in looks.items():
                parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in timings.items() if seconds >= 0.01)
                print(f"    {host}: {parts}")
    print(f"{'the whole run':48} {whole:6.2f} s")


def _stamp(text: str) -> float:
    """Return the seconds of a time stamp."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def larger(count: int) -> Path:
    """Write an inventory of the demo and of containers made of its converged pi-01; start those."""
    LARGER.mkdir(parents=True, exist_ok=True)
    fleet = yaml.safe_load((INVENTORY / "hosts.yml").read_text())
    pis = fleet["all"]["children"]["pi"]["hosts"]
    for number in range(1, count + 1):
        pis[f"clone-{number:02}"] = {"fleet_address": f"127.0.10.{100 + number}", "fleet_image": "clone"}
    (LARGER / "hosts.yml").write_text(yaml.safe_dump(fleet))
    variables = LARGER / "group_vars"
    variables.unlink(missing_ok=True)
    variables.symlink_to(INVENTORY / "group_vars")
    ansible("ansible-playbook", "-i", str(LARGER), "--limit", "clone-*", "molecule/default/create.yml")
    return LARGER


def remove_clones(count: int) -> None:
    """Remove the further containers, their image and their inventory."""
    names = [f"edge-slm-demo-clone-{number:02}" for number in range(1, count + 1)]
    subprocess.run(["docker", "rm", "--force", "--volumes", *names], capture_output=True, check=False)
    subprocess.run(["docker", "image", "rm", IMAGE], capture_output=True, check=False)
    shutil.rmtree(LARGER)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=int, default=12, help="further Pis, 0 for none (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    figures = [measure(INVENTORY)]
    where(INVENTORY)
    if given.clones:
        try:
            inventory = larger(given.clones)
            print()
            figures.append(measure(inventory))
        finally:
            remove_clones(given.clones)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

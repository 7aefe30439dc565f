"""A device without IPv4: releases and models come to it, and its endpoint answers, over IPv6 alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from devices import NETWORK, ROOT

DEVICE = "pi-02"


def inspect(name: str) -> dict[str, Any]:
    """Return how a container is on the fleet's network."""
    command = ["docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", f"{NETWORK}-{name}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(found)[NETWORK])


def inside(script: str) -> str:
    """Run a script on the device, whatever its network; return what it prints."""
    command = ["docker", "exec", f"{NETWORK}-{DEVICE}", "sh", "-ec", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """The device without IPv4, and an inventory of its addresses to put beside the fleet's."""
    device, builder = inspect(DEVICE), inspect("builder-01")
    variables = {
        "ansible_host": device["GlobalIPv6Address"],
        "edge_slm_artifact_url": f"http://[{builder['GlobalIPv6Address']}]:8090",
    }
    file = tmp_path / "ipv6.yml"
    file.write_text(yaml.safe_dump({"all": {"hosts": {DEVICE: variables}}}))
    inside("ip -4 address flush dev eth0")
    try:
        yield file
    finally:
        inside(f"ip address add {device['IPAddress']}/{device['IPPrefixLen']} dev eth0")
        inside(f"ip route replace default via {device['Gateway']}")


def test_a_device_without_ipv4(inventory: Path, tmp_path: Path) -> None:
    fleet = ("--inventory", inventory)
    drift = tmp_path / "drift.json"
    inside("rm -r /var/lib/edge-slm/models/* /opt/edge-slm/llama.cpp/releases/*")
    text = plays.played(ROOT / "site.yml", *fleet, limit=DEVICE)
    assert sum(plays.changes(text)) > 0
    plays.played(ROOT / "playbooks/drift.yml", *fleet, limit=DEVICE, edge_slm_drift_file=str(drift))
    assert json.loads(drift.read_text())["hosts"][DEVICE]["pending"] == {}
    assert inside("ip -4 -oneline address show dev eth0") == "", "it had no IPv4 all the time"

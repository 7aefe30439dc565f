"""The devices of the test fleet, to run commands on as root."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

ROOT = Path(__file__).resolve().parents[1]
INVENTORY = ROOT / "molecule/inventory/hosts.yml"
FLEET = ROOT / ".cache/fleet"

_ALL = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["all"]
#: The containers' network, which their names begin with.
NETWORK: str = _ALL["vars"]["fleet_network"]
#: Loopback address of each container.
ADDRESSES: dict[str, str] = {
    name: variables["fleet_address"]
    for group in _ALL["children"].values()
    for name, variables in group["hosts"].items()
    if variables  # a host of two groups has its variables in one
}


def connect(name: str) -> Any:
    """Return a device, reached by SSH as Ansible reaches it, but without a start of Ansible for every command."""
    options = [
        *("StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={FLEET}/known_hosts-{NETWORK}"),
        *("ControlMaster=auto", "ControlPersist=60s", "ControlPath=~/.ansible/cp/test-%C", "LogLevel=ERROR"),
    ]
    return testinfra.get_host(
        f"ssh://pi@{ADDRESSES[name]}",
        sudo=True,
        ssh_identity_file=str(FLEET / "id_ed25519"),
        ssh_extra_args=" ".join(f"-o {option}" for option in options),
    )


def managed(name: str) -> Any:
    """Return a device whose attribute `ansible` runs modules and returns variables; slower."""
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={INVENTORY}&force_ansible=True")


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds; fail the test when it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def wait_for_boot(host: Any) -> None:
    """Wait until a device that lost its power has booted again."""

    def booted() -> bool:
        with suppress(RuntimeError):  # what testinfra makes of an sshd that does not answer
            host.run("systemctl is-system-running --wait")
            return True
        return False

    wait_until(booted, "the device boots")

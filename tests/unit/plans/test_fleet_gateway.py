"""The gateway on a host, compared with what it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import Routes, Target
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import fleet_gateway as role
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.fleet_gateway import Inputs, Live, decide, unfit
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import read_mapping, read_role

DEVICE = {"systemd": True, "memory_mib": 8192, "board_model": ""}
PI = Target("pi-01", "smollm2", "smollm2", "http://pi-01:8080/v1", "site-key")
INPUTS = Inputs(routes=Routes((PI,)), lock="0123456789ab", unit="[Service]\n", policy="policy\n", ca="CA\n")
BARE = Live(python=(3, 13), system_trusted="SYSTEM\n")
MASTER = f"sk-{'0' * 48}"


def converged() -> Live:
    """Return a host on which everything is as wanted."""
    first = replace(BARE, files={role.MASTER_KEY: LiveFile(f"{MASTER}\n", 0o600, 1.0)})
    files = {
        file.path: LiveFile(file.content, int(file.mode, 8), 1.0, file.owner, file.group)
        for file in role.wanted_files(INPUTS, first)
    }
    places = ("/etc/edge-slm", "/opt/edge-slm", role.ROOT, role.CONFIG_DIR)
    return Live(
        account=Account(role.USER, role.USER, True),
        files={**files, **{place: LiveFile("", 0o755, 1.0) for place in places}},
        unit=LiveUnit(True, True, True, 2.0),
        environments=(INPUTS.lock,),
        packaged=True,
        python=(3, 13),
        system_trusted="SYSTEM\n",
    )


def changed(path: str, content: str) -> Live:
    """Return a converged host with another text in a file."""
    live = converged()
    return replace(live, files={**live.files, path: replace(live.files[path], content=content)})


def test_a_bare_host() -> None:
    pending = decide(INPUTS, BARE).pending
    for part in ("package python3-venv", f"user {role.USER}", "LiteLLM is not installed", f"unit {role.UNIT}: "):
        assert [sentence for sentence in pending if part in sentence]
    assert decide(INPUTS, BARE).needs["environment"] == f"{role.ROOT}/{INPUTS.lock}"


def test_nothing_is_pending_where_all_is_as_wanted() -> None:
    made = decide(INPUTS, converged())
    assert made.pending == []
    assert not any(made.files.values())


@pytest.mark.parametrize(
    ("live", "pending"),
    [
        (changed(role.CONFIG, "{}"), [f"file {role.CONFIG}: its text differs", "unit"]),
        (changed(role.POLICY, "policy = None"), [f"file {role.POLICY}: its text differs", "unit"]),
        (replace(converged(), unit=LiveUnit(True, False, True, 2.0)), [f"unit {role.UNIT}: is not running"]),
        (replace(converged(), unit=LiveUnit(True, True, True, 0.5)), [f"unit {role.UNIT}: runs since before"]),
        (replace(converged(), environments=()), [f"directory {role.ROOT}/{INPUTS.lock}: LiteLLM is not installed"]),
        (replace(converged(), environments=("0123456789ab", "older")), [f"{role.ROOT}/older: is no longer wanted"]),
        (replace(converged(), system_trusted="NEW\n"), [f"file {role.TRUSTED}: its text differs", "unit"]),
    ],
)
def test_drift(live: Live, pending: list[str]) -> None:
    found = decide(INPUTS, live).pending
    assert len(found) == len(pending)
    assert [begin for sentence, begin in zip(found, pending, strict=True) if not sentence.startswith(begin)] == []


def test_the_master_key_is_made_once() -> None:
    (made, environment, *_rest) = role.wanted_files(INPUTS, BARE)
    assert role.wanted_files(INPUTS, BARE)[0].content != made.content
    assert made.content.strip() in environment.content
    assert all(file.secret and file.mode == "0600" for file in (made, environment))
    assert role.wanted_files(INPUTS, converged())[0].content == f"{MASTER}\n"
    assert role.wanted_files(INPUTS, changed(role.MASTER_KEY, "sk-short"))[0].content != "sk-short"


@pytest.mark.parametrize(
    ("device", "live", "reason"),
    [
        ({}, BARE, ""),
        ({"systemd": False}, BARE, "fleet_gateway: this host was not booted by systemd"),
        ({"memory_mib": 1024}, BARE, "fleet_gateway: this host has 1024 MiB of memory, and a gateway wants 1536 MiB;"),
        ({"memory_mib": 3796, "board_model": "Raspberry Pi 4"}, BARE, "fleet_gateway: this host has 3796 MiB"),
        ({"memory_mib": 7820, "board_model": "Raspberry Pi 5"}, BARE, ""),
        ({}, replace(BARE, python=(3, 9)), "fleet_gateway: this host has Python 3.9, LiteLLM wants 3.10 to 3.13."),
        ({}, replace(BARE, port_owner="nginx"), "fleet_gateway_port: 4001 is taken by nginx"),
    ],
)
def test_unfit(device: dict[str, Any], live: Live, reason: str) -> None:
    found = unfit(INPUTS, {**DEVICE, **device}, live)
    assert [one[: len(reason)] for one in found] == ([reason] if reason else [])


def test_the_fleets_ca_is_awaited() -> None:
    made = decide(replace(INPUTS, ca="CA\n", ca_problem="fleet_gateway_ca: cannot be read"), converged())
    assert made.waiting == ["fleet_gateway_ca: cannot be read"]
    assert made.pending == ["waits for another role: fleet_gateway_ca: cannot be read"]


def test_removal() -> None:
    made = decide(replace(INPUTS, state="absent"), converged())
    assert set(made.files["uninstall"].remove) == {role.UNIT_FILE, role.CONFIG_DIR, role.ROOT}
    assert decide(replace(INPUTS, state="absent"), BARE).pending == []


def test_the_tasks_have_the_names_of_the_plan() -> None:
    constants = read_role("fleet_gateway").variables
    names = {"user": role.USER, "config_dir": role.CONFIG_DIR, "root": role.ROOT, "lock": role.LOCK}
    assert {name: constants[f"__fleet_gateway_{name}"] for name in names} == names


def test_the_playbooks_have_the_paths_and_ports_of_the_role() -> None:
    mapping = read_mapping("gateways")
    assert mapping["endpoint_proxy_backend_key_file"] == role.MASTER_KEY
    port = read_role("fleet_gateway").variables["fleet_gateway_port"]
    assert mapping["endpoint_proxy_backend_port"] == f"{{{{ fleet_gateway_port | default({port}, true) }}}}"
    assert Inputs().port == port

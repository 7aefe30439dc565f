"""The plan of artifact_store: nginx serves two directories to some networks, and what differs from that."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import artifact_store as store
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.artifact_store import Inputs, Live
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "artifact_store"
DEFAULTS = {
    name.removeprefix("artifact_store_"): value
    for name, value in yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")).items()
}
RELEASES, MODELS = DEFAULTS["releases_path"], DEFAULTS["models_path"]


def cast(**changes: Any) -> Inputs:
    problems = Problems()
    inputs = Inputs.of({**DEFAULTS, **changes}, problems)
    assert problems.found == []
    return inputs


#: nginx as it should be, started after its files were written.
FILES = {
    store.CONF: LiveFile(store.conf_text(cast(), ipv6=True), 0o644, 10),
    store.CONF_DIR: LiveFile("", 0o755, 10),
    store.SITES_DIR: LiveFile("", 0o755, 10),
    RELEASES: LiveFile("", 0o755, 99),
    MODELS: LiveFile("", 0o755, 99),
}
UNIT = LiveUnit(loaded=True, active=True, enabled=True, since=20)
LIVE = Live(files=FILES, unit=UNIT, installed=True, port_owner="nginx (process 7)")
BARE = Live()


def without(*paths: str) -> dict[str, LiveFile]:
    return {path: file for path, file in FILES.items() if path not in paths}


def decide(live: Live, **changes: Any) -> Plan:
    return store.decide(cast(**changes), live)


@pytest.mark.parametrize(
    ("live", "changes", "pending", "states"),
    [
        pytest.param(LIVE, {}, [], [], id="as wanted"),
        pytest.param(
            BARE,
            {},
            [
                "package nginx-light: is not installed",
                f"directory {RELEASES}: is missing",
                f"directory {MODELS}: is missing",
                f"file {store.CONF}: is missing",
                "unit nginx.service: its configuration changes",
            ],
            ["restarted"],
            id="bare host",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, active=False), port_owner=""),
            {},
            ["unit nginx.service: is not running"],
            ["started"],
            id="stopped",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, enabled=False)),
            {},
            ["unit nginx.service: is not enabled"],
            ["started"],
            id="disabled",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, active=False, masked=True), port_owner=""),
            {},
            ["unit nginx.service: is masked"],
            ["started"],
            id="masked",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, since=5)),
            {},
            [f"unit nginx.service: runs since before {store.CONF} changed"],
            ["reloaded"],
            id="older than its configuration",
        ),
        pytest.param(
            replace(LIVE, files={**FILES, store.SITES_DIR: LiveFile("", 0o755, 30)}),
            {},
            [f"unit nginx.service: runs since before {store.SITES_DIR} changed"],
            ["reloaded"],
            id="killed after the welcome page was removed",
        ),
        pytest.param(
            replace(LIVE, port_owner=""),
            {},
            ["unit nginx.service: does not listen on port 8090"],
            ["restarted"],
            id="a reload that nginx refused",
        ),
        pytest.param(
            LIVE,
            {"port": 8091},
            [f"file {store.CONF}: its text differs", "unit nginx.service: its configuration changes"],
            ["reloaded"],
            id="another port",
        ),
        pytest.param(
            replace(LIVE, files={**FILES, MODELS: LiveFile("", 0o700, 9, "pi", "pi")}),
            {},
            [f"directory {MODELS}: its mode is 0700, not 0755"],
            [],
            id="mode of a directory",
        ),
        pytest.param(
            replace(LIVE, files={**FILES, RELEASES: LiveFile("", 0o755, 9, "pi", "pi")}),
            {},
            [f"directory {RELEASES}: it belongs to pi:pi, not root:root"],
            [],
            id="owner of a directory",
        ),
        pytest.param(
            replace(LIVE, welcome=True),
            {},
            [f"{store.WELCOME}: is no longer wanted", "unit nginx.service: its configuration changes"],
            ["reloaded"],
            id="the package's own welcome page",
        ),
        pytest.param(
            LIVE,
            {"state": "absent"},
            [f"{store.CONF}: is no longer wanted", "unit nginx.service: has nothing to serve"],
            ["stopped"],
            id="absent: ours was all that nginx had",
        ),
        pytest.param(
            replace(LIVE, other_sites=("/etc/nginx/conf.d/other.conf",)),
            {"state": "absent"},
            [f"{store.CONF}: is no longer wanted", "unit nginx.service: its configuration changes"],
            ["reloaded"],
            id="absent: another site stays",
        ),
        pytest.param(
            replace(LIVE, files=without(store.CONF), other_sites=("x",), unit=replace(UNIT, since=5)),
            {"state": "absent"},
            [f"unit nginx.service: runs since before {store.CONF_DIR} changed"],
            ["reloaded"],
            id="absent: killed before nginx knew",
        ),
        pytest.param(
            replace(LIVE, files=without(store.CONF), unit=replace(UNIT, active=False), other_sites=("x",)),
            {"state": "absent"},
            [],
            [],
            id="absent: a stopped nginx of somebody else stays stopped",
        ),
        pytest.param(BARE, {"state": "absent"}, [], [], id="absent: never was there"),
    ],
)
def test_pending(live: Live, changes: dict[str, Any], pending: list[str], states: list[str]) -> None:
    plan = decide(live, **changes)
    assert (plan.pending, plan.unfit, plan.refusals) == (pending, [], [])
    assert [action["state"] for action in plan.needs["units"]] == states


def test_a_masked_unit_is_unmasked() -> None:
    (action,) = decide(replace(LIVE, unit=replace(UNIT, masked=True))).needs["units"]
    assert action["masked"] is False


def test_a_port_that_somebody_else_has() -> None:
    plan = decide(replace(LIVE, port_owner="python3 (process 9)"))
    assert plan.unfit == ["artifact_store_port: 8090 is taken by python3 (process 9); stop it, or choose another port."]
    assert plan.pending == []


def test_a_listening_stranger_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        assert "(process " in store.read_live(cast(port=port)).port_owner
    assert store.read_live(cast(port=port)).port_owner == ""


def test_text() -> None:
    text = store.conf_text(cast(port=81, cidrs=["10.0.0.0/8", "fd00::/8"], models_path="/srv/m/"), ipv6=False)
    lines = [line.strip() for line in text.splitlines()]
    assert "listen 81;" in lines
    assert not any("[::]" in line for line in lines), "a kernel without IPv6 refuses it"
    assert lines.index("allow 10.0.0.0/8;") < lines.index("allow fd00::/8;") < lines.index("deny all;")
    assert "alias /srv/m/;" in lines
    assert "listen [::]:8090;" in store.conf_text(cast(), ipv6=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": 0}, "artifact_store_port: must be a whole number from 1 to 65535; it is 0."),
        ({"port": "http"}, "artifact_store_port: must be a whole number"),
        ({"cidrs": "10.0.0.0/8"}, "artifact_store_cidrs: is not a list; write ['10.0.0.0/8']."),
        ({"cidrs": []}, "artifact_store_cidrs: is empty: nobody could fetch"),
        ({"cidrs": ["10.0.0.0/8", "10.0.0.1/8"]}, "artifact_store_cidrs[1]: '10.0.0.1/8' is not a network"),
        ({"cidrs": ["all"]}, "artifact_store_cidrs[0]: 'all' is not a network"),
        ({"cidrs": ["10.0.0.0/8; allow all"]}, "artifact_store_cidrs[0]: '10.0.0.0/8; allow all' is not a network"),
        ({"releases_path": "releases"}, "artifact_store_releases_path: 'releases' is not an absolute path"),
        ({"models_path": "/srv/a b"}, "artifact_store_models_path: '/srv/a b' is not an absolute path"),
        ({"models_path": "/srv/{a"}, "artifact_store_models_path: '/srv/{a' is not an absolute path"),
        ({"models_path": "/srv/../etc"}, "artifact_store_models_path: '/srv/../etc' is not an absolute path"),
        ({"state": "stopped"}, "artifact_store_state: 'stopped' is not one of present, absent."),
    ],
)
def test_refused(changes: dict[str, Any], sentence: str) -> None:
    (refusal,) = store.plan({**DEFAULTS, **changes}, Host()).refusals
    assert refusal.startswith(sentence)


def test_a_network_with_host_bits_is_corrected() -> None:
    (refusal,) = store.plan({**DEFAULTS, "cidrs": ["192.168.1.7/24"]}, Host()).refusals
    assert refusal.endswith("write 192.168.1.0/24.")


def test_all_problems_at_once_and_none_for_absent() -> None:
    wrong = {**DEFAULTS, "port": -1, "cidrs": ["x"], "models_path": ""}
    assert len(store.plan(wrong, Host()).refusals) == 3
    host = Host()
    host.device = {"systemd": True}
    assert store.plan({**wrong, "state": "absent"}, host).refusals == []


def test_without_systemd() -> None:
    host = Host()
    host.device = {"systemd": False}
    assert store.plan(DEFAULTS, host).unfit == [
        "artifact_store: this host was not booted by systemd; start it with systemd as its init."
    ]


def test_only_the_packages_own_welcome_page_is_one(tmp_path: Path) -> None:
    page, link = tmp_path / "available", tmp_path / "enabled"
    page.write_text("server {}\n")
    status = f"Package: nginx-common\nConffiles:\n {page} e87cb0fd953ee47f3916f75574b63ce5\n"
    assert not store.is_welcome_page(str(link), str(page), status), "it is not enabled"
    link.symlink_to(page)
    assert store.is_welcome_page(str(link), str(page), status)
    assert not store.is_welcome_page(str(link), str(page), ""), "dpkg does not know it"
    page.write_text("server { listen 81; }\n")
    assert not store.is_welcome_page(str(link), str(page), status), "somebody has changed it"
    page.write_text("server {}\n")
    link.unlink()
    link.write_text("server {}\n")
    assert not store.is_welcome_page(str(link), str(page), status), "it is somebody's own"

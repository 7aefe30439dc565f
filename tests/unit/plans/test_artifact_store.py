"""The plan of artifact_store: nginx serves two directories to some networks, and what differs from that."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import dpkg
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile, LiveUnit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import artifact_store as store
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.artifact_store import Inputs, Live
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "artifact_store"
USER, CONFIG = "edge-slm-artifacts", "/etc/edge-slm/artifacts/nginx.conf"
DEFAULTS = {
    **{
        name.removeprefix("artifact_store_"): value
        for name, value in yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")).items()
    },
    "user": USER,
    "config": CONFIG,
    "unit": "[Unit]\n",
}
RELEASES, MODELS = DEFAULTS["releases_path"], DEFAULTS["models_path"]
CONFIG_DIR = "/etc/edge-slm/artifacts"


def cast(**changes: Any) -> Inputs:
    problems = Problems()
    inputs = Inputs.of({**DEFAULTS, **changes}, problems)
    assert problems.found == []
    return inputs


#: What roles share above the role's directories.
SHARED = ["/var/lib/edge-slm", "/var/lib/edge-slm/artifacts", "/etc/edge-slm"]

#: nginx as it should be, started after its files were written.
FILES = {
    **dict.fromkeys(SHARED, LiveFile("", 0o755, 9)),
    CONFIG: LiveFile(store.conf_text(cast(), ipv6=True), 0o644, 10),
    CONFIG_DIR: LiveFile("", 0o755, 10),
    store.UNIT_FILE: LiveFile("[Unit]\n", 0o644, 10),
    RELEASES: LiveFile("", 0o755, 99),
    MODELS: LiveFile("", 0o755, 99),
}
UNIT = LiveUnit(loaded=True, active=True, enabled=True, since=20)
NAME = f"unit {store.UNIT}"
ACCOUNT = Account(USER, USER, group=True)
LIVE = Live(ACCOUNT, FILES, UNIT, installed=True, listening=True)
BARE = Live(Account(USER))


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
                f"group {USER}: is missing",
                f"user {USER}: is missing",
                *(f"directory {path}: is missing" for path in SHARED),
                f"directory {CONFIG_DIR}: is missing",
                f"directory {RELEASES}: is missing",
                f"directory {MODELS}: is missing",
                f"file {CONFIG}: is missing",
                f"file {store.UNIT_FILE}: is missing",
                f"{NAME}: its configuration changes",
            ],
            ["restarted"],
            id="bare host",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, active=False), listening=False),
            {},
            [f"{NAME}: is not running"],
            ["started"],
            id="stopped",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, enabled=False)),
            {},
            [f"{NAME}: is not enabled"],
            ["started"],
            id="disabled",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, active=False, masked=True), listening=False),
            {},
            [f"{NAME}: is masked"],
            ["started"],
            id="masked",
        ),
        pytest.param(
            replace(LIVE, files={**FILES, CONFIG: replace(FILES[CONFIG], modified=30)}),
            {},
            [f"{NAME}: runs since before {CONFIG} changed"],
            ["reloaded"],
            id="older than its configuration",
        ),
        pytest.param(
            replace(LIVE, unit=replace(UNIT, since=5)),
            {},
            [f"{NAME}: runs since before {store.UNIT_FILE} changed"],
            ["restarted"],
            id="older than its unit",
        ),
        pytest.param(
            replace(LIVE, listening=False),
            {},
            [f"{NAME}: does not listen on port 8090"],
            ["restarted"],
            id="a reload that nginx refused",
        ),
        pytest.param(
            LIVE,
            {"port": 8091},
            [f"file {CONFIG}: its text differs", f"{NAME}: its configuration changes"],
            ["reloaded"],
            id="another port",
        ),
        pytest.param(
            LIVE,
            {"unit": "[Service]\n"},
            [f"file {store.UNIT_FILE}: its text differs", f"{NAME}: its configuration changes"],
            ["restarted"],
            id="another unit",
        ),
        pytest.param(
            replace(LIVE, account=replace(ACCOUNT, group=False)),
            {},
            [f"group {USER}: is missing"],
            [],
            id="no group",
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
            replace(LIVE, idle_distribution=True),
            {},
            ["unit nginx.service: is enabled, and nobody has configured it"],
            [],
            id="the distribution's own instance",
        ),
        pytest.param(
            LIVE,
            {"state": "absent"},
            [
                f"{NAME}: is no longer wanted",
                f"{store.UNIT_FILE}: is no longer wanted",
                f"{CONFIG_DIR}: is no longer wanted",
                f"user {USER}: is no longer wanted",
                f"group {USER}: is no longer wanted",
            ],
            ["stopped"],
            id="absent",
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
    text = store.conf_text(cast(port=8081, cidrs=["10.0.0.0/8", "fd00::/8"], models_path="/srv/m/"), ipv6=False)
    lines = [line.strip() for line in text.splitlines()]
    assert "listen 8081;" in lines
    assert not any("[::]" in line for line in lines), "a kernel without IPv6 refuses it"
    assert lines.index("allow 127.0.0.0/8;") < lines.index("allow ::1;") < lines.index("allow 10.0.0.0/8;")
    assert lines.index("allow 10.0.0.0/8;") < lines.index("allow fd00::/8;") < lines.index("deny all;")
    assert "alias /srv/m/;" in lines
    assert "listen [::]:8090;" in store.conf_text(cast(), ipv6=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": 80}, "artifact_store_port: must be a whole number from 1024 to 65535; it is 80."),
        ({"port": "http"}, "artifact_store_port: must be a whole number"),
        ({"cidrs": "10.0.0.0/8"}, "artifact_store_cidrs: is not a list; write ['10.0.0.0/8']."),
        ({"cidrs": []}, "artifact_store_cidrs: is empty: nobody could connect"),
        ({"cidrs": ["10.0.0.0/8", "10.0.0.1/8"]}, "artifact_store_cidrs[1]: '10.0.0.1/8' is not a network"),
        ({"cidrs": ["all"]}, "artifact_store_cidrs[0]: 'all' is not a network"),
        ({"cidrs": ["10.0.0.0/8; allow all"]}, "artifact_store_cidrs[0]: '10.0.0.0/8; allow all' is not a network"),
        ({"releases_path": "releases"}, "artifact_store_releases_path: 'releases' is not an absolute path"),
        ({"models_path": "/srv/a b"}, "artifact_store_models_path: '/srv/a b' is not an absolute path"),
        ({"models_path": "/srv/{a"}, "artifact_store_models_path: '/srv/{a' is not an absolute path"),
        ({"models_path": "/srv/../etc"}, "artifact_store_models_path: '/srv/../etc' is not an absolute path"),
        ({"models_path": "/home/pi/models"}, "artifact_store_models_path: /home/pi/models cannot be served: services"),
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


@pytest.mark.parametrize(
    ("prepare", "idle"),
    [
        pytest.param(lambda _place: None, True, id="as packaged"),
        pytest.param(lambda place: (place / "sites/default").unlink(), True, id="welcome page disabled"),
        pytest.param(lambda place: (place / "default").write_text("server { listen 81; }"), False, id="page changed"),
        pytest.param(lambda place: (place / "nginx.conf").write_text("events {}"), False, id="configuration changed"),
        pytest.param(lambda place: (place / "conf.d/own.conf").write_text("server {}"), False, id="own server"),
    ],
)
def test_the_distributions_instance_is_idle_while_nobody_has_configured_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], Any], idle: bool
) -> None:
    for name in ("conf.d", "sites"):
        (tmp_path / name).mkdir()
    for name in ("default", "nginx.conf"):
        (tmp_path / name).write_text("server {}\n")
    (tmp_path / "sites/default").symlink_to(tmp_path / "default")
    monkeypatch.setattr(store, "DISTRIBUTION_DIRS", (str(tmp_path / "conf.d"), str(tmp_path / "sites")))
    monkeypatch.setattr(store, "DISTRIBUTION_CONFIG", str(tmp_path / "nginx.conf"))
    monkeypatch.setattr(store, "WELCOME", str(tmp_path / "default"))
    md5 = "e87cb0fd953ee47f3916f75574b63ce5"
    status = tmp_path / "status"
    status.write_text(f"Conffiles:\n {tmp_path / 'default'} {md5}\n {tmp_path / 'nginx.conf'} {md5}\n")
    monkeypatch.setattr(dpkg, "STATUS", str(status))
    prepare(tmp_path)
    assert store.is_idle(UNIT) is idle
    assert not store.is_idle(replace(UNIT, active=False, enabled=False))

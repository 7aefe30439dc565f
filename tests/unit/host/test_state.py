"""Files and units compared with those that a host has."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import parse_properties
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import (
    unit_state,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    BLOCK_BEGIN,
    BLOCK_END,
    ConfigFile,
    LiveFile,
    LiveUnit,
    Unit,
    pending_files,
    pending_removals,
    pending_units,
    shared_above,
    shared_directories,
    with_assignment,
    with_block,
    with_kernel_parameters,
)
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.key_login import ssh_argv

RUNNING = LiveUnit(loaded=True, active=True, enabled=True, since=100.0)


@pytest.mark.parametrize(
    ("live", "pending"),
    [
        ({}, True),
        ({"/etc/a": LiveFile("text", 0o644, 1.0)}, False),
        ({"/etc/a": LiveFile("other", 0o644, 1.0)}, True),
        ({"/etc/a": LiveFile("text", 0o600, 1.0)}, True),
    ],
)
def test_file_is_pending_when_content_or_mode_differ(live: dict[str, LiveFile], pending: bool) -> None:
    assert bool(pending_files([ConfigFile("/etc/a", "text")], live)) is pending


def test_mode_is_left_alone_where_none_is_wanted() -> None:
    live = {"/boot/firmware/config.txt": LiveFile("text", 0o755, 1.0)}
    assert not pending_files([ConfigFile("/boot/firmware/config.txt", "text", mode="")], live)


def test_only_owned_files_that_exist_and_are_unwanted_are_removed() -> None:
    live = {path: LiveFile("", 0o644, 1.0) for path in ("/etc/a", "/etc/b", "/etc/foreign")}
    assert pending_removals(["/etc/a", "/etc/b", "/etc/c"], [ConfigFile("/etc/b", "")], live) == ["/etc/a"]


@pytest.mark.parametrize(
    ("paths", "above"),
    [
        (["/opt/edge-slm/llama.cpp"], ["/opt/edge-slm"]),
        (["/var/lib/edge-slm/a/b", "/var/lib/edge-slm/c"], ["/var/lib/edge-slm/a", "/var/lib/edge-slm"]),
        # What the operator chose: /srv is there on every Debian, and empty.
        (["/srv/models", "/mnt/edge-slm/models", "/opt/edge-slmx/models", "/models"], []),
        (["/etc/edge-slm"], []),
    ],
)
def test_nothing_is_ours_above_a_path_that_the_operator_chose(paths: list[str], above: list[str]) -> None:
    assert shared_above(*paths) == above


def test_shared_directories_are_seen_to_from_the_outermost_on() -> None:
    found = shared_directories("/var/lib/edge-slm/artifacts/releases")
    assert [one.path for one in found] == ["/var/lib/edge-slm", "/var/lib/edge-slm/artifacts"]


@pytest.mark.parametrize(
    ("live", "file_time", "changing", "state"),
    [
        (RUNNING, 50.0, [], None),
        # Killed between writing the file and restarting the unit.
        (RUNNING, 150.0, [], "restarted"),
        (RUNNING, 50.0, ["/etc/a"], "restarted"),
        (LiveUnit(True, False, True, 100.0), 50.0, [], "started"),
        (LiveUnit(True, True, False, 100.0), 50.0, [], "started"),
        # Not installed yet: its package may start it before the file is written.
        (LiveUnit(False, False, False, 0.0), 50.0, ["/etc/a"], "restarted"),
    ],
)
def test_units_follow_their_files(live: LiveUnit, file_time: float, changing: list[str], state: str | None) -> None:
    files = {"/etc/a": LiveFile("", 0o644, file_time)}
    actions = pending_units([Unit("a.service", ("/etc/a",))], {"a.service": live}, files, changing)
    assert [action["state"] for action in actions] == ([state] if state else [])


def test_unwanted_unit_is_stopped_once() -> None:
    unit = Unit("a.service", wanted=False)
    assert pending_units([unit], {"a.service": RUNNING}, {}, [])[0]["state"] == "stopped"
    assert not pending_units([unit], {}, {}, [])
    assert not pending_units([unit], {"a.service": LiveUnit(True, False, False, 100.0)}, {}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "LANG=C\n"),
        ("LANG=x\nLC_TIME=y\n", "LANG=C\nLC_TIME=y\n"),
        ("LC_TIME=y", "LC_TIME=y\nLANG=C\n"),
        (" LANG = x\nLANG=y\n", "LANG=C\n"),
        ("#LANG=x\n", "#LANG=x\nLANG=C\n"),
    ],
)
def test_assignment_stands_once(text: str, expected: str) -> None:
    assert with_assignment(text, "LANG", "C") == expected
    assert with_assignment(expected, "LANG", "C") == expected


def test_block_is_replaced_in_place_of_itself_and_removed() -> None:
    text = "dtparam=audio=on\n\n[all]\n"
    once = with_block(text, ["[all]", "gpu_mem=16"])
    assert once.endswith(f"[all]\n\n{BLOCK_BEGIN}\n[all]\ngpu_mem=16\n{BLOCK_END}\n")
    assert with_block(once, ["[all]", "gpu_mem=16"]) == once
    assert "gpu_mem=16" not in with_block(once, ["[all]", "gpu_mem=32"])
    assert with_block(once, []).rstrip("\n") == text.rstrip("\n")
    assert with_block("", ["a=1"]) == f"{BLOCK_BEGIN}\na=1\n{BLOCK_END}\n"


def test_block_in_a_file_that_was_edited_on_windows() -> None:
    text = "dtparam=audio=on\n\n[all]\n"
    lines = ["[all]", "gpu_mem=16"]
    ours = with_block(text, lines)
    windows = ours.replace("\n", "\r\n")
    assert with_block(windows, lines) == windows, "as wanted"
    assert with_block(text.replace("\n", "\r\n"), lines) == windows, "the file's own line ends"
    changed = with_block(windows, ["[all]", "gpu_mem=32"])
    assert (changed.count(BLOCK_BEGIN), changed.count("gpu_mem"), changed.count("\n")) == (1, 1, windows.count("\n"))
    assert with_block(windows, []).split() == text.split()
    assert with_block(windows + ours, []).split() == [*text.split()] * 2, "two blocks of an earlier version"
    foreign = "a=1\r\nb=2\n"
    assert with_block(foreign, []) == foreign, "a file without our block is left alone"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("root=/dev/mmcblk0p2 rootwait\n", "root=/dev/mmcblk0p2 rootwait cgroup_enable=memory\n"),
        ("a cgroup_enable=memory b\n", "a cgroup_enable=memory b\n"),
        ("a b", "a b cgroup_enable=memory\n"),
        ("a b\r\n", "a b cgroup_enable=memory\r\n"),
        ("a cgroup_enable=memory\r\n", "a cgroup_enable=memory\r\n"),
        # The firmware reads the first line alone.
        ("a b\ncgroup_enable=memory\n", "a b cgroup_enable=memory\ncgroup_enable=memory\n"),
        ("a b\r\ncgroup_enable=memory\r\n", "a b cgroup_enable=memory\r\ncgroup_enable=memory\r\n"),
        ("a cgroup_enable=memory\nb\n", "a cgroup_enable=memory\nb\n"),
        ("a b\n\n", "a b cgroup_enable=memory\n\n"),
    ],
)
def test_kernel_command_line_is_the_first_line(before: str, after: str) -> None:
    assert with_kernel_parameters(before, ["cgroup_enable=memory"]) == after


def test_unit_states_are_parsed() -> None:
    text = """\
Id=ssh.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
StateChangeTimestampMonotonic=5000000

Id=none.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
StateChangeTimestampMonotonic=0
"""
    units = {unit["Id"]: unit_state(unit, boot=1000.0) for unit in parse_properties(text)}
    assert units["ssh.service"] == LiveUnit(True, True, True, 1005.0)
    assert not units["none.service"].loaded


def test_key_login_overrules_the_inventory() -> None:
    argv = ssh_argv(
        {
            "host": "pi-01",
            "port": 2222,
            "remote_user": "pi",
            "private_key_file": "/k",
            "ssh_args": "-o ControlMaster=auto",
            "ssh_common_args": "-o 'ProxyCommand=nc %h %p'",
        },
        15,
    )
    assert argv[0] == "ssh"
    assert argv[-2:] == ["pi-01", "true"]
    assert argv.index("ControlMaster=no") < argv.index("ControlMaster=auto")
    assert {"PasswordAuthentication=no", "BatchMode=yes", "ConnectTimeout=15", "ProxyCommand=nc %h %p"} < set(argv)

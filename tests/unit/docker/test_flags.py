"""dockerd's flags, as its unit has them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import flags


def test_registries_and_proxies() -> None:
    words = ["--insecure-registry=a", "--insecure-registry", "b", "--https-proxy", "http://p:1", "--no-proxy=c"]
    assert flags.parse(words).settings == {
        "insecure-registries": ["a", "b"],
        "proxies": {"https-proxy": "http://p:1", "no-proxy": "c"},
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-H fd:// --containerd=/run/containerd/containerd.sock", {}),
        (
            "--add-runtime nvidia=/usr/bin/nvidia-container-runtime --add-runtime=kata=/k",
            {"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}, "kata": {"path": "/k"}}},
        ),
        (
            "--log-driver journald --log-opt max-size=5m --log-opt=max-file=2",
            {"log-driver": "journald", "log-opts": {"max-size": "5m", "max-file": "2"}},
        ),
        ("--live-restore -H fd://", {"live-restore": True}),
        ("--live-restore=false", {"live-restore": False}),
        ("-g /a", {"data-root": "/a"}),
        ("--data-root=/a --userns-remap default", {"data-root": "/a", "userns-remap": "default"}),
        ("--config-file", {"config-file": ""}),
    ],
)
def test_settings_in_flags(line: str, expected: dict[str, Any]) -> None:
    found = flags.parse(line.split())
    assert found.settings == expected
    assert found.arguments == tuple(line.split())
    assert found.over({"live-restore": 1, "dns": []}) == {"live-restore": 1, "dns": [], **expected}


VARIABLES = """\
# Docker
; as systemd has it
DOCKER_OPTS="--log-driver journald"\r
OTHER = --live-restore --debug
LONG=--a \\
--b
EMPTY=
"""


def test_runtimes_of_file_and_flags_are_merged() -> None:
    found = flags.parse(["--add-runtime", "a=/a"]).over({"runtimes": {"b": {"path": "/b"}}})
    assert found == {"runtimes": {"a": {"path": "/a"}, "b": {"path": "/b"}}}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dockerd -H fd:// $DOCKER_OPTS", ["dockerd", "-H", "fd://", "--log-driver", "journald"]),
        ("dockerd $OTHER $EMPTY $UNSET", ["dockerd", "--live-restore", "--debug"]),
        ("dockerd --x=${EMPTY} $LONG", ["dockerd", "--x=", "--a", "--b"]),
    ],
)
def test_words_of_a_unit(line: str, expected: list[str]) -> None:
    assert flags.words(line, flags.parse_environment(VARIABLES)) == expected


def test_the_units_flags_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {
        "ExecStart": "{ path=/usr/sbin/dockerd ; argv[]=dockerd -H fd:// $A $DOCKER_OPTS ; ignore_errors=no }",
        "Environment": 'A=--debug "B=c d"',
        "EnvironmentFiles": "/etc/default/docker (ignore_errors=yes)",
    }
    monkeypatch.setattr(flags, "show", lambda _properties, _units: [shown])
    monkeypatch.setattr(flags, "read_text", {"/etc/default/docker": VARIABLES}.get)
    assert flags.read() == flags.Flags(
        ("-H", "fd://", "--debug", "--log-driver", "journald"), {"log-driver": "journald"}
    )
    monkeypatch.setattr(flags, "show", lambda _properties, _units: [])
    assert flags.read() == flags.Flags()

"""What sshd itself says of further options."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import sshd

#: Speaks like sshd of Debian 13: a host key is missing, and it knows one option.
SSHD = """#!/bin/sh
echo 'sshd: no hostkeys available -- exiting.' >&2
case "$*" in *PermitRootLogon*) echo 'command-line: line 0: Bad configuration option: PermitRootLogon' >&2 ;; esac
exit 1
"""


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"LoginGraceTime": "20"}, ""),
        ({"LoginGraceTime": "20", "PermitRootLogon": "no"}, "line 0: Bad configuration option: PermitRootLogon"),
        ({}, ""),
    ],
)
def test_sshd_judges_further_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], refused: str
) -> None:
    program = tmp_path / "sshd"
    program.write_text(SSHD)
    program.chmod(0o755)
    monkeypatch.setattr(sshd, "find_command", lambda _name: str(program))
    found = sshd.refused(options)
    assert refused in found
    assert bool(found) == bool(refused)


def test_where_there_is_no_sshd_yet_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshd, "find_command", lambda _name: "")
    assert sshd.refused({"PermitRootLogon": "no"}) == ""

"""What counts of a drop-in is what sshd answers for those who log in."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import sshd
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import SshConnection
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.sshd import DROPIN, DROPIN_DIR, MAIN

INCLUDE = f"Include {DROPIN_DIR}/*.conf\n"
OURS = "# Ours\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nLoginGraceTime 1m\nAllowUsers pi ops\n"
BLOCK = "Match Address 10.9.0.0/16"
FROM = SshConnection("pi", "192.0.2.7", "192.0.2.1", 22)


def fake_sshd(argv: Sequence[str]) -> str:
    """Answer as `sshd -T` does: the first value counts, AllowUsers collects, a Match block of the user's wins."""
    assert argv[:3] == ["sshd", "-T", "-f"]
    user = re.match(r"user=(\w+),", argv[5])
    first: dict[str, str] = {}
    matched: dict[str, str] = {}
    users: list[str] = []

    def read(file: str) -> None:
        into, counts = first, True
        for line in Path(file).read_text().splitlines():
            keyword, _unused, value = line.strip().partition(" ")
            value = {"1m": "60", "prohibit-password": "without-password"}.get(value, value)
            if keyword == "Include":
                for included in sorted(glob.glob(value)):
                    assert not included.startswith("/etc/"), "the copies are read"
                    read(included)
            elif keyword == "Match":
                into, counts = matched, bool(user) and value == f"User {user[1]}"
            elif keyword == "AllowUsers":
                users.extend(value.split())
            elif counts and keyword and not keyword.startswith("#"):
                into.setdefault(keyword.lower(), value)

    read(argv[3])
    found = {"passwordauthentication": "yes", "permitrootlogin": "yes", "logingracetime": "120", **first, **matched}
    return "".join(f"{keyword} {value}\n" for keyword, value in [*found.items(), *(("allowusers", u) for u in users)])


@pytest.mark.parametrize(
    ("texts", "sentences"),
    [
        ({MAIN: INCLUDE}, []),
        ({MAIN: f"{INCLUDE}PasswordAuthentication yes\nLoginGraceTime 60\n"}, []),
        ({MAIN: INCLUDE.replace("/etc/ssh/", "")}, []),
        ({MAIN: INCLUDE, f"{DROPIN_DIR}/50-cloud-init.conf": "PasswordAuthentication yes\n"}, []),
        # What is there now is not what counts after.
        ({MAIN: INCLUDE, DROPIN: "PasswordAuthentication yes\n"}, []),
        (
            {MAIN: f"PasswordAuthentication yes\n{INCLUDE}"},
            ["for pi, root sshd would take PasswordAuthentication yes (not no)"],
        ),
        (
            {MAIN: f"{INCLUDE}Match User pi\n  PasswordAuthentication yes\n  LoginGraceTime 9\n"},
            ["for pi sshd would take PasswordAuthentication yes (not no), LoginGraceTime 9 (not 60)"],
        ),
        # What no login of the controller's shows.
        (
            {MAIN: f"{INCLUDE}{BLOCK}\n passwordauthentication=yes\n PermitRootLogin Prohibit-Password\n"},
            [f"{MAIN} has passwordauthentication yes in the block `{BLOCK}`"],
        ),
        ({MAIN: f"{INCLUDE}Match Group sftp\n  # PasswordAuthentication yes\n  ChrootDirectory /srv\n"}, []),
        (
            {MAIN: INCLUDE, f"{DROPIN_DIR}/00-a.conf": "PermitRootLogin yes\n"},
            ["for pi, root sshd would take PermitRootLogin yes (not without-password)"],
        ),
        (
            {MAIN: f"{INCLUDE}AllowUsers mallory\n"},
            ["for pi, root sshd would take AllowUsers pi ops mallory (not pi ops)"],
        ),
        (
            {MAIN: "UsePAM yes\n"},
            [
                "for pi, root sshd would take PasswordAuthentication yes (not no), PermitRootLogin yes (not "
                "without-password), LoginGraceTime 120 (not 60), AllowUsers unset (not pi ops)"
            ],
        ),
    ],
)
def test_what_would_not_count(monkeypatch: pytest.MonkeyPatch, texts: dict[str, str], sentences: list[str]) -> None:
    monkeypatch.setattr(sshd, "read_configuration", lambda: texts)
    monkeypatch.setattr(sshd, "output_of", fake_sshd)
    assert sshd.overruled(OURS, ["pi", "root", "pi"], FROM) == sentences


def test_where_sshd_does_not_tell_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshd, "output_of", lambda _argv: "")
    assert sshd.overruled(OURS, ["pi"], FROM) == []


def test_it_is_asked_for_the_login_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(sshd, "output_of", lambda argv: asked.append(argv) or "")
    sshd.ask(MAIN, "pi", FROM)
    sshd.ask(MAIN, "", SshConnection())
    assert [argv[-1] for argv in asked] == [
        "user=pi,host=192.0.2.7,addr=192.0.2.7,laddr=192.0.2.1,lport=22",
        "user=root,host=127.0.0.1,addr=127.0.0.1,laddr=127.0.0.1,lport=22",
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "differs"),
    [
        ({"acceptenv": ("A",)}, {"acceptenv": ("LANG", "A")}, False),
        ({"allowgroups": ("a",)}, {"allowgroups": ("a", "b")}, True),
        ({"port": ("22",)}, {"port": ("2222",)}, True),
        ({"x": ("1",)}, {}, True),
    ],
)
def test_values_of_lists(
    wanted: Mapping[str, tuple[str, ...]], found: Mapping[str, tuple[str, ...]], differs: bool
) -> None:
    assert bool(sshd.differences(wanted, found, {name: name for name in wanted})) is differs

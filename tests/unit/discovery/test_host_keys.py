"""Host keys beside those that are pinned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.host_keys import (
    CHANGED,
    NEW,
    SAME,
    compared,
    fingerprint,
    pinned,
    scanned,
    with_pins,
)

A = {"ssh-ed25519": "AAAA", "ssh-rsa": "BBBB"}
B = {"ssh-ed25519": "CCCC"}


@pytest.mark.parametrize(
    ("known", "shown", "expected"),
    [
        ({}, A, NEW),
        (A, A, SAME),
        (A, {"ssh-ed25519": "AAAA"}, SAME),
        ({"ssh-rsa": "BBBB"}, A, SAME),
        (A, B, CHANGED),
        # One key that is right does not make up for one that is not.
        (A, {"ssh-ed25519": "CCCC", "ssh-rsa": "BBBB"}, CHANGED),
        ({"ssh-rsa": "BBBB"}, B, CHANGED),
    ],
)
def test_compared(known: dict[str, str], shown: dict[str, str], expected: str) -> None:
    assert compared(known, shown) == expected


def test_what_ssh_keyscan_prints() -> None:
    printed = (
        "# 192.168.1.9:22 SSH-2.0-OpenSSH_10.0p2 Debian-7\n"
        "192.168.1.9 ssh-ed25519 AAAA\n192.168.1.9 ssh-rsa BBBB\n"
        "192.168.1.9 ssh-dss AAAA\n192.168.1.9 ssh-rsa ***\ntorn"
    )
    assert scanned(printed) == {"192.168.1.9": A}


def test_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    public = key.with_suffix(".pub").read_text().split()[1]
    assert fingerprint({"ssh-rsa": "AAAA", "ssh-ed25519": public}) == f"{shown.split()[1]} (ED25519)"
    assert fingerprint({}) == ""


def test_pins_are_added_and_other_lines_stay() -> None:
    text = "# mine\n@revoked * ssh-rsa XXXX\n|1|salt|hash ssh-rsa XXXX\nllmpi-01,192.168.1.9 ssh-rsa BBBB me\n"
    assert pinned(text) == {"llmpi-01": {"ssh-rsa": "BBBB"}, "192.168.1.9": {"ssh-rsa": "BBBB"}}
    written = with_pins(text, {"llmpi-02": B, "llmpi-01": A})
    assert written == text + "llmpi-01 ssh-ed25519 AAAA\nllmpi-02 ssh-ed25519 CCCC\n"
    assert with_pins(written, {"llmpi-02": B, "llmpi-01": A}) == written


def test_keys_of_a_replaced_board_go() -> None:
    text = "a,llmpi-01 ssh-ed25519 AAAA\nllmpi-01 ssh-rsa BBBB\nllmpi-02 ssh-rsa BBBB\n"
    assert with_pins(text, {"llmpi-01": B}, replaced={"llmpi-01"}) == (
        "a ssh-ed25519 AAAA\nllmpi-02 ssh-rsa BBBB\nllmpi-01 ssh-ed25519 CCCC\n"
    )

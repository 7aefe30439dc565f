"""Names of hosts and users, and public keys."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.names import (
    host_name_problem,
    public_key_problem,
    user_name_problem,
)

KEY = f"ssh-ed25519 {'A' * 68}"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("llmpi-01", ""),
        ("LLMPI", ""),
        ("a" * 63, ""),
        ("a" * 64, "is not a host name"),
        ("", "is not a host name"),
        ("-a", "is not a host name"),
        ("a.b", "is not a host name"),
        ("../a", "is not a host name"),
        ("192", "part of an address"),
    ],
)
def test_host_names(name: str, problem: str) -> None:
    assert problem in host_name_problem(name)
    assert bool(problem) == bool(host_name_problem(name))


@pytest.mark.parametrize(("name", "valid"), [("pi", True), ("_a-1", True), ("Pi", False), ("a b", False), ("", False)])
def test_user_names(name: str, *, valid: bool) -> None:
    assert (user_name_problem(name) == "") == valid


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (KEY, ""),
        (f'from="10.0.0.0/8" {KEY} me', ""),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key"),
        ("ssh-ed25519", "is not a public key"),
        ("", "is not a public key"),
    ],
)
def test_public_keys(line: str, problem: str) -> None:
    found = public_key_problem(line)
    assert problem in found
    assert bool(problem) == bool(found)

"""dpkg's status file."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import Package, parse_status


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("", {}),
        (
            "Package: a\nStatus: install ok installed\nVersion: 1\n\n"
            "Package: b\nVersion: 2:3\nStatus: hold ok installed\n",
            {"a": Package("1", "install"), "b": Package("2:3", "hold")},
        ),
        ("Package: a\nStatus: deinstall ok config-files\nVersion: 1\n", {}),
        ("Package: a\nStatus: install ok half-configured\nVersion: 1\n", {}),
        ("Package: a\nStatus: install reinstreq installed\nVersion: 1\n", {}),
        ("Package: a\nVersion: 1\n", {}),
        ("Status: install ok installed\nVersion: 1\n", {}),
        (
            "Package: a\nStatus: install ok installed\nDescription: x\n Package: b\nVersion: 1\n",
            {"a": Package("1", "install")},
        ),
    ],
)
def test_installed(text: str, packages: dict[str, Package]) -> None:
    assert parse_status(text) == packages

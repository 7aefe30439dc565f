"""dpkg's status file."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core import dpkg
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
        (
            "Package: a\nStatus: install ok installed\nVersion: 1\nProvides: x, y (= 2), z:any\n",
            {"a": Package("1", "install", ("x", "y", "z"))},
        ),
    ],
)
def test_installed(text: str, packages: dict[str, Package]) -> None:
    assert parse_status(text) == packages


@pytest.mark.parametrize(
    ("printed", "kernel", "architecture"),
    [
        ("arm64\n", "aarch64", "aarch64"),
        ("amd64\n", "x86_64", "x86_64"),
        # Raspberry Pi OS (32-bit) on a Pi 4 or 5.
        ("armhf\n", "aarch64", "armhf"),
        ("i386\n", "x86_64", "i386"),
        # setarch linux32
        ("arm64\n", "armv8l", "aarch64"),
        ("", "aarch64", "aarch64"),
    ],
)
def test_what_programs_are_built_for(
    monkeypatch: pytest.MonkeyPatch, printed: str, kernel: str, architecture: str
) -> None:
    monkeypatch.setattr(dpkg, "output_of", lambda argv: printed if argv == ["dpkg", "--print-architecture"] else "")
    assert dpkg.userland(kernel) == architecture


def test_what_a_package_provides_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`awk` is a name that no package has: it is mawk's, or gawk's."""
    status = tmp_path / "status"
    status.write_text(
        "Package: mawk\nStatus: install ok installed\nVersion: 1.3\nProvides: awk, both\n\n"
        "Package: gawk\nStatus: deinstall ok config-files\nVersion: 5\nProvides: gone\n\n"
        "Package: both\nStatus: install ok installed\nVersion: 2\n"
    )
    monkeypatch.setattr(dpkg, "STATUS", str(status))
    assert dpkg.installed_versions() == {"mawk": "1.3", "awk": "1.3", "both": "2"}

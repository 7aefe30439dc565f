"""Which L4T is which JetPack, from files as boards have them."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix as jetson_matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.matrix import parse_release

TAIL = """\
# KERNEL_VARIANT: oot
TARGET_USERSPACE_LIB_DIR=nvidia
TARGET_USERSPACE_LIB_DIR_PATH=usr/lib/aarch64-linux-gnu/nvidia
"""
GENERIC = "BOARD: generic, EABI: aarch64, DATE"

#: First lines as boards print them, the release in them, and what the matrix has for it.
REAL = [
    (f"# R36 (release), REVISION: 2.0, GCID: 35084178, {GENERIC}: Tue Dec 19 05:55:03 UTC 2023", "6.0 DP", "12.2"),
    (f"# R36 (release), REVISION: 3.0, GCID: 36923193, {GENERIC}: Fri Jul 19 23:24:25 UTC 2024", "6.0", "12.2"),
    (f"# R36 (release), REVISION: 4.0, GCID: 37537400, {GENERIC}: Fri Sep 13 04:36:44 UTC 2024", "6.1", "12.6"),
    (f"# R36 (release), REVISION: 4.3, GCID: 38968081, {GENERIC}: Wed Jan  8 01:49:37 UTC 2025", "6.2", "12.6"),
    (f"# R36 (release), REVISION: 4.7, GCID: 42132812, {GENERIC}: Thu Sep 18 22:54:44 UTC 2025", "6.2.1", "12.6"),
    (f"# R36 (release), REVISION: 5.0, GCID: 43688277, {GENERIC}: Fri Jan 16 03:50:45 UTC 2026", "6.2.2", "12.6"),
    (f"# R39 (release), REVISION: 2.1, GCID: 46758480, {GENERIC}: Fri Aug 7 05:54:22 AM UTC 2026", "7.2.1", "13.2"),
]


@pytest.mark.parametrize(("line", "jetpack", "cuda"), REAL)
def test_supported_releases(line: str, jetpack: str, cuda: str) -> None:
    l4t = parse_release(f"{line}\n{TAIL}")
    row = jetson_matrix.find_row(l4t)
    assert row
    assert (row.jetpack, row.cuda) == (jetpack, cuda)
    assert l4t.text == line
    assert jetson_matrix.refusal(l4t) == ""
    assert jetson_matrix.FAMILIES[row.family].images


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, DATE: Tue Aug  1 "
            "19:57:35 UTC 2023\n",
            "R35.4.1 is not supported (R36.2 to R36.5 (JetPack 6) and R39.2 (JetPack 7.2) are): JetPack 5",
        ),
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref\n", "JetPack 4"),
        (f"# R38 (release), REVISION: 2.2, GCID: 42205042, {GENERIC}: Thu Sep 25 22:47:11 UTC 2025\n", "for Thor"),
        ("# R36 (release), REVISION: 9.0, GCID: 1\n", "R36.9.0 is not supported"),
        ("# R40 (release), REVISION: 1.0, GCID: 1\n", "not known here"),
        ("# R39 (release), REVISION: 20.1, GCID: 1\n", "R39.20.1 is not supported"),
        ("", "is not there: this is not a Jetson"),
        ("Ubuntu\n", "has 'Ubuntu': this is not a Jetson"),
    ],
)
def test_refused_releases(text: str, message: str) -> None:
    l4t = parse_release(text)
    assert jetson_matrix.find_row(l4t) is None
    assert message in jetson_matrix.refusal(l4t)


def test_every_row_has_a_family_and_a_source() -> None:
    for row in jetson_matrix.MATRIX:
        assert row.family in jetson_matrix.FAMILIES
        assert row.source
    assert all(family.source and family.images for family in jetson_matrix.FAMILIES.values())


def test_a_release_knows_its_name() -> None:
    assert parse_release(REAL[3][0]).as_dict() == {
        "release": 36,
        "revision": "4.3",
        "name": "R36.4.3",
        "text": REAL[3][0],
    }

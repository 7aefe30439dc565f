"""Properties of units."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import parse_properties


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", []),
        ("\n", []),
        ("Id=a.service\nResult=\n", [{"Id": "a.service", "Result": ""}]),
        ("Id=a\nExecStart={ path=/bin/a ; }\n\nId=b\n", [{"Id": "a", "ExecStart": "{ path=/bin/a ; }"}, {"Id": "b"}]),
        ("System has not been booted with systemd\n", []),
    ],
)
def test_properties(text: str, units: list[dict[str, str]]) -> None:
    assert parse_properties(text) == units

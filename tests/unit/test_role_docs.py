"""tools/role_docs.py: argument specs to a README's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.tools.role_docs import inputs_table, rows, with_table


@pytest.mark.parametrize(
    ("option", "row"),
    [
        ({"type": "int", "default": 0, "description": "Jobs."}, '| `x` | int | `0` | Jobs. |'),
        ({"type": "bool", "default": False, "description": "On."}, "| `x` | bool | `false` | On. |"),
        ({"description": "Plain."}, "| `x` | str |  | Plain. |"),
        ({"required": True, "description": "Needed."}, "| `x` | str | required | Needed. |"),
        ({"default": "", "description": ["One.", "Two\n  lines."]}, '| `x` | str | `""` | One. Two lines. |'),
        ({"default": "a", "choices": ["a", "b"], "description": "Pick."},
         '| `x` | str | `"a"` | Pick. One of `a`, `b`. |'),
        ({"type": "list", "elements": "str", "default": ["a|b"], "description": "This | that."},
         '| `x` | list of str | `["a\\|b"]` | This \\| that. |'),
        ({"description": "O(y) and V(auto), not DO(z)."}, "| `x` | str |  | `y` and `auto`, not DO(z). |"),
    ],
)  # fmt: skip
def test_a_row(option: dict[str, Any], row: str) -> None:
    assert list(rows({"x": option})) == [row + "\n"]


def test_nested_options_get_rows_of_their_own() -> None:
    source = {"type": "dict", "description": "From where.", "options": {"url": {"description": "URL."}}}
    services = {"type": "list", "elements": "dict", "description": "What.", "options": {"source": source}}
    assert [row.split("|")[1].strip() for row in rows({"services": services})] == [
        "`services`",
        "`services[].source`",
        "`services[].source.url`",
    ]


def test_only_the_part_between_the_markers_is_replaced() -> None:
    readme = "# r\n<!-- inputs:start -->\nold\n<!-- inputs:end -->\nrest\n"
    assert with_table(readme, "new\n") == "# r\n<!-- inputs:start -->\nnew\n<!-- inputs:end -->\nrest\n"


@pytest.mark.parametrize(
    "readme",
    [
        "",
        "<!-- inputs:start -->",
        "<!-- inputs:end --><!-- inputs:start -->",
        "<!-- inputs:start --><!-- inputs:start --><!-- inputs:end -->",
        "<!-- inputs:start --><!-- inputs:end --><!-- inputs:end -->",
    ],
)
def test_markers_must_stand_once_and_in_order(readme: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        with_table(readme, "new\n")


def test_a_whole_table(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "argument_specs.yml").write_text(
        "argument_specs: {main: {options: {r_port: {type: int, default: 80, description: Port.}}}}"
    )
    assert inputs_table(tmp_path) == (
        "| input | type | default | meaning |\n| --- | --- | --- | --- |\n| `r_port` | int | `80` | Port. |\n"
    )

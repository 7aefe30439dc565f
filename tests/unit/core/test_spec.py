"""Values by their specification: types, words, what YAML may have altered, and secrets that are not shown."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check, without_nulls

TEXT, TEXTS, FLAG = {"type": "str"}, {"type": "list", "elements": "str"}, {"type": "bool"}
WORD = {"type": "str", "choices": ["", "off", "zram"]}
KEYS = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": True},
        "n": {"type": "int"},
    },
}


@pytest.mark.parametrize(
    ("spec", "value", "problem"),
    [
        (TEXT, "a", ""),
        (TEXT, "", ""),
        (TEXT, None, ""),
        (TEXT, 83, "x: must be a text; YAML has taken it for 83: quote it."),
        (TEXT, 1.1, "x: must be a text; YAML has taken it for 1.1: quote it."),
        (TEXT, True, "x: must be a text; YAML has taken it for True: quote it."),
        (TEXT, datetime.date(2026, 1, 2), "x: must be a text; YAML has taken it for datetime.date(2026, 1, 2)"),
        (TEXT, ["a"], "x: must be a text; it is ['a']."),
        (TEXT, {"a": 1}, "x: must be a text; it is {'a': 1}."),
        (WORD, "zram", ""),
        (WORD, "", ""),
        (WORD, False, ""),
        (WORD, "swap", "x: 'swap' is not known; give off, zram."),
        (FLAG, "yes", ""),
        (FLAG, "maybe", "x: 'maybe' is not a boolean"),
        (TEXTS, [], ""),
        (TEXTS, "a", "x: is not a list; write ['a']."),
        (TEXTS, {"a": 1}, "x: is not a list; write [{'a': 1}]."),
        (TEXTS, ["a", 7], "x[1]: must be a text; YAML has taken it for 7: quote it."),
        (TEXTS, ["a", None], "x[1]: is empty; give a value, or remove the line."),
        ({"type": "dict"}, ["a"], "x: is not a dictionary; it is ['a']."),
        ({"type": "dict"}, {"a": 1}, ""),
        ({"type": "raw"}, 7, ""),
        (KEYS, [{"name": "a", "key": "k", "n": "left to what casts it"}], ""),
        (KEYS, [{"key": "k"}], "x[0].name: is missing."),
        (KEYS, [{"name": "a", "key": 12345}], "x[0].key: must be a text; YAML has taken it for a number: quote it."),
        (KEYS, [{"name": "a", "key": ["12345"]}], "x[0].key: must be a text; it is a list."),
        (KEYS, ["12345"], "x[0]: is not a dictionary; it is a text."),
        (KEYS, {"name": "a", "key": "12345"}, "x: is not a list; write [a dictionary]."),
    ],
)
def test_a_value(spec: dict[str, Any], value: object, problem: str) -> None:
    problems = Problems()
    check("x", value, spec, problems)
    assert "".join(problems.found).startswith(problem)
    assert bool(problems.found) == bool(problem)
    assert "12345" not in "".join(problems.found)


def test_a_key_without_a_value_is_not_given() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}, None], "e": {"f": None}}) == {
        "b": [{"d": 0}, None],
        "e": {},
    }

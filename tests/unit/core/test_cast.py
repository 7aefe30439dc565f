"""Booleans and numbers as inventories write them."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import (
    as_bool,
    as_entries,
    as_float,
    as_int,
    as_path,
    as_texts,
    plain_text,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems


@pytest.mark.parametrize("given", ["a\nb\n", "\ufeffa\nb\n", "a\r\nb\r\n", "\ufeffa\r\nb\n", "a\rb\r"])
def test_plain_text(given: str) -> None:
    assert plain_text(given) == "a\nb\n"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        *((word, True) for word in (True, "true", "True", "YES", "on", "1", "y", "t", " yes ", 1, 1.0)),
        *((word, False) for word in (False, "false", "False", "NO", "off", "0", "n", "f", 0, 0.0)),
    ],
)
def test_booleans(value: object, found: bool) -> None:
    problems = Problems()
    assert as_bool(value, "x", problems, default=not found) is found
    assert problems.found == []


@pytest.mark.parametrize("value", ["enabled", "", "2", 2, -1, 0.5, None, [], [True], {}, "yes no"])
@pytest.mark.parametrize("default", [True, False])
def test_what_is_not_a_boolean_is_a_problem(value: object, default: bool) -> None:
    problems = Problems()
    assert as_bool(value, "x", problems, default) is default
    assert problems.found == [f"x: {value!r} is not a boolean (true or false)."]


@pytest.mark.parametrize(
    ("value", "number"), [(1, 1), ("9", 9), (" 5 ", 5), ("+3", 3), ("007", 7), (-2, -2), ("-2", -2)]
)
def test_whole_numbers(value: object, number: int) -> None:
    problems = Problems()
    assert as_int(value, "x", -2, 9, problems) == number
    assert problems.found == []


@pytest.mark.parametrize(
    "value", [-3, 10, "10", 1.0, 1.5, "1.0", True, False, None, "", "one", [], "1_0", "0x1", "1 2", "²", "٣"]
)
def test_what_is_not_a_whole_number_in_range_is_a_problem(value: object) -> None:
    problems = Problems()
    assert as_int(value, "x", -2, 9, problems) == -2
    assert as_int(value, "y", -2, 9, problems, 4) == 4
    assert problems.found == [f"{name}: must be a whole number from -2 to 9; it is {value!r}." for name in ("x", "y")]


@pytest.mark.parametrize(
    ("value", "number"), [(1, 1.0), (0.5, 0.5), ("0.5", 0.5), ("1e-3", 0.001), (True, None), ("inf", None), ("x", None)]
)
def test_numbers(value: object, number: float | None) -> None:
    problems = Problems()
    assert as_float(value, "x", problems, -1.0) == (-1.0 if number is None else number)
    assert problems.found == ([] if number is not None else [f"x: must be a number; it is {value!r}."])


@pytest.mark.parametrize(
    ("value", "texts", "problem"),
    [
        (["a", 8080], ("a", "8080"), ""),
        (None, (), ""),
        ("", (), ""),
        ("curl", (), "x: is not a list; write ['curl']."),
        ({"a": 1}, (), "x: is not a list"),
        (["a", ["b"]], (), "x[1]: must be a text; it is ['b']."),
        ([True], (), "x[0]: must be a text; it is True."),
    ],
)
def test_lists_of_texts(value: object, texts: tuple[str, ...], problem: str) -> None:
    problems = Problems()
    assert as_texts(value, "x", problems) == texts
    assert [problem in found for found in problems.found] == ([True] if problem else [])


@pytest.mark.parametrize(
    ("value", "entries", "problems"),
    [
        ([{"name": "a"}], [(0, {"name": "a"})], []),
        ([], [], []),
        ({"name": "a"}, [], ["x: is not a list; write [{name}]."]),
        (None, [], ["x: is not a list; write [{name}]."]),
        (["a", {"name": "b"}], [(1, {"name": "b"})], ["x[0]: is not a dictionary; write {name}."]),
        ([{"nam": "a"}], [(0, {"nam": "a"})], ["x[0].nam: is not known; did you mean name?"]),
    ],
)
def test_lists_of_dictionaries(value: object, entries: object, problems: list[str]) -> None:
    found = Problems()
    assert (as_entries(value, "x", ("name",), "{name}", found), found.found) == (entries, problems)


@pytest.mark.parametrize(
    ("value", "names", "accepted"),
    [
        ("/srv", 1, True),
        ("/srv/models", 2, True),
        ("/srv/", 2, False),
        ("/", 1, False),
        ("srv/models", 1, False),
        ("", 1, False),
        (None, 1, False),
    ],
)
def test_paths(value: object, names: int, accepted: bool) -> None:
    problems = Problems()
    assert as_path(value, "x_path", names, problems) == str(value or "")
    refusal = f"x_path: {str(value or '')!r} is not valid; give an absolute path of {names} or more names."
    assert problems.found == ([] if accepted else [refusal])

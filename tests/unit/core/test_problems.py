"""Problems of inputs."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems


@pytest.mark.parametrize(("prefix", "found"), [("", "port: is taken."), ("role_", "role_port: is taken.")])
def test_each_names_its_variable(prefix: str, found: str) -> None:
    problems = Problems(prefix=prefix)
    problems.add("port", "is taken.")
    assert problems.found == [found]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"name": 1}, []),
        ({"nmae": 1}, ["x[0].nmae: is not known; did you mean name?"]),
        ({"zzz": 1}, ["x[0].zzz: is not known; known are name, model."]),
        ({1: 1}, ["x[0].1: is not known; known are name, model."]),
    ],
)
def test_keys_that_are_not_known(given: dict[object, int], found: list[str]) -> None:
    problems = Problems()
    problems.unknown_keys("x[0]", given, ("name", "model"))
    assert problems.found == found

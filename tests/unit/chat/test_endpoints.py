"""The endpoints that a chat page is connected to."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import Endpoint, parse_endpoints
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

PI = {"name": "pi-01 small", "url": "http://192.168.1.20:8080/v1", "model": "small"}
JETSON = {"name": "jetson-01 phi3", "url": "https://[fd00::21]:11434/v1/", "model": "phi3:mini", "context": "2048"}


def parsed(raw: object) -> tuple[tuple[Endpoint, ...], list[str]]:
    problems = Problems()
    return parse_endpoints(raw, "endpoints", problems), problems.found


def test_endpoints_are_read() -> None:
    assert parsed([PI, JETSON]) == (
        (
            Endpoint("pi-01 small", "http://192.168.1.20:8080/v1", "small", 4096),
            Endpoint("jetson-01 phi3", "https://[fd00::21]:11434/v1", "phi3:mini", 2048),
        ),
        [],
    )


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ([], "endpoints: has no endpoint: the page would have nobody to ask; give a list of"),
        ("http://pi", "endpoints: has no endpoint"),
        (["http://pi"], "endpoints[0]: is not a dictionary"),
        ([{**PI, "url": "pi-01:8080"}], "endpoints[0].url: 'pi-01:8080' is not an address"),
        ([{**PI, "url": ""}], "endpoints[0].url: '' is not an address"),
        ([{**PI, "model": None}], "endpoints[0].model: is missing."),
        ([{**PI, "context": 8}], "endpoints[0].context: must be a whole number from 256"),
        ([{**PI, "modell": "x"}], "endpoints[0].modell: is not known; did you mean model?"),
        ([PI, PI], "endpoints: 2 endpoints are called 'pi-01 small'"),
    ],
)
def test_endpoints_are_refused(raw: object, problem: str) -> None:
    found = parsed(raw)[1]
    assert len(found) == 1
    assert found[0].startswith(problem)

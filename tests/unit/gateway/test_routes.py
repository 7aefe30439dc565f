"""What the gateway offers, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import Routes, Target, parse_routes

KEYS = [{"host": "pi-01", "key": "key-of-pi-01\n"}, {"host": "jetson-01", "key": "key-of-jetson-01"}]
CLOUD = {"name": "large", "served": "vendor/large-2", "url": "https://api.example.com/v1/", "key": "key-of-cloud"}
STAYS = ["tool_output", "attachments", "embeddings"]


def endpoint(host: str, model: str = "smollm2", **more: Any) -> dict[str, Any]:
    """Return an entry of fleet_gateway_endpoints."""
    return {"host": host, "model": model, "url": f"http://{host}:8080/v1", **more}


def parsed(problems: Problems | None = None, **values: Any) -> Routes:
    """Return what inputs mean."""
    given = {"endpoints": [endpoint("pi-01")], "keys": KEYS, "models": [], "cloud_models": [], "stays_on_site": STAYS}
    return parse_routes({**given, **values}, problems if problems else Problems())


def test_a_model_that_several_devices_have_is_one_name() -> None:
    served = endpoint("jetson-01", served="smollm2:135m", url="https://10.0.0.7:11434/v1", lacks=["attachments"])
    found = parsed(endpoints=[endpoint("pi-01"), served, endpoint("pi-01", "minilm")])
    assert found.models == ["smollm2", "minilm"]
    assert found.devices[:2] == (
        Target("pi-01", "smollm2", "smollm2", "http://pi-01:8080/v1", "key-of-pi-01"),
        Target(
            "jetson-01", "smollm2", "smollm2:135m", "https://10.0.0.7:11434/v1", "key-of-jetson-01", ("attachments",)
        ),
    )
    assert "key-of" not in repr(found)


def test_aliases_and_fallbacks() -> None:
    models = [{"name": "smollm2", "aliases": ["gpt-3.5-turbo", "small"], "fallback": "large"}]
    found = parsed(models=models, cloud_models=[CLOUD])
    assert found.aliases == {"gpt-3.5-turbo": "smollm2", "small": "smollm2"}
    assert found.fallbacks == {"smollm2": "large"}
    assert found.clouds == (Target("", "large", "vendor/large-2", "https://api.example.com/v1", "key-of-cloud"),)
    assert found.stays == tuple(STAYS)


def test_where_nothing_leaves_the_site_there_is_no_cloud() -> None:
    models = [{"name": "smollm2", "aliases": ["small"], "fallback": "large"}]
    found = parsed(models=models, cloud_models=[CLOUD], stays_on_site=["everything"])
    assert (found.clouds, found.fallbacks, found.aliases) == ((), {}, {"small": "smollm2"})
    assert found.left_out == (
        "fleet_gateway_stays_on_site has everything: the cloud model large is left out",
        "fleet_gateway_stays_on_site has everything: the fallback of smollm2 to large is left out",
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"endpoints": []}, "endpoints: is empty"),
        ({"endpoints": [endpoint("pi-09")]}, "endpoints[0].host: fleet_gateway_keys has no key of pi-09"),
        ({"endpoints": [endpoint("pi-01", url="pi-01:8080")]}, "endpoints[0].url: 'pi-01:8080' is not a URL"),
        ({"keys": [{"host": "pi-01", "key": ""}]}, "endpoints[0].key: is empty"),
        ({"cloud_models": [{**CLOUD, "key": "a b"}]}, "cloud_models[0].key: holds a space"),
        ({"cloud_models": [{**CLOUD, "name": "a b"}]}, "cloud_models[0].name: 'a b' is no name"),
        ({"cloud_models": [{**CLOUD, "name": "smollm2"}]}, "cloud_models[0].name: smollm2 is the name of a model of"),
        ({"cloud_models": [CLOUD, CLOUD]}, "cloud_models[1].name: large is the name of a cloud model already"),
        ({"cloud_models": [{**CLOUD, "url": "http://api.example.com/v1"}]}, "cloud_models[0].url: 'http://api.example"),
        ({"cloud_models": [{**CLOUD, "url": "http://8.8.8.8/v1"}]}, "cloud_models[0].url: 'http://8.8.8.8/v1' sends"),
        ({"models": [{"name": "llava"}]}, "models[0].name: no device serves llava; there are smollm2."),
        ({"models": [{"name": "smollm2", "aliases": ["a b"]}]}, "models[0].aliases[0]: 'a b' is no name"),
        ({"models": [{"name": "smollm2", "aliases": ["x", "x"]}]}, "models[0].aliases[1]: x is an alias of smollm2"),
        ({"models": [{"name": "smollm2", "fallback": "large"}]}, "models[0].fallback: large is not one of"),
    ],
)
def test_refusals(values: dict[str, Any], problem: str) -> None:
    problems = Problems()
    parsed(problems, **values)
    assert [found for found in problems.found if found.startswith(problem)], problems.found
    assert "a b" not in str([found for found in problems.found if ".key" in found])


@pytest.mark.parametrize("url", ["http://127.0.0.1:9001/v1", "http://192.168.1.9/v1", "http://[fd00::9]/v1"])
def test_a_private_address_may_be_asked_in_clear_text(url: str) -> None:
    problems = Problems()
    parsed(problems, cloud_models=[{**CLOUD, "url": url}])
    assert problems.found == []

"""LiteLLM's configuration."""

from __future__ import annotations

import json

from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.config import environment, offered, render
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import Routes, Target

PI = Target("pi-01", "smollm2", "smollm2", "http://pi-01:8080/v1", "site-key", ("embeddings", "attachments"))
JETSON = Target("jetson-01", "smollm2", "smollm2:135m", "http://jetson-01:11434/v1", "site-key", ("attachments",))
CLOUD = Target("", "large", "vendor/large-2", "https://api.example.com/v1", 'cloud-"key"')
ROUTES = Routes((PI, JETSON), (CLOUD,), {"gpt-3.5-turbo": "smollm2"}, {"smollm2": "large"}, ("tool_output",))


def test_one_name_has_all_devices() -> None:
    config = json.loads(render(ROUTES, 600, 30))
    pi, jetson, cloud = config["model_list"]
    assert [entry["model_name"] for entry in config["model_list"]] == ["smollm2", "smollm2", "large"]
    assert [entry["model_info"]["id"] for entry in (pi, jetson)] == ["pi-01/smollm2", "jetson-01/smollm2"]
    assert jetson["litellm_params"] == {
        "model": "openai/smollm2:135m",
        "api_base": "http://jetson-01:11434/v1",
        "api_key": "os.environ/EDGE_SLM_KEY_0",
        "timeout": 600,
    }
    assert cloud["model_info"] == {"id": "cloud/large", "edge_slm_stays_on_site": ["tool_output"]}
    assert pi["model_info"] == {
        "id": "pi-01/smollm2",
        "edge_slm_lacks": ["embeddings", "attachments"],
        "edge_slm_all_lack": ["attachments"],
    }


def test_the_cloud_answers_only_where_a_model_allows_it() -> None:
    router = json.loads(render(ROUTES, 600, 30))["router_settings"]
    assert router["routing_strategy"] == "least-busy"
    assert router["fallbacks"] == router["context_window_fallbacks"] == [{"smollm2": ["large"]}]
    assert router["model_group_alias"] == {"gpt-3.5-turbo": "smollm2"}
    assert json.loads(render(Routes((PI,), (CLOUD,)), 600, 30))["router_settings"]["fallbacks"] == []


def test_secrets_are_in_the_environment_alone() -> None:
    text = environment(ROUTES, "sk-master", {})
    assert text == 'LITELLM_MASTER_KEY=sk-master\nEDGE_SLM_KEY_0="site-key"\nEDGE_SLM_KEY_1="cloud-\\"key\\""\n'
    assert "site-key" not in render(ROUTES, 600, 30)
    assert "cloud-" not in render(ROUTES, 600, 30)


def test_devices_are_asked_past_the_proxy_that_leads_out() -> None:
    text = environment(ROUTES, "sk-master", {"https_proxy": "http://proxy.lan:3128"})
    assert 'HTTPS_PROXY="http://proxy.lan:3128"\n' in text
    assert 'no_proxy="localhost,127.0.0.1,::1,pi-01,jetson-01"\n' in text


def test_a_configuration_tells_what_it_offers() -> None:
    assert offered(json.loads(render(ROUTES, 600, 30))) == {"smollm2": ["pi-01", "jetson-01"], "large": ["cloud"]}
    assert offered({}) == {}

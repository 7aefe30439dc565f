"""What Open WebUI's container gets as its environment."""

from __future__ import annotations

import json

from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import Endpoint
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.open_webui import check_names, environment_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import ApiKey

PI = Endpoint("pi-01 small", "http://192.168.1.20:8080/v1", "small")
JETSON = Endpoint("jetson-01 phi3", "https://[fd00::21]:11434/v1", "phi3:mini")
KEY = "key-of-the-page-0001"


def environment(*endpoints: Endpoint, key: str = KEY) -> dict[str, str]:
    text = environment_text(endpoints, key, 8001, 600, "/etc/ssl/certs/ca-certificates.crt")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_each_endpoint_is_one_model_under_its_name() -> None:
    found = environment(PI, JETSON)
    assert found["OPENAI_API_BASE_URLS"] == "http://192.168.1.20:8080/v1;https://[fd00::21]:11434/v1"
    assert found["OPENAI_API_KEYS"] == f"{KEY};{KEY}"
    assert json.loads(found["OPENAI_API_CONFIGS"]) == {
        "0": {"enable": True, "prefix_id": "pi-01 small", "model_ids": ["small"]},
        "1": {"enable": True, "prefix_id": "jetson-01 phi3", "model_ids": ["phi3:mini"]},
    }
    assert found["DEFAULT_MODELS"] == "pi-01 small.small"


def test_people_are_who_the_door_says() -> None:
    found = environment(PI)
    assert (found["HOST"], found["PORT"]) == ("127.0.0.1", "8001")
    assert found["WEBUI_AUTH_TRUSTED_EMAIL_HEADER"] == "X-Edge-Slm-Email"
    assert {found[f"ENABLE_{what}"] for what in ("SIGNUP", "LOGIN_FORM")} == {"false"}


def test_sessions_end_with_the_key_that_they_do_not_show() -> None:
    one, other = environment(PI)["WEBUI_SECRET_KEY"], environment(PI, key="another-key-000000001")["WEBUI_SECRET_KEY"]
    assert one != other
    assert KEY not in one
    assert len(one) == 64


def test_a_board_answers_nothing_but_what_it_is_asked() -> None:
    found = environment(PI)
    assert {value for name, value in found.items() if name.endswith("_GENERATION")} == {"false"}
    assert (found["OFFLINE_MODE"], found["ENABLE_PERSISTENT_CONFIG"]) == ("true", "false")


def test_two_keys_with_one_account_are_refused() -> None:
    problems = Problems()
    check_names([ApiKey("Ann", "a"), ApiKey("bob", "b"), ApiKey("ann", "c")], "keys", problems)
    assert problems.found == [
        "keys: 2 keys are called 'ann' but for case, which is one account of Open WebUI; rename one."
    ]

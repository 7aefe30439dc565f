"""What SillyTavern is configured with, and what connect-chat makes of its files at each start."""

from __future__ import annotations

import json
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.endpoints import parse_endpoints
from ansible_collections.edge_slm.fleet.plugins.module_utils.chat.sillytavern import config_text, connections_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

ROLE = Path(__file__).resolve().parents[3] / "roles/chat_frontend"
PI = {"name": "pi-01 small", "url": "http://192.168.1.20:8080/v1", "model": "small"}
JETSON = {"name": "jetson-01 phi3", "url": "https://[fd00::21]:11434/v1/", "model": "phi3:mini", "context": "2048"}
KEY = "key-of-the-page-0001"


def test_only_the_door_is_believed_and_only_endpoints_are_reached() -> None:
    config = json.loads(config_text(8001, ["192.168.1.0/24"]))
    assert (config["listen"], config["port"], config["whitelistMode"], config["whitelist"]) == (
        False,
        8001,
        True,
        ["127.0.0.1"],
    )
    assert not any(config["forwardedHeaders"].values())
    assert config["privateAddressWhitelist"]["enabled"] is True
    assert config["privateAddressWhitelist"]["allowedRanges"] == ["192.168.1.0/24"]
    assert config["allowKeysExposure"] is config["disableCsrfProtection"] is False


#: What SillyTavern's own settings have of what is touched.
DEFAULTS = {
    "firstRun": True,
    "main_api": "koboldhorde",
    "power_user": {"auto_connect": False, "theme": "Dark"},
    "oai_settings": {"chat_completion_source": "openai", "openai_max_context": 4095, "temp_openai": 1.0},
    "extension_settings": {"memory": {}},
}


class Page:
    """The directories of a page, and what is in its files after a start."""

    def __init__(self, directory: Path) -> None:
        self.config, self.data = directory / "etc", directory / "data"
        self.user = self.data / "default-user"
        for path in (self.config, self.data, directory / "default/content"):
            path.mkdir(parents=True)
        (directory / "default/content/settings.json").write_text(json.dumps(DEFAULTS))
        (self.config / "config.yaml").write_text(config_text(8001, ["192.168.1.0/24"]))

    def start(self, *endpoints: dict[str, Any], key: str = KEY) -> None:
        (self.config / "connections.json").write_text(
            connections_text(parse_endpoints(list(endpoints), "endpoints", Problems()), key)
        )
        runpy.run_path(str(ROLE / "files/connect-chat"))["main"](self.config, self.data)

    def read(self, name: str) -> Any:
        return json.loads((self.user / f"{name}.json").read_text())

    def change(self, name: str, **values: Any) -> None:
        (self.user / f"{name}.json").write_text(json.dumps({**self.read(name), **values}))

    @property
    def manager(self) -> Any:
        return self.read("settings")["extension_settings"]["connectionManager"]

    @property
    def connected_to(self) -> tuple[str, str, str]:
        settings = self.read("settings")["oai_settings"]
        return self.manager["selectedProfile"], settings["custom_url"], settings["custom_model"]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.chdir(tmp_path)
    return Page(tmp_path)


def test_a_new_page_is_connected_to_the_first_endpoint(page: Page) -> None:
    page.start(PI, JETSON)
    settings = page.read("settings")
    assert (settings["firstRun"], settings["main_api"]) == (False, "openai")
    assert settings["power_user"] == {"auto_connect": True, "theme": "Dark"}
    # Four fifths of the smallest context.
    assert settings["oai_settings"]["openai_max_context"] == 1638
    assert page.connected_to == ("edge-slm:pi-01 small", PI["url"], "small")
    assert [one["name"] for one in page.manager["profiles"]] == ["pi-01 small", "jetson-01 phi3"]
    secret = {"id": "edge-slm", "value": KEY, "label": "Fleet", "active": True}
    assert page.read("secrets") == {"api_key_custom": [secret]}
    assert {one["secret-id"] for one in page.manager["profiles"]} == {secret["id"]}
    for path in (page.data / "config.yaml", *page.user.glob("*.json")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_people_changed_stays(page: Page) -> None:
    page.start(PI)
    own = {"id": "1234", "name": "my own", "mode": "cc"}
    settings = page.read("settings")
    settings["oai_settings"]["temp_openai"] = 0.2
    settings["extension_settings"]["connectionManager"] = {"profiles": [own], "selectedProfile": "1234"}
    page.change("settings", **settings)
    others = [{"id": "5", "value": "x", "label": "mine", "active": True}]
    page.change("secrets", api_key_custom=others, api_key_openai=others)
    page.start(PI, key="key-of-the-page-0002")
    assert page.read("settings")["oai_settings"]["temp_openai"] == 0.2
    assert page.manager["selectedProfile"] == "1234"
    assert [one["id"] for one in page.manager["profiles"]] == ["edge-slm:pi-01 small", "1234"]
    secrets = page.read("secrets")
    assert [(one["value"], one["active"]) for one in secrets["api_key_custom"]] == [
        ("key-of-the-page-0002", False),
        ("x", True),
    ]
    assert secrets["api_key_openai"] == others


@pytest.mark.parametrize(
    ("endpoints", "connected_to"),
    [
        # A connection follows its endpoint.
        ([{**PI, "url": "http://pi-01:9000/v1"}], ("edge-slm:pi-01 small", "http://pi-01:9000/v1", "small")),
        # One that is gone gives way to the first that there is.
        ([JETSON], ("edge-slm:jetson-01 phi3", "https://[fd00::21]:11434/v1", "phi3:mini")),
    ],
)
def test_a_page_that_is_connected_to_us_follows_the_fleet(
    page: Page, endpoints: list[dict[str, Any]], connected_to: tuple[str, str, str]
) -> None:
    page.start(PI)
    page.start(*endpoints)
    assert page.connected_to == connected_to
    assert len(page.manager["profiles"]) == 1


def test_another_model_of_the_same_endpoint_is_a_choice(page: Page) -> None:
    page.start(PI)
    settings = page.read("settings")
    settings["oai_settings"]["custom_model"] = "other"
    page.change("settings", **settings)
    page.start(PI)
    assert page.connected_to == ("edge-slm:pi-01 small", PI["url"], "other")

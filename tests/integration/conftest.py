"""The converged test fleet, as its users and its operators reach it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import openai
import pytest
from devices import ADDRESSES, FLEET, ROOT

ARTIFACTS = ROOT / ".artifacts"
KEY_FILE = FLEET / "api-key"
MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Device:
    """One device of molecule/inventory/hosts.yml."""

    name: str
    address: str
    port: int = 8080
    model: str = MODEL

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, timeout=120, max_retries=0)


PIS = (Device("pi-01", ADDRESSES["pi-01"]), Device("pi-02", ADDRESSES["pi-02"]))
JETSON = Device("jetson-01", ADDRESSES["jetson-01"], 11434, "phi3:mini")


@pytest.fixture(params=PIS, ids=lambda device: device.name)
def pi(request: pytest.FixtureRequest) -> Device:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=(*PIS, JETSON), ids=lambda device: device.name)
def device(request: pytest.FixtureRequest) -> Device:
    """Every device: what is tested with this one holds whatever engine answers."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def key() -> str:
    return KEY_FILE.read_text().strip()


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    """Playbooks started by tests use the checkout's settings, wherever pytest was started."""
    os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    ARTIFACTS.mkdir(exist_ok=True)

"""The converged test fleet, as its users and its operators reach it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "molecule/inventory/hosts.yml"
ARTIFACTS = ROOT / ".artifacts"
KEY_FILE = ROOT / ".cache/fleet/api-key"
MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Pi:
    """One Pi of molecule/inventory/hosts.yml."""

    name: str
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}:8080"

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, timeout=120, max_retries=0)


PIS = (Pi("pi-01", "127.0.11.11"), Pi("pi-02", "127.0.11.12"))


@pytest.fixture(params=PIS, ids=lambda pi: pi.name)
def pi(request: pytest.FixtureRequest) -> Pi:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def key() -> str:
    return KEY_FILE.read_text().strip()


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    """Playbooks started by tests use the checkout's settings, wherever pytest was started."""
    os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    ARTIFACTS.mkdir(exist_ok=True)

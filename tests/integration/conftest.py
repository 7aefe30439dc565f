"""The converged test fleet, as its users and its operators reach it."""

from __future__ import annotations

import os

import pytest
from devices import ROOT
from endpoints import ARTIFACTS, JETSON, KEY_FILE, PIS, Device


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

"""Settings of a board, and what stands in for an image."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PASSPHRASE = "correct horse battery"


def raw(**changes: Any) -> dict[str, Any]:
    """Return the role's inputs as its plan gets them."""
    defaults = yaml.safe_load((ROOT / "roles/provision/defaults/main.yml").read_text(encoding="utf-8"))
    given = {"hostname": "llmpi-01", "user": "me", "user_keys": [f"ssh-ed25519 {'A' * 68} me"], "output": "/images"}
    return {**{name.removeprefix("provision_"): value for name, value in defaults.items()}, **given, **changes}


@pytest.fixture
def inputs() -> Callable[..., dict[str, Any]]:
    return raw


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Return settings of valid inputs."""

    def make(**changes: Any) -> Settings:
        problems = Problems()
        found = Settings.of(raw(**changes), problems)
        assert problems.found == []
        return found

    return make


@pytest.fixture
def wifi() -> dict[str, str]:
    return {"wifi_ssid": "Café; 'x'", "wifi_passphrase": PASSPHRASE, "wifi_country": "DE"}


@pytest.fixture
def fixed() -> dict[str, Any]:
    return {"address": "192.168.1.21/24", "gateway": "192.168.1.1", "nameservers": ["192.168.1.1"]}


@pytest.fixture(scope="session")
def card_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what stands in for an image of each release."""
    where = tmp_path_factory.mktemp("cards")
    found = {release: where / f"stand-in-{release}.img" for release in ("trixie", "bookworm")}
    for release, path in found.items():
        subprocess.run([ROOT / "molecule/stand_ins/card-image", path, release], check=True, capture_output=True)
    return found

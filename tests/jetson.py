"""The Jetson of the test fleet, its Ollama, and the plays of the scenario jetson_ollama."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

import plays
from devices import ROOT, wait_until

SCENARIO = ROOT / "molecule/jetson_ollama"
CONVERGE = SCENARIO / "converge.yml"
HOST = "jetson-01"
#: The version that the tests upgrade to.
NEW = "0.17.4"
URL = "http://127.0.0.1:11435"


def refused(name: str, **variables: Any) -> str:
    """Run a playbook of the scenario that must fail; return what it printed, in one line."""
    return plays.refused(SCENARIO / f"{name}.yml", **variables)


def converge(**variables: Any) -> str:
    return plays.played(CONVERGE, **variables)


def playing(**variables: Any) -> AbstractContextManager[plays.Running]:
    """Run the scenario's converge.yml beside the test; kill it where it still runs at the end."""
    return plays.playing(CONVERGE, **variables)


def digests(host: Any) -> dict[str, str]:
    tags = json.loads(host.check_output(f"curl --fail --silent {URL}/api/tags"))["models"]
    return {model["name"]: model["digest"] for model in tags}


def wait_for_answer(host: Any, seconds: float = 60) -> None:
    ask = f"curl --fail --silent --max-time 2 {URL}/api/version"
    wait_until(lambda: host.run(ask).rc == 0, "Ollama answers", seconds)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs between Ollama as it runs on a host and as it is wanted, in sentences; nothing is read here."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import models as ollama_models
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import environment_of, find_loaded, judge
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import Held, Model
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.server import (
    INPUTS_LABEL,
    MIB,
    OWN_VARIABLES,
    Inputs,
    proof,
)

#: Options of community.docker.docker_container, and where `docker inspect` has them.
INSPECTED = {
    "image": ("Config", "Image"),
    "entrypoint": ("Config", "Entrypoint"),
    "command": ("Config", "Cmd"),
    "volumes": ("HostConfig", "Binds"),
    "runtime": ("HostConfig", "Runtime"),
    "network_mode": ("HostConfig", "NetworkMode"),
    "read_only": ("HostConfig", "ReadonlyRootfs"),
    "security_opts": ("HostConfig", "SecurityOpt"),
    "cap_drop": ("HostConfig", "CapDrop"),
}
STARTED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")


def settings_differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return how a container differs from what it is wanted to be.

    Args:
        wanted: As ollama.server.container returns it.
        found: As `docker inspect` shows it.
    """
    host = found.get("HostConfig") or {}
    actual: dict[str, Any] = {name: (found.get(part) or {}).get(key) for name, (part, key) in INSPECTED.items()}
    actual["memory"] = f"{int(host.get('Memory') or 0) // MIB}m"
    actual["restart_policy"] = (host.get("RestartPolicy") or {}).get("Name")
    pairs = [(name, value, wanted[name]) for name, value in actual.items()]
    differences = [
        f"its option {name} is {_shown(value)}, not {_shown(expected)}"
        for name, value, expected in pairs
        if (sorted(value or []) != sorted(expected) if isinstance(expected, list) else value != expected)
    ]
    environment = environment_of(found)
    for name, expected in wanted["env"].items():
        if environment.get(name) != expected:
            # An operator's own variable may hold a secret.
            shown = f"{environment.get(name, 'not set')}, not {expected}" if name in OWN_VARIABLES else "another one"
            differences.append(f"its variable {name} is {shown}")
    labels = (found.get("Config") or {}).get("Labels") or {}
    if not differences and labels.get(INPUTS_LABEL) != wanted["labels"][INPUTS_LABEL]:
        differences.append("it was started with other inputs, or before the host's CA certificates changed")
    return differences


def _shown(value: object) -> str:
    """Return a setting for people."""
    if value is None:
        return "not set"
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def state_difference(found: Mapping[str, Any]) -> str:
    """Return why a container does not serve, by its state; '' where it runs."""
    state = found.get("State") or {}
    if state.get("Paused"):
        return "is paused"
    if state.get("Restarting"):
        return f"is started again and again (it ends with code {state.get('ExitCode')})"
    return "" if state.get("Running") else f"is not running (it ended with code {state.get('ExitCode')})"


def is_unhealthy(found: Mapping[str, Any]) -> bool:
    """Return whether Docker's last checks of a container have failed; they are up to half a minute old."""
    return ((found.get("State") or {}).get("Health") or {}).get("Status") == "unhealthy"


def needs_restart(found: Mapping[str, Any], answers: bool, patience: float, now: float) -> bool:
    """Return whether a container that runs must be restarted: it does not answer, and waiting longer is of no use.

    Args:
        found: As `docker inspect` shows it.
        answers: Whether Ollama answers.
        patience: Seconds in which it may start.
        now: Seconds since the epoch.
    """
    state = found.get("State") or {}
    if answers or state_difference(found):
        return False
    started = STARTED.match(str(state.get("StartedAt") or ""))
    if is_unhealthy(found) or not started:
        return True
    elapsed = now - calendar.timegm(time.strptime(started[1], "%Y-%m-%dT%H:%M:%S"))
    # It was started in the future where the clock has been set back since.
    return not 0 <= elapsed <= patience


def model_sentences(
    plan: ollama_models.Plan, held: Mapping[str, Held], record: Mapping[str, Any], damaged: Mapping[str, str]
) -> list[str]:
    """Return what is pending of the models, one sentence each.

    Args:
        plan: What must be done.
        held: What is there, by ollama.models.held_models.
        record: What each was made of.
        damaged: What is wrong with files of models that are there, by the model's name.
    """
    sentences = []
    for model in plan.bring:
        have = held.get(model.name.lower())
        sentences.append(f"model {model.name}: {damaged.get(model.name) or _model_difference(model, have, record)}")
    brought = {model.name for model in plan.bring}
    for source, alias in plan.copies:
        if source not in brought:
            there = "names another model" if alias.lower() in held else "is missing"
            sentences.append(f"model {source}: its alias {alias} {there}")
    for name in plan.delete:
        listed = name in plan.unlisted
        sentences.append(f"model {name}: {'is not listed' if listed else 'is left over from an interrupted run'}")
    return sentences


def _model_difference(model: Model, have: Held | None, record: Mapping[str, Any]) -> str:
    """Return why a model must be brought."""
    if have is None:
        return "is missing"
    if not model.sha256:
        return f"its digest is sha256:{have.digest[:12]}…, not sha256:{model.digest[:12]}…"
    noted = record.get(model.name) or {}
    if not noted.get("inputs"):
        return "is not known to be made of the listed file"
    if noted["inputs"] != model.inputs:
        return "was made of another file, template, system prompt or other parameters"
    return "has changed since it was made"


def answer_sentences(
    models: Sequence[Model],
    held: Mapping[str, Held],
    running: Sequence[Mapping[str, Any]],
    answered: Mapping[str, Any],
    container_inputs: str,
    inputs: Inputs,
) -> list[str]:
    """Return which of the models that are there have not answered yet, or are loaded without the GPU.

    Args:
        models: What is wanted.
        held: What is there.
        running: The `models` of /api/ps; none where it was not asked.
        answered: What the receipt holds of those that have answered.
        container_inputs: The container's label.
        inputs: The role's inputs.
    """
    sentences = []
    for model in models:
        have = held.get(model.name.lower())
        if have is None:
            continue
        loaded = find_loaded(running, model.name, have.digest)
        if answered.get(model.name) != proof(have.digest, container_inputs, inputs.require_gpu, inputs.gpu_share):
            sentences.append(f"model {model.name}: has not answered yet as it is wanted now")
        elif loaded:
            found = judge(loaded, require_gpu=inputs.require_gpu, gpu_share=inputs.gpu_share, context=0)
            sentences += [f"model {model.name}: {problem}" for problem in found]
    return sentences

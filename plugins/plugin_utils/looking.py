# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask roles' plans on a host: inputs are collected here, the host is read by one call of the module host_plans."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import Question
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.verdict import Look
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import ON_HOSTS
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.here import stay_here
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs, collect


@dataclass
class Answers:
    """What the host returned, and what it was asked with. `failure` is the module's result where it has none."""

    plans: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    timings: dict[str, float]
    diff: list[dict[str, Any]]
    inputs: Mapping[str, Inputs]
    failure: dict[str, Any] | None = None


class LookingAction(ActionBase):  # type: ignore[misc]
    """An action that asks roles' plans."""

    def placed(self, role: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the variables that modules are run with where the role works: on the host, or on the controller."""
        return variables if role in ON_HOSTS else stay_here(self, variables)

    def collected(self, role: str, variables: Mapping[str, Any], secrets: list[str]) -> Inputs:
        """Return a role's inputs with what the controller adds to them."""
        inputs = collect(role, self._loader, variables, secrets)
        controller_side.before(inputs)
        return inputs

    def ask(self, questions: Sequence[Question], task_vars: Mapping[str, Any], arguments: Mapping[str, Any]) -> Answers:
        """Ask every plan by one call of the module; those whose inputs are refused here are not asked.

        Args:
            questions: The plans that are asked for.
            task_vars: The task's variables.
            arguments: `deep` and `seconds` of the module.
        """
        plans: dict[str, dict[str, Any]] = {}
        asked: dict[str, Inputs] = {}
        secrets: list[str] = []
        sent: list[dict[str, Any]] = []
        started = time.monotonic()
        for question in questions:
            known = len(secrets)
            inputs = self.collected(question.role, {**task_vars, **question.variables}, secrets)
            if inputs.refusals:
                del secrets[known:]  # of a role that is not asked
                plans[question.name] = Plan(refusals=inputs.refusals).as_dict()
                continue
            asked[question.name] = inputs
            sent.append({"name": question.name, "role": question.role, "inputs": {**inputs.values, **question.extra}})
        collected = time.monotonic()
        answer = self._execute_module(
            module_name="edge_slm.fleet.host_plans",
            module_args={"questions": sent, "secrets": secrets, **arguments},
            task_vars=task_vars,
        )
        if answer.get("failed") or answer.get("unreachable") or "plans" not in answer:
            return Answers(plans, {}, {}, [], asked, answer)
        timings = {"inputs": collected - started, "module": time.monotonic() - collected}
        for name, plan in answer["plans"].items():
            controller_side.after(asked[name], plan)
            plans[name] = plan
        timings = {name: round(seconds, 3) for name, seconds in timings.items()}
        return Answers(plans, answer["facts"], {**timings, **answer["timings"]}, answer["diff"], asked)


def look_of(variables: Mapping[str, Any]) -> Look:
    """Return a host's look from what its task has registered."""
    found = variables.get("edge_slm_look") or {}
    groups = tuple(variables.get("group_names") or ())
    if found.get("unreachable") or "plans" not in found:
        lines = str(found.get("msg") or "").strip().splitlines() or ["there was no answer"]
        what = "does not answer" if found.get("unreachable") else "could not be compared"
        return Look(groups, failure=f"{what}: {lines[0].removeprefix('Task failed: ')}")
    device = found.get("ansible_facts", {}).get("edge_slm_device", {})
    return Look(groups, found["plans"], str(device.get("cpu_class", "")), board=str(device.get("board_model", "")))

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role's inputs as its tasks would see them, without entering the role.

Defaults are under the task's variables and the role's own constants beside them, so that precedence is Ansible's. Each
input is templated by itself: one that is undefined or cannot be decrypted is a refusal of the roles that use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import plain_secret, plain_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check, without_nulls
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import PLACEHOLDER
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.unit_hardening import UNIT_HARDENING

COLLECTION = Path(__file__).resolve().parents[2]
#: A value that is nothing but one of the fleet's variables: what the operator wrote when the role's input is refused.
ALIAS = re.compile(r"\s*\{\{\s*(edge_slm_\w+)\b[^{}]*\}\}\s*")

#: The sentence about a variable that has no value where one is needed.
NOT_SET = "is not set; docs/operators/inventory.md says what it is."

#: Files in playbooks/vars that map the fleet's variables to inputs.
MAPPINGS = ("network", "gateways", "devices", "builders", "chats")
#: What playbooks/vars and the look make of what the operator wrote.
MADE_OF = {
    "edge_slm_plan": "edge_slm_services",
    "edge_slm_outbound": "edge_slm_proxy_environment",
    "edge_slm_on_gpu": "the group gpu",
}


@dataclass(frozen=True)
class Role:
    """What is in a role's files. `variables` are its defaults under its constants."""

    name: str
    options: Mapping[str, Any]
    variables: Mapping[str, Any]


@cache
def read_role(name: str) -> Role:
    """Read a role's files; once for all hosts when an action plugin does so on import, in Ansible's first process."""
    directory = COLLECTION / "roles" / name
    # A plain YAML loader would leave templates as text: since 2.19 Ansible templates only what it trusts.
    loader = DataLoader()
    specs = loader.load_from_file(str(directory / "meta/argument_specs.yml"))
    variables: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        file = directory / part / "main.yml"
        if file.is_file():
            variables.update(loader.load_from_file(str(file), trusted_as_template=True) or {})
    return Role(name, specs["argument_specs"]["main"]["options"], variables)


@cache
def read_mapping(name: str) -> dict[str, Any]:
    """Read how the fleet's variables become inputs of roles; the plays that enter the roles read the same file."""
    path = COLLECTION / "playbooks/vars" / f"{name}.yml"
    return dict(DataLoader().load_from_file(str(path), trusted_as_template=True))


@cache
def read_fleet_variables() -> dict[str, Any]:
    """Read the specification of the fleet's variables."""
    return dict(DataLoader().load_from_file(str(COLLECTION / "meta/fleet_variables.yml")))


def misspelt_inputs(role: Role, given: Iterable[str]) -> list[str]:
    """Return one sentence for each variable that starts with the role's name but is not one of its inputs."""
    names = sorted(role.options)
    problems = []
    for name in sorted({name for name in given if name.startswith(f"{role.name}_")} - set(names)):
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"see roles/{role.name}/README.md for its inputs."
        problems.append(f"{name} is not an input of the role {role.name}: {hint}")
    return problems


@dataclass
class Inputs:
    """A role's inputs for one host, ready to travel.

    Attributes:
        role: The role.
        values: By name without the role's prefix; secrets are replaced by their numbers.
        secrets: The secrets.
        refusals: Inputs that could not be evaluated or are not valid, and variables that are not inputs.
        empty: Defaults of those inputs that were given without a value (null), by their full names.
        written_as: The fleet's variable that an input's value comes from, by the input's full name.
        templar: Evaluates further expressions in the role's scope.
        loader: Of the play: reads files of the controller, those that are encrypted by ansible-vault, too.
    """

    role: Role
    values: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    empty: dict[str, Any] = field(default_factory=dict)
    written_as: dict[str, str] = field(default_factory=dict)
    templar: Templar = field(default_factory=Templar)
    loader: DataLoader = field(default_factory=DataLoader)

    def by_the_operators_names(self, sentence: str) -> str:
        """Return a refusal with the variable that the operator wrote in place of the role's input."""
        for name, variable in self.written_as.items():
            sentence = re.sub(rf"\b{name}\b", variable, sentence)
        return sentence

    def add_secret(self, text: str) -> dict[str, int]:
        """Return what stands for a secret in the values."""
        self.secrets.append(text)
        return {PLACEHOLDER: len(self.secrets) - 1}

    def take_secret(self, name: str) -> str:
        """Return a secret and take it out of what travels to the host."""
        value = self.values.pop(name, "")
        if not isinstance(value, Mapping):
            return str(value or "")
        secret, self.secrets[value[PLACEHOLDER]] = self.secrets[value[PLACEHOLDER]], ""
        return secret

    def render(self, template: str) -> str:
        """Return one of the role's templates, as the module template would write it.

        A template of a unit has `unit_hardening`, the limits that all units share.
        """
        text = (COLLECTION / "roles" / self.role.name / "templates" / template).read_text(encoding="utf-8")
        scope = {**self.templar.available_variables, "unit_hardening": UNIT_HARDENING}
        templar = self.templar.copy_with_new_env(available_variables=scope)
        return str(templar.template(trust_as_template(text)))


def operators_variable(value: object) -> str:
    """Return the fleet's variable that a value is made of alone; empty where it is anything else."""
    alias = ALIAS.fullmatch(value) if isinstance(value, str) else None
    if not alias:
        return ""
    if alias[1] in MADE_OF:
        return MADE_OF[alias[1]]
    # What playbooks/vars makes for itself nobody has written.
    return "" if any(alias[1] in read_mapping(name) for name in MAPPINGS) else alias[1]


def collect(name: str, loader: DataLoader, variables: Mapping[str, Any], secrets: list[str] | None = None) -> Inputs:
    """Evaluate a role's inputs.

    Args:
        name: The role.
        loader: Of the play: knows the vault's passwords.
        variables: The task's, by Ansible's precedence.
        secrets: Where secrets are collected, of several roles in one list; the numbers in the values count in it.
    """
    role = read_role(name)
    scope = {**role.variables, **variables}
    templar = Templar(loader=loader, variables=scope)
    inputs = Inputs(role, secrets=[] if secrets is None else secrets, templar=templar, loader=loader)
    inputs.refusals += misspelt_inputs(role, variables)
    for full, option in role.options.items():
        source = scope.get(full)
        variable = operators_variable(source)
        if variable:
            inputs.written_as[full] = variable
        try:
            value = inputs.templar.template(source)
        except AnsibleError as error:
            problem = NOT_SET if variable and scope.get(variable) is None else f"cannot be evaluated: {error}"
            inputs.refusals.append(inputs.by_the_operators_names(f"{full}: {problem}"))
            continue
        if value is None and full in role.variables:
            scope[full] = role.variables[full]
            value = inputs.empty[full] = inputs.templar.template(scope[full])
        value = without_nulls(value)
        # What a role is removed with is judged by its plan, whatever is wrong with the rest.
        if inputs.values.get("state") != "absent":
            problems = Problems()
            check(full, value, option, problems)
            inputs.refusals += map(inputs.by_the_operators_names, problems.found)
        inputs.values[full[len(name) + 1 :]] = _without_secrets(value, option, inputs.secrets)
    return inputs


def _without_secrets(value: object, option: Mapping[str, Any], secrets: list[str]) -> object:
    """Return a value with its secrets, by its specification, moved to the list of secrets; other texts are plain."""
    suboptions = option.get("options", {})
    # Where a dictionary with a secret is wanted, a bare string is most likely the secret itself.
    if isinstance(value, str) and (option.get("no_log") or any(part.get("no_log") for part in suboptions.values())):
        value = plain_secret(value)
        if not value:
            return value
        secrets.append(value)
        return {PLACEHOLDER: len(secrets) - 1}
    if isinstance(value, Mapping):
        return {key: _without_secrets(item, suboptions.get(key, {}), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, {"options": suboptions}, secrets) for item in value]
    return plain_text(value) if isinstance(value, str) else value

"""A role's inputs as the look collects them are those that its tasks would see, wherever they are set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import (
    COLLECTION,
    collect,
    operators_variable,
    read_role,
)

ROLES = sorted(path.name for path in (COLLECTION / "roles").iterdir())
#: Where an input may be set, weakest first; `defaults` sets none.
PLACES = ("defaults", "group_vars", "host_vars", "vault", "play_vars", "extra_vars")
VAULT_PASSWORD = "unit-test"

ACTION = '''
from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import with_secrets
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import collect

class ActionModule(ActionBase):
    """Return what the look would send to the host for each role."""
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["roles"] = {}
        for role in self._task.args["roles"]:
            inputs = collect(role, self._loader, task_vars)
            result["roles"][role] = {"values": with_secrets(inputs.values, inputs.secrets), "refusals": inputs.refusals}
        return result
'''


def changed(option: Mapping[str, Any], place: str) -> object:
    """Return another value that is valid by its type, which shows the place that it was set in where it can."""
    value = option.get("default")
    if "choices" in option:
        others = [choice for choice in option["choices"] if choice not in (value, "absent")] or [value]
        chosen = others[PLACES.index(place) % len(others)]
        return [chosen] if isinstance(value, list) else chosen
    text = f"{{{{ marker }}}} {place}"
    if "options" in option:
        required = {name: part["type"] for name, part in option["options"].items() if part.get("required")}
        return [{name: [text] if kind == "list" else text for name, kind in required.items()}]
    if option.get("elements") == "dict":
        return [{"set": text}]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 + PLACES.index(place)
    if isinstance(value, list):
        return [text]
    return {"set": text} if isinstance(value, dict) else text


def write_fleet(folder: Path, place: str) -> list[str]:
    """Write a fleet of one host with every input of every role set in one place, and below it; return options."""
    values: dict[str, dict[str, Any]] = {name: {} for name in PLACES}
    for role in ROLES:
        for full, option in read_role(role).options.items():
            # A weaker place has another value: what counts is the stronger one.
            for weaker in PLACES[1 : PLACES.index(place) + 1]:
                values[weaker][full] = changed(option, weaker)
    for name in ("group_vars", "host_vars"):
        (folder / name).mkdir()
    (folder / "group_vars/all.yml").write_text(json.dumps(values["group_vars"]))
    (folder / "host_vars/one").mkdir()
    (folder / "host_vars/one/main.yml").write_text(json.dumps({"marker": "templated", **values["host_vars"]}))
    vault = folder / "host_vars/one/vault.yml"
    vault.write_text(json.dumps(values["vault"]))
    password = folder / "password"
    password.write_text(VAULT_PASSWORD)
    options = ["--vault-password-file", str(password)]
    subprocess.run([Path(sys.executable).parent / "ansible-vault", "encrypt", *options, str(vault)], check=True)
    (folder / "hosts.yml").write_text(
        f"all: {{hosts: {{one: {{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}}}}}\n"
    )
    (folder / "action").mkdir()
    (folder / "action/collected_inputs.py").write_text(ACTION)
    plays: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = [{"collected_inputs": {"roles": ROLES}, "register": "collected"}]
    for role in ROLES:
        # The role's own scope: its defaults and constants, and tasks that only show what they see.
        scope = folder / "roles" / role
        (scope / "tasks").mkdir(parents=True)
        for part in ("defaults", "vars"):
            if (COLLECTION / "roles" / role / part).is_dir():
                (scope / part).symlink_to(COLLECTION / "roles" / role / part)
        seen = {full[len(role) + 1 :]: f"{{{{ {full} }}}}" for full in read_role(role).options}
        (scope / "tasks/main.yml").write_text(json.dumps([{"ansible.builtin.set_fact": {f"seen_{role}": seen}}]))
        tasks.append({"ansible.builtin.include_role": {"name": role}})
    tasks.append(
        {
            "ansible.builtin.copy": {
                "content": "{{ {'collected': collected.roles, 'seen': {"
                + ", ".join(f"'{role}': seen_{role}" for role in ROLES)
                + "}} | to_json }}",
                "dest": str(folder / "result.json"),
                "mode": "0600",
            }
        }
    )
    plays.append({"hosts": "all", "gather_facts": False, "vars": values["play_vars"], "tasks": tasks})
    (folder / "play.yml").write_text(json.dumps(plays))
    if values["extra_vars"]:
        (folder / "extra.yml").write_text(json.dumps(values["extra_vars"]))
        options += ["--extra-vars", f"@{folder / 'extra.yml'}"]
    return options


@pytest.mark.parametrize("place", PLACES)
def test_every_input_is_collected_as_the_role_sees_it(tmp_path: Path, place: str) -> None:
    options = write_fleet(tmp_path, place)
    (tmp_path / "ansible.cfg").write_text("[defaults]\naction_plugins = action\nlocalhost_warning = false\n")
    run = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts.yml", *options, "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads((tmp_path / "result.json").read_text())
    for role in ROLES:
        assert found["collected"][role]["refusals"] == []
        assert found["collected"][role]["values"] == found["seen"][role], role
    text = json.dumps(found["seen"])
    assert "{{" not in text
    assert (f"templated {place}" in text) == (place != "defaults")


def variables(**more: object) -> dict[str, object]:
    """Return a host's variables with templates that Ansible trusts."""
    return {"inventory_hostname_short": "pi-01", **more}


@pytest.mark.parametrize("role", ROLES)
def test_null_is_not_given(role: str) -> None:
    """Every input of every role without a value is as if it were not there, in a template, too."""
    defaults = collect(role, DataLoader(), variables())
    for nothing in (None, trust_as_template("{{ none }}")):
        inputs = collect(role, DataLoader(), variables(**dict.fromkeys(read_role(role).options, nothing)))
        assert (inputs.refusals, inputs.values) == ([], defaults.values)
        assert {f"{role}_{name}": value for name, value in defaults.values.items()} == inputs.empty


def test_a_key_without_a_value_is_not_given() -> None:
    given = [{"name": "m", "source": {"url": "x", "size": None}, "quantisation": None}]
    inputs = collect("model_pipeline", DataLoader(), variables(model_pipeline_models=given))
    assert inputs.values["models"] == [{"name": "m", "source": {"url": "x"}}]


def test_an_undefined_input_refuses_its_role_alone() -> None:
    given = variables(host_baseline_timezone=trust_as_template("{{ nowhere }}"))
    refusals = collect("host_baseline", DataLoader(), given).refusals
    assert len(refusals) == 1
    assert refusals[0].startswith("host_baseline_timezone: cannot be evaluated: ")
    assert "'nowhere' is undefined" in refusals[0]
    assert collect("pi_baseline", DataLoader(), given).refusals == []


def test_a_refusal_names_what_the_operator_wrote() -> None:
    given = variables(edge_slm_api_keys="none", llama_service_api_keys=trust_as_template("{{ edge_slm_api_keys }}"))
    inputs = collect("llama_service", DataLoader(), given)
    assert inputs.by_the_operators_names("llama_service_api_keys[0].key: is too short.") == (
        "edge_slm_api_keys[0].key: is too short."
    )


def test_secrets_travel_apart() -> None:
    keys = [{"name": "chat", "key": "0123456789abcdef", "scope": "infer"}, "a bare key as a string"]
    inputs = collect("llama_service", DataLoader(), variables(llama_service_api_keys=keys))
    assert inputs.secrets == ["0123456789abcdef", "a bare key as a string"]
    assert "0123456789abcdef" not in json.dumps(inputs.values)
    assert inputs.values["api_keys"][0]["name"] == "chat"


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        ("model_pipeline", "model_pipeline_hf_token", "hf_0123456789\n"),
        ("jetson_ollama", "jetson_ollama_registry_password", "\ufeffhf_0123456789\r\n"),
        ("endpoint_tls", "endpoint_tls_ca_passphrase", " hf_0123456789 "),
        ("endpoint_proxy", "endpoint_proxy_api_keys", [{"name": "chat", "key": "hf_0123456789\n"}]),
    ],
)
def test_secrets_are_trimmed(role: str, name: str, value: object) -> None:
    assert collect(role, DataLoader(), variables(**{name: value})).secrets == ["hf_0123456789"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pi_baseline_swap_mb", "did you mean pi_baseline_swap_mib?"),
        ("pi_baseline_zzzzzzzzzzzzzzzzzzzzzzzzzzz", "see roles/pi_baseline"),
    ],
)
def test_misspelt_inputs_are_refused(name: str, hint: str) -> None:
    (refusal,) = collect("pi_baseline", DataLoader(), variables(**{name: 1})).refusals
    assert refusal.startswith(f"{name} is not an input of the role pi_baseline: ")
    assert hint in refusal


@pytest.mark.parametrize(
    ("expression", "variable"),
    [
        ("{{ edge_slm_api_keys }}", "edge_slm_api_keys"),
        ("{{ edge_slm_tls_mode | default('off') }}", "edge_slm_tls_mode"),
        ("{{ edge_slm_plan.llama_instances }}", "edge_slm_services"),
        # What playbooks/vars makes for itself, nobody has written.
        ("{{ edge_slm_tls_key_path }}", ""),
        ("{{ edge_slm_artifact_url ~ '/models' if edge_slm_has_builder else '' }}", "edge_slm_artifact_url"),
        ("{{ something_else }}", ""),
        ("text", ""),
        (7, ""),
    ],
)
def test_what_the_operator_wrote(expression: object, variable: str) -> None:
    assert operators_variable(expression) == variable

"""inventory/example is a fleet that Ansible reads, and sets nothing that no role or playbook knows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import parse_catalogue
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import board_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import plan_device, service_ports
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import parse_instances, parse_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import parse_models
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import (
    MAPPINGS,
    collect,
    misspelt_inputs,
    read_mapping,
    read_role,
)

TOP = Path(__file__).resolve().parents[2]
WORD = re.compile(r"\bedge_slm_\w+")


def read_fleet(directory: Path, builder: str = "") -> dict[str, dict[str, Any]]:
    """Return each host's variables in a copy of the example, with the vault's example in its place.

    Args:
        directory: Where the copy goes.
        builder: The device that is the builder, too; empty for the example's own builder.
    """
    copy = directory / "home"
    shutil.copytree(TOP / "inventory" / "example", copy)
    vault = copy / "group_vars" / "all" / "vault.yml"
    vault.with_name("vault.yml.example").rename(vault)
    hosts = yaml.safe_load((copy / "hosts.yml").read_text(encoding="utf-8"))
    if builder:
        hosts["all"]["children"]["builder"]["hosts"] = {builder: None}
    (copy / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(copy / "hosts.yml")])
    variables = VariableManager(loader=loader, inventory=inventory)
    return {host.name: variables.get_vars(host=host) for host in inventory.get_hosts()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return each host's variables as the example has them."""
    return read_fleet(tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="module")
def inputs() -> dict[str, set[str]]:
    """Return the names of each role's inputs."""
    return {
        file.parents[1].name: {
            name
            for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"].values()
            for name in entry.get("options", {})
        }
        for file in sorted(TOP.glob("roles/*/meta/argument_specs.yml"))
    }


def documented_variables() -> set[str]:
    """Return the fleet's variables that the operators' inventory reference explains in a table's first column."""
    reference = (TOP / "docs" / "operators" / "inventory.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(edge_slm_\w+)` \|", reference, flags=re.MULTILINE))


def test_it_has_the_three_groups(fleet: dict[str, dict[str, Any]]) -> None:
    groups = next(iter(fleet.values()))["groups"]
    assert {name for name in groups if name not in ("all", "ungrouped")} == {"builder", "pi", "jetson"}
    assert groups["builder"]
    assert groups["pi"]
    assert groups["jetson"]
    assert groups["ungrouped"] == []


def test_no_role_would_refuse_a_variable(fleet: dict[str, dict[str, Any]], inputs: dict[str, set[str]]) -> None:
    for role in inputs:
        for host, variables in fleet.items():
            assert misspelt_inputs(read_role(role), variables) == [], host


def test_every_variable_belongs_to_somebody(fleet: dict[str, dict[str, Any]], inputs: dict[str, set[str]]) -> None:
    """What a file of the example sets is an input of a role, a variable of the fleet, or Ansible's own."""
    known = documented_variables().union(*inputs.values())
    files = [*TOP.glob("inventory/example/*_vars/**/*.yml"), *TOP.glob("inventory/example/**/*.example")]
    given = {name for file in files for name in yaml.safe_load(file.read_text(encoding="utf-8"))}
    assert {name for name in given - known if not name.startswith("ansible_")} == set()


def test_the_fleets_variables_are_used() -> None:
    """What no playbook, role or plugin reads has no place in the reference."""
    code = [*TOP.glob("playbooks/**/*.yml"), *TOP.glob("roles/**/*.yml"), *TOP.glob("plugins/action/*.py")]
    used = {word for file in code for word in WORD.findall(file.read_text(encoding="utf-8"))}
    assert documented_variables() - used == set()


def test_the_catalogue_is_accepted(fleet: dict[str, dict[str, Any]]) -> None:
    for variables in fleet.values():
        assert parse_catalogue(variables["edge_slm_models"])


def test_the_services_are_accepted_and_name_models_of_the_catalogue(fleet: dict[str, dict[str, Any]]) -> None:
    for host, variables in fleet.items():
        board = "jetson" if "jetson" in variables["group_names"] else "pi"
        plan = plan_device(variables.get("edge_slm_services", []), variables["edge_slm_models"], board)
        assert plan.endpoints or "builder" in variables["group_names"], host
        problems = Problems()
        parse_instances(plan.llama_instances, problems)
        parse_models(plan.ollama_models, problems, published=True)
        assert problems.found == [], host


def test_an_unchanged_vault_is_refused(fleet: dict[str, dict[str, Any]]) -> None:
    """The example's keys are empty: nobody serves with a key that stands in a public repository."""
    keys = next(iter(fleet.values()))["edge_slm_api_keys"]
    problems = Problems()
    parse_keys(keys, problems)
    assert len(problems.found) == len(keys)
    assert all("has no `key`" in problem for problem in problems.found)


def test_a_filled_vault_is_accepted(fleet: dict[str, dict[str, Any]]) -> None:
    keys = next(iter(fleet.values()))["edge_slm_api_keys"]
    problems = Problems()
    parse_keys([{**key, "key": str(number) * 48} for number, key in enumerate(keys)], problems)
    assert problems.found == []


@pytest.mark.parametrize(
    ("builder", "opened"),
    [
        ("", {"builder-01": [8090], "llmpi-01": [8080], "llmpi-02": [8080], "orin-01": [11434]}),
        # One host that is both: what both of its groups serve is open.
        ("llmpi-01", {"llmpi-01": [8080, 8090], "llmpi-02": [8080], "orin-01": [11434]}),
        ("orin-01", {"llmpi-01": [8080], "llmpi-02": [8080], "orin-01": [11434, 8090]}),
    ],
)
def test_each_host_lets_clients_in_to_what_it_serves(
    tmp_path: Path, builder: str, opened: dict[str, list[int]]
) -> None:
    found = {}
    for host, variables in read_fleet(tmp_path, builder).items():
        ports = service_ports(variables.get("edge_slm_services"), board_of(variables["group_names"]))
        facts = {"ansible_facts": {"edge_slm_service_ports": ports, "edge_slm_outbound": {}}}
        collected = collect("host_baseline", DataLoader(), {**variables, **facts, **read_mapping("network")})
        assert collected.values["client_networks"] == variables["edge_slm_clients"]
        assert collected.values["firewall_rules"] == []
        found[host] = collected.values["client_ports"]
    assert found == opened


@pytest.mark.parametrize("name", ["example", "demo"])
def test_no_inventory_sets_what_the_playbooks_set(name: str) -> None:
    mapped = {name for mapping in MAPPINGS for name in read_mapping(mapping)}
    files = (TOP / "inventory" / name).glob("*_vars/**/*.yml")
    given = {name for file in files for name in yaml.safe_load(file.read_text(encoding="utf-8"))}
    assert given & mapped == set()


@pytest.mark.parametrize("file", sorted(TOP.glob("playbooks/vars/*.yml")), ids=lambda file: file.stem)
def test_paths_that_roles_share_have_the_roles_own_defaults(file: Path) -> None:
    """`input | default(value)` in playbooks/vars repeats the role's defaults."""
    found = re.findall(r"(\w+) \| default\((?:'([^']*)'|(\d+))\)", file.read_text(encoding="utf-8"))
    for name, text, number in found:
        role = next((role.name for role in TOP.glob("roles/*") if name.startswith(f"{role.name}_")), "")
        if role:
            assert str(read_role(role).options[name]["default"]) == (text or number), name

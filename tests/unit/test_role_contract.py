"""The contract of a role (docs/developers/architecture.md), checked for every directory in roles/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import STANDS_ON
from ansible_collections.edge_slm.fleet.tools.role_docs import inputs_table, with_table

ROLES = sorted((Path(__file__).resolve().parents[2] / "roles").iterdir())
STAGES = ["validate.yml", "install.yml", "configure.yml", "service.yml", "verify.yml"]
INCLUDES = ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")

MODULES = ROLES[0].parents[1] / "plugins/modules"
GROUP_NAMES = re.compile(r"\bgroups\s*[\[.]|\bin groups\b|\bgroup_names\b")
ANSIBLE_VARIABLE = re.compile(r"\bansible_\w+")
#: Variables that Ansible or the inventory sets; every other `ansible_*` is an injected fact.
NOT_INJECTED = re.compile(
    r"ansible_(facts|check_mode|diff_mode|managed|host|port|user|connection|become\w*|ssh_\w+|version"
    r"|python_interpreter|playbook_python|play_hosts\w*|play_batch|run_tags|skip_tags|loop|loop_var|index_var"
    r"|role_name|collection_name|search_path|collections|failed_\w+)"
)

pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(file: Path) -> Any:
    """Read a YAML file; an absent one is None."""
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None


def specs(role: Path) -> dict[str, Any]:
    """Return the role's options from its argument specs."""
    options: dict[str, Any] = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    return options


def tasks(role: Path) -> Iterator[dict[str, Any]]:
    """Yield every task of the role, those inside blocks too."""

    def flat(entries: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
        for entry in entries or []:
            yield entry
            for part in ("block", "rescue", "always"):
                yield from flat(entry.get(part))

    for folder in ("tasks", "handlers"):
        for file in sorted((role / folder).rglob("*.yml")):
            yield from flat(load(file))


def code(role: Path) -> Iterator[tuple[str, int, str]]:
    """Yield file, line number and line of all that Ansible evaluates in the role."""
    for folder in ("defaults", "handlers", "tasks", "templates", "vars"):
        for file in sorted(path for path in (role / folder).rglob("*") if path.is_file()):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
                yield str(file.relative_to(role)), number, line


def test_defaults_equal_argument_specs(role: Path) -> None:
    """Same names and equal values; compared as JSON, where 1, 1.0, true and "1" all differ."""
    defaults = load(role / "defaults" / "main.yml") or {}
    options = specs(role)
    required = {name for name, option in options.items() if option.get("required")}
    assert set(defaults) - required == set(options) - required
    wanted = {name: option["default"] for name, option in options.items() if "default" in option}
    given = {name: value for name, value in defaults.items() if name not in required}
    assert json.dumps(given, sort_keys=True, indent=1) == json.dumps(wanted, sort_keys=True, indent=1)


def test_inputs_start_with_the_role(role: Path) -> None:
    assert [name for name in specs(role) if not name.startswith(f"{role.name}_")] == []


def test_every_default_has_a_comment(role: Path) -> None:
    lines = (role / "defaults" / "main.yml").read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for above, line in pairwise(lines)
        if re.match(r"\w+:", line) and not above.startswith("#") and "#" not in line
    ]
    assert bare == []


def test_every_input_is_described(role: Path) -> None:
    assert [name for name, option in specs(role).items() if not option.get("description")] == []


def test_main_is_a_table_of_contents(role: Path) -> None:
    files = []
    main = load(role / "tasks" / "main.yml")
    for task in main:
        if task.get("ansible.builtin.meta") == "end_role":
            continue
        assert set(task) <= {"name", *INCLUDES, "tags", "when"}, "nothing but includes of stages"
        files += [task[include] for include in INCLUDES if include in task]
    assert files[0] == "validate.yml"
    assert files == [stage for stage in (*STAGES, "uninstall.yml") if stage in files]
    assert main[0].get("ansible.builtin.import_tasks") == "validate.yml", "an import is not a task of its own"
    assert main[1].get("ansible.builtin.meta") == "end_role", "a host that is as wanted meets one task"


def test_validate_asks_the_plan_and_nothing_else(role: Path) -> None:
    task, defaults = load(role / "tasks" / "validate.yml")
    assert task["edge_slm.fleet.role_plan"]["role"] == role.name
    assert defaults["loop"] == f"{{{{ __{role.name}_plan.empty | dict2items }}}}"


def test_it_can_be_removed(role: Path) -> None:
    assert specs(role)[f"{role.name}_state"]["choices"] == ["present", "absent"]
    assert (role / "tasks" / "uninstall.yml").is_file()


def test_its_plan_is_in_the_registry(role: Path) -> None:
    plans = ROLES[0].parents[1] / "plugins/module_utils/plans"
    assert role.name in STANDS_ON
    assert f"module_utils.plans.{role.name} import plan\n" in (plans / "registry.py").read_text(encoding="utf-8")
    assert (plans / f"{role.name}.py").is_file()


def test_internals_are_marked(role: Path) -> None:
    """What a role registers, sets or loops with starts with two underscores and its name."""
    names: set[str] = set()
    for task in tasks(role):
        if register := task.get("register"):
            names.add(register)
        names |= set(task.get("ansible.builtin.set_fact", {})) - {"cacheable"}
        if "loop" in task or any(key.startswith("with_") for key in task):
            names.add(task.get("loop_control", {}).get("loop_var", "item"))
        if index := task.get("loop_control", {}).get("index_var"):
            names.add(index)
    # The inputs that validate.yml gives their defaults have the names that the plan returns.
    names.discard(f"{{{{ __{role.name}_input.key }}}}")
    assert sorted(name for name in names if not name.startswith(f"__{role.name}_")) == []


def test_packages_wait_for_whoever_else_installs_some(role: Path) -> None:
    """Ansible's own 60 s are too short for unattended-upgrades, which a baseline has just turned on."""
    patience = [
        task["ansible.builtin.apt"].get("lock_timeout") for task in tasks(role) if "ansible.builtin.apt" in task
    ]
    patience += [
        task["retries"] * task["delay"] for task in tasks(role) if "dpkg " in task.get("ansible.builtin.command", "")
    ]
    assert set(patience) <= {600}


def secrets(options: dict[str, Any]) -> list[str]:
    """Return the names of inputs that are secret, or hold one."""
    return [name for name, option in options.items() if option.get("no_log") or secrets(option.get("options", {}))]


def hides(task: dict[str, Any], secret: str) -> bool:
    """Return whether a task shows no secret: it is no_log, or hands it to an argument of a module that is."""
    if "no_log" in task:
        return True
    (module,) = [name for name in task if name.startswith("edge_slm.fleet.")] or [""]
    source = MODULES / f"{module.rpartition('.')[2]}.py"
    arguments = [name for name, value in task[module].items() if secret in str(value)] if source.is_file() else [""]
    text = source.read_text(encoding="utf-8") if source.is_file() else ""
    return secret not in str({**task, module: ""}) and all(
        re.search(rf'"{name}": {{.*"no_log": True', text) for name in arguments
    )


def test_tasks_that_handle_a_secret_hide_it(role: Path) -> None:
    shown = [
        (task["name"], secret)
        for secret in secrets(specs(role))
        for task in tasks(role)
        if "block" not in task and secret in str(task) and not hides(task, secret)
    ]
    assert shown == []


def test_no_group_names(role: Path) -> None:
    assert [found for found in code(role) if GROUP_NAMES.search(found[2])] == []


def test_no_injected_facts(role: Path) -> None:
    found = [
        (file, number, name)
        for file, number, line in code(role)
        for name in ANSIBLE_VARIABLE.findall(line)
        if not NOT_INJECTED.fullmatch(name)
    ]
    assert found == []


def test_readme_has_the_table_of_inputs(role: Path) -> None:
    readme = (role / "README.md").read_text(encoding="utf-8")
    assert readme == with_table(readme, inputs_table(role)), "run `make docs`"

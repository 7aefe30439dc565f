"""edge_slm.fleet.role_inputs: the decision, and the action plugin around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.edge_slm.fleet.plugins.action import role_inputs
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.role_inputs import misspelt_inputs

KNOWN = ["llama_cpp_cpu_class", "llama_cpp_jobs", "llama_cpp_source"]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ([], []),
        (KNOWN, []),
        (["ansible_host", "edge_slm_models", "host_baseline_swap"], []),
        (["llama_service_port"], []),
        (["__llama_cpp_plan"], []),
        (["llama_cpp"], []),
        (["llama_cpp_job"],
         ["llama_cpp_job is not an input of the role llama_cpp: did you mean llama_cpp_jobs?"]),
        (["llama_cpp_JOBS"],
         ["llama_cpp_JOBS is not an input of the role llama_cpp: did you mean llama_cpp_jobs?"]),
        (["llama_cpp_zzzzzzzzzzzzzzzz"],
         ["llama_cpp_zzzzzzzzzzzzzzzz is not an input of the role llama_cpp: "
          "see roles/llama_cpp/README.md for its inputs."]),
        (["llama_cpp_sorce", "llama_cpp_cpu_clas", "llama_cpp_sorce"],
         ["llama_cpp_cpu_clas is not an input of the role llama_cpp: did you mean llama_cpp_cpu_class?",
          "llama_cpp_sorce is not an input of the role llama_cpp: did you mean llama_cpp_source?"]),
    ],
)  # fmt: skip
def test_misspelt_inputs(given: list[str], problems: list[str]) -> None:
    assert misspelt_inputs("llama_cpp", KNOWN, given) == problems


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs the action beside a roles directory with one role, `small`."""
    meta = tmp_path / "small" / "meta"
    meta.mkdir(parents=True)
    (meta / "argument_specs.yml").write_text(
        "argument_specs:\n  main: {options: {small_port: {}}}\n  remove: {options: {small_purge: {}}}\n"
    )
    monkeypatch.setattr(role_inputs, "ROLES", tmp_path)

    def run(arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        task = MagicMock(args=arguments, async_val=0, check_mode=False)
        action = role_inputs.ActionModule(
            task=task,
            connection=MagicMock(),
            play_context=MagicMock(),
            loader=MagicMock(),
            templar=MagicMock(),
            shared_loader_obj=None,
        )
        result: dict[str, Any] = action.run(task_vars=variables)
        return result

    return run


def test_action_accepts_the_inputs_of_every_entry_point(act: Any) -> None:
    result = act({"role": "small"}, {"small_port": 1, "small_purge": True, "other": 2})
    assert result["changed"] is False
    assert "failed" not in result


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ({"role": "small"}, {"small_prot": 1}, "small_prot is not an input .* did you mean small_port"),
        ({"role": "large"}, {}, "role: large is not a role of edge_slm.fleet"),
        ({}, {}, "missing required arguments: role"),
        ({"role": "small", "rule": 1}, {}, "rule"),
    ],
)
def test_action_refuses(act: Any, arguments: dict[str, Any], variables: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        act(arguments, variables)

"""The notebook for Colab does what the roles do, by the same source and options."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import QUERY, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.cuda import Compiler, Target
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import BASE_OPTIONS
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import SERVER_FLAGS

ROOT = Path(__file__).resolve().parents[3]
CELLS = json.loads((ROOT / "examples/colab.ipynb").read_text())["cells"]
CODE = "\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
#: Names, and what they are set to.
VALUES: dict[str, Any] = {
    target.id: value
    for node in ast.walk(ast.parse(CODE))
    if isinstance(node, ast.Assign)
    for targets, values in [(node.targets[0], node.value)]
    for target, value in (
        zip(targets.elts, values.elts, strict=True)
        if isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
        else [(targets, values)]
    )
    if isinstance(target, ast.Name)
}


def test_it_builds_the_source_of_the_role() -> None:
    defaults = yaml.safe_load((ROOT / "roles/llama_cpp/defaults/main.yml").read_text())
    found = {"git": VALUES["GIT"].value, "commit": VALUES["COMMIT"].value}
    assert found == defaults["llama_cpp_source"]


def test_its_model_is_one_of_the_example_inventorys() -> None:
    models = yaml.safe_load((ROOT / "inventory/example/group_vars/all/main.yml").read_text())["edge_slm_models"]
    assert {"url": VALUES["URL"].value, "sha256": VALUES["SHA256"].value} in [model["source"] for model in models]


def test_it_builds_with_the_options_of_the_role() -> None:
    options = {key.value: getattr(value, "value", None) for key, value in _items(VALUES["options"])}
    role = {**BASE_OPTIONS, **Target((), Gpus(), Compiler("")).cmake_options}
    assert set(options) <= set(role)
    assert set(Target((), Gpus(), Compiler("")).cmake_options) <= set(options)
    assert {name: value for name, value in options.items() if isinstance(value, str) and role[name] != value} == {}
    assert "compute_cap" in QUERY[1]


def test_it_serves_with_flags_that_the_role_passes() -> None:
    flags = set(re.findall(r'"(--[a-z-]+)"', CODE[CODE.index("arguments =") : CODE.index("process =")]))
    assert flags - set(SERVER_FLAGS) == {"--log-disable"}
    assert {"--api-key-file", "--gpu-layers", "--cache-ram", "--no-slots", "--offline"} <= flags
    assert VALUES["PORT"].value == 1337


def _items(mapping: ast.Dict) -> list[tuple[Any, ast.expr]]:
    return list(zip(mapping.keys, mapping.values, strict=True))

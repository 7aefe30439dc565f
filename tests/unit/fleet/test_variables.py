"""Tables for the check of the fleet's variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.variables import misspelt

ROOT = Path(__file__).resolve().parents[3]
SPECS: dict[str, Any] = yaml.safe_load((ROOT / "meta/fleet_variables.yml").read_text(encoding="utf-8"))
PLAYS = [*ROOT.glob("playbooks/**/*.yml"), *ROOT.glob("plugins/**/*.py")]
#: What the playbooks say to each other, and values for programs.
INTERNAL = {name for file in PLAYS for name in re.findall(r"\bedge_slm_\w+", file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("edge_slm_model", "edge_slm_models"),
        ("edge_slm_modles", "edge_slm_models"),
        ("edge_slm_servces", "edge_slm_services"),
        ("edge_slm_apikeys", "edge_slm_api_keys"),
        ("edge_slm_artefact_url", "edge_slm_artifact_url"),
        ("edge_slm_tls_modes", "edge_slm_tls_mode"),
        ("edge_slm_all_or_none", "edge_slm_all_or_nothing"),
        ("edge_slm_rack", ""),
        ("edge_slm_models", ""),
        ("edge_slm_models_path", ""),
        ("other_models", ""),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    expected = [f"{name}: is not a variable of the fleet; did you mean {meant}?"] if meant else []
    assert misspelt([name, "inventory_hostname"], SPECS, ["edge_slm_models_path"]) == expected


def test_no_name_of_the_playbooks_own_is_taken_for_a_misspelt_one() -> None:
    derived = {name for file in ("hosts", "network", "devices", "builders") for name in yaml.safe_load(vars_file(file))}
    assert len(INTERNAL) > 50
    assert misspelt(INTERNAL, SPECS, derived) == []


def vars_file(name: str) -> str:
    return (ROOT / f"playbooks/vars/{name}.yml").read_text(encoding="utf-8")


def test_every_variable_that_playbooks_read_with_a_default_is_specified() -> None:
    read = set(
        re.findall(r"\b(edge_slm_\w+) \| default\(", "".join(map(vars_file, ("network", "devices", "builders"))))
    )
    assert read - {*SPECS} == set()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("edge_slm_deep", True, ""),
        ("edge_slm_deep", "yes", ""),
        ("edge_slm_deep", None, ""),
        ("edge_slm_deep", "maybe", "'maybe' is not a boolean (true or false)."),
        ("edge_slm_all_or_nothing", ["x"], "['x'] is not a boolean (true or false)."),
        ("edge_slm_verify_timeout", 30, ""),
        ("edge_slm_verify_timeout", "30", ""),
        ("edge_slm_verify_timeout", 0, "must be a whole number from 1 to 86400; it is 0."),
        ("edge_slm_verify_timeout", "soon", "must be a whole number from 1 to 86400; it is 'soon'."),
        ("edge_slm_serial", 1, ""),
        ("edge_slm_serial", "25%", ""),
        ("edge_slm_serial", 0, "'0' is not valid; give 1 or \"25%\"."),
        ("edge_slm_serial", "half", "'half' is not valid; give 1 or \"25%\"."),
        ("edge_slm_artifact_url", "http://builder:8090", ""),
        ("edge_slm_artifact_url", "http://[fd00::1]:8090/store", ""),
        (
            "edge_slm_artifact_url",
            "http://fd00::1:8090",
            "'http://fd00::1:8090' is not valid; give http://192.168.1.10:8090.",
        ),
        (
            "edge_slm_artifact_url",
            "http://[fd00::1]:",
            "'http://[fd00::1]:' is not valid; give http://192.168.1.10:8090.",
        ),
        ("edge_slm_artifact_url", None, ""),
        (
            "edge_slm_artifact_url",
            "http://builder:8090/?x",
            "'http://builder:8090/?x' is not valid; give http://192.168.1.10:8090.",
        ),
        ("edge_slm_address", "pi-01.lan", ""),
        ("edge_slm_address", "fd00::20", ""),
        (
            "edge_slm_address",
            "http://1.2.3.4",
            "'http://1.2.3.4' is not valid; give an address or a name, such as 192.168.1.20.",
        ),
        (
            "edge_slm_artifact_url",
            "builder:8090",
            "'builder:8090' is not valid; give http://192.168.1.10:8090.",
        ),
        ("edge_slm_artifact_url", ["http://a"], "must be a text; it is ['http://a']."),
        ("edge_slm_tls_mode", False, ""),
        ("edge_slm_tls_mode", "fleet_ca", ""),
        ("edge_slm_tls_mode", True, "must be a text; YAML has taken it for True: quote it."),
        ("edge_slm_tls_mode", "on", "'on' is not known; give off, fleet_ca, given."),
        ("edge_slm_tls_names", "pi.lan", "is not a list; write ['pi.lan']."),
        ("edge_slm_tls_ca_dir", {"a": 1}, "must be a text; it is {'a': 1}."),
        ("edge_slm_clients", None, ""),
        ("edge_slm_clients", ["192.168.1.0/24", "fd00::/8"], ""),
        ("edge_slm_clients", "192.168.1.0/24", "is not a list; write ['192.168.1.0/24']."),
    ],
)
def test_a_value(name: str, value: object, problem: str) -> None:
    problems = Problems()
    check(name, value, SPECS[name], problems)
    assert problems.found == ([f"{name}: {problem}"] if problem else [])

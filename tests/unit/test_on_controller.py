"""What runs on the controller runs there whatever `-e` says, and so does what has a Python of its own on a device."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import plays
import pytest
import yaml
from devices import ROOT
from plays import play, played

#: What an operator may give by `-e` for the devices; it beats the variables of every task.
FOR_DEVICES = {
    "ansible_python_interpreter": "/nonexistent/python",
    "ansible_become": True,
    "ansible_become_exe": "/nonexistent/sudo",
    "ansible_connection": "ssh",
}


def test_a_module_on_the_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "INVENTORY", "192.0.2.1,")
    tasks = [
        {
            "name": "Run a module",
            "edge_slm.fleet.on_controller": {
                "module": "ansible.builtin.command",
                "args": {"argv": ["sh", "-c", f"id -u > {tmp_path}/user"], "chdir": "{{ omit }}"},
            },
        },
        {
            "name": "Run another one",
            "edge_slm.fleet.on_controller": {
                "module": "ansible.builtin.setup",
                "args": {"gather_subset": ["!all", "!min", "python"]},
            },
            "register": "found",
        },
        {
            "name": "See by what it ran",
            "ansible.builtin.assert": {
                "that": "found.ansible_facts.ansible_python.executable == ansible_playbook_python"
            },
        },
    ]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}]))
    played(playbook, **FOR_DEVICES)
    played(playbook, "--check", **FOR_DEVICES)
    assert (tmp_path / "user").exists()


def test_a_module_with_a_python_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "INVENTORY", "localhost,")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    snapshot = {"repo": "org/name", "revision": "0" * 40, "dest": f"{tmp_path}/dest", "python": str(python)}
    tasks = [{"name": "Fetch", "edge_slm.fleet.model_pipeline_snapshot": snapshot}]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    play(playbook, "--check", ansible_connection="local", ansible_python_interpreter="/nonexistent/python")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]), ids=str)
def test_no_task_does_so_by_variables_of_its_own(file: Path) -> None:
    text = json.dumps(yaml.safe_load(file.read_text(encoding="utf-8")))
    found = [
        word for word in ("ansible_python_interpreter", "ansible_become", '"delegate_to": "localhost"') if word in text
    ]
    assert found == [], "edge_slm.fleet.on_controller"

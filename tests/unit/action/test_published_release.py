"""The release that a device receives, of those that a builder has published."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible_collections.edge_slm.fleet.plugins.action.published_release import ActionModule

DOTPROD, KEY = "armv8.2-a+dotprod+fp16", "b11434-armv8.2-a-dotprod-fp16-0123456789"
DESCRIPTOR = {
    "key": KEY,
    "file": f"{KEY}.tar.gz",
    "sha256": "0" * 64,
    "size": 7,
    "requires": {"architecture": "aarch64"},
}


def choose(releases: dict[str, Any]) -> dict[str, Any]:
    task = Task()
    task.args = {"releases": releases, "cpu_class": DOTPROD, "key": KEY, "url": "http://builder-01:8090/releases"}
    found: dict[str, Any] = ActionModule(task, Mock(), None, DataLoader(), None, None).run(task_vars={})
    return found


def test_the_release_of_the_devices_class() -> None:
    assert choose({DOTPROD: DESCRIPTOR})["source"] == {
        "release": f"http://builder-01:8090/releases/{KEY}.tar.gz",
        "sha256": "0" * 64,
        "size": 7,
        "key": KEY,
        "requires": {"architecture": "aarch64"},
    }


@pytest.mark.parametrize(
    ("releases", "has"),
    [
        ({}, "it has none for that class"),
        ({"armv8-a": DESCRIPTOR}, "it has none for that class"),
        ({DOTPROD: {**DESCRIPTOR, "key": "old"}}, "its release for that class is old"),
    ],
)
def test_what_the_builder_has_not_made_is_refused_with_the_command_that_makes_it(
    releases: dict[str, Any], has: str
) -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        choose(releases)
    assert f"(CPU class {DOTPROD}); {has}. Run the builder first: ansible-playbook playbooks/builder.yml" in str(
        refused.value
    )

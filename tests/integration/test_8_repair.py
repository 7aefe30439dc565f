"""playbooks/repair.yml: each choice does what it names, and the endpoint answers afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from devices import connect
from endpoints import MODEL
from plays import changes, played, refused

REPAIR = "playbooks/repair.yml"
DEVICE = "pi-02"


@pytest.fixture(scope="module")
def device() -> Any:
    return connect(DEVICE)


def test_a_repair_that_there_is_not() -> None:
    for variables in ({}, {"repair": "everything"}):
        text = refused(REPAIR, **variables)
        assert "give -e repair=models" in text
        assert "changed: [" not in text


def test_models_are_read_and_brought_again(device: Any) -> None:
    file = device.check_output(f"ls /var/lib/edge-slm/models/{MODEL}/*.gguf | head -1")
    good = device.file(file).sha256sum
    device.check_output(f"printf edge | dd of={file} bs=1 seek=4000000 conv=notrunc status=none")
    assert device.file(file).sha256sum != good
    played(REPAIR, limit=DEVICE, repair="models")
    assert device.file(file).sha256sum == good


def test_a_release_comes_again(device: Any) -> None:
    program = "/opt/edge-slm/llama.cpp/current/bin/llama-server"
    before = device.check_output(f"stat --dereference --format %i {program}")
    assert sum(changes(played(REPAIR, limit=DEVICE, repair="release"))) > 0
    assert device.check_output(f"stat --dereference --format %i {program}") != before


@pytest.mark.parametrize("repair", ["services", "reboot"])
def test_what_runs_is_started_again(device: Any, repair: str) -> None:
    started = f"systemctl show -P ActiveEnterTimestampMonotonic llama-server@{MODEL}"
    before = device.check_output(started)
    played(REPAIR, limit=DEVICE, repair=repair)
    assert device.check_output(started) != before

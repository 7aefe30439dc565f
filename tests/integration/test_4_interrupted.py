"""kill -9 at each stage of an upgrade: the old endpoint keeps answering, and a plain re-run completes it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from devices import ROOT, connect
from endpoints import MODEL, PIS, Device
from plays import changes, kill_at_work, played, task

PLAYBOOKS = [f"playbooks/{name}.yml" for name in ("builder", "receive", "service")]
LIMIT = "builder:pi"
CURRENT = "/opt/edge-slm/llama.cpp/current"
#: Tasks in the order of the run, where each works, and what is seen there while it does.
STAGES = [
    # Long work is in a unit of its own, so that no end of a login session ends it.
    (task("Compile"), "builder-01", "grep edge-slm-job- /proc/$(pgrep --exact --newest ninja)/cgroup"),
    (task("Fetch the repository of the model"), "builder-01", "pgrep --exact aria2c"),
    (task("Convert the model to GGUF"), "builder-01", "pgrep --full '[c]onvert_hf_to_gguf'"),
    (task("Quantise the model"), "builder-01", "pgrep --exact llama-quantize"),
    # A moment: what is seen is that it is over, with the service yet to be restarted.
    (task("Switch to the release"), "pi-01", f'[ "$(readlink {CURRENT})" != "{{current}}" ]'),
    (task("Receive the pending models"), "pi-01", "ls /var/lib/edge-slm/models/*/*.gguf.part"),
]


@pytest.fixture(scope="module")
def upgrade() -> Iterator[dict[str, Any]]:
    """A new build, conversion and quantisation of the model that is served now; afterwards it is as it was."""
    source = json.loads((ROOT / ".cache/sources.json").read_text())["model_sources"]["chat"]
    yield {
        "llama_cpp_cmake_options": {"LLAMA_BUILD_NUMBER": "11435"},
        "edge_slm_models": [{"name": MODEL, "source": source, "outtype": "bf16", "quantisation": "Q8_0"}],
    }
    played("site.yml")


def answer(pi: Device, key: str) -> str:
    return (
        pi.client(key)
        .completions.create(
            model=MODEL,
            temperature=0,
            max_tokens=2,
            prompt="The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is",
        )
        .choices[0]
        .text
    )


def served_file(pi: Device, key: str) -> str:
    request = urllib.request.Request(f"{pi.url}/props", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as props:  # noqa: S310
        return str(json.load(props)["model_path"])


def test_killed_at_every_stage_then_completed(upgrade: dict[str, Any], key: str) -> None:
    before = {pi.name: served_file(pi, key) for pi in PIS}
    current = connect("pi-01").check_output(f"readlink {CURRENT}")
    for stage, name, sign in STAGES:
        kill_at_work(stage, connect(name), sign.format(current=current), *PLAYBOOKS, limit=LIMIT, **upgrade)
        for pi in PIS:
            assert "Paris" in answer(pi, key), f"{pi.name} after a kill at {stage}"
            assert served_file(pi, key) == before[pi.name], f"{pi.name} after a kill at {stage}"

    played(*PLAYBOOKS, limit=LIMIT, **upgrade)
    for pi in PIS:
        assert "Paris" in answer(pi, key)
        assert served_file(pi, key) != before[pi.name]


def test_nothing_half_made_is_left_and_nothing_is_left_to_do(upgrade: dict[str, Any]) -> None:
    for name in ("builder-01", "pi-01", "pi-02"):
        device = connect(name)
        left = device.check_output("find /opt/edge-slm /var/lib/edge-slm /etc/edge-slm -name '*.part*'")
        assert left == "", name
    assert set(changes(played(*PLAYBOOKS, limit=LIMIT, **upgrade))) == {0}

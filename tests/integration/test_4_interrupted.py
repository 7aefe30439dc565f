"""kill -9 at each stage of an upgrade: the old endpoint keeps answering, and a plain re-run heals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from conftest import MODEL, PIS, Device
from devices import INVENTORY, ROOT, connect

PLAYBOOKS = [f"playbooks/{name}.yml" for name in ("builder", "receive", "service")]
SECONDS = 900
#: Task at whose start the playbook is killed, in the order of the run.
STAGES = [
    "Compile",
    "Fetch the repository",
    "Convert to GGUF",
    "Quantise",
    "Receive the models",
    "Switch to the release",
]


def sources() -> dict[str, object]:
    return dict(json.loads((ROOT / ".cache/sources.json").read_text()))


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new build, a new conversion and a new quantisation of the model that is served now."""
    variables = {
        "llama_cpp_cmake_options": {"LLAMA_BUILD_NUMBER": "11435"},
        "edge_slm_models": [
            {"name": MODEL, "source": sources()["model_source"], "outtype": "bf16", "quantisation": "Q8_0"}
        ],
    }
    file = tmp_path_factory.mktemp("upgrade") / "variables.yml"
    file.write_text(yaml.safe_dump(variables))
    return file


def start(variables: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *("ansible-playbook", "--inventory", str(INVENTORY), "--limit", "builder:pi"),
            *("--extra-vars", f"@{variables}", *PLAYBOOKS),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_at(variables: Path, stage: str) -> None:
    """Run the upgrade and kill the controller's whole process group as soon as a task of that name starts."""
    with start(variables) as run:
        assert run.stdout
        seen: list[str] = []
        for line in run.stdout:
            seen.append(line)
            if line.startswith("TASK") and f"{stage}]" in line:
                os.killpg(run.pid, signal.SIGKILL)
                return
        pytest.fail(f"the run ended without reaching {stage}:\n{''.join(seen)[-3000:]}")


def finish(variables: Path) -> str:
    with start(variables) as run:
        text, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, text[-3000:]
    return text


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


def test_killed_at_every_stage_then_healed(upgrade: Path, key: str) -> None:
    before = {pi.name: served_file(pi, key) for pi in PIS}
    for stage in STAGES:
        kill_at(upgrade, stage)
        for pi in PIS:
            assert "Paris" in answer(pi, key), f"{pi.name} after a kill at {stage}"
            assert served_file(pi, key) == before[pi.name], f"{pi.name} after a kill at {stage}"

    finish(upgrade)
    for pi in PIS:
        assert "Paris" in answer(pi, key)
        assert served_file(pi, key) != before[pi.name]


def test_nothing_half_made_is_left_and_nothing_is_left_to_do(upgrade: Path) -> None:
    for name in ("builder-01", "pi-01", "pi-02"):
        device = connect(name)
        left = device.check_output("find /opt/edge-slm /var/lib/edge-slm /etc/edge-slm -name '*.part*'")
        assert left == "", name
    assert [line for line in finish(upgrade).splitlines() if re.search(r"changed=[1-9]", line)] == []

"""A Raspberry Pi 5 and a Raspberry Pi 4 as QEMU emulates them, from bare to an answer: `make arm64`.

Each has the processor of its board: what only the Pi 5's can execute kills a program on the Pi 4. The kernel is this
machine's; docs/proven.md lists what that does not prove.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from devices import FLEET, ROOT
from plays import changes, environment, played

# The tools are scripts that import one another by their plain names.
sys.path.insert(0, str(ROOT / "tools"))

import demo
import sources

INVENTORY = Path(__file__).with_name("hosts.yml")
_ALL = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["all"]
PIS: dict[str, dict[str, str]] = _ALL["children"]["pi"]["hosts"]
#: What the fast build needs beyond armv8-a, and its bit in AT_HWCAP (Linux, arch/arm64/include/uapi/asm/hwcap.h).
FLAGS = {"fphp": 9, "asimdhp": 10, "asimddp": 20}
#: What QEMU's processors have of it.
FAST = {"cortex-a76": set(FLAGS), "cortex-a72": set()}
#: 16 is AT_HWCAP.
HWCAP = "import ctypes; ask = ctypes.CDLL(None).getauxval; ask.restype = ctypes.c_ulong; print(ask(16))"
#: One instruction of the dot product, and the return from it: sdot v0.4s, v1.16b, v2.16b; ret.
DOT = (
    "import ctypes, mmap; code = mmap.mmap(-1, 4096, prot=7); code.write(bytes.fromhex('2094824ec0035fd6')); "
    "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()"
)
#: As a shell reports SIGILL.
KILLED = 128 + 4
#: For a first run: the devices' image, llama.cpp for two kinds of processors, its web UI.
SECONDS = 5400


def run(*playbook: str | Path) -> str:
    return played(*playbook, inventory=INVENTORY, seconds=SECONDS)


def on(device: str, command: str, **variables: Any) -> str:
    """Return what a shell command prints that Ansible runs on a device."""
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible")), device, "--inventory", str(INVENTORY)),
            *("--module-name", "shell", "--args", command, "--extra-vars", json.dumps(variables)),
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition(">>\n")[2].strip()


@pytest.fixture(scope="module", autouse=True)
def fleet() -> Iterator[None]:
    """Start bare devices."""
    demo.make_keys()
    sources.decide(_ALL["vars"]["fleet_network"], versions=())
    run("molecule/default/destroy.yml")
    try:
        run("molecule/default/create.yml", "molecule/default/web_ui.yml")
        yield
    finally:
        run("molecule/default/destroy.yml")


@pytest.mark.parametrize("become", [False, True], ids=["as the login", "as root"])
@pytest.mark.parametrize("device", PIS)
def test_a_program_sees_the_processor_of_the_board(device: str, become: bool) -> None:
    look = f"uname -m; python3 -c '{HWCAP}'; grep -m 1 Features /proc/cpuinfo"
    machine, flags, features = on(device, look, ansible_become=become).splitlines()
    assert machine == "aarch64"
    fast = FAST[PIS[device]["fleet_cpu"]]
    assert {name for name, bit in FLAGS.items() if int(flags) >> bit & 1} == fast
    assert FLAGS.keys() & features.split() == fast


@pytest.mark.parametrize("device", PIS)
def test_what_the_processor_cannot_execute_kills_the_program(device: str) -> None:
    ended = on(device, f'python3 -c "{DOT}" 2>/dev/null; echo $?').split()[-1]
    assert int(ended) == (0 if FAST[PIS[device]["fleet_cpu"]] else KILLED)


@pytest.mark.parametrize("device", PIS)
def test_no_process_is_given_another_processor(device: str) -> None:
    cpu = PIS[device]["fleet_cpu"]
    # A process may end while grep reads; those without the setting are named.
    others = on(device, f"grep -z --files-without-match '^QEMU_CPU={cpu}$' /proc/[0-9]*/environ 2>/dev/null || true")
    assert others == ""


def test_the_baseline_is_applied_and_a_second_run_changes_nothing() -> None:
    run("playbooks/baseline.yml")
    assert changes(run("playbooks/baseline.yml")) == [0, 0, 0]


def test_the_site_is_built_on_x86_and_a_second_run_changes_nothing() -> None:
    run("site.yml", "molecule/default/web_ui.yml")
    assert changes(run("site.yml")) == [0, 0, 0]


@pytest.mark.parametrize("device", PIS)
def test_it_knows_the_capital_of_france(device: str) -> None:
    key = (FLEET / "api-key").read_text(encoding="utf-8").splitlines()[0]
    client = openai.OpenAI(base_url=f"http://{PIS[device]['fleet_address']}:8080/v1", api_key=key, timeout=300)
    answer = client.chat.completions.create(
        model="smollm2-135m-instruct",
        temperature=0,
        max_tokens=48,
        messages=[{"role": "user", "content": "Which city is the capital of France?"}],
    )
    assert "Paris" in (answer.choices[0].message.content or "")

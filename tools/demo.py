#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The main job on a local fleet: containers in, answers out (`make demo`, `make demo-down`)."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ansible_runner
import sources
from openai import OpenAI

ROOT = Path(__file__).resolve().parents[1]
INVENTORY = ROOT / "inventory/demo"
#: What inventory/demo/group_vars/all/fleet.yml names.
FLEET_DIR = ROOT / ".cache/fleet"
KEY_FILE = FLEET_DIR / "api-key"
CHAT_KEY_FILE = FLEET_DIR / "chat-page-key"
#: Of builder-01 in inventory/demo/hosts.yml.
CHAT_PAGE = "http://127.0.10.1:8000"
ENDPOINTS = ROOT / ".demo/endpoints.json"
#: What was made once on this machine: llama.cpp's objects and web UI, Go's modules and objects.
VOLUMES = ("edge-slm-ccache", "edge-slm-go")
#: What stands for a cloud there.
CLOUD = "cloud-stand-in"
QUESTION = "What is the capital of France? Answer in one word."


class DemoError(Exception):
    """Something failed; the message has what, where, and how to look."""


def make_keys() -> None:
    """Make the API keys of the local fleets where there are none yet."""
    FLEET_DIR.mkdir(parents=True, exist_ok=True)
    for file in (KEY_FILE, CHAT_KEY_FILE):
        if not file.exists():
            file.touch(mode=0o600)
        if not file.read_text():
            file.write_text(secrets.token_urlsafe(32) + "\n")


def how_to_look(host: str) -> str:
    """Return the commands with which a person looks at a device of the demo."""
    return (
        f"  look:  make shell HOST={host}, and there: sudo systemctl --failed; sudo journalctl --no-pager -n 50\n"
        "  again: make demo (it goes on where it stopped)"
    )


def play(playbook: str) -> list[dict[str, Any]]:
    """Run a playbook on the demo fleet and return the endpoints that verify.yml asked in it, as clients need them.

    Raises:
        DemoError: With each failure's host, task and message.
    """
    failures: list[str] = []
    asked: list[dict[str, Any]] = []

    def watch(event: dict[str, Any]) -> bool:
        data = event.get("event_data", {})
        # Those of verify_endpoint, which on_controller runs.
        if event["event"] == "runner_on_ok" and "endpoints" in data.get("res", {}):
            asked.extend(
                {
                    "host": data["host"],
                    "engine": endpoint["engine"],
                    "base_url": endpoint["base_url"],
                    "model": endpoint["model"],
                    "api_key_file": str(KEY_FILE),
                }
                for endpoint in data["res"]["endpoints"]
                # One that makes vectors answers no question.
                if "embeddings" not in endpoint["passed"]
            )
        if event["event"] in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            message = data.get("res", {}).get("msg", "no message")
            host = data.get("host", "?")
            failures.append(f"{host}: {data.get('task')}\n  {message}\n{how_to_look(host)}")
        return True

    private = ROOT / ".demo/runner"
    private.mkdir(parents=True, exist_ok=True)
    runner = ansible_runner.run(
        private_data_dir=str(private),
        project_dir=str(ROOT),
        playbook=playbook,
        inventory=str(INVENTORY),
        envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        event_handler=watch,
        rotate_artifacts=3,
    )
    if runner.rc != 0:
        raise DemoError("\n\n".join(failures) or f"{playbook} ended with {runner.rc} ({runner.status})")
    return sorted(asked, key=lambda endpoint: endpoint["host"])


def ask(endpoint: dict[str, str]) -> tuple[str, float]:
    """Ask an endpoint the demo's question; return the answer and the tokens per second."""
    key = Path(endpoint["api_key_file"]).read_text().splitlines()[0]
    client = OpenAI(base_url=endpoint["base_url"], api_key=key, timeout=120)
    started = time.monotonic()
    answer = client.chat.completions.create(
        model=endpoint["model"], temperature=0, messages=[{"role": "user", "content": QUESTION}], max_tokens=48
    )
    seconds = time.monotonic() - started
    tokens = answer.usage.completion_tokens if answer.usage else 0
    timings = (answer.model_extra or {}).get("timings", {})
    return (answer.choices[0].message.content or "").strip(), timings.get("predicted_per_second", tokens / seconds)


def example(script: str, endpoint: dict[str, str], *options: str) -> str:
    """Return what an example prints for an endpoint.

    Raises:
        CalledProcessError: When it fails.
    """
    key = Path(endpoint["api_key_file"]).read_text().splitlines()[0]
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), endpoint["base_url"], *options],
        env={**os.environ, "EDGE_SLM_API_KEY": key},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def up() -> None:
    """Start the fleet, converge it, and ask each device."""
    make_keys()
    chosen = sources.decide("edge-slm-demo", sources.OLLAMA_VERSIONS[-1:])
    play("molecule/default/create.yml")
    play("molecule/stand_ins/registry.yml")
    play("molecule/stand_ins/cloud.yml")
    play("site.yml")
    # By itself it asks every endpoint; in site.yml only those of devices that were changed.
    endpoints = play("playbooks/verify.yml")
    if not endpoints:
        raise DemoError("playbooks/verify.yml has asked no endpoint.")
    ENDPOINTS.write_text(json.dumps(endpoints, indent=2) + "\n")

    print(f"\nQ: {QUESTION}")
    for endpoint in endpoints:
        answer, speed = ask(endpoint)
        page = f", web UI {endpoint['base_url'].removesuffix('v1')}" if endpoint["engine"] == "llama.cpp" else ""
        print(f"{endpoint['host']}: {answer}   ({endpoint['engine']}, {speed:.1f} tokens/s{page})")
    for endpoint in endpoints:
        if endpoint["model"] == sources.OLLAMA_MODEL:
            options = ["--model", endpoint["model"]]
            print(f"\nexamples/chat.py {endpoint['base_url']} {' '.join(options)}")
            print(example("chat.py", endpoint, *options))
    door = next(endpoint for endpoint in endpoints if endpoint["engine"] == "gateway")
    options = ["--cloud", CLOUD, "--edge", door["model"]]
    print(f"\nexamples/federated.py {door['base_url']} {' '.join(options)}")
    print(example("federated.py", door, *options))
    print()
    sources.describe(chosen)
    print(f"gateway    {door['base_url']}: one door to all models")
    print(f"chat page  {CHAT_PAGE} (a browser asks for any user name, and the key as the password)")
    print(f"key        {KEY_FILE.relative_to(ROOT)} (first line)")
    print(f"clients    {ENDPOINTS.relative_to(ROOT)}")
    print("look       make shell HOST=jetson-01")
    print("run again  ansible-playbook site.yml -i inventory/demo")
    print("stop       make demo-down")


def shell(host: str) -> None:
    """Become a login on a device of the demo, over SSH: `docker exec` cannot enter one in which Docker runs."""
    command = ["ansible-inventory", "--inventory", str(INVENTORY), "--host", host]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise DemoError(f"HOST={host}: the demo has no such device; see {INVENTORY.relative_to(ROOT)}/hosts.yml.")
    variables = json.loads(found.stdout)
    known_hosts = FLEET_DIR / f"known_hosts-{variables['fleet_network']}"
    options = ["-i", str(FLEET_DIR / "id_ed25519"), "-o", f"UserKnownHostsFile={known_hosts}"]
    os.execvp("ssh", ["ssh", *options, f"{variables['ansible_user']}@{variables['fleet_address']}"])  # noqa: S606


def down() -> None:
    """Remove every trace of the demo."""
    if (ROOT / ".cache/sources.json").exists():
        play("molecule/default/destroy.yml")
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=edge-slm/*"]
    images = subprocess.run(command, capture_output=True, text=True, check=True)
    subprocess.run(["docker", "image", "rm", *images.stdout.split()], check=False, capture_output=True)
    for volume in VOLUMES:
        subprocess.run(["docker", "volume", "rm", "--force", volume], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", str(ROOT / ".demo")], check=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up")
    verbs.add_parser("down")
    verbs.add_parser("shell").add_argument("host")
    given = parser.parse_args()
    try:
        if given.verb == "shell":
            shell(given.host)
        {"up": up, "down": down}[given.verb]()
    except (DemoError, subprocess.CalledProcessError) as error:
        print(f"\nThe demo failed.\n\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

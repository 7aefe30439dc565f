#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_probe."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_probe
short_description: Prove that containers get a Jetson's device nodes
version_added: 0.1.0
description:
  - Looks for the nodes that the csv files name in the container that runs already. Where it does not run with that
    image yet, it starts a short container with NVIDIA's runtime on the host's network from it and looks there.
  - This is what tells whether this Docker works on this kernel. A container that starts so needs nothing of the
    kernel that the served one does not need.
  - Refuses to go on where a container of the name is somebody else's.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  image:
    description: The image with its digest; it has C(ls).
    type: str
    required: true
  inputs:
    description: Digest of the inputs that the running container must have been made from to be looked into.
    type: str
    required: true
  nodes:
    description: Paths of device nodes, as M(edge_slm.fleet.jetson_facts) returns them. Patterns are allowed.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Looks into a container that runs; starts none.
  diff_mode:
    support: none
    description: Nothing changes.
"""

EXAMPLES = r"""
- name: Prove that containers get the device nodes
  edge_slm.fleet.jetson_ollama_probe:
    image: "{{ plan.image }}"
    inputs: "{{ plan.container.labels['edge-slm.fleet.inputs'] }}"
    nodes: "{{ ansible_facts['edge_slm_jetson']['nvidia_toolkit']['device_nodes'] }}"
"""

RETURN = r"""
nodes:
  description: Nodes that are seen inside.
  returned: success
  type: list
  elements: str
how:
  description: Where they were seen.
  returned: success
  type: str
  sample: in a probe container
"""

import contextlib
import glob
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import server as decide

NAME = "ollama-probe"
PROBE_SECONDS = 60


def existing(patterns: list[str]) -> list[str]:
    """Return the nodes that this board has; csv files list those of every board."""
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def probe(engine: Engine, image: str, nodes: list[str]) -> tuple[list[str], str]:
    """Start a container that lists the nodes; returns those that it saw, and what it said."""
    remove(engine)
    engine.call(
        "POST",
        f"/containers/create?name={NAME}",
        {
            "Image": image,
            "Entrypoint": ["ls", "-d"],
            "Cmd": nodes,
            "Env": ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all"],
            "Labels": {decide.ROLE_LABEL: decide.PROBE},
            "HostConfig": {"Runtime": "nvidia", "NetworkMode": "host"},
        },
    )
    try:
        engine.read("POST", f"/containers/{NAME}/start")
        engine.read("POST", f"/containers/{NAME}/wait", timeout=PROBE_SECONDS)
        said = engine.logs(NAME, 200)
    finally:
        remove(engine)
    return [line for line in said.splitlines() if line in nodes], said


def remove(engine: Engine) -> None:
    """Remove the probe container, one that a killed run left too."""
    with contextlib.suppress(EngineError):
        engine.read("DELETE", f"/containers/{NAME}?force=1")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "inputs": {"type": "str", "required": True},
            "nodes": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    engine, image = Engine(), module.params["image"]
    nodes = existing(module.params["nodes"])
    try:
        found = engine.container(decide.CONTAINER)
    except EngineError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        found = None
    problem = decide.ownership_problem(found)
    if problem:
        module.fail_json(msg=problem)
    state, labels = (found or {}).get("State", {}), ((found or {}).get("Config") or {}).get("Labels") or {}
    if not nodes:
        module.fail_json(
            msg="None of the device nodes that NVIDIA's csv files name is on this device: its GPU driver is not "
            "loaded. Look at `dmesg | grep -i nvgpu`, and whether kernel and L4T packages are of one release."
        )
    if state.get("Running") and labels.get(decide.INPUTS_LABEL) == module.params["inputs"]:
        root = f"/proc/{state['Pid']}/root"
        seen, said, how = [node for node in nodes if os.path.exists(root + node)], "", "in the running container"
    elif module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="Check mode: no container is started.")
    else:
        how = "in a probe container"
        try:
            seen, said = probe(engine, image, nodes)
        except EngineError as error:
            module.fail_json(
                msg=f"A container with NVIDIA's runtime does not start on this device: {error}. Look at "
                "`journalctl -u docker -n 50`; after a kernel or Docker upgrade, at `docker run --rm --runtime nvidia "
                f"--network host --entrypoint ls {image} /dev`."
            )
    missing = [node for node in nodes if node not in seen]
    if missing:
        module.fail_json(
            msg=f"Containers do not get {', '.join(missing)} ({how}): look at `nvidia-ctk config` (mode must be csv) "
            f"and at the csv files in /etc/nvidia-container-runtime/host-files-for-container.d. {said}".strip(),
            nodes=seen,
        )
    module.exit_json(changed=False, nodes=seen, how=how)


if __name__ == "__main__":
    main()

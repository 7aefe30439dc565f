#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_plan
short_description: Decide how Ollama is to run on a Jetson
version_added: 0.1.0
description:
  - Checks the inputs of the role jetson_ollama against each other, the board, Docker, its containers, the port, the
    memory and the disk. Fails with all problems at once.
  - Returns Docker's settings, the packages to install, the container and what is still to be done.
  - Changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.role_plan, edge_slm.fleet.reads_only]
options:
  state:
    description: With V(absent) no input is checked, and what the role left is returned.
    type: str
    choices: [present, absent]
    default: present
  jetson:
    description: What M(edge_slm.fleet.jetson_facts) said.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Decide how Ollama is to run here
  edge_slm.fleet.jetson_ollama_plan:
    inputs: "{{ __jetson_ollama_inputs }}"
    device: "{{ ansible_facts['edge_slm_device'] }}"
    jetson: "{{ ansible_facts['edge_slm_jetson'] }}"
  register: __jetson_ollama_plan
"""

RETURN = r"""
plan:
  description: What is to be there, and what is missing.
  returned: success
  type: dict
  contains:
    packages:
      description: Packages that are missing.
      returned: always
      type: list
      elements: str
      sample: [docker.io, docker-cli, python3-requests]
    selections:
      description: Packages whose hold must change, as M(ansible.builtin.dpkg_selections) takes them.
      returned: always
      type: list
      elements: dict
    settings:
      description: What must stand in Docker's daemon.json, by key.
      returned: always
      type: dict
    registry:
      description: Host of the image's registry.
      returned: always
      type: str
    image:
      description: The image with its digest.
      returned: always
      type: str
    images:
      description: Images that the role brought and that may go.
      returned: always
      type: list
      elements: str
    container:
      description: The container, as M(community.docker.docker_container) takes it.
      returned: always
      type: dict
    csv_mode:
      description: Whether the runtime's mode is still to be set.
      returned: always
      type: bool
    url:
      description: Where Ollama answers on the device.
      returned: always
      type: str
    models:
      description: Names of the models.
      returned: always
      type: list
      elements: str
    askable:
      description: Whether Docker, its Python library and the image are there, so that check mode can ask on.
      returned: always
      type: bool
    running:
      description: Whether the container runs.
      returned: always
      type: bool
    pending:
      description: What is still to be done, in words.
      returned: always
      type: list
      elements: str
    summary:
      description: What runs here, in words.
      returned: always
      type: list
      elements: str
    remove:
      description: Paths of what the role wrote, with O(state=absent).
      returned: always
      type: list
      elements: str
    ours:
      description: Whether there is a container of the role.
      returned: always
      type: bool
"""

import glob
import hashlib
import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import STATUS, installed_versions
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import daemon as jetson_docker
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Registry, RegistryError
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix as jetson_matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import server as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    DEFAULT_REGISTRY,
    Model,
    parse_manifest,
    parse_models,
)

CERTIFICATES = "/etc/docker/certs.d/*/ca.crt"
#: Seconds for a registry to tell the size of a model.
REGISTRY_TIMEOUT = 10


def process_parents() -> dict[int, int]:
    """Return each process's parent."""
    parents: dict[int, int] = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        words = read_text(path).rpartition(")")[2].split()
        if len(words) > 1:
            parents[int(path.split("/")[2])] = int(words[1])
    return parents


def port_owner(port: int, ours: int) -> str:
    """Return who listens on a port and is not our container; '' for nobody.

    Args:
        port: A TCP port.
        ours: Process of our container; 0 where it does not run.
    """
    inodes = {str(listener.inode) for listener in read_listeners() if listener.port == port}
    if not inodes:
        return ""
    parents = process_parents()
    for pid in sorted(parents):
        for entry in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if target.startswith("socket:[") and target[8:-1] in inodes:
                if ours and decide.descends_from(pid, ours, parents):
                    return ""
                return f"{read_text(f'/proc/{pid}/comm').strip()} (process {pid})"
    return "a process that cannot be seen"


def registry_weights(model: Model) -> int:
    """Return the bytes of a model as its registry tells them.

    Raises:
        RegistryError: It does not tell.
    """
    registry = Registry(model.registry or DEFAULT_REGISTRY, timeout=REGISTRY_TIMEOUT)
    try:
        return sum(file["size"] for file in parse_manifest(registry.manifest(model.repository, model.tag)))
    except ValueError as error:
        raise RegistryError(str(error)) from error


def model_size(model: Model, models_dir: str, notes: list[str]) -> decide.Size:
    """Return what a model weighs: as it lies here, as its file lies here, or as its registry tells."""
    held = decide.manifest_path(models_dir, model.name)
    if os.path.isfile(held):
        try:
            with open(held, "rb") as file:
                return decide.Size(model.name, sum(part["size"] for part in parse_manifest(file.read())), True)
        except (OSError, ValueError) as error:
            notes.append(f"{held} cannot be read: {error}")
    if model.path:
        if os.path.isfile(model.path):
            return decide.Size(model.name, os.path.getsize(model.path), False)
        notes.append(f"{model.name}: {model.path} is not there yet; its size is not known")
        return decide.Size(model.name, 0, False)
    try:
        return decide.Size(model.name, registry_weights(model), False)
    except RegistryError as error:
        notes.append(f"{model.name}: its size is not known ({error})")
        return decide.Size(model.name, 0, False)


def read_certificates() -> str:
    """Return the digest of the CA certificates that this host trusts."""
    path = f"{decide.CA_DIRECTORY}/ca-certificates.crt"
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def written_certificates() -> list[str]:
    """Return the registries' CA files that the role wrote."""
    return sorted(path for path in glob.glob(CERTIFICATES) if decide.WRAPPER_MARK in read_text(path))


def client_text() -> str | None:
    """Return the text of what lies where the `ollama` command goes, None where nothing does."""
    return read_text(decide.WRAPPER) if os.path.lexists(decide.WRAPPER) else None


def find_container(engine: Engine) -> dict[str, Any] | None:
    """Return the container of our name; None where there is none, or no Docker."""
    try:
        return engine.container(decide.CONTAINER)
    except EngineError:
        return None


def foreign_containers(engine: Engine) -> list[str]:
    """Return the names of running containers that are not the role's."""
    try:
        running = engine.running()
    except EngineError:
        return []
    return [
        str((entry.get("Names") or ["?"])[0]).lstrip("/")
        for entry in running
        if not str((entry.get("Labels") or {}).get(decide.ROLE_LABEL, "")).startswith(decide.ROLE)
    ]


def plan_absent(engine: Engine) -> dict[str, Any]:
    """Return what the role left on the device."""
    found = find_container(engine)
    ours = bool(found) and not decide.ownership_problem(found)
    client = [decide.WRAPPER] if decide.WRAPPER_MARK in (client_text() or "") else []
    return {
        "ours": ours,
        "images": list(read_json(decide.RECEIPT).get("images") or []),
        "remove": [*client, *written_certificates()],
        "running": False,
        "askable": engine.answers(),
        "pending": [],
        "summary": [],
    }


class Planner:
    """Everything that must be looked at to decide, and the decisions."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.device = given["device"]
        self.jetson = given["jetson"]
        self.engine = Engine()
        self.problems = Problems(prefix=f"{decide.ROLE}_")
        self.notes: list[str] = []
        self.inputs = decide.parse_inputs(given["inputs"], self.problems)
        self.installed = installed_versions()
        self.info = self.engine.info()
        self.found = find_container(self.engine)

    def packages(self) -> list[str]:
        """Return the packages that are missing; refuses what apt cannot bring."""
        present, version = self.jetson["docker"]["present"], self.jetson["docker"]["version"]
        wanted: list[str] = [name for name in jetson_docker.PYTHON_PACKAGES if name not in self.installed]
        toolkit = bool(self.jetson["nvidia_toolkit"]["version"])
        # Debian has the client in a package of its own; the role's `ollama` command needs it.
        client = bool(output_of(["docker", "--version"]))
        if present and not jetson_docker.is_new_enough(version):
            self.problems.found.append(
                f"Docker {version} is too old: {jetson_docker.MINIMUM_NAME} is the first that limits memory under "
                "cgroup v2. Upgrade it (`apt-get install --only-upgrade docker.io`), and run again."
            )
        if present and client and toolkit:
            return wanted
        candidates = jetson_docker.parse_candidates(output_of(["apt-cache", "policy", *jetson_docker.ASKED_PACKAGES]))
        if not present or not client:
            docker = [name for name in jetson_docker.docker_packages(candidates) if name not in self.installed]
            wanted = [*docker, *wanted]
            if not docker:
                self.problems.found.append(
                    "Docker is not there, and apt knows neither docker.io nor docker-ce: set up the distribution's "
                    "sources (on Ubuntu: universe), run `apt-get update`, and run again."
                )
        if not toolkit:
            packages = jetson_docker.toolkit_packages(candidates)
            wanted = [*packages, *wanted]
            if not packages:
                self.problems.found.append(
                    "NVIDIA's container runtime (nvidia-container-runtime) is not there, and apt does not know it: "
                    "enable NVIDIA's source in /etc/apt/sources.list.d/nvidia-l4t-apt-source.list, run `apt-get "
                    "update` and `apt-get install nvidia-container`, and run again."
                )
        return wanted

    def settings(self) -> dict[str, Any]:
        """Return what must stand in daemon.json; refuses one that cannot be merged with."""
        try:
            current = jetson_docker.parse_daemon(read_text(jetson_docker.DAEMON_JSON))
        except ValueError as error:
            self.problems.found.append(str(error))
            return {}
        wanted = self.inputs.docker.data_root
        root = str(self.info.get("DockerRootDir") or current.get("data-root") or jetson_docker.DEFAULT_ROOT)
        entries = os.listdir(wanted) if wanted and os.path.isdir(wanted) else []
        foreign = foreign_containers(self.engine)
        problem = jetson_docker.data_root_problem(wanted, root, foreign, entries, os.path.ismount(wanted or "/x"))
        if problem:
            self.problems.add("docker_data_root", problem)
        return jetson_docker.settings(current, self.inputs.docker)

    def check_toolkit_files(self, packages: list[str]) -> None:
        """Refuse a device whose csv files are not there although nothing is left to be installed."""
        toolkit = self.jetson["nvidia_toolkit"]
        if toolkit["version"] and not toolkit["device_nodes"] and not packages:
            self.problems.found.append(
                "/etc/nvidia-container-runtime/host-files-for-container.d holds no csv file that names a device node, "
                "so csv mode would pass no GPU into containers: run `apt-get install --reinstall nvidia-l4t-init "
                "nvidia-container`, and run again."
            )

    def pending(self, packages: list[str], settings: Mapping[str, Any], container: Mapping[str, Any]) -> list[str]:
        """Say in words what is still to be done."""
        pending = [f"package {name}" for name in packages]
        current = jetson_docker.parse_daemon(read_text(jetson_docker.DAEMON_JSON))
        if jetson_docker.merged(current, settings) != current:
            pending.append(f"file {jetson_docker.DAEMON_JSON}")
        if not self.jetson["docker"]["csv_mode"]:
            pending.append("csv mode")
        labels = ((self.found or {}).get("Config") or {}).get("Labels") or {}
        if self.found is None:
            pending.append(f"container {decide.CONTAINER}")
        elif labels.get(decide.INPUTS_LABEL) != container["labels"][decide.INPUTS_LABEL]:
            pending.append(f"container {decide.CONTAINER} with other inputs")
        return pending

    def plan(self) -> dict[str, Any]:
        """Return the plan; it means nothing where there are refusals."""
        inputs, family = self.inputs, self.jetson["image_family"]
        if not self.jetson["supported"]:
            self.problems.found.append(self.jetson["refusal"])
        image = decide.choose_image(inputs, family, self.problems) if family or inputs.image else None
        packages = self.packages()
        self.check_toolkit_files(packages)
        settings = self.settings()
        problem = decide.ownership_problem(self.found)
        if problem:
            self.problems.found.append(problem)
        problem = decide.wrapper_problem(inputs.client, client_text())
        if problem:
            self.problems.found.append(problem)
        running = not problem and bool((self.found or {}).get("State", {}).get("Running"))
        pid = int((self.found or {}).get("State", {}).get("Pid") or 0)
        decide.check_ports(inputs, port_owner(inputs.port, pid), self.problems)
        decide.check_gpu(inputs, self.jetson["real_jetson"], self.problems)
        models = parse_models(inputs.models, self.problems)
        sizes = [model_size(model, inputs.models_dir, self.notes) for model in models]
        decide.check_memory(inputs, sizes, self.device["memory_mib"], self.problems)
        decide.check_disk(inputs, sizes, self.jetson["disk_free_mib"].get(inputs.models_dir, 1 << 40), self.problems)
        if self.problems.found or image is None:
            return {}
        controllers = read_text("/sys/fs/cgroup/cgroup.controllers")
        limited = decide.has_memory_controller(controllers, os.path.isdir("/sys/fs/cgroup/memory"))
        limit = self.device["memory_mib"] - inputs.memory_reserve_mib if limited else 0
        container = decide.container(inputs, image, family, limit, read_certificates())
        if not limited:
            self.notes.append("memory limit: not applicable: this kernel has no memory controller for containers")
        row = jetson_matrix.find_row(jetson_matrix.parse_release(self.jetson["l4t"]["text"]))
        askable = not packages and bool(self.info) and self.engine.image(image.reference) is not None
        return {
            "packages": packages,
            "selections": jetson_docker.selections(read_text(STATUS), packages, inputs.docker_hold),
            "settings": settings,
            "images": decide.superseded(read_json(decide.RECEIPT).get("images") or [], image.reference),
            "registry": image.host,
            "image": image.reference,
            "container": container,
            "csv_mode": not self.jetson["docker"]["csv_mode"],
            "url": f"http://127.0.0.1:{inputs.port}",
            "models": [model.name for model in models],
            "askable": askable,
            "running": running,
            "pending": self.pending(packages, settings, container),
            "summary": [
                f"JetPack {row.jetpack if row else '?'} ({self.jetson['l4t']['name']}): {image.reference} on port "
                f"{inputs.port}, at most {limit or self.device['memory_mib']} MiB",
                *(f"{size.name}: {-(-size.weights // decide.MIB)} MiB" for size in sizes if size.weights),
                *self.notes,
            ],
            "remove": [],
            "ours": self.found is not None,
        }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "inputs": {"type": "dict", "required": True},
            "device": {"type": "dict", "required": True},
            "jetson": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "absent":
        module.exit_json(changed=False, plan=plan_absent(Engine()))
    planner = Planner(module.params)
    plan = planner.plan()
    if planner.problems.found:
        module.fail_json(msg="\n".join(planner.problems.found), problems=planner.problems.found)
    module.exit_json(changed=False, plan=plan)


if __name__ == "__main__":
    main()

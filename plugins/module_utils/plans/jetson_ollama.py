# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role jetson_ollama; its decisions are in ollama/ and docker/."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import STATUS, parse_status
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import modified, names_in, read_json, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import daemon
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import flags as docker_flags
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Image
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files, read_units
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    pending_directories,
    pending_files,
    pending_removals,
    shared_above,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.facts import TOOLKIT_CONFIG, free_mib
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import live, probe
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import server as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import Server
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    Model,
    held_models,
    make_plan,
    parse_models,
    prompt_sentence,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan

CERTIFICATES = "/etc/docker/certs.d"
UNITS = ("docker.service", "docker.socket")
#: Where no Ollama answers.
NO_SERVER = "OLLAMA_HOST=127.0.0.1:1"
#: Seconds for Docker to answer.
PATIENCE = 5


def own_files() -> list[str]:
    """Return the files of the role that are there: the CA files of registries, and the command."""
    certificates = glob.glob(f"{CERTIFICATES}/*/ca.crt") + glob.glob(f"{decide.REGISTRY_CA_DIRECTORY}/*.crt")
    paths = [*certificates, decide.WRAPPER]
    return sorted(path for path in paths if decide.MARK in read_text(path))


def own_clients() -> list[str]:
    """Return the directories of clients from releases."""
    folder = decide.CLIENTS_DIRECTORY
    return [os.path.join(folder, name) for name in names_in(folder)]


class Reader:
    """What is read on the host, each thing once."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.engine = Engine(timeout=PATIENCE)
        self.receipt = read_json(decide.RECEIPT)
        self.notes: list[str] = []

    @cached_property
    def info(self) -> dict[str, Any]:
        """What `docker info` shows; empty where dockerd does not answer."""
        return self.engine.info()

    @cached_property
    def flags(self) -> docker_flags.Flags:
        """What dockerd's unit gives it on its command line."""
        return docker_flags.read()

    @property
    def noted(self) -> dict[str, Any]:
        """What the owner of daemon.json had in place of the role's settings."""
        return self.receipt.get("daemon.json") or {}

    @property
    def silent(self) -> bool:
        """Whether Docker is installed and does not answer: of images and containers nothing is known then."""
        return bool(find_command("dockerd")) and not self.info

    @cached_property
    def container(self) -> dict[str, Any] | None:
        """The container of our name; None where there is none, or no Docker."""
        try:
            return self.engine.container(decide.CONTAINER)
        except EngineError:
            return None

    @cached_property
    def has_probe(self) -> bool:
        """Whether an interrupted run has left the container that lists device nodes."""
        try:
            return bool(self.info) and self.engine.container(decide.PROBE_CONTAINER) is not None
        except EngineError:
            return False

    @property
    def container_pid(self) -> int:
        """Process of the role's container; 0 where it does not run."""
        found = self.container
        if not found or decide.ownership_problem(found):
            return 0
        return int((found.get("State") or {}).get("Pid") or 0)

    def has_image(self, reference: str) -> bool:
        """Return whether Docker has an image."""
        try:
            return bool(self.info) and self.engine.image(reference) is not None
        except EngineError:
            return False

    def foreign_containers(self) -> list[str]:
        """Return the names of running containers that are not the role's."""
        try:
            running = self.engine.running()
        except EngineError:
            return []
        return [
            str((entry.get("Names") or ["?"])[0]).lstrip("/")
            for entry in running
            if not str((entry.get("Labels") or {}).get(decide.ROLE_LABEL, "")).startswith(decide.ROLE)
        ]

    def daemon_reasons(self, wanted: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the dockerd that runs, and with its units."""
        units = read_units(UNITS)
        service = units.get(UNITS[0])
        if not find_command("dockerd"):
            return []
        reasons = daemon.restart_reasons(
            self.flags.over(wanted),
            self.info,
            modified(daemon.DAEMON_JSON),
            service.since if service else 0.0,
            modified(f"{decide.CA_DIRECTORY}/ca-certificates.crt"),
        )
        return [
            *(f"unit {problem}" for problem in daemon.unit_problems(service, units.get(UNITS[1]))),
            *(f"unit {UNITS[0]}: {reason}" for reason in reasons),
        ]


def packages(reader: Reader, inputs: decide.Inputs, unfit: Problems) -> list[str]:
    """Return the packages that are missing; what apt cannot bring makes a host unfit."""
    jetson, installed = reader.host.jetson, reader.host.packages
    extra = ("aria2", "zstd") if inputs.client == "release" else ()
    wanted = [name for name in (*daemon.PYTHON_PACKAGES, *extra) if name not in installed]
    present, version = jetson["docker"]["present"], jetson["docker"]["version"]
    toolkit = bool(jetson["nvidia_toolkit"]["version"])
    # Debian has the client in a package of its own; the role's `ollama` command needs it.
    client = bool(find_command("docker"))
    if present and not daemon.is_new_enough(version):
        unfit.found.append(
            f"Docker {version} is too old: {daemon.MINIMUM_NAME} is the first that limits memory under cgroup v2. "
            "Upgrade it (`apt-get install --only-upgrade docker.io`), and run again."
        )
    if present and client and toolkit:
        return wanted
    candidates = daemon.parse_candidates(output_of(["apt-cache", "policy", *daemon.ASKED_PACKAGES]))
    if not present or not client:
        docker = [name for name in daemon.docker_packages(candidates) if name not in installed]
        wanted = [*docker, *wanted]
        if not docker:
            unfit.found.append(daemon.NO_DOCKER)
    if not toolkit:
        found = daemon.toolkit_packages(candidates)
        wanted = [*found, *wanted]
        if not found:
            unfit.found.append(
                "NVIDIA's container runtime (nvidia-container-runtime) is not there, and apt does not know it: "
                "enable NVIDIA's source in /etc/apt/sources.list.d/nvidia-l4t-apt-source.list, run `apt-get "
                "update` and `apt-get install nvidia-container`, and run again."
            )
    return wanted


def device_nodes(reader: Reader, missing: Sequence[str], unfit: Problems) -> list[str]:
    """Return the nodes that containers must get: those of the csv files that this board has."""
    toolkit = reader.host.jetson["nvidia_toolkit"]
    nodes = sorted({path for pattern in toolkit["device_nodes"] for path in glob.glob(pattern)})
    if not toolkit["version"] or missing:
        return nodes
    if not toolkit["device_nodes"]:
        unfit.found.append(
            "/etc/nvidia-container-runtime/host-files-for-container.d holds no csv file that names a device node, "
            "so csv mode would pass no GPU into containers: run `apt-get install --reinstall nvidia-l4t-init "
            "nvidia-container`, and run again."
        )
    elif not nodes:
        unfit.found.append(
            "None of the device nodes that NVIDIA's csv files name is on this device: its GPU driver is not loaded. "
            "Look at `dmesg | grep -i nvgpu`, and whether kernel and L4T packages are of one release."
        )
    return nodes


def daemon_settings(reader: Reader, inputs: decide.Inputs, unfit: Problems) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return daemon.json as it is, and what must be in it; one that cannot be merged with makes a host unfit."""
    try:
        current = daemon.parse_daemon(read_text(daemon.DAEMON_JSON))
        owners = daemon.restored(current, reader.noted)
    except ValueError as error:
        unfit.found.append(str(error))
        return {}, {}
    flags = reader.flags.settings
    daemon.check_flags(owners, inputs.docker, flags, unfit)
    daemon.check_proxies(inputs.docker, reader.host.jetson["docker"]["version"], unfit)
    wanted = inputs.docker.data_root
    root = str(reader.info.get("DockerRootDir") or reader.flags.over(current).get("data-root") or daemon.DEFAULT_ROOT)
    daemon.check_image_store(inputs.docker, reader.info, unfit)
    daemon.check_users(reader.flags.over(current), reader.info, unfit)
    daemon.check_swarm(inputs.docker, reader.info, os.path.isfile(f"{root}/swarm/docker-state.json"), unfit)
    if wanted and os.path.normpath(wanted) != os.path.normpath(root):
        foreign = reader.foreign_containers()
        problem = daemon.data_root_problem(wanted, root, foreign, names_in(wanted), os.path.ismount(wanted))
        if problem:
            unfit.add("docker_data_root", problem)
    return current, daemon.settings(owners, inputs.docker, flags)


def files(inputs: decide.Inputs) -> FileSet:
    """Return what is to be written: the models' directory, the registries' CAs, the command."""
    directories = [Directory(inputs.models_dir)]
    wanted = []
    for host, certificates in inputs.access.certificates.items():
        text = f"# {decide.MARK}; changes are overwritten.\n{certificates}"
        for path in (f"{CERTIFICATES}/{host}/ca.crt", f"{decide.REGISTRY_CA_DIRECTORY}/{host}.crt"):
            wanted.append(ConfigFile(path, text))
    if inputs.client_text:
        wanted.append(ConfigFile(decide.WRAPPER, inputs.client_text, mode="0755"))
    owned = own_files()
    found = read_files([inputs.models_dir, *(file.path for file in wanted), *owned])
    return FileSet(
        directories=pending_directories(directories, found),
        files=pending_files(wanted, found),
        remove=[
            *pending_removals(owned, wanted, found),
            *(path for path in own_clients() if path != client_directory(inputs)),
        ],
        prune=[decide.CLIENTS_DIRECTORY, decide.REGISTRY_CA_DIRECTORY],
    )


def client_directory(inputs: decide.Inputs) -> str:
    """Return where the client of a release is; '' where none is wanted."""
    return f"{decide.CLIENTS_DIRECTORY}/{inputs.client_sha256[:12]}" if inputs.client == "release" else ""


def client_difference(inputs: decide.Inputs, version: str) -> str:
    """Return what is wrong with the client of a release; the server's version is '' where it does not answer."""
    program = f"{client_directory(inputs)}/bin/ollama"
    if inputs.client != "release":
        return ""
    if not (os.path.isfile(program) and os.access(program, os.X_OK)):
        return "is missing"
    # Where it finds no server it prints its own version.
    if version and f"client version is {version}\n" not in output_of(["env", NO_SERVER, program, "--version"]):
        return f"is not of the server's version {version}"
    return ""


def plan_absent(inputs: Mapping[str, Any], reader: Reader) -> Plan:
    """Return what is left of the role."""
    problems = Problems(prefix=f"{decide.ROLE}_")
    remove_models, models_dir = decide.absent_inputs(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    containers = [decide.CONTAINER] if reader.container and not decide.ownership_problem(reader.container) else []
    containers += [decide.PROBE_CONTAINER] if reader.has_probe else []
    images = list(reader.receipt.get("images") or [])
    held = daemon.selections(parse_status(read_text(STATUS)), (), hold=False) if reader.receipt else []
    remove = [
        path
        for path in (*own_files(), *own_clients(), decide.CLIENTS_DIRECTORY, decide.RECORD)
        if os.path.lexists(path)
    ]
    if remove_models and os.path.isdir(models_dir):
        remove.append(models_dir)
    pending = [f"container {name}: is still there" for name in containers]
    pending += [f"image {image}: is still there" for image in images]
    pending += [f"package {one['name']}: is held" for one in held]
    if reader.receipt.get("daemon.json"):
        pending.append(f"file {daemon.DAEMON_JSON}: still has the role's settings")
    # The receipt is the last to go: the others are known from it.
    remove += [decide.RECEIPT] if os.path.lexists(decide.RECEIPT) else []
    above = shared_above(decide.CLIENTS_DIRECTORY, decide.RECEIPT, decide.REGISTRY_CA_DIRECTORY)
    write = FileSet(remove=remove, prune=[decide.REGISTRY_CA_DIRECTORY, *above])
    return Plan(
        pending=[*pending, *write.sentences()],
        needs={"containers": containers, "images": images, "selections": held},
        files={"uninstall": write},
    )


class Comparison:
    """Docker, the container and the models of a host that can serve, compared with good inputs."""

    def __init__(
        self, reader: Reader, inputs: decide.Inputs, image: Image, nodes: Sequence[str], models: probe.Models
    ) -> None:
        self.reader = reader
        self.inputs = inputs
        self.image = image
        self.nodes = nodes
        self.models = models
        self.pending: list[str] = []
        controllers = read_text("/sys/fs/cgroup/cgroup.controllers")
        limited = decide.has_memory_controller(controllers, os.path.isdir("/sys/fs/cgroup/memory"))
        #: What the container may take, in MiB; 0 where the kernel cannot limit it.
        self.limit = reader.host.device["memory_mib"] - inputs.memory_reserve_mib if limited else 0
        family = reader.host.jetson["image_family"]
        self.container = decide.container(inputs, image, family, self.limit, probe.trusted_certificates())
        self.server = Server(f"http://127.0.0.1:{inputs.port}")

    def docker(self, missing: Sequence[str], current: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Compare packages, settings and dockerd; return what the tasks need of them."""
        installed = parse_status(read_text(STATUS))
        selections = daemon.selections(installed, missing, self.inputs.docker_hold)
        noted = self.reader.noted
        owners = daemon.restored(current, noted)
        merged = daemon.merged(owners, settings)
        toolkit = self.reader.host.jetson["nvidia_toolkit"]
        csv_mode = toolkit["mode"] != "csv"
        self.pending += [f"package {name}: is not installed" for name in missing]
        self.pending += [
            f"package {one['name']}: is {'not held' if one['selection'] == 'hold' else 'held'}"
            for one in selections
            if one["name"] in installed
        ]
        if csv_mode:
            self.pending.append(f"file {TOOLKIT_CONFIG}: its mode is {toolkit['mode'] or 'not set'}, not csv")
        differences = daemon.differences(current, merged, {**noted, **settings})
        self.pending += [f"file {daemon.DAEMON_JSON}: {one}" for one in differences]
        if not self.reader.receipt:
            self.pending.append(f"file {decide.RECEIPT}: is missing")
        elif daemon.before(owners, settings) != noted:
            self.pending.append(f"file {decide.RECEIPT}: does not have Docker's settings before the role")
        self.pending += self.reader.daemon_reasons(merged)
        return {"selections": selections, "csv_mode": csv_mode, "settings": settings}

    def images(self) -> dict[str, Any]:
        """Compare the images; return what the tasks need of them."""
        reference = self.image.reference
        has_image = self.reader.has_image(reference)
        brought = list(self.reader.receipt.get("images") or [])
        superseded = decide.superseded(brought, reference)
        if self.reader.silent:
            pass
        elif not has_image:
            self.pending.append(f"image {reference}: is not on this host")
        elif self.reader.receipt and brought[-1:] != [reference]:
            self.pending.append(f"image {reference}: is not the last one in {decide.RECEIPT}")
        self.pending += [f"image {name}: is no longer wanted" for name in superseded]
        return {"image": reference, "images": superseded, "has_image": has_image}

    def serving(self) -> tuple[probe.Answers, dict[str, Any]]:
        """Compare the container; return what Ollama answers, and what the tasks need."""
        found = self.reader.container or {}
        name = f"container {decide.CONTAINER}"
        if self.reader.has_probe:
            self.pending.append(f"container {decide.PROBE_CONTAINER}: is left over from an interrupted run")
        if not found:
            self.pending += [] if self.reader.silent else [f"{name}: is missing"]
            return probe.Answers(), {"probe": True, "recreate": False, "restart": False}
        state = live.state_difference(found)
        differences = live.settings_differences(self.container, found)
        pid = self.reader.container_pid
        hidden = [node for node in self.nodes if pid and not os.path.lexists(f"/proc/{pid}/root{node}")]
        self.pending += [f"{name}: {state}"] if state else []
        self.pending += [f"{name}: {difference}" for difference in differences]
        if hidden and not differences:
            self.pending.append(f"{name}: does not get the device nodes {', '.join(hidden)}")
        answers = probe.Answers.of(self.server) if pid and not state else probe.Answers()
        if answers.silence:
            self.pending += [f"{name}: is unhealthy"] if live.is_unhealthy(found) else []
            self.pending.append(f"Ollama: does not answer: {answers.silence}")
        restart = live.needs_restart(found, not answers.silence, self.inputs.start_timeout, time.time())
        return answers, {
            "probe": bool(differences or hidden) or self.reader.has_probe or not pid,
            "recreate": bool(hidden),
            "restart": restart,
        }

    def client(self, answers: probe.Answers) -> dict[str, Any]:
        """Compare the client of a release; return whether it must come."""
        difference = client_difference(self.inputs, answers.version)
        if difference:
            self.pending.append(f"client {client_directory(self.inputs)}/bin/ollama: {difference}")
        return {"client": difference == "is missing"}

    def stored(self, answers: probe.Answers) -> dict[str, Any]:
        """Compare the models; return what the tasks need of them."""
        inputs, wanted = self.inputs, self.models.wanted
        held = held_models(answers.tags) if answers.version else probe.held_on_disk(inputs.models_dir)
        problems = {
            model.name: probe.damage(
                f"{inputs.models_dir}/models",
                probe.read_manifest(decide.manifest_path(inputs.models_dir, model.name)),
                self.reader.host.deep,
            )
            for model in wanted
            if model.name.lower() in held
        }
        damaged = {name: problem for name, problem in problems.items() if problem}
        record = read_json(decide.RECORD)
        todo = make_plan(wanted, held, record, inputs.remove_other_models, damaged)
        self.pending += self.models.waiting_sentences
        self.pending += live.model_sentences(todo, held, record, damaged)
        if answers.version:
            current = [model for model in wanted if model not in todo.bring]
            answered = self.reader.receipt.get("answered") or {}
            label = self.container["labels"][decide.INPUTS_LABEL]
            self.pending += live.answer_sentences(current, held, answers.running, answered, label, inputs)
        for model in wanted:
            lost = (record.get(model.name) or {}).get("lost")
            if lost and model not in todo.bring:
                self.reader.notes.append(prompt_sentence(model.name, lost))
        if todo.unlisted and not inputs.remove_other_models:
            self.reader.notes.append(f"Models that jetson_ollama_models does not list: {', '.join(todo.unlisted)}")
        return {
            "models": self.models.raw,
            "access": inputs.access.as_dict(),
            "damaged": sorted(damaged),
            "names": [model.name for model in wanted],
        }

    def not_applicable(self) -> list[str]:
        """Return what cannot be here, and what is not proven."""
        found = []
        if not self.limit:
            found.append("memory limit: not applicable: this kernel has no memory controller for containers")
        if not self.inputs.require_gpu:
            found.append("GPU not proven: jetson_ollama_require_gpu is false, so nothing was asked of the GPU.")
        return found

    def summary(self, sizes: Sequence[decide.Size]) -> list[str]:
        """Return what runs here, in sentences."""
        jetson = self.reader.host.jetson
        row = matrix.find_row(matrix.parse_release(jetson["l4t"]["text"]))
        memory = self.limit or self.reader.host.device["memory_mib"]
        return [
            f"JetPack {row.jetpack if row else '?'} ({jetson['l4t']['name']}): {self.image.reference} on port "
            f"{self.inputs.port}, at most {memory} MiB",
            *(f"{size.name}: {-(-size.weights // decide.MIB)} MiB" for size in sizes if size.weights),
            *self.reader.notes,
        ]


def memory_of(
    inputs: decide.Inputs, listed: Sequence[Model], sizes: Sequence[decide.Size], memory_mib: int
) -> dict[str, Any]:
    """Return what the models ask for and what is known of them here; it is added up over all hosts (fleet/fit.py)."""
    asks, weights = [], {}
    known = {size.name: size for size in sizes if size.weights}
    for model in listed:
        ask = decide.ask_of(inputs, model.name, int(model.parameters.get("num_ctx") or 0))
        name = model.published or model.name
        asks.append(asdict(replace(ask, model=name)))
        if model.name in known:
            weights[name] = decide.weights_of(known[model.name]).as_dict()
    return {"room": asdict(decide.room_of(inputs, memory_mib)), "asks": asks, "weights": weights}


def plan_present(inputs: decide.Inputs, listed: Sequence[Model], reader: Reader) -> Plan:
    """Return the plan of inputs that are good: whether this host can serve by them, and what differs."""
    unfit, jetson = Problems(prefix=f"{decide.ROLE}_"), reader.host.jetson
    image = decide.choose_image(inputs, jetson["image_family"], unfit)
    missing = packages(reader, inputs, unfit)
    nodes = device_nodes(reader, missing, unfit)
    current, settings = daemon_settings(reader, inputs, unfit)
    client = read_text(decide.WRAPPER) if os.path.lexists(decide.WRAPPER) else None
    strangers = (decide.ownership_problem(reader.container), decide.wrapper_problem(inputs.client, client))
    unfit.found += [problem for problem in strangers if problem]
    decide.check_port(inputs, probe.port_owner(inputs.port, reader.container_pid, bool(reader.info)), unfit)
    decide.check_gpu(inputs, jetson["real_jetson"], unfit)
    models = probe.Models.read(inputs, listed)
    sizes = probe.model_sizes(models.wanted, inputs.models_dir, inputs.access, reader.notes)
    known = len(unfit.found)
    decide.check_memory(inputs, sizes, reader.host.device["memory_mib"], unfit)
    refusal = "".join(sentence.partition(": ")[2] for sentence in unfit.found[known:])
    decide.check_disk(inputs, sizes, free_mib(inputs.models_dir), unfit)
    memory = memory_of(inputs, listed, sizes, reader.host.device["memory_mib"])
    summed = {"memory": {**memory, "refusal": refusal}}
    if unfit.found or image is None:
        return Plan(unfit=unfit.found, needs=summed)

    compared = Comparison(reader, inputs, image, nodes, models)
    needs = compared.docker(missing, current, settings)
    write = files(inputs)
    compared.pending += write.sentences()
    needs.update(compared.images())
    answers, serving = compared.serving()
    needs.update(serving)
    needs.update(compared.client(answers))
    needs.update(compared.stored(answers))
    return Plan(
        pending=compared.pending,
        waiting=models.waiting_sentences,
        not_applicable=compared.not_applicable(),
        needs={
            **needs,
            **summed,
            "packages": missing,
            "nodes": nodes,
            "container": compared.container,
            "url": compared.server.url,
            "askable": not missing and needs["has_image"],
            "notes": compared.summary(sizes),
        },
        files={"configure": write},
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare Docker, Ollama and its models with the inputs."""
    reader = Reader(host)
    if inputs["state"] == "absent":
        return plan_absent(inputs, reader)
    refusals = Problems(prefix=f"{decide.ROLE}_")
    cast = decide.parse_inputs(inputs, refusals)
    models = parse_models(cast.models, refusals, published=True)
    if not refusals.found:
        decide.check_contexts(cast, refusals)
    unfit = [] if host.jetson["supported"] else [host.jetson["refusal"]]
    if refusals.found or unfit:
        return Plan(refusals=refusals.found, unfit=unfit)
    return plan_present(cast, models, reader)

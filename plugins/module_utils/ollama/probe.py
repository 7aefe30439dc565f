# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read on a host what the plan of Ollama decides on. Nothing here changes anything."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import Digest, read_json, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import (
    holder,
    processes_with,
    read_listeners,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access, RegistryError
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory, publish
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import server as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import OllamaError, Server
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    DEFAULT_REGISTRY,
    File,
    Held,
    Model,
    held_models,
    parse_manifest,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.transfer import blob_path

#: Seconds for Ollama to answer, and for a registry to give the size of a model.
PATIENCE = 5
REGISTRY_PATIENCE = 5


def process_parents() -> dict[int, int]:
    """Return each process's parent."""
    parents: dict[int, int] = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        words = read_text(path).rpartition(")")[2].split()
        if len(words) > 1:
            parents[int(path.split("/")[2])] = int(words[1])
    return parents


def port_owner(port: int, ours: int, docker: bool) -> str:
    """Return who listens on a port and is not our container; '' for nobody.

    Args:
        port: A TCP port.
        ours: Process of our container; 0 where it does not run.
        docker: Whether Docker answers. Where it does not, our container may run all the same (live-restore), and is
            known by its environment.
    """
    listeners = [listener for listener in read_listeners() if listener.port == port]
    parents = process_parents() if listeners else {}

    def is_ours(pid: int) -> bool:
        if ours:
            return decide.descends_from(pid, ours, parents)
        return not docker and f"OLLAMA_MODELS={decide.HOME}/models" in read_text(f"/proc/{pid}/environ").split("\0")

    if not listeners or any(map(is_ours, processes_with(listeners))):
        return ""
    return holder(listeners[0])


def trusted_certificates() -> str:
    """Return the digest of the CA certificates that this host trusts."""
    path = f"{decide.CA_DIRECTORY}/ca-certificates.crt"
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read_manifest(path: str) -> list[dict[str, Any]]:
    """Return the files that the manifest of a model on this host lists; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return parse_manifest(file.read())
    except (OSError, ValueError):
        return []


def held_on_disk(models_dir: str) -> dict[str, Held]:
    """Return the models in the directory, as the server would list them if it ran."""
    root = f"{models_dir}/models/manifests"
    tags = []
    for path in glob.glob(f"{root}/*/*/*/*"):
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        name, _unused, tag = os.path.relpath(path, root).rpartition("/")
        tags.append({"name": f"{name}:{tag}", "digest": digest})
    return held_models(tags)


def damage(models_dir: str, parts: Sequence[Mapping[str, Any]], deep: bool) -> str:
    """Return what is wrong with a model's files; '' for nothing. Their content is read only where it is asked for."""
    for part in parts:
        path, digest = blob_path(models_dir, str(part["digest"])), str(part["digest"])
        if not os.path.isfile(path):
            return f"its file {digest[:19]}… is missing"
        size = os.path.getsize(path)
        if size != part["size"]:
            return f"its file {digest[:19]}… has {size} bytes, not {part['size']}"
        if deep and Digest("").of(path).hex != digest.partition(":")[2]:
            return f"its file {digest[:19]}… has another content"
    return ""


def registry_weights(model: Model, access: Access) -> tuple[int, str]:
    """Return the bytes of a model as its registry reports them, or why it does not."""
    registry = access.registry(model.registry or DEFAULT_REGISTRY, timeout=REGISTRY_PATIENCE)
    try:
        return sum(file["size"] for file in parse_manifest(registry.manifest(model.repository, model.tag))), ""
    except (ValueError, RegistryError) as error:
        return 0, f"{model.name}: its size is not known ({error})"


def sized(model: Model, weights: int, held: bool) -> decide.Size:
    """Return the size of a model, with what it takes beside its weights where its published file's manifest tells."""
    shape = read_json(os.path.join(os.path.dirname(model.path), publish.MANIFEST)) if model.path else {}
    return decide.Size(
        model.name,
        weights,
        held,
        context=int(model.parameters.get("num_ctx") or 0),
        kv_per_token=memory.kv_bytes_per_token(shape) if shape else 0,
        compute_per_token=memory.compute_bytes_per_token(shape),
    )


def model_sizes(models: Sequence[Model], models_dir: str, access: Access, notes: list[str]) -> list[decide.Size]:
    """Return what models weigh: as they are here, as their files are here, or as their registries report.

    Args:
        models: As they are wanted.
        models_dir: Ollama's directory on this host.
        access: How registries are reached.
        notes: Takes why a size is not known.
    """

    def size(model: Model) -> tuple[decide.Size, str]:
        parts = read_manifest(decide.manifest_path(models_dir, model.name))
        if parts:
            return sized(model, sum(part["size"] for part in parts), held=True), ""
        if model.path:
            paths = [file.path for file in model.files.values()]
            return sized(model, sum(os.path.getsize(path) for path in paths if os.path.isfile(path)), held=False), ""
        if not model.digest:
            return decide.Size(model.name, 0, False), ""
        weights, note = registry_weights(model, access)
        return decide.Size(model.name, weights, False), note

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(size, models))
    notes += [note for _size, note in found if note]
    return [one for one, _note in found]


@dataclass
class Models:
    """The models as they are wanted, and as they are on the host.

    Args:
        wanted: Each with path and sha256 of its files, where it is from one that is here.
        raw: The same for M(edge_slm.fleet.jetson_ollama_models).
        waiting: Names of those that model_pipeline has yet to bring.
    """

    wanted: list[Model] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, inputs: decide.Inputs, models: Sequence[Model]) -> Models:
        """Look for the published files that models are to be made of."""
        found = cls()
        for number, model in enumerate(models):
            entry = inputs.models[number]
            if not model.published:
                found.wanted.append(model)
                found.raw.append(dict(entry))
                continue
            directory = os.path.join(inputs.published_dir, model.published)
            try:
                artifact, projector = publish.model_and_projector(read_json(f"{directory}/{publish.MANIFEST}"))
            except publish.ManifestError:
                found.waiting.append(model.published)
                continue
            file = File(os.path.join(directory, artifact.path), artifact.sha256)
            seeing = File(os.path.join(directory, projector.path), projector.sha256) if projector else None
            found.wanted.append(replace(model, path=file.path, sha256=file.sha256, projector=seeing))
            rest = {key: value for key, value in entry.items() if key != "published"}
            found.raw.append({**rest, **asdict(file), **({"projector": asdict(seeing)} if seeing else {})})
        return found

    @property
    def waiting_sentences(self) -> list[str]:
        """What model_pipeline has yet to bring, in sentences."""
        return [f"model {name}: model_pipeline has not brought it yet" for name in self.waiting]


@dataclass
class Answers:
    """What a running Ollama reports: its version, its models, those that are loaded, and why it does not answer."""

    version: str = ""
    tags: list[dict[str, Any]] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    silence: str = ""

    @classmethod
    def of(cls, server: Server) -> Answers:
        """Ask a server."""
        try:
            version = str(server.call("GET", "/api/version", timeout=PATIENCE).get("version") or "")
            tags = server.call("GET", "/api/tags", timeout=PATIENCE).get("models") or []
            running = server.call("GET", "/api/ps", timeout=PATIENCE).get("models") or []
        except OllamaError as error:
            return cls(silence=str(error))
        return cls(version, list(tags), list(running))

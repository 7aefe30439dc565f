# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turn the fleet's variables, `edge_slm_models` and `edge_slm_services`, into the inputs of each engine's roles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import without_nulls
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import MODEL_KEYS, from_registry
from ansible_collections.edge_slm.fleet.plugins.module_utils.gateway.routes import ATTACHMENTS, EMBEDDINGS, TEXT

LLAMA_CPP, OLLAMA = "llama.cpp", "ollama"
#: What clients of the fleet's gateway see in place of an engine.
GATEWAY = "gateway"
#: Port of a service that names none: llama-server's long-standing one, and Ollama's.
DEFAULT_PORTS = {LLAMA_CPP: 8080, OLLAMA: 11434}
#: Engine of a board's services that name none.
DEFAULT_ENGINES = {"pi": LLAMA_CPP, "jetson": OLLAMA, "gpu": LLAMA_CPP}

#: Keys of a service on Ollama. Those of a service on llama.cpp are known to the role llama_service.
OLLAMA_SERVICE_KEYS = ("model", "engine", "port", "aliases", "template", "system", "parameters", "context")
#: What goes from such a service to the role jetson_ollama as it is.
OLLAMA_MODEL_KEYS = ("aliases", "template", "system", "parameters", "context")
REGISTRY_SOURCE_KEYS = ("ollama", "digest", "registry")
MANIFEST_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class FleetError(Exception):
    """The variables do not fit together. The message lists every problem, one a line."""


@dataclass(frozen=True)
class Endpoint:
    """What clients of a device see of one service.

    Args:
        engine: What answers.
        name: Of the service.
        model: What the device calls the model.
        entry: The catalogue's name for it.
        port: Where clients find it.
        embeddings: Whether it makes embeddings in place of text.
        ui: Whether it has a page.
        lacks: Kinds of content that it cannot take, as the gateway names them.
    """

    engine: str
    name: str
    model: str
    entry: str
    port: int
    embeddings: bool = False
    ui: bool = False
    lacks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as modules take it, which need not know what it cannot take."""
        return {name: value for name, value in vars(self).items() if name != "lacks"}


@dataclass
class DevicePlan:
    """What one device runs, as inputs of the roles that set it up.

    Args:
        board: Kind of device, `pi`, `jetson` or `gpu`.
        llama_instances: For llama_service_instances.
        ollama_models: For jetson_ollama_models; those of the catalogue's artifacts by the names of the artifacts.
        ollama_port: Where clients find Ollama.
        wanted: Names of the artifacts that the device needs.
        endpoints: What clients see.
    """

    board: str
    llama_instances: list[dict[str, Any]] = field(default_factory=list)
    ollama_models: list[dict[str, Any]] = field(default_factory=list)
    ollama_port: int = DEFAULT_PORTS[OLLAMA]
    wanted: list[str] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)

    @property
    def engines(self) -> list[str]:
        """The engines that this device has: its board's own, from which services may also be taken away, and others."""
        found = {DEFAULT_ENGINES[self.board], *(endpoint.engine for endpoint in self.endpoints)}
        return [engine for engine in DEFAULT_PORTS if engine in found]

    @property
    def other_ports(self) -> dict[str, int]:
        """The ports that Ollama itself must leave free, by who has them."""
        servers = {f"llama-server {e.name}": e.port for e in self.endpoints if e.engine == LLAMA_CPP}
        return {"endpoint_proxy": self.ollama_port, **servers}

    def as_dict(self) -> dict[str, Any]:
        """Return it as Ansible passes it on."""
        endpoints = [endpoint.as_dict() for endpoint in self.endpoints]
        derived = {name: getattr(self, name) for name in ("engines", "other_ports")}
        return {**vars(self), "endpoints": endpoints, **derived}


def service_ports(services: object, board: str) -> list[int]:
    """Return the TCP ports of a device's services, without those that `plan_device` refuses; of other hosts none."""
    found = set()
    for service in services if board and isinstance(services, (list, tuple)) else ():
        engine = str(service.get("engine", DEFAULT_ENGINES[board])) if isinstance(service, Mapping) else ""
        if engine in DEFAULT_PORTS:
            found.add(_port(service, engine, "port", Problems()))
    return sorted(found - {0})


def _port(service: Mapping[str, Any], engine: str, place: str, problems: Problems) -> int:
    """Return the port of a service, or add a problem and return 0."""
    return as_int(service.get("port", DEFAULT_PORTS[engine]), place, 1024, 65535, problems, 0)


def chat_endpoints(device: str, address: str, plan: DevicePlan) -> list[dict[str, Any]]:
    """Return a device's endpoints as a chat page takes them, without those that make no text.

    Args:
        device: Its name.
        address: Where other hosts reach it, as a URL without port.
        plan: What it serves.
    """
    services = [*plan.llama_instances, *plan.ollama_models]
    contexts = {str(one.get("name") or one["model"]): one["context"] for one in services if one.get("context")}
    return [
        {
            "name": f"{device} {one.name}",
            "url": f"{address}:{one.port}/v1",
            "model": one.model,
            **({"context": contexts[one.name]} if one.name in contexts else {}),
        }
        for one in plan.endpoints
        if not one.embeddings
    ]


def plan_device(services: object, models: object, board: str) -> DevicePlan:
    """Decide what a device runs.

    Args:
        services: The device's `edge_slm_services`.
        models: The catalogue, `edge_slm_models`.
        board: Kind of device, `pi`, `jetson` or `gpu`.

    Raises:
        FleetError: With every problem found.
    """
    problems = Problems()
    services = _entries("edge_slm_services", without_nulls(services), "{model: NAME}", problems)
    models = _entries("edge_slm_models", without_nulls(models), "{name: NAME, source: …}", problems)
    if problems.found:
        raise FleetError("\n".join(problems.found))
    catalogue = {str(m["name"]): m for m in models if isinstance(m, Mapping) and "name" in m}
    for number, model in enumerate(models):
        if isinstance(model, Mapping) and from_registry(model):
            _check_registry_model(f"edge_slm_models[{number}]", model, problems)
    plan = DevicePlan(board)
    ports: dict[int, str] = {}
    names: dict[str, str] = {}
    for number, service in enumerate(services):
        place = f"edge_slm_services[{number}]"
        if not isinstance(service, Mapping) or "model" not in service:
            problems.add(f"{place}", "must be a dictionary with model, the name of an entry of edge_slm_models.")
            continue
        name, engine = str(service["model"]), str(service.get("engine", DEFAULT_ENGINES[board]))
        if engine not in DEFAULT_PORTS:
            problems.add(f"{place}.engine", f"{engine!r} is not an engine; take {' or '.join(DEFAULT_PORTS)}.")
            continue
        if name not in catalogue:
            known = ", ".join(catalogue) or "none"
            problems.add(f"{place}.model", f"the catalogue edge_slm_models has no model named {name}; it has {known}.")
            continue
        port = _port(service, engine, f"{place}.port", problems)
        holder = ports.setdefault(port, engine)
        if holder != engine:
            problems.add(f"{place}.port", f"{port} is the port of {holder} already; give {engine} another.")
        if engine == LLAMA_CPP:
            _add_llama(plan, place, service, port, catalogue[name], problems)
        else:
            _add_ollama(plan, place, service, port, catalogue[name], names, problems)
    fronts = sorted(port for port, engine in ports.items() if engine == OLLAMA)
    if len(fronts) > 1:
        problems.add(
            "edge_slm_services",
            f"one Ollama serves all its models on one port, but the services name {' and '.join(map(str, fronts))}.",
        )
    if problems.found:
        raise FleetError("\n".join(problems.found))
    plan.ollama_port = fronts[0] if fronts else plan.ollama_port
    plan.wanted = list(dict.fromkeys(plan.wanted))
    return plan


def _check_registry_model(place: str, model: Mapping[str, Any], problems: Problems) -> None:
    """Check a model of an Ollama registry: it comes as it is, so nothing can be made of it."""
    for key, value in model.items():
        if key in MODEL_KEYS - {"name", "source"} and value not in (None, False):
            problems.add(f"{place}.{key}", "is for models that the pipeline prepares; a registry's come as they are.")
    source, place = model["source"], f"{place}.source"
    problems.unknown_keys(place, source, REGISTRY_SOURCE_KEYS)
    if not str(source.get("ollama") or ""):
        problems.add(f"{place}.ollama", "is empty; give the model's name and tag, for example phi3:mini.")
    digest = str(source.get("digest") or "")
    if not MANIFEST_DIGEST.fullmatch(digest):
        problems.add(
            f"{place}.digest",
            f"{digest!r} is not pinned; give the sha256 of the model's manifest in the registry as "
            "sha256: and 64 hexadecimal digits (a tag may point elsewhere tomorrow).",
        )


def _entries(variable: str, given: object, entry: str, problems: Problems) -> Sequence[Any]:
    """Return the entries of one of the fleet's lists, or add a problem and return none."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        return given
    found = "empty" if given is None else "a dictionary" if isinstance(given, Mapping) else f"{given!r}"
    problems.add(variable, f"is {found}; give a list of entries such as {entry}, or [] for none.")
    return []


def _unseen(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a model cannot see, as the gateway names it; of one of a registry that is not known here."""
    return () if from_registry(model) or model.get("projector") else (ATTACHMENTS,)


def _add_llama(
    plan: DevicePlan, place: str, service: Mapping[str, Any], port: int, model: Mapping[str, Any], problems: Problems
) -> None:
    """Add a service of llama-server."""
    name = str(service["model"])
    if from_registry(model):
        problems.add(
            f"{place}.model",
            f"{name} comes from an Ollama registry, and llama.cpp serves GGUF files; "
            "give the catalogue an entry with a repo, url or path, or set engine: ollama on a Jetson.",
        )
        return
    instance = {key: value for key, value in service.items() if key != "engine"}
    embeddings = as_bool(service.get("embeddings", False), f"{place}.embeddings", problems)
    lacks = (TEXT, ATTACHMENTS) if embeddings else (EMBEDDINGS, *_unseen(model))
    plan.llama_instances.append({**instance, "port": port})
    plan.wanted.append(name)
    plan.endpoints.append(
        Endpoint(
            LLAMA_CPP,
            str(service.get("name", name)),
            name,
            name,
            port,
            embeddings=embeddings,
            ui=as_bool(service.get("ui", True), f"{place}.ui", problems, default=True),
            lacks=lacks,
        )
    )


def _add_ollama(
    plan: DevicePlan,
    place: str,
    service: Mapping[str, Any],
    port: int,
    model: Mapping[str, Any],
    names: dict[str, str],
    problems: Problems,
) -> None:
    """Add a model of Ollama."""
    problems.unknown_keys(place, service, OLLAMA_SERVICE_KEYS)
    name = str(service["model"])
    served = str(model["source"].get("ollama")) if from_registry(model) else name
    aliases = service.get("aliases") or []
    if not isinstance(aliases, Sequence) or isinstance(aliases, str):
        problems.add(f"{place}.aliases", "must be a list of names.")
        aliases = []
    for called in (served, *map(str, aliases)):
        if names.setdefault(called, place) != place:
            problems.add(f"{place}", f"{called} is the name of a model of {names[called]} already.")
    wanted = {key: service[key] for key in OLLAMA_MODEL_KEYS if key in service}
    if from_registry(model):
        source = model["source"]
        pinned = {"digest": str(source.get("digest")), "registry": str(source.get("registry") or "")}
        plan.ollama_models.append({"name": served, **pinned, **wanted})
    else:
        plan.wanted.append(name)
        plan.ollama_models.append({"name": served, "published": name, **wanted})
    # Ollama makes embeddings by any model.
    plan.endpoints.append(Endpoint(OLLAMA, served, served, name, port, lacks=_unseen(model)))

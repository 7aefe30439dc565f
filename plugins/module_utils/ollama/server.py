# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Ollama is to run on a Jetson: inputs, container, memory, port; decided, not done."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_entries, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DISK_RESERVE
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import (
    PROXIES,
    as_proxies,
    proxy_environment,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.daemon import Wanted
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Access, Image, parse_image
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix as jetson_matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import url_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import models as ollama_models

ROLE = "jetson_ollama"
CONTAINER = "ollama"
#: The container in which the device nodes are listed before the old one is replaced.
PROBE_CONTAINER = "ollama-probe"
#: Labels: whose a container is, and what it was made from.
ROLE_LABEL = "edge-slm.fleet.role"
INPUTS_LABEL = "edge-slm.fleet.inputs"
PROBE = "jetson_ollama-probe"
#: Where the models' volume is inside of the container.
HOME = "/ollama"
CA_DIRECTORY = "/etc/ssl/certs"
#: CA certificates of registries for Ollama, which does not look where Docker does.
REGISTRY_CA_DIRECTORY = "/etc/edge-slm/ollama-registries"
#: The command on the host.
WRAPPER = "/usr/local/bin/ollama"
#: Clients from releases, one directory for each tarball.
CLIENTS_DIRECTORY = "/opt/edge-slm/ollama-client"
#: In every file of the role: it may be changed and removed.
MARK = "Written by the role edge_slm.fleet.jetson_ollama"
#: What is not on the device itself: Docker's settings before the role, images that it brought, which models have
#: answered.
RECEIPT = "/var/lib/edge-slm/receipts/jetson_ollama.json"
#: What each model was made of.
RECORD = "/var/lib/edge-slm/ollama-models.json"
STATES = ("present", "absent")
CLIENTS = ("wrapper", "release", "none")
REGISTRY_KEYS = ("host", "ca", "insecure")
KV_CACHE_TYPES = ("f16", "q8_0", "q4_0")
#: A Go duration, or a number of seconds; negative means for ever.
DURATION = re.compile(r"-?\d+|-?(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
#: Variables that the role sets, by inputs of their own or because all rests on them.
OWN_VARIABLES = (
    "HOME",
    "JETSON_JETPACK",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_HOST",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_MODELS",
    "OLLAMA_NOPRUNE",
    "OLLAMA_NO_CLOUD",
    "OLLAMA_NUM_PARALLEL",
    "SSL_CERT_DIR",
)
#: Variables with an input for all that goes out, in either case.
PROXY_VARIABLES = tuple(name for key in PROXIES for name in (key, key.upper()))
MIB = 1 << 20
#: What to do where models do not fit.
REMEDY = (
    "Take a smaller model or quantisation, less jetson_ollama_context_length or jetson_ollama_max_loaded_models, or a "
    "lower jetson_ollama_memory_overhead_mib (KV cache and CUDA beside the weights)."
)


@dataclass(frozen=True)
class Inputs:
    """The role's inputs that decide something, cast."""

    image: str
    images: Mapping[str, str]
    port: int
    other_ports: Mapping[str, int]
    models: tuple[Any, ...]
    models_dir: str
    published_dir: str
    remove_other_models: bool
    remove_models: bool
    keep_alive: str
    context_length: int
    num_parallel: int
    max_loaded_models: int
    max_queue: int
    kv_cache_type: str
    flash_attention: bool
    environment: Mapping[str, str]
    access: Access
    memory_reserve_mib: int
    memory_overhead_mib: int
    start_timeout: int
    require_gpu: bool
    require_gpu_force: bool
    gpu_share: int
    client: str
    client_url: str
    client_sha256: str
    client_text: str
    docker: Wanted
    docker_hold: bool


def _mapping(values: Mapping[str, Any], name: str, problems: Problems) -> dict[str, Any]:
    """Return a dictionary, or note a problem."""
    value = values[name] or {}
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    problems.add(name, f"{value!r} is not a dictionary.")
    return {}


def _choice(values: Mapping[str, Any], name: str, known: Sequence[str], problems: Problems) -> str:
    """Return one of the known values, or note a problem."""
    value = str(values[name])
    if value not in known:
        problems.add(name, f"{value!r} is not known; choose one of {', '.join(known)}.")
    return value


def _path(values: Mapping[str, Any], name: str, problems: Problems) -> str:
    """Return an absolute path of a directory that can be the role's alone, or note a problem."""
    path = str(values[name] or "")
    if name == "docker_data_root" and not path:
        return ""
    if not path.startswith("/") or posixpath.normpath(path) in ("/", "/var", "/etc", "/usr", "/home"):
        problems.add(name, f"{path!r} is not a directory of its own; give an absolute path such as /mnt/nvme/{name}.")
    return posixpath.normpath(path)


def _client(values: Mapping[str, Any], problems: Problems) -> tuple[str, str, str]:
    """Return the kind of client, URL and sha256 of its release."""
    client = _choice(values, "client", CLIENTS, problems)
    url, sha256 = str(values["client_url"] or ""), str(values["client_sha256"] or "").lower()
    if client == "release":
        if not url:
            problems.add("client_url", "is empty; give the URL of ollama-linux-arm64.tar.zst of a release.")
        elif problem := url_problem(url):
            problems.add("client_url", f"{shown_url(url)!r} {problem}.")
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            problems.add("client_sha256", "must be the tarball's sha256, 64 hexadecimal digits.")
    return client, url, sha256


def _environment(values: Mapping[str, Any], problems: Problems) -> dict[str, str]:
    """Return the operator's own variables of the server."""
    given = _mapping(values, "environment", problems)
    for name, value in given.items():
        if isinstance(value, (bool, float)):
            problems.add(f"environment.{name}", f"must be a text; YAML has taken it for {value}: quote it.")
    found = {name: str(value) for name, value in given.items()}
    for name in found:
        if name in PROXY_VARIABLES:
            problems.add(
                f"environment.{name}",
                "is one for all that the host fetches; give it in edge_slm_proxy_environment, or where the role is "
                "used alone in jetson_ollama_proxy_environment.",
            )
        elif name in OWN_VARIABLES:
            problems.add(f"environment.{name}", "belongs to the role; use the input made for it, or take it out.")
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            problems.add(f"environment.{name}", "is not a variable name; use letters, digits and underscores.")
    return found


def _access(values: Mapping[str, Any], problems: Problems) -> Access:
    """Return how registries are reached, from the role's inputs about them."""
    texts = list(values.get("registry_ca_texts") or [])
    certificates: dict[str, str] = {}
    insecure: list[str] = []
    hosts: list[str] = []
    form = "{host: registry.lan:5000, ca: files/ca.pem}"
    for number, entry in as_entries(values["registries"] or [], "registries", REGISTRY_KEYS, form, problems):
        where = f"registries[{number}]"
        host = str(entry.get("host") or "")
        if not ollama_models.REGISTRY.fullmatch(host):
            problems.add(f"{where}.host", f"{host!r} is not a host; write it like registry.lan:5000.")
        elif host in hosts:
            problems.add(f"{where}.host", f"{host} has two entries; give one.")
        hosts.append(host)
        if as_bool(entry.get("insecure") or False, f"{where}.insecure", problems):
            insecure.append(host)
            if entry.get("ca"):
                problems.add(f"{where}.ca", "is for TLS, and insecure is plain HTTP; give one of the two.")
        elif number < len(texts) and texts[number]:
            certificates[host] = texts[number]
    proxies = as_proxies(values["proxy_environment"], "proxy_environment", problems)
    return Access(proxy_environment(proxies), certificates, tuple(insecure))


def _images(values: Mapping[str, Any], problems: Problems) -> dict[str, str]:
    """Return the images by family, each a good name."""
    found = {family: str(image) for family, image in _mapping(values, "images", problems).items()}
    problems.unknown_keys("images", found, jetson_matrix.FAMILIES)
    named = {"image": str(values["image"] or ""), **{f"images.{family}": image for family, image in found.items()}}
    for name, text in named.items():
        try:
            if text:
                parse_image(text)
        except ValueError as error:
            problems.add(name, f"{error}.")
    if not any(named.values()):
        problems.add(
            "images",
            "is empty, and so is jetson_ollama_image; give the image by its digest, as ollama/ollama@sha256:<digest> "
            "(`docker buildx imagetools inspect ollama/ollama:<version>` shows it).",
        )
    return found


def absent_inputs(values: Mapping[str, Any], problems: Problems) -> tuple[bool, str]:
    """Return whether the models go, too, and where they are: all that counts where the role is removed."""
    return as_bool(values["remove_models"], "remove_models", problems), _path(values, "models_dir", problems)


def parse_inputs(values: Mapping[str, Any], problems: Problems) -> Inputs:
    """Cast raw values, which are named like the inputs without the role's name; notes every problem."""

    def whole(name: str, low: int, high: int) -> int:
        return as_int(values[name], name, low, high, problems)

    def truth(name: str) -> bool:
        return as_bool(values[name], name, problems)

    _choice(values, "state", STATES, problems)
    keep_alive = str(values["keep_alive"])
    if not DURATION.fullmatch(keep_alive):
        problems.add("keep_alive", f"{keep_alive!r} is not a duration; write 5m, 24h, 0 (never) or -1 (for ever).")
    kv_cache_type = _choice(values, "kv_cache_type", KV_CACHE_TYPES, problems)
    flash_attention = truth("flash_attention")
    if kv_cache_type in KV_CACHE_TYPES[1:] and not flash_attention:
        problems.add(
            "kv_cache_type", f"{kv_cache_type} needs jetson_ollama_flash_attention: true; Ollama drops it else."
        )
    if values["registry_username"] and not values["registry_password"]:
        problems.add("registry_password", "is empty, but there is a jetson_ollama_registry_username; give both.")
    models = values["models"] or []
    if not isinstance(models, (list, tuple)):
        problems.add("models", f"{models!r} is not a list.")
        models = []
    port = whole("port", 1024, 65535)
    other_ports = {
        who: as_int(other, f"other_ports.{who}", 1, 65535, problems)
        for who, other in _mapping(values, "other_ports", problems).items()
    }
    for who, other in other_ports.items():
        if other == port:
            problems.add("port", f"{port} is the port of {who}, too; give one of the two another port.")
    client, client_url, client_sha256 = _client(values, problems)
    access = _access(values, problems)
    for name in ("pull_timeout", "model_timeout"):
        whole(name, 1, 86400)
    return Inputs(
        image=str(values["image"] or ""),
        images=_images(values, problems),
        port=port,
        other_ports=other_ports,
        models=tuple(models),
        models_dir=_path(values, "models_dir", problems),
        published_dir=_path(values, "published_dir", problems),
        remove_other_models=truth("remove_other_models"),
        remove_models=truth("remove_models"),
        keep_alive=keep_alive,
        context_length=whole("context_length", 64, 1 << 24),
        num_parallel=whole("num_parallel", 1, 64),
        max_loaded_models=whole("max_loaded_models", 1, 64),
        max_queue=whole("max_queue", 1, 65536),
        kv_cache_type=kv_cache_type,
        flash_attention=flash_attention,
        environment=_environment(values, problems),
        access=access,
        memory_reserve_mib=whole("memory_reserve_mib", 0, 1 << 20),
        memory_overhead_mib=whole("memory_overhead_mib", 0, 1 << 20),
        start_timeout=whole("start_timeout", 1, 86400),
        require_gpu=truth("require_gpu"),
        require_gpu_force=truth("require_gpu_force"),
        gpu_share=whole("gpu_share", 1, 100),
        client=client,
        client_url=client_url,
        client_sha256=client_sha256,
        client_text=str(values.get("client_text") or ""),
        docker_hold=truth("docker_hold"),
        docker=Wanted(
            data_root=_path(values, "docker_data_root", problems),
            log_max_mib=whole("docker_log_max_mib", 0, 1 << 20),
            log_files=whole("docker_log_files", 1, 1000),
            live_restore=truth("docker_live_restore"),
            proxies=access.proxies,
            insecure_registries=tuple(sorted(access.insecure)),
        ),
    )


def choose_image(inputs: Inputs, family: str, unfit: Problems) -> Image | None:
    """Return the image to run: the one that was named, or the one that the matrix names for this device."""
    text = inputs.image or inputs.images.get(family, "")
    if text:
        return parse_image(text)
    known = jetson_matrix.FAMILIES.get(family)
    fitting = " or ".join(known.images) if known else "ollama/ollama"
    unfit.add(
        f"images.{family}",
        f"there is no image for this device; give {fitting} by its digest, as {fitting.split()[0]}@sha256:<digest> "
        f"(`docker buildx imagetools inspect {fitting.split()[0]}:<version>` shows it).",
    )
    return None


def environment(inputs: Inputs, family: str) -> dict[str, str]:
    """Return what the server runs with: every OLLAMA_* that matters, so that no version's default can drift."""
    certificates = [CA_DIRECTORY, *([REGISTRY_CA_DIRECTORY] if inputs.access.certificates else [])]
    variables = {
        **{name: str(value) for name, value in inputs.access.proxies.items()},
        **inputs.environment,
        "HOME": HOME,
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "OLLAMA_CONTEXT_LENGTH": str(inputs.context_length),
        "OLLAMA_FLASH_ATTENTION": "1" if inputs.flash_attention else "0",
        "OLLAMA_HOST": f"127.0.0.1:{inputs.port}",
        "OLLAMA_KEEP_ALIVE": inputs.keep_alive,
        "OLLAMA_KV_CACHE_TYPE": inputs.kv_cache_type,
        "OLLAMA_MAX_LOADED_MODELS": str(inputs.max_loaded_models),
        "OLLAMA_MAX_QUEUE": str(inputs.max_queue),
        "OLLAMA_MODELS": f"{HOME}/models",
        # A restart deletes no blob of a pull that broke off, and nothing leaves the device unasked.
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_NUM_PARALLEL": str(inputs.num_parallel),
        "SSL_CERT_DIR": ":".join(certificates),
    }
    known = jetson_matrix.FAMILIES.get(family)
    if known and known.jetpack:
        variables["JETSON_JETPACK"] = known.jetpack
    return variables


def has_memory_controller(controllers: str, version_1: bool) -> bool:
    """Return whether this kernel limits memory: by cgroup v2's list of controllers, or v1's directory."""
    return version_1 or "memory" in controllers.split()


def container(inputs: Inputs, image: Image, family: str, limit_mib: int, certificates: str) -> dict[str, Any]:
    """Return the container as community.docker.docker_container takes it.

    Args:
        inputs: The role's inputs.
        image: What it runs.
        family: As the matrix has it for this device.
        limit_mib: How much memory it may take, in MiB; 0 where the kernel cannot limit it.
        certificates: Digest of the CA certificates that the host trusts: Ollama reads them once, when it starts.
    """
    variables = environment(inputs, family)
    wanted: dict[str, Any] = {
        "image": image.reference,
        "entrypoint": ["ollama"],
        "command": ["serve"],
        "env": variables,
        "volumes": [
            f"{inputs.models_dir}:{HOME}:rw",
            *(f"{path}:{path}:ro" for path in variables["SSL_CERT_DIR"].split(":")),
        ],
        "memory": f"{limit_mib}m",
        "runtime": "nvidia",
        "network_mode": "host",
        "read_only": True,
        "tmpfs": ["/tmp:rw,nosuid,nodev,mode=1777"],  # noqa: S108 (the container's own)
        "security_opts": ["no-new-privileges:true"],
        "cap_drop": ["ALL"],
        "restart_policy": "unless-stopped",
    }
    labels = {ROLE_LABEL: ROLE, INPUTS_LABEL: digest([wanted, certificates, inputs.access.certificates])}
    return {**wanted, "labels": labels}


def superseded(images: Sequence[str], wanted: str) -> list[str]:
    """Return the images that may go: the one that runs stays, and the one before it, to go back to quickly."""
    others = [name for name in images if name != wanted]
    return others[:-1]


def ownership_problem(found: Mapping[str, Any] | None) -> str:
    """Return that a container of our name is somebody else's; '' where it is ours or there is none."""
    if not found:
        return ""
    config = found.get("Config") or {}
    if (config.get("Labels") or {}).get(ROLE_LABEL) == ROLE:
        return ""
    models = models_of(found)
    adopt = f"to go on with its models, set jetson_ollama_models_dir to {models}; " if models else ""
    return (
        f"There is a container named {CONTAINER} that this role did not make (image {config.get('Image')}); it is "
        f"left alone. Keep it under another name (`docker stop {CONTAINER} && docker rename {CONTAINER} "
        f"{CONTAINER}-before`) or remove it (`docker rm -f {CONTAINER}`); {adopt}then run again."
    )


def models_of(found: Mapping[str, Any]) -> str:
    """Return the directory of the host in which a container of Ollama has its models; '' where it is in none."""
    environment = dict(entry.partition("=")[::2] for entry in (found.get("Config") or {}).get("Env") or [])
    inside = environment.get("OLLAMA_MODELS") or "/root/.ollama/models"
    for mount in found.get("Mounts") or []:
        place = str(mount.get("Destination") or "").rstrip("/")
        if mount.get("Type") == "bind" and f"{inside}/".startswith(f"{place}/"):
            return f"{str(mount['Source']).rstrip('/')}{inside[len(place) :]}".rstrip("/")
    return ""


def wrapper_problem(client: str, text: str | None) -> str:
    """Return that somebody else's file is where the `ollama` command goes; '' where not. None is not a file."""
    if client == "none" or text is None or MARK in text:
        return ""
    return (
        f"{WRAPPER} is there and is not this role's (a client that was installed by hand); move it away "
        f"(`mv {WRAPPER} {WRAPPER}.before`), or set jetson_ollama_client to none and keep it."
    )


def check_port(inputs: Inputs, owner: str, unfit: Problems) -> None:
    """Refuse a port that somebody else has on this device; the owner is '' where nobody has."""
    if owner:
        unfit.add("port", f"{inputs.port} is taken on this device by {owner}; stop that, or give another port.")


def check_gpu(inputs: Inputs, real_jetson: bool, unfit: Problems) -> None:
    """Refuse to go without the proof where there is a GPU to prove."""
    if not inputs.require_gpu and real_jetson and not inputs.require_gpu_force:
        unfit.add(
            "require_gpu",
            "is false, and this is a real Jetson: a model on its CPU is ten times slower. Take it out, or set "
            "jetson_ollama_require_gpu_force: true if that is what you want.",
        )


@dataclass(frozen=True)
class Size:
    """What is known about a model's weight. Bytes; 0 where nothing is known.

    Args:
        name: Of the model.
        weights: Of its files.
        held: Whether Ollama has it.
        context: Tokens of one conversation; 0: as the server has it.
        kv_per_token: f16 KV cache of a token.
        compute_per_token: Intermediate results for a token of a micro batch.
    """

    name: str
    weights: int
    held: bool
    context: int = 0
    kv_per_token: int = 0
    compute_per_token: int = 0


def check_contexts(inputs: Inputs, problems: Problems) -> None:
    """Refuse a context that a registry's model cannot be given: its digest covers its parameters."""
    for number, entry in enumerate(inputs.models):
        context = str(entry.get("context") or inputs.context_length)
        if entry.get("digest") and context != str(inputs.context_length):
            problems.add(
                f"models[{number}].context",
                f"{context} is not what models of a registry get, which is jetson_ollama_context_length, "
                f"{inputs.context_length}; set that to {context}, or take the model's GGUF.",
            )


def room_of(inputs: Inputs, memory_mib: int) -> memory.Room:
    """Return what the models that are loaded at a time may take."""
    return memory.Room(memory_mib, inputs.memory_reserve_mib, loaded=inputs.max_loaded_models)


def ask_of(inputs: Inputs, name: str, context: int) -> memory.Ask:
    """Return what a loaded model asks for beside its weights; a context of 0 is the server's."""
    return memory.Ask(
        service=name,
        model=name,
        context=context or inputs.context_length,
        parallel=inputs.num_parallel,
        kv_cache_type=inputs.kv_cache_type,
        overhead_mib=inputs.memory_overhead_mib,
        # KV cache and CUDA, by the input's own words.
        covered=True,
    )


def weights_of(size: Size) -> memory.Weights:
    """Return what of a model counts for memory."""
    return memory.Weights(
        size.weights,
        kv_per_token=size.kv_per_token,
        compute_per_token=size.compute_per_token,
        source="the files that Ollama has" if size.held else "its registry",
    )


def check_memory(inputs: Inputs, sizes: Sequence[Size], memory_mib: int, unfit: Problems) -> None:
    """Refuse models that do not fit the board's memory, with the numbers."""
    room = room_of(inputs, memory_mib)
    if room.budget < 512:
        unfit.add(
            "memory_reserve_mib",
            f"{room.reserve} MiB of the board's {memory_mib} MiB leave {room.budget} MiB; lower it.",
        )
        return
    needs = [memory.need(ask_of(inputs, size.name, size.context), weights_of(size)) for size in sizes if size.weights]
    if room.excess(needs) > 0:
        unfit.add("models", f"what is loaded at a time needs {memory.total_text(room, needs)} {REMEDY}")


def check_disk(inputs: Inputs, sizes: Sequence[Size], free_mib: int, unfit: Problems) -> None:
    """Refuse models that do not fit the disk, with the numbers."""
    missing = [(size.name, -(-size.weights // MIB)) for size in sizes if not size.held and size.weights]
    total = sum(weights for _unused, weights in missing)
    reserve = DISK_RESERVE // MIB
    if total + reserve <= free_mib or not missing:
        return
    unfit.add(
        "models_dir",
        f"{inputs.models_dir} has {free_mib} MiB free, and {total} MiB are to come "
        f"({', '.join(f'{name} {weights}' for name, weights in missing)}) beside {reserve} MiB that stay free: "
        "make room, or give a directory on a larger disk.",
    )


def proof(model: str, container_inputs: str, require_gpu: bool, gpu_share: int) -> str:
    """Return what the receipt holds of a model that has answered; where this has changed it must answer again.

    Args:
        model: The digest of its manifest, 64 hexadecimal digits.
        container_inputs: The label of the container that it answered in.
        require_gpu: Whether it had to be on the GPU.
        gpu_share: How much of it, in percent.
    """
    return digest([model, container_inputs, require_gpu, gpu_share])


def manifest_path(models_dir: str, name: str) -> str:
    """Return where Ollama keeps the manifest of a model under its plain name."""
    path, _unused, tag = ollama_models.normal_name(name).rpartition(":")
    repository = path if "/" in path else f"{ollama_models.DEFAULT_NAMESPACE}/{path}"
    return f"{models_dir}/models/manifests/{ollama_models.DEFAULT_REGISTRY}/{repository}/{tag}"


def descends_from(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    """Return whether a process is another one or a descendant of it."""
    seen: set[int] = set()
    while pid and pid not in seen:
        if pid == ancestor:
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False

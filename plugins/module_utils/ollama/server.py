# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Ollama is to run on a Jetson: inputs, container, memory, port; decided, not done."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DISK_RESERVE
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.daemon import Wanted
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import Image, parse_image
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix as jetson_matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import models as ollama_models

ROLE = "jetson_ollama"
CONTAINER = "ollama"
#: Says whose a container is, and what it was made from.
ROLE_LABEL = "edge-slm.fleet.role"
INPUTS_LABEL = "edge-slm.fleet.inputs"
PROBE = "jetson_ollama-probe"
#: Where the models' volume is inside of the container.
HOME = "/ollama"
CA_DIRECTORY = "/etc/ssl/certs"
WRAPPER = "/usr/local/bin/ollama"
WRAPPER_MARK = "Written by the role edge_slm.fleet.jetson_ollama"
#: What the role did that the device alone does not tell: settings before it, images that it brought.
RECEIPT = "/var/lib/edge-slm/receipts/jetson_ollama.json"
CLIENTS = ("wrapper", "release", "none")
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
)
MIB = 1 << 20


@dataclass(frozen=True)
class Inputs:
    """The role's inputs that decide something, cast."""

    image: str
    images: Mapping[str, str]
    port: int
    other_ports: Mapping[str, int]
    models: tuple[Any, ...]
    models_dir: str
    keep_alive: str
    context_length: int
    num_parallel: int
    max_loaded_models: int
    max_queue: int
    kv_cache_type: str
    flash_attention: bool
    environment: Mapping[str, str]
    memory_reserve_mib: int
    memory_overhead_mib: int
    require_gpu: bool
    require_gpu_force: bool
    gpu_share: int
    client: str
    client_url: str
    client_sha256: str
    registry_username: str
    registry_ca: str
    docker: Wanted
    docker_hold: bool


def _ports(values: Mapping[str, Any], problems: Problems) -> dict[str, int]:
    """Read who else has a port on this device."""
    found: dict[str, int] = {}
    for who, port in dict(values["other_ports"] or {}).items():
        found[str(who)] = as_int(port, f"other_ports.{who}", 1, 65535, problems)
    return found


def parse_inputs(values: Mapping[str, Any], problems: Problems) -> Inputs:
    """Cast raw values, which are named like the inputs without the role's name; notes every problem."""
    keep_alive = str(values["keep_alive"])
    if not DURATION.fullmatch(keep_alive):
        problems.add("keep_alive", f"{keep_alive!r} is no duration; write 5m, 24h, 0 (never) or -1 (for ever).")
    kv_cache_type = str(values["kv_cache_type"])
    flash_attention = as_bool(values["flash_attention"], "flash_attention", problems)
    if kv_cache_type not in KV_CACHE_TYPES:
        problems.add("kv_cache_type", f"{kv_cache_type!r} is not known; choose one of {', '.join(KV_CACHE_TYPES)}.")
    elif kv_cache_type != "f16" and not flash_attention:
        problems.add(
            "kv_cache_type", f"{kv_cache_type} needs jetson_ollama_flash_attention: true; Ollama drops it else."
        )
    environment = {str(name): str(value) for name, value in dict(values["environment"] or {}).items()}
    for name in environment:
        if name in OWN_VARIABLES:
            problems.add(f"environment.{name}", "belongs to the role; use the input made for it, or take it out.")
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            problems.add(f"environment.{name}", "is no name of a variable; use letters, digits and underscores.")
    client = str(values["client"])
    if client not in CLIENTS:
        problems.add("client", f"{client!r} is not known; choose one of {', '.join(CLIENTS)}.")
    client_sha256 = str(values["client_sha256"] or "").lower()
    if client == "release":
        if not str(values["client_url"] or ""):
            problems.add("client_url", "is empty; give the URL of ollama-linux-arm64.tar.zst of a release.")
        if not re.fullmatch(r"[0-9a-f]{64}", client_sha256):
            problems.add("client_sha256", "must be the tarball's sum, 64 hexadecimal digits.")
    for name in ("models_dir", "docker_data_root"):
        path = str(values[name] or "")
        if path and (not path.startswith("/") or posixpath.normpath(path) in ("/", "/var", "/etc", "/usr", "/home")):
            problems.add(name, f"{path!r} is no directory of its own; give an absolute path such as /mnt/nvme/{name}.")
    return Inputs(
        image=str(values["image"] or ""),
        images={str(family): str(image) for family, image in dict(values["images"] or {}).items()},
        port=as_int(values["port"], "port", 1024, 65535, problems),
        other_ports=_ports(values, problems),
        models=tuple(values["models"] or ()),
        models_dir=str(values["models_dir"]),
        keep_alive=keep_alive,
        context_length=as_int(values["context_length"], "context_length", 64, 1 << 24, problems),
        num_parallel=as_int(values["num_parallel"], "num_parallel", 1, 64, problems),
        max_loaded_models=as_int(values["max_loaded_models"], "max_loaded_models", 1, 64, problems),
        max_queue=as_int(values["max_queue"], "max_queue", 1, 65536, problems),
        kv_cache_type=kv_cache_type,
        flash_attention=flash_attention,
        environment=environment,
        memory_reserve_mib=as_int(values["memory_reserve_mib"], "memory_reserve_mib", 0, 1 << 20, problems),
        memory_overhead_mib=as_int(values["memory_overhead_mib"], "memory_overhead_mib", 0, 1 << 20, problems),
        require_gpu=as_bool(values["require_gpu"], "require_gpu", problems),
        require_gpu_force=as_bool(values["require_gpu_force"], "require_gpu_force", problems),
        gpu_share=as_int(values["gpu_share"], "gpu_share", 1, 100, problems),
        client=client,
        client_url=str(values["client_url"] or ""),
        client_sha256=client_sha256,
        registry_username=str(values["registry_username"] or ""),
        registry_ca=str(values["registry_ca"] or ""),
        docker=Wanted(
            data_root=posixpath.normpath(str(values["docker_data_root"])) if values["docker_data_root"] else "",
            log_max_mib=as_int(values["docker_log_max_mib"], "docker_log_max_mib", 0, 1 << 20, problems),
            log_files=as_int(values["docker_log_files"], "docker_log_files", 1, 1000, problems),
            live_restore=as_bool(values["docker_live_restore"], "docker_live_restore", problems),
        ),
        docker_hold=as_bool(values["docker_hold"], "docker_hold", problems),
    )


def choose_image(inputs: Inputs, family: str, problems: Problems) -> Image | None:
    """Return the image to run: the one that was named, or the one for what the matrix says runs here."""
    name = "image"
    text = inputs.image
    if not text:
        name = f"images.{family}"
        text = inputs.images.get(family, "")
    known = jetson_matrix.FAMILIES.get(family)
    if not text:
        fitting = " or ".join(known.images) if known else "ollama/ollama"
        problems.add(
            name,
            f"there is no image for this device; give {fitting} by its digest, as {fitting.split()[0]}@sha256:<digest> "
            f"(`docker buildx imagetools inspect {fitting.split()[0]}:<version>` shows it).",
        )
        return None
    try:
        return parse_image(text)
    except ValueError as error:
        problems.add(name, f"{error}.")
        return None


def environment(inputs: Inputs, family: str) -> dict[str, str]:
    """Return what the server runs with: every OLLAMA_* that matters, so that no version's default can drift."""
    variables = {
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
    }
    known = jetson_matrix.FAMILIES.get(family)
    if known and known.jetpack:
        variables["JETSON_JETPACK"] = known.jetpack
    return variables


def has_memory_controller(controllers: str, version_1: bool) -> bool:
    """Tell whether this kernel limits memory: by cgroup v2's list of controllers, or v1's directory."""
    return version_1 or "memory" in controllers.split()


def container(inputs: Inputs, image: Image, family: str, limit_mib: int, certificates: str) -> dict[str, Any]:
    """Return the container as community.docker.docker_container takes it.

    Args:
        inputs: The role's inputs.
        image: What it runs.
        family: What the matrix says of this device.
        limit_mib: How much memory it may take, in MiB; 0 where the kernel cannot limit it.
        certificates: Digest of the CA certificates that the host trusts: Ollama reads them once, when it starts.
    """
    wanted: dict[str, Any] = {
        "image": image.reference,
        "entrypoint": ["ollama"],
        "command": ["serve"],
        "env": environment(inputs, family),
        "volumes": [f"{inputs.models_dir}:{HOME}:rw", f"{CA_DIRECTORY}:{CA_DIRECTORY}:ro"],
        "memory": f"{limit_mib}m",
    }
    labels = {ROLE_LABEL: ROLE, INPUTS_LABEL: digest([wanted, certificates])}
    return {**wanted, "labels": labels}


def superseded(images: Sequence[str], wanted: str) -> list[str]:
    """Return the images that may go: the one that runs stays, and the one before it for a quick way back."""
    others = [name for name in images if name != wanted]
    return others[:-1]


def ownership_problem(found: Mapping[str, Any] | None) -> str:
    """Say that a container of our name is somebody else's; '' where it is ours or there is none."""
    if not found:
        return ""
    config = found.get("Config") or {}
    if (config.get("Labels") or {}).get(ROLE_LABEL) == ROLE:
        return ""
    return (
        f"There is a container named {CONTAINER} that this role did not make (image {config.get('Image')}); it is "
        f"left alone. Keep it under another name (`docker stop {CONTAINER} && docker rename {CONTAINER} "
        f"{CONTAINER}-before`; its models are in its volume) or remove it (`docker rm -f {CONTAINER}`), and run again."
    )


def wrapper_problem(client: str, text: str | None) -> str:
    """Say that somebody else's file lies where the `ollama` command goes; '' where not. None is no file."""
    if client == "none" or text is None or WRAPPER_MARK in text:
        return ""
    return (
        f"{WRAPPER} is there and is not this role's (a client that was installed by hand); move it away "
        f"(`mv {WRAPPER} {WRAPPER}.before`), or set jetson_ollama_client to none and keep it."
    )


def check_ports(inputs: Inputs, owner: str, problems: Problems) -> None:
    """Refuse a port that somebody else has.

    Args:
        inputs: The role's inputs.
        owner: Who listens on the port now and is not our container; '' for nobody.
        problems: Where problems go.
    """
    for who, port in inputs.other_ports.items():
        if port == inputs.port:
            problems.add("port", f"{port} is the port of {who}, too; give one of the two another port.")
    if owner:
        problems.add("port", f"{inputs.port} is taken on this device by {owner}; stop that, or give another port.")


def check_gpu(inputs: Inputs, real_jetson: bool, problems: Problems) -> None:
    """Refuse to go without the proof where there is a GPU to prove."""
    if not inputs.require_gpu and real_jetson and not inputs.require_gpu_force:
        problems.add(
            "require_gpu",
            "is false, and this is a real Jetson: a model on its CPU is ten times slower. Take it out, or set "
            "jetson_ollama_require_gpu_force: true if that is what you want.",
        )


@dataclass(frozen=True)
class Size:
    """What is known about a model's weight. Bytes; 0 where nothing is known."""

    name: str
    weights: int
    held: bool


def check_memory(inputs: Inputs, sizes: Sequence[Size], memory_mib: int, problems: Problems) -> None:
    """Refuse models that do not fit the board's memory, with the numbers."""
    budget = memory_mib - inputs.memory_reserve_mib
    if budget < 512:
        problems.add(
            "memory_reserve_mib",
            f"{inputs.memory_reserve_mib} MiB of the board's {memory_mib} MiB leave {budget} MiB; lower it.",
        )
        return
    largest = sorted(sizes, key=lambda size: size.weights, reverse=True)[: inputs.max_loaded_models]
    needs = [(size.name, -(-size.weights // MIB)) for size in largest if size.weights]
    total = sum(weights + inputs.memory_overhead_mib for _, weights in needs)
    if total <= budget:
        return
    detail = "; ".join(f"{name} {weights} MiB of weights + {inputs.memory_overhead_mib} MiB" for name, weights in needs)
    problems.add(
        "models",
        f"what is loaded at a time needs {total} MiB ({detail}), the board has {memory_mib} MiB of which "
        f"{inputs.memory_reserve_mib} MiB are kept for the system: {budget} MiB are left. Take a smaller model or "
        "quantisation, less jetson_ollama_max_loaded_models, or a lower jetson_ollama_memory_overhead_mib (KV cache "
        "and CUDA beside the weights).",
    )


def check_disk(inputs: Inputs, sizes: Sequence[Size], free_mib: int, problems: Problems) -> None:
    """Refuse models that do not fit the disk, with the numbers."""
    missing = [(size.name, -(-size.weights // MIB)) for size in sizes if not size.held and size.weights]
    total = sum(weights for _, weights in missing)
    reserve = DISK_RESERVE // MIB
    if total + reserve <= free_mib or not missing:
        return
    problems.add(
        "models_dir",
        f"{inputs.models_dir} has {free_mib} MiB free, and {total} MiB are to come "
        f"({', '.join(f'{name} {weights}' for name, weights in missing)}) beside {reserve} MiB that stay free: "
        "make room, or give a directory on a larger disk.",
    )


def manifest_path(models_dir: str, name: str) -> str:
    """Return where Ollama keeps the manifest of a model under its plain name."""
    path, _, tag = ollama_models.normal_name(name).rpartition(":")
    repository = path if "/" in path else f"{ollama_models.DEFAULT_NAMESPACE}/{path}"
    return f"{models_dir}/models/manifests/{ollama_models.DEFAULT_REGISTRY}/{repository}/{tag}"


def descends_from(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    """Tell whether a process is another one or a descendant of it."""
    seen: set[int] = set()
    while pid and pid not in seen:
        if pid == ancestor:
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False

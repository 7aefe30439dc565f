# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What llama-server is started with: services, keys, limits in memory and time."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import (
    as_bool,
    as_entries,
    as_float,
    as_int,
    plain_secret,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks, url_host
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.origins import LOCALHOST, origin_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import HIDDEN
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import EMBEDDING_ARCHITECTURES
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import (
    DEFAULT_CONTEXT,
    DEFAULT_KV_CACHE_TYPE,
    KV_BLOCK,
    KV_CACHE_TYPES,
    MICRO_BATCH,
    UNKNOWN_KV_BYTES_PER_TOKEN,
    whole_mib,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import model_and_projector

#: Every flag that `server_arguments` can emit. The role llama_cpp asks a new build for each of them
#: before it switches to it; a unit test proves that the tuple is neither short nor long.
SERVER_FLAGS = (
    "--alias",
    "--api-key-file",
    "--batch-size",
    "--cache-ram",
    "--cache-type-k",
    "--cache-type-v",
    "--cors-origins",
    "--ctx-size",
    "--embeddings",
    "--fit",
    "--gpu-layers",
    "--host",
    "--image-max-tokens",
    "--metrics",
    "--mmproj",
    "--model",
    "--no-cors-credentials",
    "--no-kv-unified",
    "--no-slots",
    "--no-ui",
    "--offline",
    "--parallel",
    "--port",
    "--rope-scale",
    "--rope-scaling",
    "--ssl-cert-file",
    "--ssl-key-file",
    "--threads",
    "--ubatch-size",
    "--yarn-orig-ctx",
)

#: Flags that would undo what the role guarantees, beside those that it sets itself.
REFUSED_FLAGS = frozenset(
    {
        "-m", "-a", "-c", "-b", "-ub", "-np", "-ngl", "-t", "-cram", "-mm", "-fit", "-ctk", "-ctv", "-kvu", "-nkvu",
        "-no-kvu", "-ag", "-hf", "-hfr", "-mu", "--kv-unified", "--slots", "--webui", "--ui", "--no-webui",
        "--cors-credentials", "--embedding", "--n-gpu-layers", "--api-key", "--hf-token", "--hf-repo",
        "--model-url", "--agent", "--tools", "--reuse-port", "--rope-freq-scale",
        # Another model, or one from elsewhere.
        "-hff", "--hf-file", "-hft", "-dr", "--docker-repo", "-mmu", "--mmproj-url", "--no-mmproj", "--models-dir",
        "--models-preset", "--models-max",
        # Programs and servers of others on behalf of a client.
        "--ui-mcp-proxy", "--webui-mcp-proxy", "--mcp-servers-config", "--mcp-servers-json", "--tools-runtime",
        # Another place of the health, or the end instead of a server.
        "--api-prefix", "-h", "--help", "--usage", "--version", "-cl", "--cache-list", "--list-devices",
        "--completion-bash",
    }
)  # fmt: skip

#: Flags of files that belong to one model; a trial, which loads another one, leaves them out.
ADAPTER_FLAGS = frozenset(
    {
        "--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled", "--control-vector-layer-range",
        "-md", "--model-draft", "--spec-draft-model",
    }
)  # fmt: skip
FLAG = re.compile(r"--?[A-Za-z][\w-]*")
#: Presets that fetch a model of their own.
PRESET = re.compile(r"--(?:embd|fim|gpt-oss|vision)-\S+-(?:default|spec)")

#: Name of the instance that a new command line is tried with; no service can have it.
TRIAL = "_trial"
TRIAL_CONTEXT = 256  # tokens
TRIAL_ADDRESS = "127.0.0.1"

MINIMUM_KEY_LENGTH = 16  # characters
SCOPES = ("infer", "admin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
#: Tokens that are worked on at once; llama-server's own default, set so that it cannot drift.
BATCH = 2048
#: What an image may take of a conversation, in tokens. Models that see an image as large as it is take up to 16384 for
#: one, more than a small board's whole context; 1024 are about 900 x 900 pixels of Qwen 2.5 VL.
IMAGE_TOKENS = 1024
ROPE_SCALINGS = ("linear", "yarn")
MAXIMUM_ROPE_FACTOR = 64
#: Endings of an instance's files in the configuration directory: its arguments, and the digest that has answered.
ENVIRONMENT_ENDING, ANSWERED_ENDING = ".env", ".answered"
INSTANCE_FILES = (ENVIRONMENT_ENDING, ANSWERED_ENDING)
#: What to do where services do not fit.
REMEDY = (
    "Take a smaller model or quantisation, less `context`, `parallel` or `cache_ram_mib`, a smaller `kv_cache_type`, "
    "fewer services, or lower llama_service_memory_reserve_mib."
)
#: More than any model has: all of it is on the GPU.
ALL_LAYERS = 999
#: What CUDA takes of VRAM, and of memory, beside all that is counted, in MiB: its context and its libraries' code. Not
#: measured here; upstream's reports are of 300 to 500.
CUDA_OVERHEAD_MIB = 512
#: Seconds that a start may take beside reading the weights: exec, warm-up, a busy board.
START_BASE_SECONDS = 60
#: How often systemd starts a crashing service before it gives up, and the pause between (seconds).
START_BURST, RESTART_PAUSE = 5, 5


@dataclass(frozen=True)
class Rope:
    """How a model is stretched over more tokens than it was trained for.

    Args:
        scaling: linear or yarn.
        factor: By how much.
        original_context: What is stretched, in tokens; None means the model's own context.
    """

    scaling: str
    factor: float
    original_context: int | None = None

    def longest(self, model: Model) -> int:
        """Return the longest context in tokens; 0 where it is not known."""
        return int((self.original_context or model.context_length) * self.factor)


@dataclass(frozen=True)
class Instance:
    """One service: one model on one port. `None` means a default that depends on the device or model."""

    name: str
    model: str
    port: int = 8080
    context: int | None = None
    parallel: int = 1
    threads: int = 0
    cache_ram_mib: int = 0
    kv_cache_type: str = DEFAULT_KV_CACHE_TYPE
    rope: Rope | None = None
    image_max_tokens: int | None = None
    gpu_layers: int = 0
    embeddings: bool = False
    ui: bool = True
    cors_origins: str = LOCALHOST
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApiKey:
    """One key of the endpoint."""

    name: str
    key: str
    scope: str = "infer"


@dataclass(frozen=True)
class Model:
    """What a manifest holds about a model on the device. Numbers that the GGUF does not have are 0."""

    name: str
    path: str
    size: int
    sha256: str
    projector_path: str = ""
    projector_size: int = 0
    projector_sha256: str = ""
    architecture: str = ""
    context_length: int = 0
    #: Of a KV cache with the type f16.
    kv_bytes_per_token: int = UNKNOWN_KV_BYTES_PER_TOKEN
    #: Intermediate results for one token of a micro batch.
    compute_bytes_per_token: int = 0
    #: The same where it makes embeddings.
    scores_bytes_per_token: int = 0
    #: Numbers in a key and in a value of one head.
    head_lengths: tuple[int, int] = (0, 0)

    @property
    def weights(self) -> memory.Weights:
        """What of it counts for memory."""
        return memory.Weights(
            size=self.size,
            projector=self.projector_size,
            context_length=self.context_length,
            kv_per_token=self.kv_bytes_per_token,
            compute_per_token=self.compute_bytes_per_token,
            scores_per_token=self.scores_bytes_per_token,
        )


@dataclass(frozen=True)
class Board:
    """What a device has, and how much of it may be used. Sizes in MiB.

    Args:
        memory_mib: Memory, or where its GPUs have their own (`vram`) that.
    """

    memory_mib: int
    cores: int
    reserve_mib: int = 512
    overhead_mib: int = 256
    load_mib_per_second: int = 10
    vram: bool = False

    @property
    def room(self) -> memory.Room:
        """What all services together may take."""
        return memory.Room(self.memory_mib, self.reserve_mib, vram=self.vram)


@dataclass(frozen=True)
class Paths:
    """Where things are on the device."""

    config_dir: str = "/etc/edge-slm/llama-server"
    #: Certificate and its key; plain HTTP where empty.
    tls_certificate: str = ""
    tls_key: str = ""

    @property
    def key_file(self) -> str:
        """The file that llama-server reads its keys from."""
        return f"{self.config_dir}/api-keys"


@dataclass(frozen=True)
class Service:
    """One service as it is to run."""

    instance: Instance
    model: Model
    context: int
    arguments: tuple[str, ...]
    memory_needed_mib: int
    memory_high_mib: int
    memory_max_mib: int
    start_timeout_seconds: int
    environment: str
    dropin: str
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """Return what the role's tasks need, as a plain dictionary."""
        return {
            "name": self.instance.name,
            "model": self.model.name,
            "port": self.instance.port,
            "embeddings": self.instance.embeddings,
            "start_timeout_seconds": self.start_timeout_seconds,
            "digest": self.digest,
        }

    def summary(self) -> str:
        """Return one line for people."""
        return (
            f"{self.instance.name}: {self.model.name} on port {self.instance.port}, "
            f"{self.context} tokens x {self.instance.parallel}, {self.memory_needed_mib} MiB, "
            f"up within {self.start_timeout_seconds} s"
        )


def _extra_arguments(value: object, where: str, problems: Problems) -> tuple[str, ...]:
    """Check the arguments that a service adds to those of the role."""
    if not isinstance(value, (list, tuple)):
        problems.add(where, 'is not a list; give one item for each argument, as in ["--prio", "1"].')
        return ()
    words = tuple(str(word) for word in value)
    for word in words:
        split = re.fullmatch(rf"\s*({FLAG.pattern})(?:[\s=]\s*(.*))?", word, re.DOTALL)
        flag = split.group(1) if split else ""
        if split and flag != word:
            items = ", ".join(f'"{item}"' for item in split.groups() if item)
            problems.add(where, f"{word!r} is not one argument of llama-server; give one item each: [{items}].")
        if flag in REFUSED_FLAGS or flag in SERVER_FLAGS or PRESET.fullmatch(flag):
            problems.add(where, f"{flag} belongs to the role; use the input made for it, or leave it out.")
        if not word.isprintable():
            problems.add(where, f"{word!r} holds a line break or control character; take it out.")
    return words


def grouped(words: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the flags among arguments, each with its values."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for word in words:
        if FLAG.fullmatch(word) or not found:
            found.append((word, ()))
        else:
            found[-1] = (found[-1][0], (*found[-1][1], word))
    return found


def adapter_files(instance: Instance) -> list[str]:
    """Return the files of adapters and draft models that a service names: paths, or PATH:SCALE, with commas."""
    values = [value for flag, values in grouped(instance.extra_args) if flag in ADAPTER_FLAGS for value in values]
    return [part.partition(":")[0] for value in values for part in value.split(",") if part.startswith("/")]


def flag_problems(instance: Instance, release: str, known: Collection[str]) -> list[str]:
    """Return which flags of a service its release does not know.

    Args:
        instance: The service.
        release: Key of the release that is to serve.
        known: The flags in its `--help`; empty where it could not be asked.
    """
    found = []
    for flag, _values in grouped(instance.extra_args) if known else ():
        if flag in known:
            continue
        close = get_close_matches(flag, known, n=1)
        meant = f"did you mean {close[0]}?" if close else "`llama-server --help` lists those that it knows."
        found.append(
            f"llama_service_instances: `extra_args` of the service {instance.name}: the release {release} does not "
            f"know {flag}; {meant}"
        )
    return found


def trial_arguments(instance: Instance, llama_cpp_dir: str, paths: Paths) -> tuple[str, ...]:
    """Return what a service's command line is tried with beside the running one, all but the port.

    The release's own tiny model takes the place of the service's, so what depends on that is left out: its size is
    reckoned with, its file is verified, and its adapters' files are looked for.
    """
    tried = replace(
        instance,
        context=TRIAL_CONTEXT,
        cache_ram_mib=0,
        kv_cache_type=DEFAULT_KV_CACHE_TYPE,
        rope=None,
        extra_args=tuple(
            word
            for flag, values in grouped(instance.extra_args)
            if flag not in ADAPTER_FLAGS
            for word in (flag, *values)
        ),
    )
    model = Model("self-test", f"{llama_cpp_dir}/current/selftest.gguf", 0, "")
    arguments = server_arguments(tried, model, paths=paths, listen=TRIAL_ADDRESS, cores=1)
    port = arguments.index("--port")
    return (*arguments[:port], *arguments[port + 2 :])


def _rope(raw: object, where: str, problems: Problems) -> Rope | None:
    """Read how a service stretches its model; None where it does not."""
    if not raw:
        return None
    if not isinstance(raw, Mapping):
        problems.add(where, "is not a dictionary; give for instance {scaling: yarn, factor: 4}.")
        return None
    problems.unknown_keys(where, raw, [field.name for field in fields(Rope)])
    scaling = str(raw.get("scaling") or "yarn")
    if scaling not in ROPE_SCALINGS:
        problems.add(f"{where}.scaling", f"{scaling!r} is not known; give {' or '.join(ROPE_SCALINGS)}.")
    factor = as_float(raw.get("factor"), f"{where}.factor", problems, 1.0)
    if not 1 <= factor <= MAXIMUM_ROPE_FACTOR:
        problems.add(f"{where}.factor", f"{factor:g} must be from 1 to {MAXIMUM_ROPE_FACTOR}.")
    original = raw.get("original_context")
    if original is None:
        return Rope(scaling, factor)
    if scaling == "linear":
        problems.add(f"{where}.original_context", "belongs to the scaling yarn; leave it out.")
    return Rope(scaling, factor, as_int(original, f"{where}.original_context", 64, 1 << 24, problems))


def _kv_cache_type(raw: object, where: str, problems: Problems) -> str:
    """Read the type of a service's KV cache."""
    found = str(raw or DEFAULT_KV_CACHE_TYPE)
    if found not in KV_CACHE_TYPES:
        problems.add(where, f"{found!r} is not known; give one of {', '.join(KV_CACHE_TYPES)}.")
    return found


def _gpu_layers(raw: object, where: str, gpu: bool, problems: Problems) -> int:
    """Read how many layers a GPU computes: of a device that serves on its GPU all, since VRAM is what is counted."""
    if not gpu:
        return as_int(0 if raw is None else raw, where, 0, ALL_LAYERS, problems, 0)
    if raw is not None:
        problems.add(where, "is not taken with llama_service_gpu, which puts whole models on the GPU; leave it out.")
    return ALL_LAYERS


def _parse_instance(raw: object, where: str, gpu: bool, problems: Problems) -> Instance | None:
    """Turn one item of `llama_service_instances` into an Instance, or note why that cannot be done."""
    if not isinstance(raw, Mapping):
        problems.add(where, "is not a dictionary; give at least `model: <name of a model>`.")
        return None
    known = [f.name for f in fields(Instance)]
    problems.unknown_keys(where, raw, known)
    model = str(raw.get("model") or "")
    name = str(raw.get("name") or model)
    if not model:
        problems.add(f"{where}.model", "is missing; name the model that this service answers with.")
    for key, value in (("model", model), ("name", name)):
        if value and not NAME.fullmatch(value):
            problems.add(f"{where}.{key}", f"{value!r} is not a name; use letters, digits, dot, dash, underscore.")
    context, image_max_tokens = raw.get("context"), raw.get("image_max_tokens")
    origins = str(raw.get("cors_origins") or LOCALHOST)
    problem = origin_problem(origins)
    if problem:
        problems.add(f"{where}.cors_origins", f"{problem}.")
    return Instance(
        name=name,
        model=model,
        port=as_int(raw.get("port", 8080), f"{where}.port", 1024, 65535, problems, 0),
        context=None
        if context is None
        else as_int(context, f"{where}.context", 64, 1 << 24, problems, DEFAULT_CONTEXT),
        parallel=as_int(raw.get("parallel", 1), f"{where}.parallel", 1, 64, problems, 1),
        threads=as_int(raw.get("threads", 0), f"{where}.threads", 0, 1024, problems, 0),
        cache_ram_mib=as_int(raw.get("cache_ram_mib", 0), f"{where}.cache_ram_mib", 0, 1 << 20, problems, 0),
        kv_cache_type=_kv_cache_type(raw.get("kv_cache_type"), f"{where}.kv_cache_type", problems),
        rope=_rope(raw.get("rope"), f"{where}.rope", problems),
        image_max_tokens=None
        if image_max_tokens is None
        else as_int(image_max_tokens, f"{where}.image_max_tokens", 64, 1 << 24, problems, IMAGE_TOKENS),
        gpu_layers=_gpu_layers(raw.get("gpu_layers"), f"{where}.gpu_layers", gpu, problems),
        embeddings=as_bool(raw.get("embeddings", False), f"{where}.embeddings", problems, False),
        ui=as_bool(raw.get("ui", True), f"{where}.ui", problems, True),
        cors_origins=origins,
        extra_args=_extra_arguments(raw.get("extra_args", []), f"{where}.extra_args", problems),
    )


def parse_instances(raw: object, problems: Problems, gpu: bool = False) -> list[Instance]:
    """Read `llama_service_instances`; notes every problem.

    Args:
        raw: As it is in the inventory.
        problems: Where problems are noted.
        gpu: Whether the services are on the device's GPU.
    """
    variable = "llama_service_instances"
    if not isinstance(raw, (list, tuple)):
        problems.add(variable, "is not a list; give a list of services, each with at least a `model`.")
        return []
    parsed = [_parse_instance(item, f"{variable}[{i}]", gpu, problems) for i, item in enumerate(raw)]
    instances = [instance for instance in parsed if instance]
    for name, count in Counter(i.name for i in instances if i.name).items():
        if count > 1:
            problems.add(variable, f"{count} services are named {name}; give each a `name` of its own.")
    for port, count in Counter(i.port for i in instances).items():
        if count > 1 and port:
            names = ", ".join(i.name for i in instances if i.port == port)
            problems.add(variable, f"{count} services have port {port} ({names}); give each a `port` of its own.")
    return instances


#: The argument that modules take keys by. parse_keys reports what is wrong with them, by the operator's names.
API_KEYS_ARGUMENT: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "no_log": False,
    "options": {"name": {"type": "str"}, "key": {"type": "str", "no_log": True}, "scope": {"type": "str"}},
}


def parse_keys(raw: object, problems: Problems, variable: str = "llama_service_api_keys") -> list[ApiKey]:
    """Read the keys of an endpoint, inference keys first; notes every problem and never shows a key.

    Args:
        raw: As it is in the inventory.
        problems: Where problems are noted.
        variable: What the operator calls it; used in messages.
    """
    if raw in ([], ()):
        problems.add(variable, "is empty; an endpoint needs at least one {name, key}, best from a vault.")
    keys: list[ApiKey] = []
    for i, item in as_entries(raw, variable, ("name", "key", "scope"), "{name, key}", problems):
        where = f"{variable}[{i}]"
        key = plain_secret(str(item.get("key") or ""))
        found = ApiKey(str(item.get("name") or ""), key, str(item.get("scope") or "infer"))
        # A name as long as a key may be one: in a refusal it is shown only where it cannot be.
        short = len(found.name) < MINIMUM_KEY_LENGTH
        label = f"{where} ({found.name})" if found.name and short else where
        if not found.name:
            problems.add(f"{where}.name", "is missing; name who uses the key.")
        elif not NAME.fullmatch(found.name):
            problems.add(
                f"{where}.name",
                f"{repr(found.name) if short else 'it'} cannot name a key; the name is a word in the log and a label "
                "in metrics: use letters, digits, dot, dash, underscore.",
            )
        if not found.key:
            problems.add(label, f"has no `key`; make one of {MINIMUM_KEY_LENGTH} or more characters.")
        elif len(found.key) < MINIMUM_KEY_LENGTH:
            problems.add(
                label,
                f"the key has {len(found.key)} characters; make one of {MINIMUM_KEY_LENGTH} or more, "
                "for instance with `openssl rand -hex 24`.",
            )
        elif not re.fullmatch(r"[!-~]+", found.key) or found.key.startswith("#") or "," in found.key:
            problems.add(label, "use printable ASCII without spaces and commas; it must not start with #.")
        if found.scope not in SCOPES:
            problems.add(label, f"scope {found.scope!r} is not known; use {' or '.join(SCOPES)}.")
        keys.append(found)
    for what, values in (("key", [k.key for k in keys]), ("name", [k.name for k in keys])):
        for value, count in Counter(v for v in values if v).items():
            if count > 1:
                places = ", ".join(f"[{i}]" for i, key in enumerate(keys) if getattr(key, what) == value)
                problems.add(variable, f"{count} entries share one {what} ({places}); make each unique.")
    return sorted(keys, key=lambda key: SCOPES.index(key.scope) if key.scope in SCOPES else len(SCOPES))


def key_file_text(keys: Sequence[ApiKey]) -> str:
    """Return the key file's contents: one key a line, inference keys first."""
    return "".join(f"{key.key}\n" for key in keys)


def check_addresses(listen: str, cidrs: object, problems: Problems) -> None:
    """Check the address to listen on and the networks that may talk to the services."""
    try:
        ipaddress.ip_address(listen)
    except ValueError:
        problems.add("llama_service_listen", f"{listen!r} is not an IP address; give 0.0.0.0, :: or the device's.")
    as_networks(cidrs, "llama_service_allowed_cidrs", problems)


def check_tls(certificate: str, key: str, problems: Problems) -> None:
    """Check where certificate and key are to be, as far as their paths show it."""
    given = {"llama_service_tls_certificate": certificate, "llama_service_tls_key": key}
    for variable, path in given.items():
        if not path and certificate + key:
            problems.add(variable, "is missing; give certificate and key, or neither for plain HTTP.")
        if path and not path.startswith("/"):
            problems.add(variable, f"{path!r} is not an absolute path; give one of the device.")
        if path.startswith(HIDDEN):
            problems.add(variable, f"the services cannot see {path}; put it outside of {', '.join(HIDDEN)}.")


def parse_model(manifest: Mapping[str, Any], directory: str) -> Model:
    """Read a model's manifest.json.

    Args:
        manifest: The parsed manifest.json.
        directory: The directory that it is in; the files' paths are relative to it.

    Raises:
        ManifestError: Its list of files is not one that this collection writes.
    """
    model, projector = model_and_projector(manifest)
    return Model(
        name=str(manifest.get("name") or directory.rstrip("/").rpartition("/")[2]),
        path=f"{directory}/{model.path}",
        size=model.size,
        sha256=model.sha256,
        projector_path=f"{directory}/{projector.path}" if projector else "",
        projector_size=projector.size if projector else 0,
        projector_sha256=projector.sha256 if projector else "",
        architecture=str(manifest.get("architecture") or ""),
        context_length=memory.count(manifest.get("context_length")),
        kv_bytes_per_token=memory.kv_bytes_per_token(manifest),
        compute_bytes_per_token=memory.compute_bytes_per_token(manifest),
        scores_bytes_per_token=memory.scores_bytes_per_token(manifest),
        head_lengths=(memory.count(manifest.get("key_length")), memory.count(manifest.get("value_length"))),
    )


def ask_of(instance: Instance, overhead_mib: int) -> memory.Ask:
    """Return what a service asks for beside its model's weights."""
    return memory.Ask(
        service=instance.name,
        model=instance.model,
        context=instance.context or 0,
        parallel=instance.parallel,
        kv_cache_type=instance.kv_cache_type,
        cache_ram_mib=instance.cache_ram_mib,
        overhead_mib=overhead_mib,
        embeddings=instance.embeddings,
    )


def context_of(instance: Instance, model: Model) -> int:
    """Return the context of one conversation in tokens: what was asked for, else 4096 or the model's own."""
    return ask_of(instance, 0).tokens(model.weights)


def image_tokens(instance: Instance, model: Model) -> int:
    """Return what one image may take of a conversation: what was asked for, else 1024 or half of the context."""
    return instance.image_max_tokens or min(IMAGE_TOKENS, context_of(instance, model) // 2)


def memory_needed(instance: Instance, model: Model, board: Board) -> memory.Need:
    """Return what a service takes."""
    return memory.need(ask_of(instance, board.overhead_mib), model.weights)


def start_timeout_seconds(model: Model, board: Board) -> int:
    """Return how long a start may take: a fixed part, and the files' size at the slowest storage's speed."""
    return START_BASE_SECONDS + whole_mib(model.size + model.projector_size) // board.load_mib_per_second


def server_arguments(instance: Instance, model: Model, *, paths: Paths, listen: str, cores: int) -> tuple[str, ...]:
    """Return llama-server's arguments, with every default that could hurt a small board set explicitly.

    Slots are hidden because they show users' prompts; the KV cache is split so that each slot has the whole
    context that was promised; `--fit off` and `--offline` keep the server from changing its own arguments
    and from fetching anything.
    """
    context = context_of(instance, model)
    # An embedding is made in one piece: the micro batch limits the length of the text.
    batch, micro_batch = (context, context) if instance.embeddings else (BATCH, MICRO_BATCH)
    arguments = ["--model", model.path, "--alias", model.name]
    if model.projector_path:
        arguments += ["--mmproj", model.projector_path]
        arguments += ["--image-max-tokens", str(image_tokens(instance, model))]
    arguments += ["--host", listen, "--port", str(instance.port), "--api-key-file", paths.key_file]
    if paths.tls_certificate:
        arguments += ["--ssl-cert-file", paths.tls_certificate, "--ssl-key-file", paths.tls_key]
    arguments += ["--ctx-size", str(context * instance.parallel), "--parallel", str(instance.parallel)]
    if instance.rope:
        arguments += ["--rope-scaling", instance.rope.scaling, "--rope-scale", f"{instance.rope.factor:g}"]
        if instance.rope.original_context:
            arguments += ["--yarn-orig-ctx", str(instance.rope.original_context)]
    arguments += ["--cache-type-k", instance.kv_cache_type, "--cache-type-v", instance.kv_cache_type]
    arguments += ["--no-kv-unified", "--cache-ram", str(instance.cache_ram_mib)]
    arguments += ["--batch-size", str(batch), "--ubatch-size", str(micro_batch)]
    arguments += ["--threads", str(instance.threads or max(1, cores))]
    arguments += ["--gpu-layers", str(instance.gpu_layers), "--fit", "off", "--offline"]
    arguments += ["--cors-origins", instance.cors_origins, "--no-cors-credentials", "--no-slots", "--metrics"]
    if not instance.ui:
        arguments.append("--no-ui")
    if instance.embeddings:
        arguments.append("--embeddings")
    return (*arguments, *instance.extra_args)


def parse_environment(text: str) -> dict[str, str]:
    """Read a file that `environment_text` wrote."""
    found = re.findall(r'^(\w+)="((?:[^"\\]|\\.)*)"$', text, flags=re.MULTILINE)
    return {name: re.sub(r'\\(["\\`$])', r"\1", value) for name, value in found}


def join_arguments(arguments: Sequence[str]) -> str:
    """Join arguments so that systemd splits `$LLAMA_ARGS` into the same ones (systemd.service(5))."""
    return " ".join(
        argument if re.fullmatch(r"[\w@%+=:,./*-]+", argument) else '"' + re.sub(r'(["\\])', r"\\\1", argument) + '"'
        for argument in arguments
    )


def environment_text(variables: Mapping[str, str]) -> str:
    """Render an EnvironmentFile (systemd.exec(5)): double quotes, backslashes where they are needed."""
    quoted = {name: re.sub(r'(["\\`$])', r"\\\1", value) for name, value in variables.items()}
    return "".join(f'{name}="{value}"\n' for name, value in quoted.items())


def dropin_text(memory_high_mib: int, memory_max_mib: int, timeout: int, gpu: bool) -> str:
    """Render the drop-in of one instance: its limits in memory and time."""
    lines = [
        "# Written by the role edge_slm.fleet.llama_service; changes are overwritten.",
        "[Unit]",
        # Above burst x the longest crash: else a service that dies slowly is restarted for ever.
        f"StartLimitIntervalSec={START_BURST * (timeout + RESTART_PAUSE) + 60}",
        f"StartLimitBurst={START_BURST}",
        "",
        "[Service]",
        f"RestartSec={RESTART_PAUSE}",
        f"TimeoutStartSec={timeout}",
        f"MemoryHigh={memory_high_mib}M",
        f"MemoryMax={memory_max_mib}M",
    ]
    if gpu:
        lines += [
            "# Layers on a GPU need its device nodes, its entries in /proc, a driver that compiles code.",
            "PrivateDevices=no",
            "DevicePolicy=auto",
            "ProcSubset=all",
            "MemoryDenyWriteExecute=no",
            "# Where nodes are not for everybody, as on a Jetson, they are for this group.",
            "SupplementaryGroups=video",
            "# After a boot nobody has made the node of unified memory, and the service may not. No Jetson has this.",
            "ExecStartPre=-+/usr/bin/nvidia-modprobe -u -c=0",
        ]
    return "\n".join(lines) + "\n"


def unknown_model(instance: Instance, models: Sequence[str]) -> str:
    """Return that a service's model is not on the device, and which ones are."""
    present = f"it has {', '.join(sorted(models))}" if models else "it has none yet"
    return (
        f"the service {instance.name} wants the model {instance.model}, which is not on the device "
        f"({present}); name one of those, or add it to edge_slm_models and run playbooks/receive.yml."
    )


def check_models(instances: Sequence[Instance], models: Mapping[str, Model], problems: Problems) -> None:
    """Check each service against its model, as far as the model is there."""
    for instance in instances:
        model = models.get(instance.model)
        if model and model.architecture in EMBEDDING_ARCHITECTURES and not instance.embeddings:
            problems.add(
                "llama_service_instances",
                f"the service {instance.name} is to answer with text, but {model.name} ({model.architecture}) makes "
                "embeddings; set `embeddings: true`.",
            )
        if model:
            _check_context(instance, model, problems)
            _check_kv_cache(instance, model, problems)
            _check_images(instance, model, problems)


def _check_context(instance: Instance, model: Model, problems: Problems) -> None:
    """Refuse a context that is longer than the model's own, or what the service stretches that to."""
    longest = instance.rope.longest(model) if instance.rope else model.context_length
    if not instance.context or not longest or instance.context <= longest:
        return
    limit, remedy = f"was made for {longest}", "; or stretch it with `rope`, if its model card allows that"
    if instance.rope:
        limit, remedy = f"is stretched to {longest} by `rope`", ""
    problems.add(
        "llama_service_instances",
        f"the service {instance.name} wants a context of {instance.context} tokens, {model.name} {limit}; "
        f"set `context` to that or less{remedy}.",
    )


def _check_kv_cache(instance: Instance, model: Model, problems: Problems) -> None:
    """Refuse a type of the KV cache whose blocks do not fit the model's heads: llama-server would not start."""
    blocks = KV_CACHE_TYPES[instance.kv_cache_type] < KV_CACHE_TYPES["f16"]
    odd = [length for length in model.head_lengths if length % KV_BLOCK]
    if blocks and odd:
        problems.add(
            "llama_service_instances",
            f"the service {instance.name} wants a KV cache of {instance.kv_cache_type}, but the heads of {model.name} "
            f"have a length of {odd[0]}, which is no multiple of {KV_BLOCK}; set `kv_cache_type: f16`.",
        )


def _check_images(instance: Instance, model: Model, problems: Problems) -> None:
    """Refuse a limit for images of a model that sees none, and one that leaves no room for the question."""
    if not instance.image_max_tokens:
        return
    what, tokens = f"the service {instance.name} has `image_max_tokens`", context_of(instance, model)
    if not model.projector_path:
        problems.add(
            "llama_service_instances",
            f"{what}, but {model.name} has no projector and sees no image; take it out, or give the model's entry in "
            "edge_slm_models a projector.",
        )
    elif instance.image_max_tokens >= tokens:
        problems.add(
            "llama_service_instances",
            f"{what} {instance.image_max_tokens}, and a conversation has {tokens} tokens in all; "
            "set it to less, or `context` to more.",
        )


def check_memory(instances: Sequence[Instance], models: Mapping[str, Model], board: Board, problems: Problems) -> None:
    """Refuse services that together do not fit the board, with the numbers."""
    present = [(ask_of(i, board.overhead_mib), models[i.model].weights) for i in instances if i.model in models]
    needs = [memory.need(*one) for one in present]
    if board.room.excess(needs) > 0:
        problems.add("llama_service_instances", f"the services need {memory.total_text(board.room, needs)} {REMEDY}")


def plan_service(
    instance: Instance,
    model: Model,
    board: Board,
    paths: Paths,
    *,
    listen: str,
    release: str,
    unit: str,
    keys: str,
    pair: str = "",
) -> Service:
    """Decide how one service is to run.

    Args:
        instance: The service.
        model: Its model on the device.
        board: The device.
        paths: Where things are on it.
        listen: Address that the server listens on.
        release: Key of the release that `current` points to.
        unit: Text of the systemd template unit.
        keys: Text of the key file; only its digest is used.
        pair: Text of the certificate and its key; only its digest is used.
    """
    arguments = server_arguments(instance, model, paths=paths, listen=listen, cores=board.cores)
    needed = memory_needed(instance, model, board).total
    # The kernel counts the weights' page cache too, and repacked weights exist twice while they load:
    # MemoryHigh makes it drop that cache early, MemoryMax is where a leak ends.
    high, top = needed + needed // 8, needed + needed // 4
    timeout = start_timeout_seconds(model, board)
    dropin = dropin_text(high, top, timeout, instance.gpu_layers > 0)
    variables = {
        "LLAMA_ARGS": join_arguments(arguments),
        "EDGE_SLM_PORT": str(instance.port),
        "EDGE_SLM_RELEASE": release,
        "EDGE_SLM_HEALTH_URL": health_url(listen, instance.port, tls=bool(paths.tls_certificate)),
    }
    restarting = {
        "environment": variables,
        "unit": unit,
        "dropin": dropin,
        "keys": hashlib.sha256(keys.encode()).hexdigest(),
        "model": model.sha256,
        "projector": model.projector_sha256,
    }
    if paths.tls_certificate:
        variables["EDGE_SLM_TLS_CERTIFICATE"] = paths.tls_certificate
        restarting["tls"] = hashlib.sha256(pair.encode()).hexdigest()
    restart_digest = digest(restarting)
    environment = environment_text({**variables, "EDGE_SLM_DIGEST": restart_digest})
    return Service(
        instance=instance,
        model=model,
        context=context_of(instance, model),
        arguments=arguments,
        memory_needed_mib=needed,
        memory_high_mib=high,
        memory_max_mib=top,
        start_timeout_seconds=timeout,
        environment=environment,
        dropin=dropin,
        digest=restart_digest,
    )


def base_url(listen: str, port: int, *, tls: bool = False) -> str:
    """Return the URL under which the device itself reaches a server that listens on that address."""
    # Who listens on `::` answers on IPv4, too, and that loopback has its address everywhere.
    address = "127.0.0.1" if ipaddress.ip_address(listen).is_unspecified else listen
    return f"{'https' if tls else 'http'}://{url_host(address)}:{port}"


def health_url(listen: str, port: int, *, tls: bool = False) -> str:
    """Return the URL that shows whether a server has loaded its model."""
    return f"{base_url(listen, port, tls=tls)}/health"


def stale_instances(wanted: Sequence[str], config_files: Sequence[str], unit_files: Sequence[str]) -> list[str]:
    """Return the instances that left something on the device but are no longer wanted.

    Args:
        wanted: Names of the instances that are to be there.
        config_files: Names of the files in the configuration directory.
        unit_files: Names of files and directories in systemd's directories: drop-ins and enabled instances.
    """
    found = {stem for stem, ending in map(os.path.splitext, config_files) if ending in INSTANCE_FILES}
    for name in unit_files:
        match = re.fullmatch(r"llama-server@(.+)\.service(?:\.d)?", name)
        if match:
            found.add(match.group(1))
    return sorted(found - set(wanted))

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How large a model of the catalogue is or becomes: from its published files, its work files, or its source.

What llama-quantize can be asked is asked of it; all else is computed from headers, of which a source gives the first
megabytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import (
    AUTO,
    LADDER,
    NONE,
    QUANTISATIONS,
    Layout,
    Model,
    Source,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import publish
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import announced_bytes
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import local_path
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import (
    GgufError,
    Header,
    parse_header,
    read_header,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import Weights, count
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.quantise import Tensor, quantised_bytes
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.remote import Access, Hub, RemoteFile, wanted
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.safetensors import (
    HEADER_BYTES,
    PROJECTOR_MARKS,
    SafetensorsError,
    gguf_bytes,
    parse_shapes,
)

#: What a repository's config.json calls what a GGUF's header has.
CONFIG_KEYS = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "head_count": "num_attention_heads",
    "head_count_kv": "num_key_value_heads",
    "key_length": "head_dim",
    "value_length": "head_dim",
    "feed_forward_length": "intermediate_size",
    "vocabulary": "vocab_size",
}
EXPERT_KEYS = ("num_local_experts", "num_experts", "n_routed_experts")


class Unknown(Exception):
    """The sizes cannot be known; the message says why."""


@dataclass(frozen=True)
class Tools:
    """What models are weighed with.

    Args:
        layout: Where files are.
        endpoint: Base URL of the hub.
        access: How this host gets there.
        quantize: Path of llama-quantize.
    """

    layout: Layout
    endpoint: str = ""
    access: Access = field(default_factory=Access)
    quantize: str = ""


def published_weights(model: Model, directory: str, manifest: Mapping[str, Any], with_types: bool) -> Weights:
    """Return what a published model weighs; with its sizes in other types where those are asked for.

    Raises:
        ManifestError: The manifest cannot be used.
    """
    file, projector = publish.model_and_projector(manifest)
    types: dict[str, int] = {}
    if with_types and model.source.converts:
        try:
            types = types_of(read_header(os.path.join(directory, file.path)), bool(model.imatrix))
        except (GgufError, OSError):
            types = {}
    return Weights.of_shape(
        manifest,
        size=file.size,
        projector=projector.size if projector else 0,
        quantisation=str(manifest.get("quantisation") or ""),
        types=types,
        source="its manifest",
    )


def types_of(header: Header, imatrix: bool) -> dict[str, int]:
    """Return the sizes of a GGUF in each quantisation that can be made of its model."""
    shape = header.shape()
    experts = header.metadata.get(f"{shape.architecture}.expert_count", 0)
    tensors = [replace(one, type="F32" if len(one.shape) < 2 else "F16") for one in header.tensors]
    return _types(tensors, shape.as_dict(), experts if isinstance(experts, int) else 0, imatrix, header.data_offset)


def _types(
    tensors: Sequence[Tensor], shape: Mapping[str, Any], experts: int, imatrix: bool, header: int
) -> dict[str, int]:
    """Return the sizes in each quantisation, the header included."""
    names = [name for name, needs_imatrix in QUANTISATIONS.items() if imatrix or not needs_imatrix]
    heads, kv_heads = (_first(shape.get(key)) for key in ("head_count", "head_count_kv"))
    gqa = heads // kv_heads if kv_heads else 1
    found = quantised_bytes(tensors, names, gqa=gqa, experts=experts, imatrix=imatrix)
    return {name: size + header for name, size in found.items()}


def _first(value: object) -> int:
    """Return the number of the first layer."""
    return count(value[0] if isinstance(value, (list, tuple)) and value else value)


def weigh(model: Model, tools: Tools) -> Weights:
    """Return what a model is going to weigh that is not published yet.

    Raises:
        Unknown: Its source does not tell.
    """
    try:
        found = _weigh(model, tools)
        projector, fetched = _projector(model, tools, found.projector)
    except (OSError, GgufError, SafetensorsError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unknown(f"model {model.name}: its size is not known ({error})") from error
    return replace(found, projector=projector, fetched=found.fetched + fetched)


def _weigh(model: Model, tools: Tools) -> Weights:
    """Return the weights of the model itself."""
    full = tools.layout.full(model)
    if os.path.isfile(full):
        return _chosen(model, _of_gguf(model, read_header(full), os.path.getsize(full), full, tools), 0)
    if model.source.converts:
        found, fetched = _of_repository(model, tools)
        return _chosen(model, found, fetched)
    header, size, place = _ready(model.source, tools)
    return _chosen(model, _of_gguf(model, header, size, place, tools), size)


def _chosen(model: Model, found: Weights, fetched: int) -> Weights:
    """Return the weights in the quantisation that the catalogue names; `auto` is the smallest until it is chosen."""
    wanted = LADDER[-1] if model.quantisation == AUTO else model.quantisation
    size = found.size if wanted == NONE else found.types[wanted]
    return replace(found, size=size, quantisation=model.quantisation, fetched=fetched)


def _of_gguf(model: Model, header: Header, size: int, place: str, tools: Tools) -> Weights:
    """Return the weights of a GGUF that is there or can be fetched."""
    types = types_of(header, bool(model.imatrix)) if model.quantisation != NONE else {}
    source = f"the header of {os.path.basename(place)}"
    # The program knows best, where there is one, and the file is here.
    if types and os.path.isfile(place) and os.path.isfile(tools.quantize):
        asked = LADDER if model.quantisation == AUTO else (model.quantisation,)
        announced = {name: announced_bytes(tools.quantize, place, name, tools.layout.imatrix(model)) for name in asked}
        types |= {name: tensors + header.data_offset for name, tensors in announced.items() if tensors}
        source = "llama-quantize --dry-run"
    return Weights.of_shape(header.shape().as_dict(), size=size, types=types, source=source)


def _of_repository(model: Model, tools: Tools) -> tuple[Weights, int]:
    """Return the weights of what a repository is converted to, and how much of it is fetched for that."""
    source = model.source
    hub = Hub(tools.endpoint, source.repo, source.revision, tools.access)
    files = {path: size for path, size in hub.sizes().items() if wanted(path, source.include, source.exclude)}
    weights = [path for path in files if path.endswith(".safetensors")]
    if not weights:
        raise Unknown(f"model {model.name}: {source.repo} has no safetensors to tell its size by")
    raw: list[tuple[str, list[int]]] = []
    for path in sorted(weights):
        with hub.file(path) as file:
            raw += parse_shapes(file, file.size, path).items()
    config = hub.json("config.json")
    text = {**config, **(config.get("text_config") or {})}
    shape = {name: text.get(key) for name, key in CONFIG_KEYS.items()}
    shape["architecture"] = str(text.get("model_type") or "").replace("_", "-")
    experts = next((count(text.get(key)) for key in EXPERT_KEYS if text.get(key)), 0)
    own = [(name, dimensions) for name, dimensions in raw if not any(mark in name for mark in PROJECTOR_MARKS)]
    tensors = [
        # A GGUF has the length of a row first.
        Tensor(name, tuple(reversed(dimensions)), "F32" if len(dimensions) < 2 else "F16")
        for name, dimensions in own
    ]
    # The vocabulary goes into the header.
    header = sum(size for path, size in files.items() if os.path.basename(path).startswith("tokenizer"))
    found = Weights.of_shape(
        shape,
        size=gguf_bytes(own, model.outtype) + header,
        projector=gguf_bytes(raw, model.outtype, projector=True) if model.projector else 0,
        types=_types(tensors, shape, experts, bool(model.imatrix), header + HEADER_BYTES),
        source=f"the headers of {source.repo}'s safetensors",
    )
    return found, sum(files.values())


def _ready(source: Source, tools: Tools) -> tuple[Header, int, str]:
    """Return the header of a GGUF that comes ready, its size, and where it is; of a split one all parts together."""
    headers, places, total = [], [], 0
    for part in source.parts():
        place = local_path(part.url) or part.file or os.path.basename(part.url)
        places.append(place)
        with _open(part, tools) as file:
            size = file.size if isinstance(file, RemoteFile) else os.path.getsize(place)
            headers.append(parse_header(file, size, place))
        total += size
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    first = source.parts()[0]
    return (
        replace(headers[0], tensors=tensors),
        total,
        local_path(first.url) or first.file or os.path.basename(first.url),
    )


def _size(source: Source, tools: Tools) -> int:
    """Return the size of one file."""
    with _open(source, tools) as file:
        return file.size if isinstance(file, RemoteFile) else os.path.getsize(local_path(source.url))


def _open(source: Source, tools: Tools) -> Any:  # noqa: ANN401  (a file here or elsewhere)
    """Open a file of a hub, at an address, or of this host."""
    if source.repo:
        return Hub(tools.endpoint, source.repo, source.revision, tools.access).file(source.file)
    path = local_path(source.url)
    return open(path, "rb") if path else RemoteFile(source.url, replace(tools.access, token=""))


def _projector(model: Model, tools: Tools, converted: int) -> tuple[int, int]:
    """Return the size of a model's projector, and how much of it is fetched beside the model."""
    if model.projector is None or model.projector.source is None:
        return converted, 0
    size = _size(model.projector.source, tools)
    return size, size

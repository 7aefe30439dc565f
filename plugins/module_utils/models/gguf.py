# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the header of a GGUF file: what a model is, without its weights and without numpy.

The format is described in ggml's docs/gguf.md. Versions 2 and 3, little endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import IO, Any, Union

from ansible_collections.edge_slm.fleet.plugins.module_utils.models.quantise import Tensor

Value = Union[int, float, bool, str, "list[Any]"]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
#: Value types: number in the file → struct code. 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING = 8
ARRAY = 9
#: Longer arrays are vocabularies: they are passed over.
KEPT_ARRAY = 4096
MAX_DIMENSIONS = 8
#: Architectures of GGUFs that make vectors and no text (llama.cpp tag b11434, `llm_arch`).
EMBEDDING_ARCHITECTURES = frozenset(
    {
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3",
        "eurobert", "gemma-embedding", "llama-embed", "t5encoder",
    }
)  # fmt: skip
VOCABULARY = "tokenizer.ggml.tokens"
#: Types of tensors by their numbers in a file (ggml.h, tag b11434).
TENSOR_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 41: "Q1_0", 42: "Q2_0",
}  # fmt: skip


class GgufError(Exception):
    """The file is not a GGUF, or a torn one."""


@dataclass(frozen=True)
class ModelShape:
    """What memory planning needs to know about a model. 0 where the file does not have it.

    Args:
        architecture: llama, qwen2, clip (a projector) …
        context_length: Tokens that it was trained for.
        embedding_length: Width.
        block_count: Layers.
        head_count: Attention heads; a list where layers differ.
        head_count_kv: Key/value heads; a list where layers differ.
        key_length: Width of a key in one head.
        value_length: Width of a value in one head.
        feed_forward_length: Inner width of the feed-forward network, the widest where layers differ.
        vocabulary: Tokens.
    """

    architecture: str
    context_length: int = 0
    embedding_length: int = 0
    block_count: int = 0
    head_count: int | list[int] = 0
    head_count_kv: int | list[int] = 0
    key_length: int = 0
    value_length: int = 0
    feed_forward_length: int = 0
    vocabulary: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Header:
    """What is before a GGUF's data.

    Args:
        metadata: By key; long arrays are left out.
        tensors: In the file's order.
        data_offset: Where their data starts, in bytes.
        vocabulary: How many tokens it has.
    """

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    data_offset: int
    vocabulary: int = 0

    @property
    def tensor_count(self) -> int:
        """How many tensors it has."""
        return len(self.tensors)

    def problem(self, kind: str) -> str:
        """Return why the file cannot be what it is meant for, model or projector; empty where it can."""
        architecture = str(self.metadata.get("general.architecture", ""))
        given = str(self.metadata.get("general.type", "model"))
        is_projector = architecture == "clip" or given == "mmproj"
        parts = self.metadata.get("split.count", 0)
        if kind == "projector" and not is_projector:
            return f"is not a projector (its architecture is {architecture or 'not given'})"
        if kind == "model" and is_projector:
            return "is a projector, not a model: name it as projector, and the model that it belongs to as source"
        if kind == "model" and given != "model":
            return f"is not a model (its general.type is {given})"
        if isinstance(parts, int) and parts > 1:
            return f"is one of {parts} parts of a split GGUF: give the parts back the names that llama-gguf-split makes"
        if not architecture or not self.tensor_count:
            return f"has no {'tensors' if architecture else 'architecture'}: nothing can be loaded from it"
        return ""

    def shape(self) -> ModelShape:
        """Return what memory planning needs."""
        architecture = str(self.metadata.get("general.architecture", ""))

        def numbers(key: str) -> int | list[int]:
            value = self.metadata.get(f"{architecture}.{key}", 0)
            return [int(item) for item in value] if isinstance(value, list) else int(value)

        def number(key: str, default: int = 0) -> int:
            value = numbers(key) or default
            return max(value) if isinstance(value, list) else value

        width, heads = number("embedding_length"), number("attention.head_count")
        head_width = width // heads if heads else 0
        return ModelShape(
            architecture=architecture,
            context_length=number("context_length"),
            embedding_length=width,
            block_count=number("block_count"),
            head_count=numbers("attention.head_count"),
            head_count_kv=numbers("attention.head_count_kv") or numbers("attention.head_count"),
            key_length=number("attention.key_length", head_width),
            value_length=number("attention.value_length", head_width),
            feed_forward_length=number("feed_forward_length"),
            vocabulary=self.vocabulary or number("vocab_size"),
        )


class _Reader:
    """Read values one after the other, never past the file's end."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        """Start at the file's current position."""
        self.file = file
        self.size = size
        #: Of the array that was read last.
        self.length = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count < 0 or count > self.size - self.file.tell():
            raise GgufError("the file ends inside its header: it is torn")
        return self.file.read(count)

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        if count > self.size - self.file.tell():
            raise GgufError("the file ends inside its header: it is torn")
        self.file.seek(count, os.SEEK_CUR)

    def scalar(self, code: str) -> Any:  # noqa: ANN401  (what struct returns)
        """Return one number."""
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        """Return one string."""
        return self.take(self.scalar("Q")).decode("utf-8", errors="replace")

    def value(self, kind: int, depth: int = 0) -> Value | None:
        """Return one value; None for an array that is passed over."""
        if kind in SCALARS:
            number: Value = self.scalar(SCALARS[kind])
            return number
        if kind == STRING:
            return self.text()
        if kind != ARRAY or depth > 1:
            raise GgufError(f"value type {kind} is not known")
        item_kind, count = self.scalar("I"), self.scalar("Q")
        self.length = count
        if count <= KEPT_ARRAY:
            return [self.value(item_kind, depth + 1) for _unused in range(count)]
        if item_kind in SCALARS:
            self.skip(count * struct.calcsize(f"<{SCALARS[item_kind]}"))
        else:
            for _unused in range(count):
                if item_kind == STRING:
                    self.skip(self.scalar("Q"))
                else:
                    self.value(item_kind, depth + 1)
        return None


def _counts(reader: _Reader, path: str) -> tuple[int, int]:
    """Read a file's beginning; return how many tensors and how many pairs of metadata follow."""
    if reader.size < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
        raise GgufError(f"{path} is not a GGUF file (it does not start with GGUF)")
    version = reader.scalar("I")
    if version not in VERSIONS:
        raise GgufError(f"{path} is GGUF version {version}; versions 2 and 3 are known")
    return reader.scalar("Q"), reader.scalar("Q")


def token_texts(path: str, numbers: Collection[int]) -> dict[int, str]:
    """Return the texts of some tokens of a GGUF's vocabulary, which `read_header` passes over; raises as it does."""
    with open(path, "rb") as file:
        reader = _Reader(file, os.path.getsize(path))
        _tensor_count, pair_count = _counts(reader, path)
        for _unused in range(pair_count):
            key, kind = reader.text(), reader.scalar("I")
            if key != VOCABULARY:
                reader.value(kind)
                continue
            item_kind, count = reader.scalar("I"), reader.scalar("Q")
            if (kind, item_kind) != (ARRAY, STRING):
                break
            return {
                number: text for number, text in enumerate(reader.text() for _item in range(count)) if number in numbers
            }
    return {}


def read_header(path: str) -> Header:
    """Read a GGUF's header.

    Raises:
        GgufError: The file is not a GGUF of a known version, or it ends too early.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return parse_header(file, os.path.getsize(path), path)


def parse_header(file: IO[bytes], size: int, path: str) -> Header:
    """Read a GGUF's header from a file of a size; raises as `read_header` does, and names the path."""
    reader = _Reader(file, size)
    tensor_count, pair_count = _counts(reader, path)
    metadata: dict[str, Value] = {}
    vocabulary = 0
    for _unused in range(pair_count):
        key, kind = reader.text(), reader.scalar("I")
        value = reader.value(kind)
        if value is not None:
            metadata[key] = value
        if key == VOCABULARY:
            vocabulary = reader.length
    tensors = []
    last = -1
    for _unused in range(tensor_count):
        name, dimensions = reader.text(), reader.scalar("I")
        if dimensions > MAX_DIMENSIONS:
            raise GgufError(f"{path} has a tensor of {dimensions} dimensions: it is torn")
        shape = tuple(reader.scalar("Q") for _dimension in range(dimensions))
        tensors.append(Tensor(name, shape, TENSOR_TYPES.get(reader.scalar("I"), "F32")))
        last = max(last, reader.scalar("Q"))
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    step = alignment if isinstance(alignment, int) and alignment > 0 else DEFAULT_ALIGNMENT
    data_offset = -(-file.tell() // step) * step
    if tensors and data_offset + last >= size:
        raise GgufError(f"{path} ends before its last tensor: it is torn")
    return Header(metadata, tuple(tensors), data_offset, vocabulary)


def checked_header(path: str, kind: str) -> Header:
    """Read the header of a file that is meant to serve as a model or as a projector.

    Raises:
        GgufError: It cannot.
        OSError: It cannot be read.
    """
    header = read_header(path)
    if problem := header.problem(kind):
        raise GgufError(f"{path} {problem}")
    return header

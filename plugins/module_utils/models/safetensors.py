# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How large a GGUF becomes, from the headers of the safetensors that it is converted from."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterable
from typing import IO

#: Bytes that an element takes in a GGUF of that type (ggml's block sizes: q8_0 = 34 bytes for 32 elements).
#: `auto` is f16 or bf16.
ELEMENT_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "auto": 2.0, "q8_0": 34 / 32}
#: Parts of the names of tensors that go into the projector.
PROJECTOR_MARKS = ("vision", "visual", "audio", "projector", "connector")
#: The header beside vocabulary and weights, in bytes; what the rest of the metadata takes is far below.
HEADER_BYTES = 1 << 20


class SafetensorsError(Exception):
    """The file is not safetensors, or a torn one."""


def shapes(path: str) -> dict[str, list[int]]:
    """Return the shapes of a file's tensors by name.

    Raises:
        SafetensorsError: It is not a whole safetensors header.
    """
    with open(path, "rb") as file:
        return parse_shapes(file, os.path.getsize(path), path)


def parse_shapes(file: IO[bytes], size: int, path: str) -> dict[str, list[int]]:
    """Return the shapes of the tensors in a file of a size; raises as `shapes` does, and names the path."""
    start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= size - 8:
        raise SafetensorsError(f"{path} is not a safetensors file, or a torn one")
    try:
        header = json.loads(file.read(length))
        return {name: list(about["shape"]) for name, about in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SafetensorsError(f"{path} has a header that cannot be read: {error}") from error


def gguf_bytes(tensors: Iterable[tuple[str, list[int]]], outtype: str, projector: bool = False) -> int:
    """Return about how large the GGUF of these tensors becomes, vocabulary not counted.

    Args:
        tensors: Names and shapes.
        outtype: What it is converted to.
        projector: Count the tensors of the projector only.
    """
    size = HEADER_BYTES
    for name, shape in tensors:
        if projector and not any(mark in name for mark in PROJECTOR_MARKS):
            continue
        # Norms and biases stay f32.
        size += int(math.prod(shape) * (ELEMENT_BYTES[outtype] if len(shape) > 1 else 4))
    return size

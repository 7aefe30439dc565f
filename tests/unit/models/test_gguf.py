"""GGUF headers, written by hand after ggml's docs/gguf.md, and by the official package."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, checked_header, read_header

STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def file(path: Path, pairs: list[bytes], tensors: list[bytes] | None = None, version: int = 3) -> str:
    body = b"".join(pairs) + b"".join(tensors or [])
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors or []), len(pairs))
    path.write_bytes(header + body)
    return str(path)


def number(key: str, value: int) -> bytes:
    return pair(key, UINT32, struct.pack("<I", value))


LLAMA = [
    pair("general.architecture", STRING, text("llama")),
    number("llama.context_length", 8192),
    number("llama.embedding_length", 576),
    number("llama.block_count", 30),
    number("llama.attention.head_count", 9),
]


@pytest.mark.parametrize("version", [2, 3])
def test_shape(tmp_path: Path, version: int) -> None:
    tokens = pair("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("b"))
    more = [number("llama.attention.head_count_kv", 3), number("llama.feed_forward_length", 1536), tokens]
    path = file(tmp_path / "m", [*LLAMA, *more], version=version)
    assert read_header(path).shape().as_dict() == {
        "architecture": "llama",
        "context_length": 8192,
        "embedding_length": 576,
        "block_count": 30,
        "head_count": 9,
        "head_count_kv": 3,
        "key_length": 64,
        "value_length": 64,
        "feed_forward_length": 1536,
        "vocabulary": 2,
    }


def per_layer(values: list[int]) -> bytes:
    items = struct.pack(f"<IQ{len(values)}I", UINT32, len(values), *values)
    return pair("llama.attention.head_count_kv", ARRAY, items)


@pytest.mark.parametrize(
    ("more", "field", "expected"),
    [
        ([], "head_count_kv", 9),
        ([per_layer([1, 3, 2])], "head_count_kv", [1, 3, 2]),
        ([number("llama.attention.key_length", 128)], "key_length", 128),
        ([number("llama.attention.value_length", 96)], "value_length", 96),
    ],
)
def test_special_shapes(tmp_path: Path, more: list[bytes], field: str, expected: Any) -> None:
    assert read_header(file(tmp_path / "m", LLAMA + more)).shape().as_dict()[field] == expected


def test_every_type_of_value(tmp_path: Path) -> None:
    kinds = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 10: "Q", 11: "q"}
    pairs = [pair(f"k{kind}", kind, struct.pack(f"<{code}", 7)) for kind, code in kinds.items()]
    pairs += [
        pair("k6", 6, struct.pack("<f", 0.5)),
        pair("k7", 7, b"\1"),
        pair("k12", 12, struct.pack("<d", 0.25)),
    ]
    pairs += [pair("words", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("bc"))]
    nested = struct.pack("<IQ", ARRAY, 1) + struct.pack("<IQ2I", UINT32, 2, 5, 6)
    pairs += [pair("nested", ARRAY, nested)]
    metadata = read_header(file(tmp_path / "m", pairs)).metadata
    assert metadata == {
        **{f"k{kind}": 7 for kind in kinds},
        "k6": 0.5,
        "k7": True,
        "k12": 0.25,
        "words": ["a", "bc"],
        "nested": [[5, 6]],
    }


def test_vocabularies_are_passed_over(tmp_path: Path) -> None:
    words = b"".join(text(str(item)) for item in range(5000))
    scores = struct.pack("<IQ5000f", 6, 5000, *([0.5] * 5000))
    pairs = [
        pair("tokens", ARRAY, struct.pack("<IQ", STRING, 5000) + words),
        pair("scores", ARRAY, scores),
        *LLAMA,
    ]
    header = read_header(file(tmp_path / "m", pairs))
    assert "tokens" not in header.metadata
    assert header.shape().block_count == 30


@pytest.mark.parametrize("alignment", [32, 64])
def test_data_offset_agrees_with_the_official_reader(tmp_path: Path, alignment: int) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    writer.add_context_length(77)
    writer.add_token_list([f"t{item}" for item in range(6000)])
    writer.add_tensor("a.weight", np.ones((3, 5), dtype=np.float32))
    writer.add_tensor("b.weight", np.ones(7, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(str(path))
    assert header.data_offset == gguf.GGUFReader(path).data_offset
    assert (header.tensor_count, header.shape().context_length) == (2, 77)


TENSOR = text("t") + struct.pack("<IQIQ", 1, 1, 0, 0)
TYPE = ("general.type", STRING)


@pytest.mark.parametrize(
    ("pairs", "kind", "problem"),
    [
        (LLAMA, "model", ""),
        ([*LLAMA, number("split.count", 1)], "model", ""),
        ([*LLAMA, number("split.count", 0)], "model", ""),
        ([*LLAMA, number("split.count", 3)], "model", "is one of 3 parts of a split GGUF"),
        ([*LLAMA, pair(*TYPE, text("mmproj"))], "model", "is a projector, not a model"),
        ([*LLAMA, pair(*TYPE, text("imatrix"))], "model", "is not a model (its general.type is imatrix)"),
        ([pair("general.architecture", STRING, text("clip"))], "model", "is a projector, not a model"),
        ([pair("general.architecture", STRING, text("clip"))], "projector", ""),
        (LLAMA, "projector", "is not a projector (its architecture is llama)"),
        ([], "model", "has no architecture"),
    ],
)
def test_what_a_file_can_serve_as(tmp_path: Path, pairs: list[bytes], kind: str, problem: str) -> None:
    found = read_header(file(tmp_path / "m", pairs, [TENSOR + bytes(64)])).problem(kind)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_a_vocabulary_serves_as_nothing(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="has no tensors"):
        checked_header(file(tmp_path / "m", LLAMA), "model")


def test_a_file_that_ends_before_its_last_tensor(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="ends before its last tensor"):
        read_header(file(tmp_path / "m", LLAMA, [TENSOR]))


WHOLE = [*LLAMA, number("x", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a GGUF"),
        (b"GG", "not a GGUF"),
        (b"PK\3\4 and more", "not a GGUF"),
        (b"<!DOCTYPE html><html>", "not a GGUF"),
        (b"GGUF", "torn"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1), "torn"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62), "torn"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 13, b""), "value type 13"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I", 99), "99 dimensions"),
    ],
)
def test_what_is_not_a_gguf(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(GgufError, match=message):
        read_header(str(tmp_path / "m"))


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = Path(file(tmp_path / "m", WHOLE)).read_bytes()
    for length in range(4, len(whole)):
        (tmp_path / "m").write_bytes(whole[:length])
        with pytest.raises(GgufError):
            read_header(str(tmp_path / "m"))

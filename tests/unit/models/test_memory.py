"""What services take of a board's memory, and what would fit instead."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import MIB, Ask, Room, Weights
from ansible_collections.edge_slm.fleet.tools.fit_tables import SHAPES

LLAMA_3_8B = {
    "block_count": 32,
    "head_count": 32,
    "head_count_kv": 8,
    "embedding_length": 4096,
    "key_length": None,
}
#: About Mistral 7B as Q4_K_M.
SEVEN = Weights(
    size=4166 * MIB,
    quantisation="Q4_K_M",
    context_length=32768,
    kv_per_token=131072,
    compute_per_token=4 * (3 * 14336 + 5 * 4096),
    types={"Q8_0": 7339 * MIB, "Q4_K_M": 4166 * MIB, "Q3_K_M": 3355 * MIB, "Q2_K": 2592 * MIB},
)
LADDER = ("Q8_0", "Q4_K_M", "Q3_K_M", "Q2_K")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (
            {"block_count": 30, "head_count": 9, "head_count_kv": 3, "embedding_length": 576},
            2 * 30 * 3 * 64 * 2,
        ),
        (LLAMA_3_8B, 131072),
        ({**LLAMA_3_8B, "head_count_kv": None}, 2 * 32 * 32 * 128 * 2),
        ({**LLAMA_3_8B, "key_length": 256, "value_length": 64}, 32 * 8 * (256 + 64) * 2),
        ({**LLAMA_3_8B, "block_count": 2, "head_count_kv": [8, 4]}, 12 * 256 * 2),
        ({}, memory.UNKNOWN_KV_BYTES_PER_TOKEN),
        ({"block_count": None, "head_count": None}, memory.UNKNOWN_KV_BYTES_PER_TOKEN),
    ],
)
def test_kv_cache(metadata: dict[str, Any], expected: int) -> None:
    assert memory.kv_bytes_per_token(metadata) == expected


@pytest.mark.parametrize(
    ("kv_cache_type", "bytes_per_token"),
    [("f32", 46080), ("f16", 23040), ("bf16", 23040), ("q8_0", 12240), ("q4_0", 6480), ("iq4_nl", 6480)],
)
def test_the_kv_cache_counts_by_its_type(kv_cache_type: str, bytes_per_token: int) -> None:
    ask = Ask("a", "m", context=1000, parallel=2, kv_cache_type=kv_cache_type)
    assert ask.kv_bytes(Weights(1, kv_per_token=23040)) == 2000 * bytes_per_token


#: What llama-server b11434 printed as its KV buffer and its compute buffer, in MiB, with a context and more arguments.
MEASURED = [
    ("SmolLM2 135M", 4096, "f16", False, 90.00, 18.64),
    ("SmolLM2 135M", 4096, "q8_0", False, 47.81, 18.67),
    ("SmolLM2 135M", 2048, "f16", True, 45.00, 419.08),
    ("SmolLM2 135M", 8192, "f16", True, 180.00, 1754.31),
    ("Llama 3.2 1B", 4096, "f16", False, 128.00, 72.02),
    ("Mistral 7B", 4096, "f16", False, 512.00, 128.02),
    ("Mistral 7B", 4096, "q8_0", False, 272.00, 128.10),
    ("Mistral 7B", 16384, "f16", False, 2048.00, 140.02),
    ("Llama 2 7B", 4096, "f16", False, 2048.00, 108.52),
    ("Qwen2.5 7B", 4096, "f16", False, 224.00, 150.02),
]


@pytest.mark.parametrize(("model", "context", "cache", "embeddings", "kv", "compute"), MEASURED)
def test_llama_server_reserves_what_is_computed(
    model: str, context: int, cache: str, embeddings: bool, kv: float, compute: float
) -> None:
    weights = SHAPES[model].weights("Q8_0")
    ask = Ask("a", "m", context=context, kv_cache_type=cache, embeddings=embeddings)
    assert ask.kv_bytes(weights) / MIB == pytest.approx(kv, abs=0.01)
    found = ask.compute_bytes(weights) / MIB
    # A little more may be reckoned than is reserved, never less than that but for rounding.
    assert compute - 0.2 <= found <= compute * 1.015


@pytest.mark.parametrize(
    ("shape", "compute", "scores"),
    [
        ({"feed_forward_length": 100, "embedding_length": 10, "vocabulary": 1000}, 1400, 4240),
        # Made for embeddings: there are no scores.
        ({"architecture": "bert", "feed_forward_length": 100, "embedding_length": 10, "vocabulary": 1000}, 1400, 0),
        ({"embedding_length": 4096}, 0, 0),
    ],
)
def test_compute_buffer_by_shape(shape: dict[str, Any], compute: int, scores: int) -> None:
    assert (memory.compute_bytes_per_token(shape), memory.scores_bytes_per_token(shape)) == (compute, scores)


def test_every_part_is_counted() -> None:
    ask = Ask("chat", "seven", context=4096, parallel=2, cache_ram_mib=100, overhead_mib=256)
    found = memory.need(ask, Weights(100 * MIB, projector=50 * MIB, kv_per_token=131072, compute_per_token=2048))
    assert found.parts() == {
        "weights": 100, "projector": 50, "kv_cache": 1024, "compute": 5, "prompt_cache": 100, "overhead": 256,
    }  # fmt: skip
    assert found.total == 1535
    assert found.text() == (
        "chat 1535 (weights 100, projector 50, KV cache 1024 of f16 for 4096 tokens x 2, compute buffer 5, "
        "prompt cache 100, overhead 256)"
    )


@pytest.mark.parametrize(("context", "total"), [(1024, 100 + 1024), (4096, 100 + 1024), (16384, 100 + 2048 + 17)])
def test_an_overhead_that_covers_the_cache_counts_as_far_as_it_reaches(context: int, total: int) -> None:
    ask = Ask("m", "m", context=context, overhead_mib=1024, covered=True)
    assert memory.need(ask, Weights(100 * MIB, kv_per_token=131072, compute_per_token=2048)).total == total


def test_only_what_is_loaded_at_a_time_counts() -> None:
    needs = [memory.need(Ask(name, name), Weights(size * MIB, kv_per_token=0)) for name, size in (("a", 10), ("b", 30))]
    assert (Room(50, 15).excess(needs), Room(50, 15, loaded=1).excess(needs)) == (5, -5)
    assert [one.ask.service for one in Room(50, 15, loaded=1).counted(needs)] == ["b"]


@pytest.mark.parametrize(
    ("memory_mib", "ask", "expected"),
    [
        # A Pi 5 with 4 GB.
        (4049, Ask("chat", "seven", overhead_mib=256), ["seven as Q2_K (2592 MiB)"]),
        # A little more: a shorter context does not make up for weights of 4166 MiB.
        (4600, Ask("chat", "seven", overhead_mib=256), ["seven as Q2_K (2592 MiB)"]),
        (
            5220,
            Ask("chat", "seven", overhead_mib=256),
            ["seven as Q3_K_M (3355 MiB)", "`context: 1024` for chat", "`kv_cache_type: q4_0` for chat"],
        ),
        (
            6200,
            Ask("chat", "seven", parallel=4, overhead_mib=256),
            [
                "seven as Q2_K (2592 MiB)",
                "`context: 2048` for chat",
                "`kv_cache_type: q8_0` for chat",
                "`parallel: 1` for chat",
            ],
        ),
        (2000, Ask("chat", "seven", overhead_mib=256), []),
    ],
)
def test_what_would_fit_instead(memory_mib: int, ask: Ask, expected: list[str]) -> None:
    room = Room(memory_mib, 512)
    assert room.excess([memory.need(ask, SEVEN)]) > 0
    assert memory.alternatives(room, [(ask, SEVEN)], LADDER) == expected


def test_an_alternative_leaves_room_for_the_others() -> None:
    small = Weights(2000 * MIB, kv_per_token=0)
    wanted = [(Ask("a", "seven"), SEVEN), (Ask("b", "small"), small)]
    assert memory.alternatives(Room(6000), wanted, LADDER) == ["seven as Q3_K_M (3355 MiB)"]


def test_weights_travel() -> None:
    assert Weights.of(SEVEN.as_dict()) == SEVEN
    assert SEVEN.quantised("Q2_K").size == 2592 * MIB

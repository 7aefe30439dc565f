"""Sizes of quantised models, compared with what llama-quantize announces, and with the book's Table 11.1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import LADDER, QUANTISATIONS
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.quantise import (
    BASES,
    BLOCKS,
    Tensor,
    mixture,
    quantised_bytes,
)
from ansible_collections.edge_slm.fleet.tools.fit_tables import GB, PRINTED, SHAPES

#: MiB that `llama-quantize --dry-run` of llama.cpp b11434 printed for headers of these shapes, all types.
ANNOUNCED = json.loads((Path(__file__).parent / "data" / "dry_run.json").read_text())["models"]


@pytest.mark.parametrize("model", ANNOUNCED)
def test_every_type_is_as_large_as_llama_quantize_announces(model: str) -> None:
    shape = SHAPES[model]
    found = quantised_bytes(shape.tensors(), ANNOUNCED[model], gqa=shape.heads // shape.kv_heads)
    differing = {
        kind: (found[kind] / (1 << 20), announced)
        for kind, announced in ANNOUNCED[model].items()
        if abs(found[kind] / (1 << 20) - announced) > 0.01
    }
    assert differing == {}


def test_what_was_announced_is_every_type_there_is() -> None:
    assert set(ANNOUNCED["Mistral 7B"]) == set(QUANTISATIONS)
    # Its rows of 576 are no multiple of that type's block, and llama-quantize refuses it.
    assert set(QUANTISATIONS) - set(ANNOUNCED["SmolLM2 135M"]) == {"Q1_0"}


@pytest.mark.parametrize("kind", PRINTED)
def test_the_book_has_printed_the_sizes_of_mistral_7b(kind: str) -> None:
    assert round(SHAPES["Mistral 7B"].types()[kind] / GB, 2) == PRINTED[kind][1]


def test_every_quantisation_has_a_base() -> None:
    assert {BASES.get(name, name) for name in QUANTISATIONS} <= set(BLOCKS)


def test_auto_goes_from_large_to_small_and_needs_no_importance_matrix() -> None:
    for shape in SHAPES.values():
        if shape.width % 256 == 0:
            sizes = [shape.types()[kind] for kind in LADDER]
            assert sizes == sorted(sizes, reverse=True)
    assert not any(QUANTISATIONS[kind] for kind in LADDER)


@pytest.mark.parametrize(
    ("gguf", "repository", "part"),
    [
        ("token_embd.weight", "model.embed_tokens.weight", "embedding"),
        ("output.weight", "lm_head.weight", "output"),
        ("blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight", "query"),
        ("blk.3.attn_k.weight", "model.layers.3.self_attn.k_proj.weight", "key"),
        ("blk.3.attn_v.weight", "model.layers.3.self_attn.v_proj.weight", "value"),
        ("blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight", "attention"),
        ("blk.3.attn_qkv.weight", "model.layers.3.self_attn.qkv_proj.weight", "qkv"),
        ("blk.3.ffn_gate.weight", "model.layers.3.mlp.gate_proj.weight", "gate"),
        ("blk.3.ffn_up.weight", "model.layers.3.mlp.up_proj.weight", "up"),
        ("blk.3.ffn_up.weight", "model.layers.3.mlp.gate_up_proj.weight", "up"),
        ("blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight", "down"),
        ("blk.3.ffn_down_exps.weight", "model.layers.3.block_sparse_moe.experts.7.w2.weight", "down"),
        ("blk.3.attn_norm.weight", "model.layers.3.input_layernorm.weight", "other"),
    ],
)
def test_parts_have_a_name_in_a_gguf_and_another_in_a_repository(gguf: str, repository: str, part: str) -> None:
    for name in (gguf, repository):
        tensor = Tensor(name, (256, 256))
        assert tensor.part == part
        assert tensor.layer == (3 if "3" in name else 0)


@pytest.mark.parametrize(
    ("tensor", "kind", "expected"),
    [
        (Tensor("blk.0.attn_norm.weight", (256,), "F32"), "Q4_K_M", "F32"),
        (Tensor("blk.0.ffn_gate_inp.weight", (256, 8), "F32"), "Q4_K_M", "F32"),
        (Tensor("blk.0.attn_v.weight", (576, 192)), "Q4_K_M", "Q8_0"),
        (Tensor("blk.1.attn_q.weight", (576, 576)), "Q4_K_M", "Q5_0"),
        (Tensor("blk.1.attn_q.weight", (30, 30)), "Q4_K_M", "F16"),
        (Tensor("blk.1.attn_q.weight", (256, 256)), "F16", "F16"),
    ],
)
def test_type_of_a_tensor(tensor: Tensor, kind: str, expected: str) -> None:
    tensors = [tensor, *(Tensor(f"blk.{layer}.attn_k.weight", (256, 256)) for layer in range(16))]
    assert mixture(tensors, kind, gqa=3, experts=0, imatrix=False).type_of(tensor) == expected


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("blk.5.attn_v.weight", "Q4_K_M", "Q8_0"),
        ("blk.5.attn_k.weight", "Q4_K_M", "Q8_0"),
        ("blk.5.attn_output.weight", "Q4_K_M", "Q5_K"),
        ("blk.5.attn_output.weight", "Q5_K_M", "Q5_K"),
        ("blk.5.attn_output.weight", "IQ2_XS", "Q5_K"),
        ("blk.5.attn_k.weight", "IQ2_XS", "Q4_K"),
    ],
)
def test_eight_experts_share_an_attention_that_is_worth_more_bits(name: str, kind: str, expected: str) -> None:
    tensors = [Tensor(f"blk.{layer}.attn_q.weight", (4096, 4096)) for layer in range(32)]
    assert mixture(tensors, kind, gqa=4, experts=8, imatrix=True).type_of(Tensor(name, (4096, 1024))) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("Q4_0", "Q4_1"), ("Q5_0", "Q5_1"), ("IQ4_XS", "IQ4_XS"), ("IQ3_XXS", "IQ3_XXS")],
)
def test_an_importance_matrix_changes_the_first_layers(kind: str, expected: str) -> None:
    tensors = [Tensor(f"blk.{layer}.attn_q.weight", (4096, 4096)) for layer in range(32)]
    first = Tensor("blk.0.ffn_down.weight", (14336, 4096))
    with_matrix, without = (
        mixture(tensors, kind, gqa=4, experts=0, imatrix=one).type_of(first) for one in (True, False)
    )
    assert with_matrix == expected != without

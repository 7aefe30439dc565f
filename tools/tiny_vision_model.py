#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a repository of a model that sees, as Hugging Face has them, in half a megabyte.

Its weights are random (fixed seed): its answers make no sense, and a picture changes them. What it shows is that a
model of its architecture is converted, served and asked, with its projector.

    tiny_vision_model.py llava|idefics3 OUT_DIRECTORY

`llava` has the names and the configuration of liuhaotian/llava-v1.6-mistral-7b, `idefics3` those of SmolVLM.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

#: Of the language model.
WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, CONTEXT = 64, 2, 4, 2, 128, 2048
#: Of the part that sees: a picture is cut into patches of PATCH x PATCH pixels.
VISION_WIDTH, VISION_LAYERS, VISION_HEADS, VISION_HIDDEN, PATCH = 64, 3, 1, 128, 14
#: What a chat is written as. Mistral's own template knows no system message either, and wants questions and answers in
#: turns: llama-server puts a system message before the first question.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant take turns') }}{% endif %}"
    "{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %}{{ message['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
#: Beside them every byte is a token; Idefics3 marks a picture by the later ones.
CONTROL = ("<s>", "</s>", "<fake_token_around_image>", "<global-img>", "<image>")
WORDS = ("\n", "\n\n", "\u2581")

Weights = dict[str, NDArray[np.float16]]
Random = Callable[..., NDArray[np.float16]]


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    more, rest = divmod(number, 128)
    return (bytes([rest | 128]) + varint(more)) if more else bytes([rest])


def field(number: int, value: bytes | int) -> bytes:
    """Return a field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tokenizer() -> bytes:
    """Return tokenizer.model, a sentencepiece.ModelProto: its pieces, and that they are those of a BPE."""
    normal, unknown, control, byte = 1, 2, 3, 6
    pieces = [("<unk>", unknown), *((text, control) for text in CONTROL)]
    pieces += [(f"<0x{value:02X}>", byte) for value in range(256)]
    pieces += [(text, normal) for text in WORDS]
    bpe = field(2, field(3, 2) + field(35, 1))
    return b"".join(field(1, field(1, text.encode()) + field(3, kind)) for text, kind in pieces) + bpe


def language(random: Random, prefix: str) -> Weights:
    """Return the weights of a model of Llama's or Mistral's kind."""
    head = WIDTH // HEADS
    found = {f"{prefix}embed_tokens.weight": random(vocabulary(), WIDTH), f"{prefix}norm.weight": random(WIDTH)}
    for layer in range(LAYERS):
        shapes = {
            "self_attn.q_proj": (WIDTH, WIDTH),
            "self_attn.k_proj": (KV_HEADS * head, WIDTH),
            "self_attn.v_proj": (KV_HEADS * head, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH),
            "mlp.gate_proj": (HIDDEN, WIDTH),
            "mlp.up_proj": (HIDDEN, WIDTH),
            "mlp.down_proj": (WIDTH, HIDDEN),
            "input_layernorm": (WIDTH,),
            "post_attention_layernorm": (WIDTH,),
        }
        found |= {f"{prefix}layers.{layer}.{name}.weight": random(*shape) for name, shape in shapes.items()}
    return {**found, "lm_head.weight": random(vocabulary(), WIDTH)}


def vision(random: Random, prefix: str, patches: int) -> Weights:
    """Return the weights of what CLIP and SigLIP share; `patches` counts what has a position."""
    found = {
        f"{prefix}embeddings.patch_embedding.weight": random(VISION_WIDTH, 3, PATCH, PATCH),
        f"{prefix}embeddings.position_embedding.weight": random(patches, VISION_WIDTH),
    }
    square, up, down = (VISION_WIDTH, VISION_WIDTH), (VISION_HIDDEN, VISION_WIDTH), (VISION_WIDTH, VISION_HIDDEN)
    shapes: dict[str, tuple[int, ...]] = {f"self_attn.{name}": square for name in ("q_proj", "k_proj", "v_proj")}
    shapes |= {"self_attn.out_proj": square, "mlp.fc1": up, "mlp.fc2": down}
    shapes |= {"layer_norm1": (VISION_WIDTH,), "layer_norm2": (VISION_WIDTH,)}
    for layer in range(VISION_LAYERS):
        for name, shape in shapes.items():
            found[f"{prefix}encoder.layers.{layer}.{name}.weight"] = random(*shape)
            found[f"{prefix}encoder.layers.{layer}.{name}.bias"] = random(shape[0]) - np.float16(1)
    found[f"{prefix}post_layernorm.weight"] = random(VISION_WIDTH)
    found[f"{prefix}post_layernorm.bias"] = random(VISION_WIDTH) - np.float16(1)
    return found


def vocabulary() -> int:
    """Return how many tokens there are."""
    return 1 + len(CONTROL) + 256 + len(WORDS)


def text_config() -> dict[str, Any]:
    """Return what config.json says about the language model."""
    return {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "intermediate_size": HIDDEN,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "vocab_size": vocabulary(),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
    }


def llava(random: Random) -> tuple[Weights, dict[str, dict[str, Any]]]:
    """Return weights and configuration in the manner of LLaVA 1.6: what sees is CLIP's, two layers translate."""
    side = 2 * PATCH
    tower = "model.vision_tower.vision_tower.vision_model."
    weights = {
        **language(random, "model."),
        # The first position is that of a token for the whole picture.
        **vision(random, tower, 1 + (side // PATCH) ** 2),
        f"{tower}embeddings.class_embedding": random(VISION_WIDTH),
        f"{tower}pre_layrnorm.weight": random(VISION_WIDTH),
        f"{tower}pre_layrnorm.bias": random(VISION_WIDTH),
        "model.mm_projector.0.weight": random(WIDTH, VISION_WIDTH),
        "model.mm_projector.0.bias": random(WIDTH),
        "model.mm_projector.2.weight": random(WIDTH, WIDTH),
        "model.mm_projector.2.bias": random(WIDTH),
        "model.image_newline": random(WIDTH),
    }
    config = {
        **text_config(),
        "architectures": ["LlavaMistralForCausalLM"],
        "model_type": "llava_mistral",
        "image_aspect_ratio": "anyres",
        "image_grid_pinpoints": [[side, 2 * side], [2 * side, side], [2 * side, 2 * side]],
        "mm_hidden_size": VISION_WIDTH,
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "sliding_window": None,
    }
    return weights, {"config.json": config}


def idefics3(random: Random) -> tuple[Weights, dict[str, dict[str, Any]]]:
    """Return weights and configuration in the manner of SmolVLM: what sees is SigLIP's, four patches make a token."""
    scale = 2
    side = 4 * PATCH
    weights = {
        **language(random, "model.text_model."),
        **vision(random, "model.vision_model.", (side // PATCH) ** 2),
        "model.vision_model.embeddings.patch_embedding.bias": random(VISION_WIDTH),
        "model.connector.modality_projection.proj.weight": random(WIDTH, VISION_WIDTH * scale**2),
    }
    config = {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "scale_factor": scale,
        "image_token_id": 1 + CONTROL.index("<image>"),
        "torch_dtype": "float16",
        "text_config": {**text_config(), "architectures": ["VLlama3ForCausalLM"], "model_type": "llama"},
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_HIDDEN,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": VISION_HEADS,
            "image_size": side,
            "patch_size": PATCH,
            "layer_norm_eps": 1e-6,
            "hidden_act": "gelu_pytorch_tanh",
        },
    }
    half = [0.5, 0.5, 0.5]
    preprocessor = {
        "image_processor_type": "Idefics3ImageProcessor",
        "image_mean": half,
        "image_std": half,
        "size": {"longest_edge": side},
        "max_image_size": {"longest_edge": side},
    }
    return weights, {"config.json": config, "preprocessor_config.json": preprocessor}


KINDS = {"llava": llava, "idefics3": idefics3}


def write(kind: str, directory: Path) -> None:
    """Write the repository's files."""
    generator = np.random.default_rng(0)

    def random(*shape: int) -> NDArray[np.float16]:
        values = generator.standard_normal(shape) * (0.2 if len(shape) > 1 else 0.1)
        return (values if len(shape) > 1 else 1 + values).astype(np.float16)

    weights, files = KINDS[kind](random)
    files["generation_config.json"] = {"bos_token_id": 1, "eos_token_id": 2}
    files["tokenizer_config.json"] = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "chat_template": TEMPLATE,
    }
    directory.mkdir(parents=True, exist_ok=True)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "tokenizer.model").write_bytes(tokenizer())
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out", type=Path, help="directory to write the repository to")
    arguments = parser.parse_args()
    write(arguments.kind, arguments.out)


if __name__ == "__main__":
    main()

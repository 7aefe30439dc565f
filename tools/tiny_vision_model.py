#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a repository of a model that sees, as Hugging Face has them, in half a megabyte.

Its weights are random (fixed seed): its answers make no sense, and a picture changes them. What it shows is that a
model of its architecture is converted, served and asked, with its projector.

    tiny_vision_model.py llava|pixtral OUT_DIRECTORY

`llava` has the names and the configuration of liuhaotian/llava-v1.6-mistral-7b, `pixtral` those of Pixtral 12B.
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
#: Beside them every byte is a token; Pixtral marks the rows of an image by the later ones.
CONTROL = ("<s>", "</s>", "[IMG_BREAK]", "[IMG_END]")
SPACE = "\u2581"

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
    pieces.append((SPACE, normal))
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


def clip(random: Random, prefix: str, patches: int) -> Weights:
    """Return the weights of a vision tower of CLIP's kind."""
    found = {
        f"{prefix}embeddings.class_embedding": random(VISION_WIDTH),
        f"{prefix}embeddings.patch_embedding.weight": random(VISION_WIDTH, 3, PATCH, PATCH),
        # The first position is that of a token for the whole image.
        f"{prefix}embeddings.position_embedding.weight": random(1 + patches, VISION_WIDTH),
    }
    square, up, down = (VISION_WIDTH, VISION_WIDTH), (VISION_HIDDEN, VISION_WIDTH), (VISION_WIDTH, VISION_HIDDEN)
    shapes: dict[str, tuple[int, ...]] = {f"self_attn.{name}": square for name in ("q_proj", "k_proj", "v_proj")}
    shapes |= {"self_attn.out_proj": square, "mlp.fc1": up, "mlp.fc2": down}
    shapes |= {"layer_norm1": (VISION_WIDTH,), "layer_norm2": (VISION_WIDTH,)}
    shapes = {
        f"encoder.layers.{layer}.{name}": shape for layer in range(VISION_LAYERS) for name, shape in shapes.items()
    }
    shapes |= {"pre_layrnorm": (VISION_WIDTH,), "post_layernorm": (VISION_WIDTH,)}
    for name, shape in shapes.items():
        found[f"{prefix}{name}.weight"] = random(*shape)
        found[f"{prefix}{name}.bias"] = random(shape[0]) - np.float16(1)
    return found


def vocabulary() -> int:
    """Return how many tokens there are."""
    return 1 + len(CONTROL) + 256 + 1


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
    """Return weights and configuration in the manner of LLaVA 1.6, which cuts a large image into tiles."""
    side = 2 * PATCH
    weights = {
        **language(random, "model."),
        **clip(random, "model.vision_tower.vision_tower.vision_model.", (side // PATCH) ** 2),
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


def pixtral(random: Random) -> tuple[Weights, dict[str, dict[str, Any]]]:
    """Return weights and configuration in the manner of Pixtral, which takes a token for each patch of an image."""
    side = 64 * PATCH
    weights = {
        # Pixtral's own names begin with language_model: the converter leaves those out of a projector, and with them
        # [IMG_BREAK], which it wants there.
        **language(random, "model."),
        "vision_tower.patch_conv.weight": random(VISION_WIDTH, 3, PATCH, PATCH),
        "vision_tower.ln_pre.weight": random(VISION_WIDTH),
        "multi_modal_projector.linear_1.weight": random(WIDTH, VISION_WIDTH),
        "multi_modal_projector.linear_1.bias": random(WIDTH),
        "multi_modal_projector.linear_2.weight": random(WIDTH, WIDTH),
        "multi_modal_projector.linear_2.bias": random(WIDTH),
    }
    up, down = (VISION_HIDDEN, VISION_WIDTH), (VISION_WIDTH, VISION_HIDDEN)
    shapes = {"feed_forward.gate_proj": up, "feed_forward.up_proj": up, "feed_forward.down_proj": down}
    shapes |= {f"attention.{letter}_proj": (VISION_WIDTH, VISION_WIDTH) for letter in "qkvo"}
    for layer in range(VISION_LAYERS):
        prefix = f"vision_tower.transformer.layers.{layer}."
        weights |= {f"{prefix}{name}.weight": random(*shape) for name, shape in shapes.items()}
        weights |= {f"{prefix}{name}.weight": random(VISION_WIDTH) for name in ("attention_norm", "ffn_norm")}
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "torch_dtype": "float16",
        "text_config": {**text_config(), "model_type": "mistral", "head_dim": WIDTH // HEADS},
        "vision_config": {
            "model_type": "pixtral",
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_HIDDEN,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": VISION_HEADS,
            "head_dim": VISION_WIDTH // VISION_HEADS,
            "image_size": side,
            "patch_size": PATCH,
            "rope_theta": 10000.0,
            "hidden_act": "gelu",
        },
    }
    preprocessor = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"longest_edge": side}}
    return weights, {"config.json": config, "preprocessor_config.json": preprocessor}


KINDS = {"llava": llava, "pixtral": pixtral}


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
        "added_tokens_decoder": {
            str(1 + number): {"content": text, "special": True} for number, text in enumerate(CONTROL)
        },
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

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How large a model becomes in each quantisation, from the names and shapes of its tensors.

A quantisation is a mixture: llama-quantize gives each tensor a type by its part in the model and its layer. The rules
here are those of llama.cpp tag b11434 (src/llama-quant.cpp), for models without experts or with a few; a test compares
them with `llama-quantize --dry-run`. Where a program can be asked, models/weigh.py asks it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

#: Types of tensors: how many numbers a block has, and its bytes (ggml-common.h).
BLOCKS = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2),
    "Q1_0": (128, 18), "Q2_0": (64, 18), "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24),
    "Q8_0": (32, 34), "IQ4_NL": (32, 18), "MXFP4": (32, 17),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210),
    "IQ1_S": (256, 50), "IQ1_M": (256, 56), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98), "IQ3_S": (256, 110), "IQ4_XS": (256, 136), "TQ1_0": (256, 54), "TQ2_0": (256, 66),
}  # fmt: skip
#: The type that most tensors get, where it is not called like the quantisation.
BASES = {
    "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S",
    "MXFP4_MOE": "MXFP4",
}  # fmt: skip
#: Where a row is no multiple of a type's block: what is taken instead.
FALLBACKS = {
    **dict.fromkeys(
        ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"
    ),
    **dict.fromkeys(("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
UNQUANTISED = ("F32", "F16", "BF16")
#: Quantisations from one bit to two and a half, which have rules of their own.
TINY = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M")
#: Quantisations in which attention's output has more bits where there are eight experts.
OUTPUT_OF_EIGHT = (
    "Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS",
)  # fmt: skip

#: Parts of a model by what its tensors' names hold: in a GGUF, and in the repositories that are converted.
PARTS = (
    ("output", r"^output\.weight$|^lm_head\.weight$"),
    ("embedding", r"^token_embd\.weight$|^per_layer_token_embd\.weight$|\bembed_tokens\.weight$"),
    ("qkv", r"attn_qkv\.weight|\bqkv_proj\.weight|query_key_value\.weight"),
    ("value", r"attn_v\.weight|\bv_proj\.weight|attn_kv_b\.weight|\bkv_b_proj\.weight"),
    ("key", r"attn_k\.weight|\bk_proj\.weight"),
    ("query", r"attn_q\.weight|\bq_proj\.weight"),
    ("attention", r"attn_output\.weight|\bself_attn\.(?:o_proj|dense)\.weight"),
    ("down", r"ffn_down|\bdown_proj\b|\bfc2\b|\bexperts\.\d+\.w2\b"),
    ("gate", r"ffn_gate|\bgate_proj\b|\bexperts\.\d+\.w1\b"),
    ("up", r"ffn_up|\bup_proj\b|\bgate_up_proj\b|\bfc1\b|\bexperts\.\d+\.w3\b"),
)
LAYER = re.compile(r"(?:^|\.)(?:blk|layers)\.(\d+)\.")
#: Tensors of more than one dimension that stay as they are.
KEPT = re.compile(
    r"norm\.weight$|ffn_gate_inp\.weight|\bmlp\.gate\.weight|block_sparse_moe\.gate\.weight|ssm_conv1d|conv1d\.weight|"
    r"position_embd|position_embeddings|token_types|token_type_embeddings|altup|laurel|per_layer_model_proj"
)


@lru_cache(maxsize=4096)
def _place(name: str) -> tuple[str, int, bool]:
    """Return the part and the layer that a tensor's name tells, and whether such tensors are quantised.

    Each name is looked at once for all types.
    """
    part = next((part for part, pattern in PARTS if re.search(pattern, name)), "other")
    layer = LAYER.search(name)
    return part, int(layer[1]) if layer else 0, name.endswith("weight") and not KEPT.search(name)


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Args:
        name: In a GGUF, or in a repository.
        shape: As a GGUF has it: the length of a row first.
        type: What it has in a GGUF that is there; where it is to be converted, what it is converted to.
    """

    name: str
    shape: tuple[int, ...]
    type: str = "F16"

    @property
    def part(self) -> str:
        """What it is in the model."""
        return _place(self.name)[0]

    @property
    def layer(self) -> int:
        """Which layer it belongs to; 0 where to none."""
        return _place(self.name)[1]

    @property
    def quantisable(self) -> bool:
        """Whether llama-quantize changes its type."""
        return len(self.shape) > 1 and _place(self.name)[2]

    def bytes_as(self, kind: str) -> int:
        """Return its size with a type."""
        count, size = BLOCKS[kind]
        return math.prod(self.shape) // count * size


@dataclass(frozen=True)
class Mixture:
    """What decides on the types of a model's tensors beside their own names and shapes.

    Args:
        quantisation: Its name.
        layers: How many the model has.
        gqa: Attention heads for each key/value head.
        experts: 0 for a dense model.
        tied: Whether the embedding is the output's weight, too.
        imatrix: Whether there is an importance matrix.
    """

    quantisation: str
    layers: int
    gqa: int = 1
    experts: int = 0
    tied: bool = False
    imatrix: bool = False

    def type_of(self, tensor: Tensor) -> str:
        """Return the type that a tensor gets."""
        base = BASES.get(self.quantisation, self.quantisation)
        if not tensor.quantisable:
            return tensor.type
        if base in UNQUANTISED:
            return base
        wanted = self._wanted(tensor, base)
        width = tensor.shape[0]
        if width % BLOCKS[wanted][0]:
            wanted = FALLBACKS.get(wanted, wanted)
        return "F16" if width % BLOCKS[wanted][0] else wanted

    def _wanted(self, tensor: Tensor, base: str) -> str:
        """Return the type that a tensor is to have, whether its rows can or not."""
        name, part = self.quantisation, tensor.part
        if part == "output" or (part == "embedding" and self.tied):
            if name == "MXFP4_MOE" or base == "Q8_0" or tensor.shape[0] % BLOCKS[base][0]:
                return "Q8_0"
            return "Q5_K" if name in (*TINY, "IQ3_XXS") else "Q6_K"
        if name == "MXFP4_MOE":
            return "MXFP4" if len(tensor.shape) > 2 else "Q8_0"
        if part == "embedding":
            if name in ("IQ2_S", "IQ2_M", "IQ3_XXS"):
                return "IQ3_S"
            return "Q2_K" if name in TINY else "Q4_K" if name in ("TQ1_0", "TQ2_0", "Q2_0") else base
        if name in TINY:
            return self._tiny(tensor, base)
        chosen = {
            "value": self._value, "qkv": self._value, "key": self._query, "query": self._query, "down": self._down,
            "attention": self._attention, "gate": self._gate, "up": self._gate,
        }.get(part)  # fmt: skip
        return (chosen(tensor) if chosen else "") or base

    def _early(self, tensor: Tensor, part: int = 8) -> bool:
        """Return whether it is in the first layers, one of so many parts of them."""
        return tensor.layer < self.layers // part

    def _more_bits(self, tensor: Tensor) -> bool:
        """Return whether it is in a layer that the mixtures called M spend more bits on: first, last, each third."""
        eighth = self.layers // 8
        layer = tensor.layer
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2

    def _tiny(self, tensor: Tensor, base: str) -> str:
        """Return the type in a quantisation of few bits."""
        better = "IQ3_S" if self.quantisation in ("IQ2_S", "IQ2_M") else "Q2_K"
        part, eight = tensor.part, self.experts == 8
        if part in ("value", "qkv"):
            return "Q4_K" if self.gqa >= 4 or self.experts >= 4 else better
        if part == "key" and eight:
            return "Q4_K"
        if part == "down" and self._early(tensor):
            return better
        if part == "attention":
            few = {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}
            return "Q5_K" if eight else few.get(self.quantisation, base)
        return base

    def _value(self, tensor: Tensor) -> str:
        """Return the type of what attention reads, the most sensitive part."""
        name, many = self.quantisation, self.gqa >= 4
        if self.experts == 8:
            return "Q8_0"
        if name == "Q2_K":
            return "Q4_K" if many else "Q3_K"
        if name == "IQ3_XXS":
            return "Q4_K" if many else "" if self.imatrix else "IQ3_S"
        if name in ("Q2_K_S", "IQ3_XS", "IQ3_S"):
            return "Q4_K" if many else ""
        if name in ("IQ4_NL", "IQ4_XS"):
            return "Q5_K" if many else ""
        if name == "Q3_K_M":
            return "Q5_K" if tensor.layer < 2 else "Q4_K"
        if name in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if self._more_bits(tensor) else ""
        if name == "Q4_K_S":
            return "Q5_K" if tensor.layer < 4 else ""
        return {"IQ3_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(name, "")

    def _query(self, tensor: Tensor) -> str:
        """Return the type of what attention looks for and compares."""
        if tensor.part == "key" and self.experts == 8:
            return "Q8_0"
        return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(self.quantisation, "")

    def _down(self, tensor: Tensor) -> str:
        """Return the type of the second half of a feed-forward network."""
        name, early = self.quantisation, self._early(tensor)
        if name == "Q3_K_M":
            return "Q5_K" if self._early(tensor, 16) else "Q4_K"
        if name in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if self._more_bits(tensor) else ""
        if name == "IQ3_XXS" and not self.imatrix:
            return "Q4_K" if early else "Q3_K"
        if name == "IQ3_M":
            return "Q4_K" if early or (self.experts == 8 and self._more_bits(tensor)) else ""
        if name in ("IQ4_NL", "IQ4_XS"):
            return "Q5_K" if early and not self.imatrix else ""
        if name in ("Q4_0", "Q5_0"):
            return f"{name[:2]}_1" if early and self.imatrix else ""
        if name in ("Q2_K_S", "Q4_K_S"):
            return {"Q2_K_S": "Q4_K", "Q4_K_S": "Q5_K"}[name] if early else ""
        return {"Q2_K": "Q3_K", "Q3_K_L": "Q5_K"}.get(name, "")

    def _attention(self, tensor: Tensor) -> str:
        """Return the type of attention's output."""
        if self.experts == 8:
            return "Q5_K" if self.quantisation in OUTPUT_OF_EIGHT else ""
        return {"Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K"}.get(
            self.quantisation, ""
        )

    def _gate(self, tensor: Tensor) -> str:
        """Return the type of the first half of a feed-forward network."""
        middle = not self._early(tensor) and tensor.layer < 7 * self.layers // 8
        return "IQ3_XXS" if self.quantisation == "IQ3_XS" and middle else ""


def mixture(tensors: Sequence[Tensor], quantisation: str, *, gqa: int, experts: int, imatrix: bool) -> Mixture:
    """Return the mixture of a model's tensors."""
    parts = {tensor.part for tensor in tensors}
    layers = max((tensor.layer for tensor in tensors), default=0) + 1
    return Mixture(quantisation, layers, gqa, experts, tied="output" not in parts, imatrix=imatrix)


def quantised_bytes(
    tensors: Sequence[Tensor], quantisations: Iterable[str], *, gqa: int = 1, experts: int = 0, imatrix: bool = False
) -> dict[str, int]:
    """Return the size of a model's tensors in each of some quantisations, in bytes."""
    found = {}
    for name in quantisations:
        chosen = mixture(tensors, name, gqa=gqa, experts=experts, imatrix=imatrix)
        found[name] = sum(tensor.bytes_as(chosen.type_of(tensor)) for tensor in tensors)
    return found

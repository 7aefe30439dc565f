# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a release's convert_hf_to_gguf.py, after it was taught an architecture that it does not know.

    convert.py CONVERTER MODEL_DIRECTORY OPTIONS ...

LlavaMistralForCausalLM is that of liuhaotian/llava-v1.6-mistral-7b: a Mistral, CLIP's vision tower and two layers
between them in one repository. llama.cpp serves it, but its converter takes neither part. Every other model goes to the
converter as it is, and so does this one where the converter has come to know it.
"""

from __future__ import annotations

import json
import math
import os
import runpy
import sys
from typing import Any

ARCHITECTURE = "LlavaMistralForCausalLM"
TOWER = "model.vision_tower.vision_tower.vision_model."
PROJECTOR = "model.mm_projector."
NEWLINE = "model.image_newline"
#: How the tensors of what sees are called.
VISUAL = ("model.vision_tower.", PROJECTOR, NEWLINE)
#: Tensors of the tower that LLaVA has no use for: llama.cpp would apply the first ones, and cannot name the other.
UNUSED = ("post_layernorm.", "embeddings.position_ids")
#: The repository names CLIP and leaves out what holds for each of its sizes: numbers in a head, what is added to a
#: variance, mean and deviation of the colours that it was trained with.
HEAD_WIDTH, EPSILON = 64, 1e-5
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def architecture(model: str) -> str:
    """Return what a repository says that its model is; empty where it says nothing."""
    try:
        with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
            return str(json.load(file)["architectures"][0])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def tower_config(config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the configuration of the vision tower, which only its tensors tell.

    The projector was trained on what an inner layer returns, so the layers behind that one are left out.

    Raises:
        SystemExit: It is of another kind.
    """
    kind = config.get("mm_projector_type")
    if kind != "mlp2x_gelu":
        raise SystemExit(f"config.json: mm_projector_type {kind!r} is not converted here, only mlp2x_gelu")
    if f"{TOWER}embeddings.class_embedding" not in shapes:
        raise SystemExit("the repository has no vision tower: name a ready projector in the catalogue")
    width, _colours, patch, _patch = shapes[f"{TOWER}embeddings.patch_embedding.weight"]
    positions = shapes[f"{TOWER}embeddings.position_embedding.weight"][0]
    layers = sum(name.endswith(".mlp.fc1.bias") for name in shapes)
    chosen = int(config.get("mm_vision_select_layer", -2))
    return {
        "hidden_size": width,
        "patch_size": patch,
        "image_size": math.isqrt(positions - 1) * patch,
        "intermediate_size": shapes[f"{TOWER}encoder.layers.0.mlp.fc1.weight"][0],
        "num_attention_heads": width // HEAD_WIDTH,
        "num_hidden_layers": chosen if chosen >= 0 else layers + 1 + chosen,
    }


def gguf_name(name: str, layers: int) -> str:
    """Return what the converter calls a tensor of the projector; empty for one that is left out."""
    if name.startswith(PROJECTOR):
        return f"mm.{name[len(PROJECTOR) :]}"
    if name == NEWLINE:
        return "v.image_newline"
    inner = name[len(TOWER) :]
    layer = inner.split(".")[2] if inner.startswith("encoder.layers.") else "0"
    return "" if inner.startswith(UNUSED) or int(layer) >= layers else f"vision_tower.vision_model.{inner}"


def teach() -> None:
    """Register the architecture with the converter.

    Raises:
        SystemExit: This release's converter is another one than those that this was written for.
    """
    try:
        import conversion
        from conversion.base import MmprojModel, ModelBase
        from conversion.llama import LlamaModel

        known = conversion.TEXT_MODEL_MAP, conversion.MMPROJ_MODEL_MAP
    except (ImportError, AttributeError) as error:
        raise SystemExit(
            f"{ARCHITECTURE} cannot be converted with this release of llama.cpp ({error}): take the ready GGUF and its "
            "projector, or the release that llama_cpp_source names by default"
        ) from error
    if ARCHITECTURE in known[0]:
        return

    class Language(LlamaModel):
        """The Mistral in it: what sees is left out by the names of its tensors."""

        model_arch = LlamaModel.model_arch

    class Vision(MmprojModel):
        """CLIP's vision tower, and what translates."""

        model_arch = MmprojModel.model_arch

        @classmethod
        def filter_tensors(cls, item: Any) -> Any:  # noqa: ANN401  (the converter's own types)
            return super().filter_tensors(item) if item[0].startswith(VISUAL) else None

        def get_vision_config(self) -> dict[str, Any]:
            shapes = {name: tuple(read().shape) for name, read in self.model_tensors.items()}
            return tower_config(self.global_config, shapes)

        def set_gguf_parameters(self) -> None:
            self.preprocessor_config = {"image_mean": MEAN, "image_std": DEVIATION, **self.preprocessor_config}
            super().set_gguf_parameters()
            writer = self.gguf_writer
            writer.add_clip_projector_type("mlp")
            writer.add_vision_attention_layernorm_eps(EPSILON)
            writer.add_vision_feature_layers([self.block_count])
            # Sizes of the mosaics that a large picture is cut into.
            pinpoints = [number for size in self.global_config.get("image_grid_pinpoints") or [] for number in size]
            if pinpoints:
                writer.add_vision_image_grid_pinpoints(pinpoints)

        def modify_tensors(self, data_torch: Any, name: str, bid: int | None) -> Any:  # noqa: ANN401
            renamed = gguf_name(name, self.block_count)
            if renamed.startswith("vision_tower."):
                yield from super().modify_tensors(data_torch, renamed, bid)
            elif renamed:
                yield renamed, data_torch

    for names, module, taught in zip(known, ("llama", "llava"), (Language, Vision)):  # noqa: B905 (Python 3.9)
        names[ARCHITECTURE] = module
        ModelBase.register(ARCHITECTURE)(taught)


def main() -> None:
    """Run the command line."""
    sys.argv = sys.argv[1:]
    converter, model = sys.argv[:2]
    # As if it had been started itself.
    directory = os.path.dirname(os.path.abspath(converter))
    sys.path[:1] = [directory, os.path.join(directory, "gguf-py")]
    if architecture(model) == ARCHITECTURE:
        teach()
    runpy.run_path(converter, run_name="__main__")


if __name__ == "__main__":
    main()

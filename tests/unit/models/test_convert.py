"""What runs the converter: everything goes to it as it is, but LlavaMistralForCausalLM, which it is taught."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/model_pipeline/files/convert.py"
CONVERT = runpy.run_path(str(SCRIPT))
TOWER = CONVERT["TOWER"]
LLAVA = CONVERT["ARCHITECTURE"]
CONFIG = {"mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2}
#: Those of CLIP's ViT-L/14 at 336 pixels, which the book's model has.
SHAPES = {
    f"{TOWER}embeddings.class_embedding": (1024,),
    f"{TOWER}embeddings.patch_embedding.weight": (1024, 3, 14, 14),
    f"{TOWER}embeddings.position_embedding.weight": (577, 1024),
    f"{TOWER}encoder.layers.0.mlp.fc1.weight": (4096, 1024),
    **{f"{TOWER}encoder.layers.{layer}.mlp.fc1.bias": (4096,) for layer in range(24)},
}
#: What a converter has that the script needs of it, and which classes it makes of an architecture.
CONVERTER = {
    "convert_hf_to_gguf.py": (
        "import json, sys, conversion\n"
        "from conversion.base import ModelBase\n"
        "print(json.dumps([sys.argv, conversion.TEXT_MODEL_MAP, sorted(ModelBase.made)]))\n"
    ),
    "conversion/__init__.py": "TEXT_MODEL_MAP = {'LlamaForCausalLM': 'llama'}\nMMPROJ_MODEL_MAP = {}\n",
    "conversion/base.py": (
        "class ModelBase:\n"
        "    made = []\n"
        "    model_arch = 0\n"
        "    @classmethod\n"
        "    def register(cls, name):\n"
        "        return lambda made: cls.made.append(f'{name} {made.__name__}')\n"
        "class MmprojModel(ModelBase): pass\n"
    ),
    "conversion/llama.py": "from .base import ModelBase\nclass LlamaModel(ModelBase): pass\n",
}


def test_the_vision_tower_is_described_by_its_tensors() -> None:
    assert CONVERT["tower_config"](CONFIG, SHAPES) == {
        "hidden_size": 1024,
        "patch_size": 14,
        "image_size": 336,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        # What the 23rd of 24 layers returns is what the projector takes.
        "num_hidden_layers": 23,
    }


@pytest.mark.parametrize(
    ("config", "shapes", "part"),
    [
        ({**CONFIG, "mm_projector_type": "linear"}, SHAPES, "mm_projector_type 'linear' is not converted here"),
        # LLaVA 1.5 leaves the tower in CLIP's own repository.
        (CONFIG, {}, "has no vision tower: name a ready projector"),
    ],
)
def test_another_llava_is_refused(config: dict[str, Any], shapes: dict[str, Any], part: str) -> None:
    with pytest.raises(SystemExit, match=part):
        CONVERT["tower_config"](config, shapes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.mm_projector.2.bias", "mm.2.bias"),
        ("model.image_newline", "v.image_newline"),
        (f"{TOWER}pre_layrnorm.weight", "vision_tower.vision_model.pre_layrnorm.weight"),
        (f"{TOWER}encoder.layers.22.mlp.fc1.bias", "vision_tower.vision_model.encoder.layers.22.mlp.fc1.bias"),
        (f"{TOWER}post_layernorm.weight", ""),
        (f"{TOWER}embeddings.position_ids", ""),
        (f"{TOWER}encoder.layers.23.mlp.fc1.bias", ""),
    ],
)
def test_tensors_get_the_names_that_the_converter_knows(name: str, expected: str) -> None:
    assert CONVERT["gguf_name"](name, 23) == expected


def run(directory: Path, files: dict[str, str], config: str) -> subprocess.CompletedProcess[str]:
    for name, text in {**files, "model/config.json": config}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, SCRIPT, directory / "convert_hf_to_gguf.py", directory / "model", "--mmproj"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("config", "taught"),
    [
        (json.dumps({"architectures": [LLAVA]}), [f"{LLAVA} Language", f"{LLAVA} Vision"]),
        (json.dumps({"architectures": ["LlamaForCausalLM"]}), []),
        (json.dumps({"architectures": []}), []),
        ("no JSON", []),
    ],
)
def test_the_converter_is_called_as_itself(tmp_path: Path, config: str, taught: list[str]) -> None:
    ended = run(tmp_path, CONVERTER, config)
    assert ended.returncode == 0, ended.stderr
    arguments, known, made = json.loads(ended.stdout)
    assert arguments == [str(tmp_path / "convert_hf_to_gguf.py"), str(tmp_path / "model"), "--mmproj"]
    assert (LLAVA in known, made) == (bool(taught), taught)


def test_a_converter_that_knows_it_by_now_is_not_taught(tmp_path: Path) -> None:
    known = {"conversion/__init__.py": f"TEXT_MODEL_MAP = MMPROJ_MODEL_MAP = {{'{LLAVA}': 'llama'}}\n"}
    ended = run(tmp_path, {**CONVERTER, **known}, json.dumps({"architectures": [LLAVA]}))
    assert json.loads(ended.stdout)[2] == []


def test_a_converter_of_another_shape_is_named(tmp_path: Path) -> None:
    alone = {"convert_hf_to_gguf.py": "print('one file')"}
    ended = run(tmp_path, alone, json.dumps({"architectures": [LLAVA]}))
    assert ended.returncode == 1
    assert "cannot be converted with this release of llama.cpp" in ended.stderr
    assert run(tmp_path, alone, "{}").stdout == "one file\n"

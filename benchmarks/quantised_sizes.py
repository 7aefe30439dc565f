#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far are the computed sizes of quantised models from what llama-quantize announces?

    benchmarks/quantised_sizes.py /opt/edge-slm/llama.cpp/current/bin/llama-quantize [--record FILE]

For each model of tools/fit_tables.py a GGUF is made that is a header and a hole: `llama-quantize --dry-run` reads no
weights. With --record what it announces is written to FILE, for a new llama.cpp the test's table
(tests/unit/models/data/dry_run.json).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import QUANTISATIONS
from ansible_collections.edge_slm.fleet.tools.fit_tables import SHAPES, Shape

MIB = 1 << 20
UINT32, FLOAT32, STRING = 4, 6, 8
F32, F16 = 0, 1
ALIGNMENT = 32


def text(value: str) -> bytes:
    """Return a string as a GGUF has it."""
    return struct.pack("<Q", len(value)) + value.encode()


def metadata(shape: Shape) -> list[bytes]:
    """Return the pairs that llama-quantize needs of a model of the Llama kind."""
    numbers = {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.width,
        "feed_forward_length": shape.inner,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_width,
        "attention.value_length": shape.head_width,
        "rope.dimension_count": shape.head_width,
        "vocab_size": shape.vocabulary,
    }
    epsilon = text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", FLOAT32, 1e-5)
    words = {"general.architecture": "llama", "tokenizer.ggml.model": "none"}
    return [
        *(text(name) + struct.pack("<I", STRING) + text(value) for name, value in words.items()),
        *(text(f"llama.{name}") + struct.pack("<II", UINT32, value) for name, value in numbers.items()),
        epsilon,
    ]


def write_hollow(path: Path, shape: Shape) -> None:
    """Write a GGUF whose weights are a hole."""
    pairs, tensors, place = metadata(shape), [], 0
    for tensor in shape.tensors():
        kind, size = (F32, 4) if tensor.type == "F32" else (F16, 2)
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        tensors.append(text(tensor.name) + dimensions + struct.pack("<IQ", kind, place))
        place += -(-math.prod(tensor.shape) * size // ALIGNMENT) * ALIGNMENT
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join([*pairs, *tensors])
    header += bytes(-len(header) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + place)


def announced(program: str, path: Path, quantisation: str) -> float | None:
    """Return the MiB that llama-quantize announces; None where it refuses."""
    command = [program, "--dry-run", str(path), quantisation]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = re.search(r"quant size\s*=\s*([0-9.]+)\s*MiB", done.stdout + done.stderr)
    return float(found[1]) if found and done.returncode == 0 else None


def main() -> int:
    """Compare all models in all types."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    recorded: dict[str, dict[str, float]] = {}
    worst = 0.0
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "hollow.gguf")
            write_hollow(path, shape)
            sizes = {kind: announced(given.program, path, kind) for kind in QUANTISATIONS}
        recorded[name] = {kind: size for kind, size in sizes.items() if size is not None}
        computed = shape.types()
        apart = {kind: computed[kind] / MIB - size for kind, size in recorded[name].items()}
        kind = max(apart, key=lambda one: abs(apart[one]))
        worst = max(worst, abs(apart[kind]))
        refused = ", ".join(sorted(set(sizes) - set(recorded[name]))) or "none"
        sys.stdout.write(
            f"{name}: {len(apart)} types, furthest apart {kind} by {apart[kind]:+.3f} MiB; refused: {refused}\n"
        )
    if given.record:
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(sizes)}" for name, sizes in recorded.items())
        given.record.write_text('{\n "unit": "MiB",\n "models": {\n' + rows + "\n }\n}\n", encoding="utf-8")
    return 0 if recorded and worst < 1 else 1


if __name__ == "__main__":
    sys.exit(main())

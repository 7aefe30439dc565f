"""What the role model_pipeline leaves: published models, whole, on the builder and on a device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from devices import connect as host
from devices import managed
from testinfra.host import Host

MODELS = "/var/lib/edge-slm/models"
CACHE = "/var/cache/edge-slm/models"
BIN = "/opt/edge-slm/llama.cpp/current/bin"
SCRATCH = "/var/cache/edge-slm/test-quantisations"
REAL = "smollm2-135m-instruct"
#: Models with a projector, and what they are quantised to.
SEEING = {"tiny-llava": "Q8_0", "tiny-pixtral": "none"}

#: The book's Table 11.1.
QUANTISATIONS = [
    *("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_K_S"),
    *("Q4_K_M", "Q5_0", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"),
]
#: A completion that even the smallest types get right on a 135M model.
CANARY = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"


def manifest(device: Host, model: str) -> dict[str, Any]:
    return dict(json.loads(device.check_output(f"cat {MODELS}/{model}/manifest.json")))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, model) for name in ("builder-01", "pi-01") for model in (REAL, "ready", *SEEING)),
        ("pi-02", REAL),
    ],
)
def test_files_match_the_manifest(name: str, model: str) -> None:
    device = host(name)
    written = manifest(device, model)
    assert written["name"] == model
    assert [file["kind"] for file in written["files"]] == (["model", "projector"] if model in SEEING else ["model"])
    for file in written["files"]:
        path = f"{MODELS}/{model}/{file['path']}"
        assert file["path"] == f"{'mmproj-' if file['kind'] == 'projector' else ''}{file['sha256'][:12]}.gguf"
        assert device.check_output(f"sha256sum {path}").split()[0] == file["sha256"]
        assert int(device.check_output(f"stat -c %s {path}")) == file["size"]
        assert device.check_output(f"stat -c '%a %U' {path}") == "644 root"


def test_manifest_has_where_the_model_comes_from_and_what_it_needs() -> None:
    written = manifest(host("builder-01"), REAL)
    assert len(written["source"]["revision"]) == 40
    assert (written["quantisation"], written["outtype"], written["architecture"]) == ("Q4_K_M", "f16", "llama")
    assert (written["block_count"], written["head_count"], written["head_count_kv"]) == (30, 9, 3)
    assert written["context_length"] == 8192
    assert written["converter"], "which llama.cpp converted it"


@pytest.mark.parametrize("model", SEEING)
def test_a_model_that_sees_is_of_its_architecture(model: str) -> None:
    """Both parts come from one repository; a projector is never quantised."""
    written = manifest(host("builder-01"), model)
    assert (written["architecture"], written["quantisation"], written["outtype"]) == ("llama", SEEING[model], "f16")
    assert written["source"]["repo"].endswith(f"{model.removeprefix('tiny-')}{'-mistral' * ('llava' in model)}")


#: Prints what a projector's header says, and the names of its tensors.
READ = """
import json, sys
sys.path.insert(0, "/opt/edge-slm/llama.cpp/current/converter/gguf-py")
from gguf import GGUFReader
reader = GGUFReader(sys.argv[1])
said = {name: field.contents() for name, field in reader.fields.items() if name.startswith("clip.")}
print(json.dumps([said, [tensor.name for tensor in reader.tensors]]))
"""


def test_the_books_projector_says_how_an_image_is_cut_and_what_is_taken_of_it() -> None:
    device = host("builder-01")
    (file,) = (one["path"] for one in manifest(device, "tiny-llava")["files"] if one["kind"] == "projector")
    found = device.check_output("/opt/edge-slm/llama.cpp/venv/bin/python -c %s %s", READ, f"{MODELS}/tiny-llava/{file}")
    said, tensors = json.loads(found)
    expected = {
        "clip.projector_type": "mlp",
        "clip.vision.image_size": 28,
        "clip.vision.image_grid_pinpoints": [28, 56, 56, 28, 56, 56],
        # What the second of three layers returns; without it llama.cpp would take that of the first.
        "clip.vision.block_count": 2,
        "clip.vision.feature_layer": [2],
    }
    assert {name: said[name] for name in expected} == expected
    assert {"mm.0.weight", "mm.2.bias", "v.class_embd", "v.blk.1.ln2.bias"} <= set(tensors)
    assert not {"v.post_ln.weight", "v.blk.2.ln2.bias"} & set(tensors)


def test_device_has_what_the_builder_published() -> None:
    for model in (REAL, "ready", *SEEING):
        there = manifest(host("builder-01"), model)
        here = manifest(host("pi-01"), model)
        assert {**here, "history": []} == {**there, "history": []}


def test_a_device_that_prepares_for_itself_gets_the_same_bytes() -> None:
    made_there, made_here = (manifest(host(name), REAL)["files"] for name in ("builder-01", "pi-02"))
    assert made_here == made_there


@pytest.mark.parametrize("name", ["builder-01", "pi-01"])
def test_nothing_half_made_is_left(name: str) -> None:
    found = host(name).check_output(f"find {MODELS} {CACHE} -name '*.part*' 2>/dev/null || true")
    assert found == ""


def test_original_weights_are_pruned_and_the_converted_model_is_kept() -> None:
    found = host("builder-01").check_output(f"find {CACHE}/{REAL} -type f -not -name '.*'").splitlines()
    assert not [path for path in found if path.endswith(".safetensors")]
    assert len([path for path in found if path.endswith(".gguf")]) == 1


@pytest.fixture(scope="module")
def converted() -> Iterator[tuple[Host, str]]:
    device = host("builder-01")
    yield device, device.check_output(f"ls {CACHE}/{REAL}/f16-*.gguf")
    device.run(f"rm -rf {SCRATCH}")


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
def test_quantisations_of_the_book_answer(converted: tuple[Host, str], quantisation: str) -> None:
    """Each on the real weights: made, about as large as announced, and the canary is answered."""
    device, source = converted
    made = managed("builder-01").ansible(
        "edge_slm.fleet.model_pipeline_quantised",
        json.dumps(
            {
                "program": f"{BIN}/llama-quantize",
                "src": source,
                "dest": f"{SCRATCH}/{quantisation}.gguf",
                "quantisation": quantisation,
                "inputs": {"source": source},
            }
        ),
        check=False,
    )
    assert made.get("changed"), made
    assert abs(made["announced_bytes"] - made["size"]) < 64 * 1024
    body = json.dumps({"prompt": CANARY, "n_predict": 2, "temperature": 0})
    file, url = f"{SCRATCH}/{quantisation}.gguf", "http://127.0.0.1:18081"
    serve = f"{BIN}/llama-server --model {file} --host 127.0.0.1 --port 18081 --ctx-size 256 --parallel 1"
    wait = "curl --silent --retry 100 --retry-all-errors --retry-delay 1 --fail --output /dev/null"
    answer = device.run(
        f"{serve} >/dev/null 2>&1 & server=$!; {wait} {url}/health; "
        f"curl --silent {url}/completion -d '{body}'; kill $server; wait $server; rm -f {file}*"
    )
    assert "Paris" in json.loads(answer.stdout)["content"]

"""What models weigh: published, in the cache, or at their source, of which only the headers are read."""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import Layout, Model, parse_catalogue
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import remote, weigh
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import MIB
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import artifact
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.remote import RemoteFile
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.safetensors import HEADER_BYTES
from ansible_collections.edge_slm.fleet.tools.local_hub import Hub, publish
from ansible_collections.edge_slm.fleet.tools.tiny_vision_model import write as write_vision_model

WIDTH, LAYERS, INNER, VOCABULARY = 256, 2, 512, 300
CONFIG = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": INNER,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 2048,
}
SHAPES = {
    "embed_tokens": [VOCABULARY, WIDTH],
    **{
        f"layers.{layer}.{name}": shape
        for layer in range(LAYERS)
        for name, shape in {
            "self_attn.q_proj": [WIDTH, WIDTH],
            "self_attn.k_proj": [WIDTH // 2, WIDTH],
            "self_attn.v_proj": [WIDTH // 2, WIDTH],
            "self_attn.o_proj": [WIDTH, WIDTH],
            "mlp.gate_proj": [INNER, WIDTH],
            "mlp.up_proj": [INNER, WIDTH],
            "mlp.down_proj": [WIDTH, INNER],
            "input_layernorm": [WIDTH],
        }.items()
    },
}
NUMBERS = sum(math.prod(shape) for shape in SHAPES.values())


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    header = json.dumps({f"model.{name}.weight": {"shape": shape} for name, shape in shapes.items()}).encode()
    # The weights are not there: only the header may be read.
    return struct.pack("<Q", len(header)) + header + b"w" * 100


def test_a_model_made_for_embeddings_has_no_scores(hub: Hub, root: Path, tmp_path: Path) -> None:
    file = root / "models--org--name" / "snapshots" / revision(root) / "config.json"
    file.write_text(json.dumps({**CONFIG, "model_type": "nomic_bert"}))
    assert (
        weigh.weigh(model({"repo": "org/name", "revision": revision(root)}), tools(hub, tmp_path)).scores_per_token == 0
    )
    file.write_text(json.dumps({**CONFIG, "model_type": "llama"}))
    assert (
        weigh.weigh(model({"repo": "org/name", "revision": revision(root)}), tools(hub, tmp_path)).scores_per_token > 0
    )


def write_gguf(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_feed_forward_length(INNER)
    writer.add_token_list([f"token {number}" for number in range(VOCABULARY)])
    for name in ("token_embd", *(f"blk.{layer}.ffn_down" for layer in range(LAYERS))):
        writer.add_tensor(f"{name}.weight", np.zeros((64, WIDTH), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = tmp_path / "repo"
    source.mkdir()
    half = len(SHAPES) // 2
    for number, names in enumerate((list(SHAPES)[:half], list(SHAPES)[half:]), start=1):
        file = source / f"model-0000{number}-of-00002.safetensors"
        file.write_bytes(safetensors({name: SHAPES[name] for name in names}))
    (source / "config.json").write_text(json.dumps(CONFIG))
    (source / "tokenizer.json").write_bytes(b"t" * 1000)
    write_gguf(source / "ready.gguf")
    write_gguf(source / "mmproj.gguf")
    publish(tmp_path / "hub", "org/name", source)
    return tmp_path / "hub"


def revision(root: Path) -> str:
    return (root / "models--org--name" / "refs" / "main").read_text().strip()


def model(source: dict[str, Any], **more: Any) -> Model:
    return parse_catalogue([{"name": "m", "source": source, **more}])[0]


def tools(hub: Hub | None, tmp_path: Path, quantize: str = "") -> weigh.Tools:
    layout = Layout(str(tmp_path / "models"), str(tmp_path / "cache"))
    return weigh.Tools(layout, hub.url if hub else "http://127.0.0.1:9", quantize=quantize)


def test_a_repository_is_weighed_by_its_headers(hub: Hub, root: Path, tmp_path: Path) -> None:
    found = weigh.weigh(model({"repo": "org/name", "revision": revision(root)}), tools(hub, tmp_path))
    header = 1000 + (1 << 20)
    norms = LAYERS * WIDTH
    assert found.types["F16"] == 2 * (NUMBERS - norms) + 4 * norms + header
    assert found.types["Q8_0"] == (NUMBERS - norms) * 34 // 32 + 4 * norms + header
    assert (found.quantisation, found.size) == ("Q4_K_M", found.types["Q4_K_M"])
    # 2 layers x 2 KV heads x (64 + 64) numbers of 2 bytes; the feed-forward network is the largest step.
    assert (found.kv_per_token, found.compute_per_token) == (1024, 4 * (3 * INNER + 5 * WIDTH))
    assert found.context_length == 2048
    assert "safetensors" in found.source
    # All that would be downloaded, of which little was.
    assert found.fetched == sum(
        file.stat().st_size
        for file in (root / "models--org--name" / "snapshots" / revision(root)).iterdir()
        if file.suffix in (".safetensors", ".json")
    )


@pytest.mark.parametrize("quantisation", ["none", "Q8_0"])
def test_a_ready_gguf_is_weighed_by_its_header(hub: Hub, root: Path, tmp_path: Path, quantisation: str) -> None:
    source = {"repo": "org/name", "revision": revision(root), "file": "ready.gguf"}
    projector = {"repo": "org/name", "revision": revision(root), "file": "mmproj.gguf"}
    found = weigh.weigh(model(source, quantisation=quantisation, projector=projector), tools(hub, tmp_path))
    size = (tmp_path / "repo" / "ready.gguf").stat().st_size
    assert (found.projector, found.fetched) == (size, 2 * size)
    assert found.size == (size if quantisation == "none" else found.types["Q8_0"])
    assert bool(found.types) is (quantisation != "none")
    assert found.compute_per_token == 4 * (3 * INNER + 5 * WIDTH)


def test_a_file_of_this_host_is_weighed(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    found = weigh.weigh(model({"path": str(file), "sha256": "a" * 64}), tools(None, tmp_path))
    assert (found.size, found.source) == (file.stat().st_size, "the header of m.gguf")


def test_the_program_is_asked_where_the_converted_model_is_there(tmp_path: Path) -> None:
    quantize = tmp_path / "llama-quantize"
    quantize.write_text('#!/bin/sh\necho "llama_model_quantize_impl: quant size  =    3.00 MiB (4.00 BPW)"\n')
    quantize.chmod(0o755)
    wanted = model({"repo": "org/name", "revision": "a" * 40})
    given = tools(None, tmp_path, str(quantize))
    full = Path(given.layout.full(wanted))
    full.parent.mkdir(parents=True)
    write_gguf(full)
    found = weigh.weigh(wanted, given)
    assert found.source == "llama-quantize --dry-run"
    assert found.size == pytest.approx(3 * MIB + weigh.read_header(str(full)).data_offset, abs=1)
    assert found.fetched == 0


@pytest.mark.parametrize(
    ("source", "faults", "message"),
    [
        ({"repo": "org/none", "revision": "a" * 40}, {}, "answered 404"),
        ({"url": "HUB/org/name/resolve/REV/config.json", "sha256": "a" * 64}, {}, "is not a GGUF file"),
        ({"url": "HUB/org/name/resolve/REV/ready.gguf", "sha256": "a" * 64}, {"norange": "1"}, "gives no part"),
        ({"repo": "org/name", "revision": "REV"}, {"status": "503", "match": "safetensors"}, "answered 503"),
        ({"repo": "org/name", "revision": "REV", "include": ["*.json"]}, {}, "no safetensors"),
    ],
)
def test_what_cannot_be_weighed_says_why(
    hub: Hub, root: Path, tmp_path: Path, source: dict[str, Any], faults: dict[str, str], message: str
) -> None:
    hub.faults = dict(faults)
    texts = {
        key: value.replace("HUB", hub.url).replace("REV", revision(root)) if isinstance(value, str) else value
        for key, value in source.items()
    }
    with pytest.raises(weigh.Unknown, match=f"model m: .*{message}"):
        weigh.weigh(model(texts), tools(hub, tmp_path))


def test_a_hub_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(weigh.Unknown, match="cannot be reached"):
        weigh.weigh(model({"repo": "org/name", "revision": "a" * 40}), tools(None, tmp_path))


def test_published_files_are_weighed_by_their_manifest(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "x.gguf")
    entries = [artifact("model", "a" * 64, 7), artifact("projector", "b" * 64, 3)]
    (tmp_path / entries[0].path).write_bytes(file.read_bytes())
    manifest = {"files": [one.as_dict() for one in entries], "quantisation": "Q4_K_M", "context_length": 2048}
    wanted = model({"repo": "org/name", "revision": "a" * 40})
    found = weigh.published_weights(wanted, str(tmp_path), manifest, with_types=True)
    assert (found.size, found.projector, found.quantisation, found.context_length) == (7, 3, "Q4_K_M", 2048)
    assert found.types["Q8_0"] > found.types["Q2_K"]
    assert weigh.published_weights(wanted, str(tmp_path), manifest, with_types=False) == replace(found, types={})


def test_of_a_file_elsewhere_only_what_is_read_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "STEP", 64)
    with RemoteFile(f"{hub.url}/org/name/resolve/main/ready.gguf", remote.Access()) as file:
        assert file.read(4) == b"GGUF"
        file.seek(-4, os.SEEK_END)
        assert len(file.read()) == 4
    assert all(request.range for request in hub.requests)


def test_a_header_without_end_is_not_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LARGEST_HEADER", 10)
    with (
        RemoteFile(f"{hub.url}/org/name/resolve/main/ready.gguf", remote.Access()) as file,
        pytest.raises(OSError, match="header of more than"),
    ):
        file.read(100)


@pytest.mark.parametrize(("no_proxy", "expected"), [("", {"https": "http://proxy:3128"}), ("hub", {})])
def test_the_fleets_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, no_proxy: str, expected: dict[str, str]) -> None:
    seen = []
    monkeypatch.setattr("urllib.request.build_opener", lambda proxy, *_more: seen.append(proxy.proxies))
    access = remote.Access(environment={"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy})
    with pytest.raises(AttributeError):
        remote.opened("https://hub/x", access)
    assert seen == [expected]


def test_a_token_does_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Opener:
        def open(self, request: Any, timeout: float) -> Any:
            seen.append((dict(request.headers), dict(request.unredirected_hdrs)))
            raise OSError("no")

    monkeypatch.setattr("urllib.request.build_opener", lambda *_handlers: Opener())
    with pytest.raises(OSError, match="cannot be reached"):
        remote.opened("https://hub/x?signature=secret", remote.Access("token"))
    assert seen == [({}, {"Authorization": "Bearer token"})]


def test_the_parts_of_a_model_that_sees_are_told_apart(hub: Hub, root: Path, tmp_path: Path) -> None:
    """What the converter made of the same repository had tensors of 216.6 and 231.2 kB; one layer it left out."""
    write_vision_model("llava", tmp_path / "llava")
    source = {"repo": "org/llava", "revision": publish(root, "org/llava", tmp_path / "llava")}
    found = weigh.weigh(model(source, quantisation="none", projector=True), tools(hub, tmp_path))
    assert found.size - HEADER_BYTES == pytest.approx(216_600, rel=0.03)
    assert found.projector - HEADER_BYTES == pytest.approx(231_200 + 68_000, rel=0.03)
    assert (found.context_length, found.kv_per_token) == (2048, 2 * 2 * 32 * 2)

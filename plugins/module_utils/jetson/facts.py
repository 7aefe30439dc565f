# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Jetson is, decided from a few files and answers that are read on it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import existing_parent, names_in, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import matrix as jetson_matrix
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson.nvpmodel import parse_query

TOOLKIT_CONFIG = "/etc/nvidia-container-runtime/config.toml"
#: Where csv mode reads what it passes into containers; NVIDIA's packages put files here.
CSV_DIRECTORY = "/etc/nvidia-container-runtime/host-files-for-container.d"
RUNTIME_COMMAND = "nvidia-container-runtime"
MODE = re.compile(r'^\s*mode\s*=\s*"([^"]*)"')


def runtime_mode(config: str) -> str:
    """Return `mode` of the table [nvidia-container-runtime] in the toolkit's config.toml; '' where it is not set."""
    table = ""
    for line in config.splitlines():
        if line.strip().startswith("["):
            table = line.strip().strip("[]").strip()
        found = MODE.match(line)
        if found and table == RUNTIME_COMMAND:
            return found.group(1)
    return ""


def device_nodes(csv_files: Mapping[str, str]) -> list[str]:
    """Return the paths of the device nodes that csv files want in containers (`dev, /dev/nvhost-gpu`)."""
    nodes: list[str] = []
    for name in sorted(csv_files):
        for line in csv_files[name].splitlines():
            kind, _unused, path = line.partition(",")
            if kind.strip() == "dev" and path.strip() and path.strip() not in nodes:
                nodes.append(path.strip())
    return nodes


def toolkit_version(text: str) -> str:
    """Return the version that `nvidia-ctk --version` prints, or '' where it prints none."""
    found = re.search(r"version\s+v?(\d+(?:\.\d+)+)", text)
    return found.group(1) if found else ""


def docker_version(text: str) -> str:
    """Return the version that `dockerd --version` prints, without a distribution's additions."""
    found = re.search(r"version\s+v?(\d+(?:\.\d+)*)", text)
    return found.group(1) if found else ""


def is_jetson(model: str, compatible: str) -> bool:
    """Return whether a device tree is that of a Jetson; carrier boards name themselves, their chip stays Tegra."""
    return "nvidia,tegra" in compatible or bool(re.search(r"\bNVIDIA\b.*\b(Jetson|Orin|Thor)\b", model))


def describe(
    files: Mapping[str, str],
    csv_files: Mapping[str, str],
    outputs: Mapping[str, str],
    engine: Mapping[str, Any],
    free_mib: Mapping[str, int],
) -> dict[str, Any]:
    """Decide the facts of a Jetson.

    Args:
        files: Contents of those of PROBED_PATHS that exist.
        csv_files: Contents of the files in CSV_DIRECTORY.
        outputs: What commands print: nvpmodel, dockerd, toolkit. '' where there is no such command.
        engine: `GET /info` of the Docker daemon; empty where it does not answer.
        free_mib: Free space by path, in MiB.
    """
    l4t = jetson_matrix.parse_release(files.get(jetson_matrix.RELEASE_FILE, ""))
    row = jetson_matrix.find_row(l4t)
    model = files.get("/proc/device-tree/model", "").rstrip("\0").strip()
    container = "/.dockerenv" in files or "/run/.containerenv" in files or "/run/systemd/container" in files
    swaps = [line.split() for line in files.get("/proc/swaps", "").splitlines()[1:] if line.strip()]
    mode = runtime_mode(files.get(TOOLKIT_CONFIG, ""))
    power = parse_query(outputs.get("nvpmodel", ""))
    return {
        "l4t": l4t.as_dict(),
        "supported": row is not None,
        "refusal": jetson_matrix.refusal(l4t),
        "jetpack": row.jetpack if row else "",
        "ubuntu": row.ubuntu if row else "",
        "cuda": row.cuda if row else "",
        "image_family": row.family if row else "",
        "real_jetson": not container and is_jetson(model, files.get("/proc/device-tree/compatible", "")),
        "power_mode": {"id": -1 if power.id is None else power.id, "name": power.name},
        "swap": {
            "mib": sum(int(words[2]) for words in swaps) // 1024,
            "zram_mib": sum(int(words[2]) for words in swaps if "zram" in words[0]) // 1024,
        },
        "docker": {
            "present": bool(outputs.get("dockerd")),
            "running": bool(engine),
            "version": str(engine.get("ServerVersion") or "") or docker_version(outputs.get("dockerd", "")),
            "data_root": str(engine.get("DockerRootDir") or ""),
            "runtimes": sorted(engine.get("Runtimes") or {}),
            "default_runtime": str(engine.get("DefaultRuntime") or ""),
            "csv_mode": mode == "csv",
        },
        "nvidia_toolkit": {
            "version": toolkit_version(outputs.get("toolkit", "")),
            "mode": mode,
            "csv_files": sorted(csv_files),
            "device_nodes": device_nodes(csv_files),
        },
        "disk_free_mib": dict(free_mib),
    }


#: Every path that `describe` looks at, beside the csv files.
PROBED_PATHS = (
    jetson_matrix.RELEASE_FILE,
    TOOLKIT_CONFIG,
    "/proc/device-tree/model",
    "/proc/device-tree/compatible",
    "/proc/swaps",
    "/.dockerenv",
    "/run/.containerenv",
    "/run/systemd/container",
)


def free_mib(path: str) -> int:
    """Return the free space of the file system that a path, which need not exist yet, would be on."""
    status = os.statvfs(path if os.path.isdir(path) else existing_parent(path))
    return status.f_bavail * status.f_frsize >> 20


def read(nvpmodel: str, paths: Iterable[str] = ()) -> dict[str, Any]:
    """Return the facts of this host.

    Args:
        nvpmodel: What `nvpmodel -q` prints.
        paths: Where free disk space is wanted to be known beside Docker's data root.
    """
    names = names_in(CSV_DIRECTORY)
    engine = Engine(timeout=10).info()
    # Asked for its version, the runtime itself fails where Docker, and with it runc, is not there yet.
    runtime = find_command(RUNTIME_COMMAND)
    known = f"version {engine.get('ServerVersion')}" if engine else output_of(["dockerd", "--version"])
    places = [*paths, str(engine.get("DockerRootDir") or "/var/lib/docker")]
    return describe(
        files={path: read_text(path) for path in PROBED_PATHS if os.path.exists(path)},
        csv_files={name: read_text(os.path.join(CSV_DIRECTORY, name)) for name in names if name.endswith(".csv")},
        outputs={
            "nvpmodel": nvpmodel,
            "dockerd": known,
            "toolkit": output_of(["nvidia-ctk", "--version"]) if runtime else "",
        },
        engine=engine,
        free_mib={path: free_mib(path) for path in places},
    )

"""What a Jetson is, from files and answers as boards give them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.jetson import facts as jetson_host

ORIN = {
    "/etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "/proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
    "/proc/swaps": (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/zram0                              partition\t3901032\t\t0\t\t5\n"
        "/mnt/nvme/16GB.swap                     file    \t16777212\t0\t\t-2\n"
    ),
    jetson_host.TOOLKIT_CONFIG: (
        '#mode = "x"\n[nvidia-container-cli]\nmode = "no"\n[nvidia-container-runtime]\nmode = "csv"\n'
    ),
}
ENGINE = {
    "ServerVersion": "27.5.1",
    "DockerRootDir": "/var/lib/docker",
    "Runtimes": {"runc": {}, "nvidia": {}},
    "DefaultRuntime": "runc",
}


def facts(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "files": ORIN,
        "csv_files": {"devices.csv": "dev, /dev/nvhost-ctrl-gpu\nlib, /usr/lib/x.so\ndev,/dev/nvmap\n"},
        "outputs": {"nvpmodel": "NV Power Mode: MAXN\n0\n", "dockerd": "Docker version 27.5.1, build x\n"},
        "engine": ENGINE,
        "free_mib": {"/var/lib/docker": 5000},
    }
    return jetson_host.describe(**{**given, **changes})


def test_an_orin() -> None:
    found = facts()
    assert found["supported"]
    assert found["real_jetson"]
    assert (found["jetpack"], found["cuda"], found["image_family"]) == ("6.2", "12.6", "r36")
    assert found["power_mode"] == {"id": 0, "name": "MAXN"}
    assert found["swap"] == {"mib": 20193, "zram_mib": 3809}
    assert found["nvidia_toolkit"]["device_nodes"] == ["/dev/nvhost-ctrl-gpu", "/dev/nvmap"]
    assert found["docker"] == {
        "present": True,
        "running": True,
        "version": "27.5.1",
        "data_root": "/var/lib/docker",
        "runtimes": ["nvidia", "runc"],
        "default_runtime": "runc",
        "csv_mode": True,
    }


def test_a_container_is_not_a_real_jetson() -> None:
    assert not facts(files={**ORIN, "/.dockerenv": ""})["real_jetson"]


def test_a_bare_host() -> None:
    found = facts(files={}, csv_files={}, outputs={}, engine={})
    assert not found["supported"]
    assert "not a Jetson" in found["refusal"]
    assert found["power_mode"] == {"id": -1, "name": ""}
    assert not found["docker"]["present"]
    assert found["nvidia_toolkit"] == {"version": "", "mode": "", "csv_files": [], "device_nodes": []}


@pytest.mark.parametrize(
    ("model", "compatible", "jetson"),
    [
        ("NVIDIA Orin Nano Developer Kit", "", True),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "", True),
        ("reComputer Industrial", "seeed,x\0nvidia,tegra234\0", True),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b\0brcm,bcm2712", False),
        ("", "", False),
    ],
)
def test_which_boards_are_jetsons(model: str, compatible: str, jetson: bool) -> None:
    assert jetson_host.is_jetson(model, compatible) is jetson


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('[nvidia-container-runtime]\n  mode = "csv"\n', "csv"),
        ('[nvidia-container-runtime]\n#mode = "csv"\n[nvidia-container-runtime.modes.csv]\nmode = "x"\n', ""),
        ("", ""),
    ],
)
def test_runtime_mode(text: str, mode: str) -> None:
    assert jetson_host.runtime_mode(text) == mode


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVIDIA Container Toolkit CLI version 1.16.2\ncommit: a5a96a6\n", "1.16.2"),
        ("NVIDIA Container Toolkit CLI version v1.17.8\n", "1.17.8"),
        ("", ""),
    ],
)
def test_toolkit_version(text: str, version: str) -> None:
    assert jetson_host.toolkit_version(text) == version


def test_docker_version_without_a_distributions_additions() -> None:
    assert jetson_host.docker_version("Docker version 20.10.5+dfsg1, build 363e9a8") == "20.10.5"

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which plans a host is asked for: what it is to the fleet decides its roles, and each role's variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import CPU_CLASSES

BUILDER = "builder"
GATEWAY = "gateway"
CHAT = "chat"
#: Files in playbooks/vars, the later over the earlier.
BUILDERS, DEVICES, GATEWAYS, CHATS = ("builders",), ("devices",), ("devices", "gateways"), ("chats",)
#: Devices that get a release from the builder, where there is one.
RECEIVERS = ("pi", "jetson")
#: Hosts with NVIDIA GPUs: each builds its release itself, for its own GPUs and by its own CUDA.
GPU = "gpu"
#: All kinds of devices.
BOARDS = (*RECEIVERS, GPU)
BASELINE_ROLES = ("host_baseline", "pi_baseline", "jetson_baseline")
#: Roles that a builder enters with its own variables, also where it is a device, too.
BUILDER_ROLES = ("artifact_store", "llama_cpp", "model_pipeline")

#: Inputs of llama_cpp that name a release: with the builder's values a device knows which one it is to have.
RELEASE_INPUTS = (
    "llama_cpp_source",
    "llama_cpp_cmake_options",
    "llama_cpp_ui",
    "llama_cpp_ui_archive",
    "llama_cpp_ui_sha256",
)
#: What a device does with a release that a builder made.
RECEIVING = {
    "llama_cpp_cpu_class": "auto",
    "llama_cpp_activate": True,
    "llama_cpp_converter": False,
    "llama_cpp_publish": False,
}


@dataclass(frozen=True)
class Question:
    """One plan that is asked for.

    Args:
        name: What the answer is called: the role, on a builder for a further CPU class `llama_cpp for CLASS`.
        role: The role.
        mappings: Files in playbooks/vars that map the fleet's variables to the role's inputs; the later win.
        variables: Variables that only this question has; they win over the task's.
        extra: Goes to the plan beside the role's inputs.
    """

    name: str
    role: str
    mappings: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def release_question(cpu_class: str) -> str:
    """Return the name of a builder's question about the release for another CPU class than its own."""
    return f"llama_cpp for {cpu_class}"


def is_for_others(question: str) -> bool:
    """Return whether a question is a builder's about a CPU class that perhaps no device has: only the verdict knows."""
    return question.startswith(release_question(""))


def board_of(groups: Collection[str]) -> str:
    """Return which kind of device a host is by its groups; empty where it is none."""
    return next((board for board in BOARDS if board in groups), "")


def group_problems(host: str, groups: Collection[str]) -> list[str]:
    """Return what is wrong with a host's groups."""
    boards = [board for board in BOARDS if board in groups]
    if len(boards) > 1:
        return [f"{host} is in the groups {' and '.join(boards)}; a device is one of them, take it out of the other."]
    if {GPU, BUILDER} <= set(groups):
        return [
            f"{host} is in the groups gpu and builder; a release for GPUs runs on no other device. Take it out of one, "
            "and out of builder where no other host is one: each device then builds for itself."
        ]
    return []


def builder_questions() -> list[Question]:
    """Return what a builder is asked for beside its baseline.

    Which CPU classes the devices have is known only when all hosts have answered: the builder is asked for every class,
    and the verdict takes those that count.
    """
    own = {"llama_cpp_cpu_class": "auto", "llama_cpp_activate": True, "llama_cpp_converter": True}
    others = {"llama_cpp_activate": False, "llama_cpp_converter": False}
    return [
        Question("artifact_store", "artifact_store", BUILDERS),
        Question("llama_cpp", "llama_cpp", BUILDERS, {**own, "llama_cpp_publish": True}),
        *(
            Question(
                release_question(name),
                "llama_cpp",
                BUILDERS,
                {**others, "llama_cpp_cpu_class": name, "llama_cpp_publish": True},
            )
            for name, cpu_class in CPU_CLASSES.items()
            if cpu_class.architecture
        ),
        Question("model_pipeline", "model_pipeline", BUILDERS),
    ]


def chat_questions(tls: bool) -> list[Question]:
    """Return what a host with a chat page is asked for beside its baseline."""
    certificates = [Question("endpoint_tls", "endpoint_tls", DEVICES)] if tls else []
    return [*certificates, Question("chat_frontend", "chat_frontend", CHATS)]


def device_questions(
    engines: Collection[str],
    models: Collection[str],
    tls: bool,
    release: Mapping[str, Any] | None,
    prepares: bool = True,
) -> list[Question]:
    """Return what a device is asked for beside its baseline.

    Args:
        engines: What answers on it.
        models: Names of the catalogue's artifacts that it needs.
        tls: Whether its endpoints have certificates.
        release: The builder's values of RELEASE_INPUTS; None where the device builds for itself.
        prepares: Whether a device that builds prepares its models, too; not where a builder does.
    """
    found: list[Question] = []
    own = {"llama_cpp_converter": prepares} if release is None else {**RECEIVING, **release}
    if "llama.cpp" in engines or (release is None and models):
        # A builder's inputs are about building, and nothing is built here.
        found.append(Question("llama_cpp", "llama_cpp", DEVICES, own, {"received": release is not None}))
    if models:
        found.append(Question("model_pipeline", "model_pipeline", DEVICES))
    if tls:
        found.append(Question("endpoint_tls", "endpoint_tls", DEVICES))
    if "llama.cpp" in engines:
        found.append(Question("llama_service", "llama_service", DEVICES))
    if "ollama" in engines:
        found += [Question(role, role, DEVICES) for role in ("jetson_ollama", "endpoint_proxy")]
    return found


def gateway_questions(tls: bool) -> list[Question]:
    """Return what a gateway is asked for beside its baseline."""
    certificates = [Question("endpoint_tls", "endpoint_tls", DEVICES)] if tls else []
    return [*certificates, *(Question(role, role, GATEWAYS) for role in ("fleet_gateway", "endpoint_proxy"))]


def baseline_questions(groups: Collection[str], unproven: bool = False) -> list[Question]:
    """Return what any host is asked for, and what its board adds.

    Args:
        groups: The host's groups.
        unproven: A login by key was tried in this run and failed, so passwords may go on to log in.
    """
    board = board_of(groups)
    found = [Question("host_baseline", "host_baseline", extra={"unproven": True} if unproven else {})]
    own = f"{board}_baseline"
    return [*found, *([Question(own, own)] if own in BASELINE_ROLES else [])]


def merged(*parts: Sequence[Question]) -> list[Question]:
    """Return all questions; of two with one name the first counts (a builder that serves makes what it needs)."""
    found: dict[str, Question] = {}
    for part in parts:
        for question in part:
            found.setdefault(question.name, question)
    return list(found.values())

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a model that answered did so on the GPU, and why not: the verdict over Ollama's own answers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import mib
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import (
    CANARY_PROMPT,
    CANARY_TOKENS,
    Abilities,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.api import OllamaError, Server
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import (
    bare_digest,
    held_models,
    normal_name,
    same_name,
)


@dataclass(frozen=True)
class Loaded:
    """What /api/ps reports of one model.

    Args:
        size: Bytes that it takes in memory.
        size_vram: How many of them are on the GPU.
        context: Tokens; 0 where the server is too old to report them (0.6.8 does not).
    """

    size: int
    size_vram: int
    context: int

    @property
    def share(self) -> float:
        """Percent on the GPU, never rounded up to 100."""
        return int(1000 * self.size_vram / self.size) / 10 if self.size else 0.0

    @property
    def proven(self) -> bool:
        """Whether the GPU takes any part."""
        return self.size_vram > 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as the module returns it."""
        return {"size": self.size, "size_vram": self.size_vram, "share": self.share, "proven": self.proven}


def find_loaded(running: Sequence[Mapping[str, Any]], model: str, digest: str = "") -> Loaded | None:
    """Read a model's entry in the answer of /api/ps; None where it is not loaded.

    Args:
        running: The `models` of the answer.
        model: Its name.
        digest: Its manifest's digest: a model with several names is listed by the one that loaded it.
    """
    for item in running:
        named = same_name(str(item.get("name") or item.get("model") or ""), model)
        if named or (digest and bare_digest(str(item.get("digest") or "")) == bare_digest(digest)):
            # Servers before 0.1.42 leave size_vram out where it is 0.
            size, vram = int(item.get("size") or 0), int(item.get("size_vram") or 0)
            return Loaded(size, vram, int(item.get("context_length") or 0))
    return None


def judge(loaded: Loaded | None, *, require_gpu: bool, gpu_share: float, context: int) -> list[str]:
    """Return what is wrong with a model that has just answered.

    Args:
        loaded: Its entry in /api/ps.
        require_gpu: Whether it must be on the GPU at all.
        gpu_share: How much of it must be there, in percent.
        context: The context that it must have in tokens; 0 = any.
    """
    if loaded is None:
        return ["it is not among the loaded models of /api/ps while it answers"]
    problems = []
    numbers = f"{mib(loaded.size_vram)} of {mib(loaded.size)} ({loaded.share} %)"
    if require_gpu and not loaded.proven:
        problems.append(f"it runs on the CPU: {numbers} are on the GPU, wanted are {gpu_share:g} %")
    elif require_gpu and loaded.share < gpu_share:
        problems.append(f"only a part of it is on the GPU: {numbers}, wanted are {gpu_share:g} %")
    if context and loaded.context and loaded.context != context:
        problems.append(
            f"its context is {loaded.context} tokens, wanted are {context}: Ollama takes num_ctx of the model, then "
            "OLLAMA_CONTEXT_LENGTH, and never more than the model was trained for"
        )
    return problems


#: Lines of the server's log when something keeps a model off the GPU or from being loaded, and what they mean.
LOG_CAUSES: Sequence[tuple[str, str]] = (
    (
        r"out of memory|cudaMalloc failed|NvMapMemAlloc|unable to allocate .*CUDA",
        "there was not enough memory (see the log): unload other models, take a smaller one, less context or "
        "fewer parallel requests; on a Jetson the GPU shares the board's RAM",
    ),
    (
        r"no compatible GPUs were discovered|no nvidia devices detected|inference compute.*library=cpu",
        "Ollama found no GPU in its container (see the log)",
    ),
    (
        r"CUDA driver version is insufficient|error 35\b|unsupported.*(?:driver|L4T)|no kernel image is available",
        "the image's CUDA libraries do not fit this board's driver (see the log): take an image for its L4T",
    ),
    (
        # Before llama.cpp's pull request 13290 a projector's ffn_up and ffn_down had each other's name.
        r"GGML_ASSERT\(ggml_can_mul_mat",
        "Ollama before 0.7 does not read a projector that llama.cpp has converted since May 2025: take a newer image",
    ),
)


def environment_of(inspected: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's environment from `docker inspect`."""
    lines = (inspected.get("Config") or {}).get("Env") or []
    return dict(str(line).partition("=")[::2] for line in lines)


def known_causes(
    loaded: Loaded | None,
    parameters: str,
    inspected: Mapping[str, Any],
    log: str,
    running: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Return why a model is not (wholly) on the GPU, or not loaded: what can be seen, else what it usually is.

    Args:
        loaded: Its entry in /api/ps; None where it was not loaded, for which there is no usual cause.
        parameters: The `parameters` of /api/show, one a line.
        inspected: The container as `docker inspect` shows it; empty where it could not be asked.
        log: The server's log.
        running: The `models` of /api/ps: others take memory too.
    """
    causes = []
    num_gpu = re.search(r"^num_gpu\s+(-?\d+)", parameters, flags=re.MULTILINE)
    if num_gpu and int(num_gpu.group(1)) >= 0:
        causes.append(f"the model's parameter num_gpu {num_gpu.group(1)} limits its layers on the GPU: take it out")
    runtime = (inspected.get("HostConfig") or {}).get("Runtime")
    if inspected and runtime != "nvidia":
        causes.append(f"the container runs with the runtime {runtime or 'runc'}, not nvidia")
    environment = environment_of(inspected)
    image = str((inspected.get("Config") or {}).get("Image") or "")
    if inspected and "dustynv/" not in image and not environment.get("JETSON_JETPACK"):
        causes.append(f"the image {image} needs JETSON_JETPACK to choose its CUDA libraries, and it is not set")
    if inspected and environment.get("NVIDIA_VISIBLE_DEVICES") in ("", "void", "none"):
        causes.append("NVIDIA_VISIBLE_DEVICES lets no device into the container: set it to all")
    causes += [meaning for pattern, meaning in LOG_CAUSES if re.search(pattern, log, flags=re.IGNORECASE)]
    if loaded and loaded.proven and len(running) > 1:
        others = ", ".join(f"{item.get('name')} {mib(int(item.get('size') or 0))}" for item in running)
        causes.append(f"several models share the memory ({others}): set OLLAMA_MAX_LOADED_MODELS to 1")
    if causes or loaded is None:
        return causes
    if loaded.proven:
        return ["there is not enough memory for all of it: take a smaller model, less context or fewer parallel ones"]
    return [
        "the container was not started with the runtime nvidia",
        "the image was made for another L4T, or JETSON_JETPACK is not set",
        "there was not enough memory when the model was loaded",
        "the model's parameter num_gpu is 0",
    ]


def speed(final: Mapping[str, Any]) -> float:
    """Return tokens/s of a generation from the last line of /api/generate; 0 where they are not reported."""
    tokens, nanoseconds = int(final.get("eval_count") or 0), int(final.get("eval_duration") or 0)
    return round(tokens / nanoseconds * 1e9, 2) if nanoseconds > 0 else 0.0


def abilities(shown: Mapping[str, Any]) -> Abilities:
    """Return what a model can do, from /api/show. Versions before 0.6.4 do not report it, but have the GGUF's keys."""
    capabilities = shown.get("capabilities")
    if capabilities is None:
        return Abilities(embeddings=any(str(key).endswith(".pooling_type") for key in shown.get("model_info") or {}))
    return Abilities("embedding" in capabilities and "completion" not in capabilities, "thinking" in capabilities)


@dataclass(frozen=True)
class Seen:
    """What was seen while a model worked.

    Args:
        running: The `models` of /api/ps at that time.
        digest: The model's manifest digest.
        tokens_per_second: Speed of generation; 0 for embeddings.
        text: What it made.
    """

    running: Sequence[Mapping[str, Any]]
    digest: str
    tokens_per_second: float
    text: str = ""


def probe(server: Server, model: str, embeddings: bool, timeout: float) -> Seen:
    """Make a model work once and read /api/ps meanwhile: with OLLAMA_KEEP_ALIVE=0 it is gone right afterwards.

    Raises:
        OllamaError: It did not work.
    """
    have = held_models(server.tags()).get(normal_name(model).lower())
    digest = have.digest if have else ""
    if embeddings:
        server.call("POST", "/api/embed", {"model": model, "input": CANARY_PROMPT}, timeout)
        return Seen(server.running(), digest, 0.0)
    body = {
        "model": model,
        "prompt": CANARY_PROMPT,
        "raw": True,  # without the template, whose system prompt may be long
        "options": {"temperature": 0, "num_predict": CANARY_TOKENS},
    }
    running: list[dict[str, Any]] | None = None
    last: Mapping[str, Any] = {}
    text = ""
    with contextlib.closing(server.stream("/api/generate", body, lambda _item: timeout)) as lines:
        for last in lines:
            if running is None:
                running = server.running()
            text += str(last.get("response") or "")
    if not int(last.get("eval_count") or 0):
        raise OllamaError("it made no token")
    return Seen(running or [], digest, speed(last), text)

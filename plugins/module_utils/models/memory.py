# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service takes of a board's memory, part by part, whether that fits, and what would fit instead.

This is the one place that adds up: the roles' plans refuse by it what is on a device, the site's look what is not there
yet, and playbooks/plan.yml prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import EMBEDDING_ARCHITECTURES

MIB = 1 << 20
DEFAULT_CONTEXT = 4096  # tokens
#: Tokens that are computed at once.
MICRO_BATCH = 512
#: Types of a KV cache, and the bytes that 32 numbers take in them.
KV_CACHE_TYPES = {
    "f16": 64, "f32": 128, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18, "iq4_nl": 18,
}  # fmt: skip
DEFAULT_KV_CACHE_TYPE = "f16"
#: Numbers in a block of the types with fewer bits: a head's length must be a multiple of it.
KV_BLOCK = 32
#: KV cache of a token where nothing is known of the model: that of Llama 3 8B (32 layers, 8 KV heads of 128),
#: more than any smaller model with grouped-query attention needs.
UNKNOWN_KV_BYTES_PER_TOKEN = 2 * 32 * 8 * 128 * 2
#: What a service can be given less of: shorter contexts, and smaller types of the KV cache.
SHORTER_CONTEXTS = (32768, 16384, 8192, 4096, 2048, 1024, 512)
SMALLER_CACHES = ("q8_0", "q4_0")


def count(value: object) -> int:
    """Return a number of GGUF metadata: per-layer lists are summed up, what is missing counts 0."""
    if isinstance(value, (list, tuple)):
        return sum(count(item) for item in value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def whole_mib(size: int) -> int:
    """Round bytes up to MiB."""
    return -(-size // MIB)


def kv_bytes_per_token(shape: Mapping[str, Any]) -> int:
    """Return the bytes of f16 KV cache that one token of context takes.

    layers x KV heads x (key length + value length) x 2 bytes, from the GGUF keys `block_count`,
    `attention.head_count`, `attention.head_count_kv`, `attention.key_length`, `attention.value_length` and
    `embedding_length`. A length that is not given is `embedding_length / attention.head_count`; without
    head_count_kv there are as many KV heads as heads; per-layer head counts come as lists. Source:
    llama.cpp tag b11434, `llama_model::load_hparams` and `llama_kv_cache` (types f16, all layers alike).
    Sliding windows and recurrent layers take less: this is an upper bound.
    """
    layers = count(shape.get("block_count"))
    heads, kv_heads = shape.get("head_count"), shape.get("head_count_kv")
    first_head = heads[0] if isinstance(heads, (list, tuple)) and heads else heads
    head_length = count(shape.get("embedding_length")) // (count(first_head) or 1) if first_head else 0
    key_length = count(shape.get("key_length")) or head_length
    value_length = count(shape.get("value_length")) or head_length
    kv = kv_heads if count(kv_heads) else heads
    all_kv_heads = count(kv) if isinstance(kv, (list, tuple)) else layers * count(kv)
    return all_kv_heads * (key_length + value_length) * 2 or UNKNOWN_KV_BYTES_PER_TOKEN


def compute_bytes_per_token(shape: Mapping[str, Any]) -> int:
    """Return the bytes of intermediate results for one token of a micro batch; 0 where the shape does not tell.

    llama.cpp reserves, in f32, three inner vectors of the feed-forward network and five of the model's width (measured,
    tag b11434, with flash attention, which llama-server takes by itself).
    """
    inner = count(shape.get("feed_forward_length"))
    return 4 * (3 * inner + 5 * count(shape.get("embedding_length"))) if inner else 0


def scores_bytes_per_token(shape: Mapping[str, Any]) -> int:
    """Return the same for a model that makes embeddings though it was made for text.

    llama-server then reserves the scores of the whole vocabulary for every token, not for the last one alone.
    """
    if shape.get("architecture") in EMBEDDING_ARCHITECTURES:
        return 0
    vocabulary = count(shape.get("vocabulary"))
    return 4 * (vocabulary + 6 * count(shape.get("embedding_length"))) if vocabulary else 0


@dataclass(frozen=True)
class Weights:
    """What is known of a model before or after it is here. Sizes in bytes; 0 where nothing is known.

    Args:
        size: Of its GGUF.
        projector: Of its projector.
        quantisation: How it is quantised.
        context_length: Tokens that it was trained for.
        kv_per_token: f16 KV cache of a token.
        compute_per_token: Intermediate results for a token of a micro batch.
        scores_per_token: The same where it makes embeddings.
        types: Its sizes in other quantisations that can be made of its source.
        fetched: What has to be downloaded to make it.
        source: Where the sizes are from.
    """

    size: int = 0
    projector: int = 0
    quantisation: str = ""
    context_length: int = 0
    kv_per_token: int = UNKNOWN_KV_BYTES_PER_TOKEN
    compute_per_token: int = 0
    scores_per_token: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    fetched: int = 0
    source: str = ""

    @classmethod
    def of_shape(cls, shape: Mapping[str, Any], **known: Any) -> Weights:  # noqa: ANN401
        """Return the weights of a model of a shape."""
        return cls(
            context_length=count(shape.get("context_length")),
            kv_per_token=kv_bytes_per_token(shape),
            compute_per_token=compute_bytes_per_token(shape),
            scores_per_token=scores_bytes_per_token(shape),
            **known,
        )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Weights:
        """Return what `as_dict` gave."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plan passes it on."""
        return asdict(self)

    def quantised(self, quantisation: str) -> Weights:
        """Return the same model in one of its other types."""
        return replace(self, size=self.types[quantisation], quantisation=quantisation)


@dataclass(frozen=True)
class Ask:
    """What a service asks for beside its model's weights.

    Args:
        service: Its name.
        model: Name of its model.
        context: Tokens of one conversation; 0: 4096, or the model's own where that is less.
        parallel: Conversations at a time.
        kv_cache_type: Type of the KV cache.
        cache_ram_mib: Memory for prompts of earlier conversations.
        overhead_mib: What it takes beside all of these.
        covered: The overhead covers KV cache and intermediate results as far as it reaches.
        embeddings: Whether it makes embeddings, each in one piece; else tokens are computed by micro batches.
    """

    service: str
    model: str
    context: int = 0
    parallel: int = 1
    kv_cache_type: str = DEFAULT_KV_CACHE_TYPE
    cache_ram_mib: int = 0
    overhead_mib: int = 0
    covered: bool = False
    embeddings: bool = False

    def tokens(self, weights: Weights) -> int:
        """Return the context of one conversation."""
        return self.context or min(DEFAULT_CONTEXT, weights.context_length or DEFAULT_CONTEXT)

    def kv_bytes(self, weights: Weights) -> int:
        """Return the KV cache of all conversations."""
        tokens = self.tokens(weights) * self.parallel
        return tokens * weights.kv_per_token * KV_CACHE_TYPES[self.kv_cache_type] // KV_CACHE_TYPES["f16"]

    def compute_bytes(self, weights: Weights) -> int:
        """Return what is reserved for intermediate results, with the mask of attention, which is f16."""
        tokens = self.tokens(weights)
        batch = tokens if self.embeddings else min(MICRO_BATCH, tokens)
        each = max(weights.compute_per_token, weights.scores_per_token if self.embeddings else 0)
        return batch * (each + 2 * tokens) if each else 0


@dataclass(frozen=True)
class Need:
    """What a service takes, in MiB."""

    ask: Ask
    tokens: int
    weights: int
    projector: int
    kv_cache: int
    compute: int
    prompt_cache: int
    overhead: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.projector + self.kv_cache + self.compute + self.prompt_cache + self.overhead

    def parts(self) -> dict[str, int]:
        """Return its parts in MiB by name."""
        names = ("weights", "projector", "kv_cache", "compute", "prompt_cache", "overhead")
        return {name: getattr(self, name) for name in names}

    def text(self) -> str:
        """Return it with every number."""
        ask = self.ask
        projector = f", projector {self.projector}" if self.projector else ""
        cache = f"{self.kv_cache} of {ask.kv_cache_type} for {self.tokens} tokens x {ask.parallel}"
        cache = f", KV cache {cache}" if self.kv_cache else ""
        compute = f", compute buffer {self.compute}" if self.compute else ""
        prompts = f", prompt cache {self.prompt_cache}" if self.prompt_cache or not ask.covered else ""
        return (
            f"{ask.service} {self.total} (weights {self.weights}{projector}{cache}{compute}{prompts}, "
            f"overhead {self.overhead})"
        )


def need(ask: Ask, weights: Weights) -> Need:
    """Return what a service takes."""
    kv_cache = whole_mib(ask.kv_bytes(weights))
    compute = whole_mib(ask.compute_bytes(weights))
    overhead = max(0, ask.overhead_mib - kv_cache - compute) if ask.covered else ask.overhead_mib
    return Need(
        ask=ask,
        tokens=ask.tokens(weights),
        weights=whole_mib(weights.size),
        projector=whole_mib(weights.projector),
        kv_cache=kv_cache,
        compute=compute,
        prompt_cache=ask.cache_ram_mib,
        overhead=overhead,
    )


@dataclass(frozen=True)
class Room:
    """What a device has for services, in MiB.

    Args:
        memory: RAM, which a Jetson's GPU shares.
        reserve: What is kept for the system.
        loaded: Models that are in memory at a time; 0: all.
        vram: It is the memory of GPUs that have their own.
    """

    memory: int
    reserve: int = 0
    loaded: int = 0
    vram: bool = False

    @property
    def text(self) -> str:
        """What there is, in words."""
        return f"the GPU has {self.memory} MiB of VRAM" if self.vram else f"the board has {self.memory} MiB of memory"

    @property
    def budget(self) -> int:
        """What services may take together."""
        return self.memory - self.reserve

    def counted(self, needs: Iterable[Need]) -> list[Need]:
        """Return what is in memory at the same time."""
        found = list(needs)
        if not self.loaded:
            return found
        return sorted(found, key=lambda one: one.total, reverse=True)[: self.loaded]

    def excess(self, needs: Iterable[Need]) -> int:
        """Return how much is missing; 0 or less: it fits."""
        return sum(one.total for one in self.counted(needs)) - self.budget


Wanted = tuple[Ask, Weights]


def total_text(room: Room, needs: Sequence[Need]) -> str:
    """Return what services need and what there is, with every number."""
    counted = room.counted(needs)
    total = sum(one.total for one in counted)
    return (
        f"{total} MiB, {room.text} of which {room.reserve} MiB are kept for "
        f"the system: {room.budget} MiB are left. {'; '.join(one.text() for one in counted)}."
    )


def best_type(room: Room, wanted: Sequence[Wanted], number: int, types: Iterable[str]) -> str:
    """Return the first of some quantisations with which one of several services fits beside the others; '' for none."""
    ask, weights = wanted[number]
    others = [need(*one) for place, one in enumerate(wanted) if place != number]
    for name in types:
        if name in weights.types and room.excess([*others, need(ask, weights.quantised(name))]) <= 0:
            return name
    return ""


def alternatives(room: Room, wanted: Sequence[Wanted], types: Sequence[str]) -> list[str]:
    """Return what would fit instead, each by one change of one service, the smallest change of a kind.

    Args:
        room: What there is.
        wanted: What does not fit.
        types: Quantisations from the best to the smallest.
    """
    found = []
    for number, (ask, weights) in enumerate(wanted):
        others = [need(*one) for place, one in enumerate(wanted) if place != number]

        def fits(changed: Ask, weights: Weights = weights, others: Sequence[Need] = others) -> bool:
            return room.excess([*others, need(changed, weights)]) <= 0

        smaller = [name for name in types if weights.types.get(name, weights.size) < weights.size]
        if name := best_type(room, wanted, number, smaller):
            found.append(f"{ask.model} as {name} ({whole_mib(weights.types[name])} MiB)")
        tokens = ask.tokens(weights)
        shorter = (length for length in SHORTER_CONTEXTS if length < tokens)
        if length := next((length for length in shorter if fits(replace(ask, context=length))), 0):
            found.append(f"`context: {length}` for {ask.service}")
        size = KV_CACHE_TYPES[ask.kv_cache_type]
        caches = (name for name in SMALLER_CACHES if KV_CACHE_TYPES[name] < size)
        if cache := next((name for name in caches if fits(replace(ask, kv_cache_type=name))), ""):
            found.append(f"`kv_cache_type: {cache}` for {ask.service}")
        if ask.parallel > 1 and fits(replace(ask, parallel=1)):
            found.append(f"`parallel: 1` for {ask.service}")
    return found

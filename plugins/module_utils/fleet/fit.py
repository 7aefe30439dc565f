# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which model fits which board, over all hosts at once: what is refused before it is downloaded, and what `auto` is.

A device knows what its services ask for, the host that prepares a model knows what it weighs or is going to. The sums
are those of models/memory.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DISK_RESERVE
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import DEFAULT_QUANTISATION, LADDER
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import memory, speed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import MIB, Ask, Need, Room, Wanted, Weights

#: Roles that serve, with what the operator wrote for them to serve.
SERVING = ("llama_service", "jetson_ollama")
VARIABLE = "edge_slm_services"
PIPELINE = "model_pipeline"
#: Why `auto` cannot be decided.
NOT_WEIGHED = "the model's size is not known; name a type, or see why its source does not answer (playbooks/plan.yml)."
NOT_ASKED = "no device was asked what it serves; run playbooks/site.yml, or name a type."
NOTHING = "Nothing that can be changed by one setting fits; take a smaller model or a larger board."


@dataclass(frozen=True)
class Engine:
    """What one engine of a device is to serve.

    Args:
        role: That serves.
        room: What there is for it.
        asks: Of its services.
        weights: What is known on the device alone, by the model's name.
        refusal: Why its role refuses what is on the device already, without the name of its input; '' where it fits.
    """

    role: str
    room: Room
    asks: tuple[Ask, ...]
    weights: Mapping[str, Weights]
    refusal: str = ""


@dataclass(frozen=True)
class Host:
    """A host, as far as it counts here.

    Args:
        board: Its model in the device tree.
        engines: What it serves with.
        weights: Of the catalogue's models on it, and of those that it is going to prepare.
        unweighed: Why some of these are not known.
        missing: Names of the models that it has yet to receive or prepare.
        prepares: Whether it makes them of their sources.
        auto: Names of the models whose quantisation is chosen.
        disk_free_mib: Where models go; None where it was not asked.
    """

    board: str = ""
    engines: tuple[Engine, ...] = ()
    weights: Mapping[str, Weights] = field(default_factory=dict)
    unweighed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    prepares: bool = False
    auto: tuple[str, ...] = ()
    disk_free_mib: int | None = None


@dataclass(frozen=True)
class Row:
    """One service on one device: whether it fits, with every number.

    Args:
        host: The device.
        need: What it takes; None where its model's size is not known.
        weights: Of its model.
        room: What there is for all services of its engine.
        fits: Whether they fit together; None where something is not known.
        instead: What would fit.
        predicted: Tokens/s; 0 where nothing is published for the board.
        source: What the prediction is made of.
    """

    host: str
    ask: Ask
    need: Need | None
    weights: Weights
    room: Room
    fits: bool | None
    instead: tuple[str, ...] = ()
    predicted: float = 0.0
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs. Memory in MiB, files in bytes."""
        return {
            "host": self.host,
            "service": self.ask.service,
            "model": self.ask.model,
            "quantisation": self.weights.quantisation,
            "fits": self.fits,
            "need_mib": self.need.total if self.need else None,
            "parts_mib": self.need.parts() if self.need else {},
            "context": self.need.tokens if self.need else self.ask.context,
            "parallel": self.ask.parallel,
            "kv_cache_type": self.ask.kv_cache_type,
            "memory_mib": self.room.memory,
            "reserve_mib": self.room.reserve,
            "budget_mib": self.room.budget,
            "vram": self.room.vram,
            "file_bytes": self.weights.size,
            "projector_bytes": self.weights.projector,
            "types_bytes": dict(self.weights.types),
            "sizes_from": self.weights.source,
            "instead": list(self.instead),
            "predicted_tokens_per_second": self.predicted or None,
            "predicted_from": self.source,
        }


@dataclass
class Fitting:
    """What follows for all hosts.

    Attributes:
        unfit: By host, what does not fit there.
        quantisations: By model, what `auto` is.
        withdrawn: By host, refusals of its roles that no longer hold with what `auto` is now.
        pending: By host, models that `auto` now has another type for than is published.
        rows: Every service on every device.
        notes: What is not known, and why.
    """

    unfit: dict[str, list[str]] = field(default_factory=dict)
    quantisations: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, list[str]] = field(default_factory=dict)
    pending: dict[str, list[str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def host_of(plans: Mapping[str, Mapping[str, Any]], board: str) -> Host:
    """Return what a host's plans tell, by the roles' names."""
    pipeline = (plans.get(PIPELINE) or {}).get("needs") or {}
    engines = []
    for role in SERVING:
        found = ((plans.get(role) or {}).get("needs") or {}).get("memory")
        if found:
            weights = {name: Weights.of(values) for name, values in found["weights"].items()}
            asks = tuple(Ask(**ask) for ask in found["asks"])
            engines.append(Engine(role, Room(**found["room"]), asks, weights, str(found.get("refusal") or "")))
    return Host(
        board=board,
        engines=tuple(engines),
        weights={name: Weights.of(values) for name, values in (pipeline.get("weights") or {}).items()},
        unweighed=tuple(pipeline.get("unweighed") or ()),
        missing=tuple(pipeline.get("missing") or ()),
        prepares=bool(pipeline.get("prepares")),
        auto=tuple(pipeline.get("auto") or ()),
        disk_free_mib=pipeline.get("disk_free_mib"),
    )


class Fleet:
    """All hosts, and what the models weigh wherever that is known."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self.hosts = hosts
        self.chosen: dict[str, str] = {}
        # What is published says more than what a source promises, and has its own types where it was asked for them.
        known = sorted(
            ((name, weights) for host in hosts.values() for name, weights in host.weights.items()),
            key=lambda one: (bool(one[1].types), not one[1].fetched),
        )
        self.weights: dict[str, Weights] = dict(known)

    @property
    def auto(self) -> list[str]:
        """Names of the models whose quantisation is chosen, in the catalogue's order."""
        return list(dict.fromkeys(name for host in self.hosts.values() for name in host.auto))

    def weighed(self, host: str, engine: Engine, model: str) -> Weights | None:
        """Return what a model weighs on a device, or is going to; None where that is not known."""
        here = self.hosts[host].weights.get(model)
        if model in self.auto:
            found = self.weights.get(model)
            kind = self.chosen.get(model, "")
            return found.quantised(kind) if found and kind in found.types else here or found
        return here or engine.weights.get(model) or self.weights.get(model)

    def wanted(self, host: str, engine: Engine) -> list[Wanted]:
        """Return what an engine is to serve, as far as it is known."""
        found = ((ask, self.weighed(host, engine, ask.model)) for ask in engine.asks)
        return [(ask, weights) for ask, weights in found if weights]

    def engines(self) -> list[tuple[str, Engine]]:
        """Return every engine with its device."""
        return [(name, engine) for name, host in self.hosts.items() for engine in host.engines]

    def serving(self, model: str) -> list[tuple[str, Engine]]:
        """Return the engines that serve a model."""
        return [(name, engine) for name, engine in self.engines() if any(ask.model == model for ask in engine.asks)]

    def fits(self, host: str, engine: Engine, model: str, kind: str) -> bool:
        """Return whether an engine's services fit with one of the models in another type."""
        wanted = [
            (ask, weights.quantised(kind) if ask.model == model and kind in weights.types else weights)
            for ask, weights in self.wanted(host, engine)
        ]
        return engine.room.excess(memory.need(*one) for one in wanted) <= 0

    def choose(self, model: str) -> str:
        """Return what `auto` is for a model: what is published while it fits, else the best that does. '' is unknown.

        A device on which not even the smallest fits is refused, and does not make the others' answers worse.
        """
        found = self.weights.get(model)
        # A playbook that does not ask what devices serve cannot choose.
        if not found or not self.engines():
            return ""
        published = found.quantisation if found.quantisation in LADDER else ""
        if not self.serving(model):
            return published or DEFAULT_QUANTISATION
        kinds = [kind for kind in LADDER if kind in found.types]
        if not kinds:
            return published
        serving = [one for one in self.serving(model) if self.fits(*one, model, kinds[-1])]
        if published and all(self.fits(*one, model, published) for one in serving):
            return published
        return next(kind for kind in kinds if all(self.fits(*one, model, kind) for one in serving))


def decide(hosts: Mapping[str, Host]) -> Fitting:
    """Decide for all hosts.

    Args:
        hosts: Those that were looked at, by name.
    """
    fleet, fitting = Fleet(hosts), Fitting()
    fitting.notes = list(dict.fromkeys(note for host in hosts.values() for note in host.unweighed))
    smallest = dict.fromkeys(fleet.auto, LADDER[-1])
    for model in fleet.auto:
        # Those that are yet to be chosen count as small as they can be.
        fleet.chosen = {**smallest, **fitting.quantisations}
        if kind := fleet.choose(model):
            fitting.quantisations[model] = kind
    fleet.chosen = dict(fitting.quantisations)
    _note_other_types(fleet, fitting)
    for name, engine in fleet.engines():
        fitting.rows += rows(fleet, name, engine)
        wanted = fleet.wanted(name, engine)
        needs = [memory.need(*one) for one in wanted]
        # What is on the device is refused there; here it is what is yet to come.
        if engine.refusal and engine.room.excess(needs) <= 0:
            fitting.withdrawn.setdefault(name, []).append(engine.refusal)
        elif engine.room.excess(needs) > 0 and not engine.refusal:
            instead = memory.alternatives(engine.room, wanted, LADDER)
            remedy = f"Instead fits {', or '.join(instead)}." if instead else NOTHING
            text = memory.total_text(engine.room, needs)
            fitting.unfit.setdefault(name, []).append(f"{VARIABLE}: the services need {text} {remedy}")
    for name, host in hosts.items():
        sentences = [*preparing_problems(fleet, fitting, host), disk_problem(fleet, name, host)]
        if any(sentences):
            fitting.unfit.setdefault(name, []).extend(filter(None, sentences))
    return fitting


def preparing_problems(fleet: Fleet, fitting: Fitting, host: Host) -> list[str]:
    """Return why a host must not begin with models that are missing there."""
    found = [
        f"edge_slm_models: what `quantisation: auto` of {model} is cannot be decided here, for "
        + (NOT_WEIGHED if model not in fleet.weights else NOT_ASKED)
        for model in host.missing
        if model in fleet.auto and model not in fitting.quantisations
    ]
    for model in host.missing if host.prepares and not host.engines else ():
        serving = [row for row in fitting.rows if row.ask.model == model]
        if serving and all(row.fits is False for row in serving):
            names = ", ".join(dict.fromkeys(row.host for row in serving))
            found.append(f"edge_slm_models: {model} fits none of the devices that serve it ({names}): not downloaded.")
    return found


def _note_other_types(fleet: Fleet, fitting: Fitting) -> None:
    """Note on which hosts another type is published than `auto` has been found to be."""
    for model, kind in fitting.quantisations.items():
        for name, host in fleet.hosts.items():
            here = host.weights.get(model)
            if here and here.quantisation in LADDER and here.quantisation != kind:
                sentence = f"model {model}: is {here.quantisation}, and {kind} is the best that fits every device"
                fitting.pending.setdefault(name, []).append(sentence)


def rows(fleet: Fleet, name: str, engine: Engine) -> list[Row]:
    """Return the services of one engine."""
    host, wanted = fleet.hosts[name], fleet.wanted(name, engine)
    needs = {ask.service: memory.need(ask, weights) for ask, weights in wanted}
    weighed = {ask.service: weights for ask, weights in wanted}
    excess = engine.room.excess(needs.values()) > 0
    instead = tuple(memory.alternatives(engine.room, wanted, LADDER)) if excess else ()
    rate = speed.rate_of(host.board)
    known = len(wanted) == len(engine.asks)
    return [
        Row(
            host=name,
            ask=ask,
            need=needs.get(ask.service),
            weights=weighed.get(ask.service, Weights()),
            room=engine.room,
            fits=False if excess else True if known else None,
            instead=instead,
            predicted=speed.predicted(host.board, weighed[ask.service].size) if ask.service in weighed else 0.0,
            source=rate.source if rate else "",
        )
        for ask in engine.asks
    ]


def disk_problem(fleet: Fleet, name: str, host: Host) -> str:
    """Return that a host's disk cannot take the models that are missing there, as far as their sizes are known."""
    if host.disk_free_mib is None:
        return ""
    parts = {}
    for model in host.missing:
        weights = fleet.weights.get(model)
        if weights:
            kind = fleet.chosen.get(model, "")
            size = weights.types.get(kind, weights.size) + weights.projector
            # Of a source all is on disk at once: what is fetched, what it is converted to, what that is quantised to.
            made = weights.fetched + (weights.types.get("F16", 0) if host.prepares and weights.types else 0)
            parts[model] = memory.whole_mib(size + (made if host.prepares else 0))
    total, reserve = sum(parts.values()), DISK_RESERVE // MIB
    if not parts or total + reserve <= host.disk_free_mib:
        return ""
    detail = ", ".join(f"{model} {size}" for model, size in parts.items())
    return (
        f"model_pipeline_path: {total} MiB are to come ({detail}) beside {reserve} MiB that stay free, and "
        f"{host.disk_free_mib} MiB are free: make room, give {name} a larger disk, or fewer or smaller models."
    )


#: Columns of the table, with their titles.
COLUMNS = {
    "host": "HOST",
    "service": "SERVICE",
    "model": "MODEL",
    "quantisation": "QUANT",
    "fits": "FITS",
    "need": "NEED",
    "budget": "OF",
    "parts": "WEIGHTS+PROJECTOR+KV+COMPUTE+PROMPTS+OVERHEAD",
    "context": "CONTEXT",
    "speed": "PREDICTED TOK/S",
    "instead": "INSTEAD FITS",
}


def _cells(row: Row) -> dict[str, str]:
    """Return the table's row of a service."""
    need = row.need
    return {
        "host": row.host,
        "service": row.ask.service,
        "model": row.ask.model,
        "quantisation": row.weights.quantisation or "-",
        "fits": {True: "yes", False: "no", None: "not known"}[row.fits],
        "need": f"{need.total} MiB" if need else "-",
        "budget": f"{row.room.budget} MiB{' VRAM' if row.room.vram else ''}",
        "parts": "+".join(map(str, need.parts().values())) if need else "-",
        "context": f"{need.tokens} x {row.ask.parallel} {row.ask.kv_cache_type}" if need else "-",
        "speed": f"{row.predicted:g}" if row.predicted else "-",
        "instead": "; or ".join(row.instead),
    }


def table(fitting: Fitting) -> list[str]:
    """Return what fits as lines of text."""
    lines = [dict(COLUMNS), *map(_cells, fitting.rows)]
    widths = {name: max(len(line[name]) for line in lines) for name in COLUMNS}
    found = ["  ".join(line[name].ljust(widths[name]) for name in COLUMNS).rstrip() for line in lines]
    found += [f"{model}: auto is {kind}" for model, kind in fitting.quantisations.items()]
    found += [f"{host}: {sentence}" for host, sentences in fitting.unfit.items() for sentence in sentences]
    sources = dict.fromkeys(row.source for row in fitting.rows if row.predicted)
    return [*found, *(f"predicted from {source}" for source in sources), *fitting.notes]


def report(fitting: Fitting) -> dict[str, Any]:
    """Return what fits for programs."""
    return {
        "services": [row.as_dict() for row in fitting.rows],
        "quantisations": fitting.quantisations,
        "unfit": fitting.unfit,
        "notes": fitting.notes,
    }

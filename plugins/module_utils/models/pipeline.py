# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the catalogue to models on a host: decisions of the role model_pipeline."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_int, as_path, as_texts
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url, token_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import (
    AUTO,
    LADDER,
    NONE,
    CatalogueError,
    Found,
    Layout,
    Model,
    Source,
    parse_catalogue,
    ready_sources,
    steps,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import OUTPUT
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import url_problem

STATES = ("present", "absent")
#: Packages that fetching needs: resumable downloads, the system's trust.
PACKAGES = ("aria2", "ca-certificates")
#: What to do where the builder has not what a device is to receive.
RUN_BUILDER = "run the builder first: ansible-playbook playbooks/builder.yml"
PATHS = ("path", "cache_path", "python", "converter_dir", "quantize")
#: The cache is removed with all that is in it: a path of one name may be the system's own.
LEAST_NAMES = {"cache_path": 2}


@dataclass(frozen=True)
class Tools:
    """Programs that convert and quantise."""

    python: str
    converter_dir: str
    quantize: str

    @property
    def converter(self) -> str:
        """The script that makes a GGUF from a repository."""
        return os.path.join(self.converter_dir, "convert_hf_to_gguf.py")

    @property
    def gguf_split(self) -> str:
        """The program that merges the parts of a split GGUF, beside llama-quantize."""
        return os.path.join(os.path.dirname(self.quantize), "llama-gguf-split")


@dataclass(frozen=True)
class Inputs:
    """The role's inputs that decide something, cast."""

    state: str
    models: tuple[Model, ...]
    #: Manifests of the builder, by the model's name.
    receive: Mapping[str, Mapping[str, Any]]
    receive_url: str
    keep: int
    layout: Layout
    tools: Tools
    hf_endpoint: str = ""
    hf_token: str = ""
    #: Names of the models whose quantisation is chosen, whether it has been or not.
    auto: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name, and note what is wrong with them.

        With the state `absent` only what decides on what is removed is looked at.
        """
        state = str(values["state"])
        if state not in STATES:
            problems.add("state", f"{state!r} is not known; give {' or '.join(STATES)}.")
        present = state != "absent"
        paths = {name: as_path(values[name], name, LEAST_NAMES.get(name, 1), problems) for name in PATHS}
        models: list[Model] = []
        receive: dict[str, Mapping[str, Any]] = {}
        auto: list[str] = []
        url = str(values["receive_url"] or "")
        keep = 1
        if present:
            try:
                models = parse_catalogue(values["models"])
            except CatalogueError as error:
                problems.found += str(error).splitlines()
            else:
                chosen = _quantisations(values["quantisations"], problems)
                models = _named(models, as_texts(values["names"], "names", problems), problems)
                auto = [model.name for model in models if model.quantisation == AUTO]
                models = [model.as_quantised(chosen.get(model.name, "")) for model in models]
            keep = as_int(values["keep"], "keep", 1, 1000, problems)
            receive = _manifests(values["receive"], problems)
            for name, address in (("receive_url", url), ("hf_endpoint", str(values["hf_endpoint"] or ""))):
                problem = url_problem(address) if address or name == "hf_endpoint" else ""
                if problem:
                    problems.add(name, f"{shown_url(address)!r} {problem}.")
            if problem := token_problem(str(values["hf_token"] or "")):
                problems.add("hf_token", f"{problem}.")
            if receive and not url:
                problems.add(
                    "receive_url",
                    "is empty, but model_pipeline_receive has manifests; give the address that the builder serves its "
                    "models at, for example http://builder-01:8090/models.",
                )
        return cls(
            state=state,
            models=tuple(models),
            receive=receive,
            receive_url=url,
            keep=keep,
            layout=Layout(paths["path"], paths["cache_path"]),
            tools=Tools(paths["python"], paths["converter_dir"], paths["quantize"]),
            hf_endpoint=str(values["hf_endpoint"] or ""),
            hf_token=str(values["hf_token"] or "").strip(),
            auto=tuple(auto),
        )


def _named(models: list[Model], names: Sequence[str], problems: Problems) -> list[Model]:
    """Return the models with these names; all where there are none."""
    known = {model.name for model in models}
    for name in names:
        if name not in known:
            problems.add("names", f"there is no model {name} in model_pipeline_models.")
    return [model for model in models if not names or model.name in names]


def _quantisations(raw: object, problems: Problems) -> dict[str, str]:
    """Read what `auto` has been found to be, by the model's name."""
    if not isinstance(raw, Mapping):
        problems.add("quantisations", f"{raw!r} is not a dictionary; give a type by the name of each model.")
        return {}
    for name, kind in raw.items():
        if kind not in LADDER:
            problems.add("quantisations", f"{kind!r} of {name} is not one of {', '.join(LADDER)}.")
    return {str(name): str(kind) for name, kind in raw.items()}


def _manifests(raw: object, problems: Problems) -> dict[str, Mapping[str, Any]]:
    """Read the builder's manifests."""
    if not isinstance(raw, (list, tuple)) or not all(isinstance(item, Mapping) for item in raw):
        problems.add("receive", "is not a list of manifests; give what edge_slm.fleet.published_artifacts returns.")
        return {}
    return {str(item.get("name", "")): item for item in raw}


@dataclass(frozen=True)
class Live:
    """What is on the host for one model.

    Args:
        manifest: What is published; empty if nothing is.
        damage: What is wrong with the files that it lists; empty where they match it.
        unknown: Those of them that have changed since they were read, and are too large to be read for a plan.
        found: What a preparation may start from.
    """

    manifest: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""
    unknown: Sequence[str] = ()
    found: Found = field(default_factory=Found)


def settled(model: Model, manifest: Mapping[str, Any]) -> Model:
    """Return an entry with what it was quantised to in place of `auto`, where that is what is published.

    It stays so: a type that is chosen anew with every run would be another whenever a device is left out or does not
    answer.
    """
    found = model.as_quantised(str(manifest.get("quantisation") or ""))
    return found if manifest.get("inputs_digest") == found.inputs_digest() else model


def unchosen(models: Sequence[Model]) -> list[str]:
    """Return for which models `auto` has not been decided, one sentence each."""
    return [
        f"model_pipeline_quantisations: has no type for {model.name}, whose quantisation is auto; run "
        "playbooks/site.yml, which chooses one for all devices, or name one here."
        for model in models
        if model.quantisation == AUTO
    ]


def difference(model: Model, live: Live) -> str:
    """Return how what is published differs from an entry of the catalogue; empty where it does not."""
    if not live.manifest:
        return "is not on this host"
    if live.manifest.get("inputs_digest") != model.inputs_digest():
        return "is an older version"
    return live.damage


def is_left(model: Model, live: Live, receives: bool) -> bool:
    """Return whether a model is to be prepared or received, or only its original weights are to be removed."""
    return bool(difference(model, live) or (not receives and steps(model, live.found)))


def sentence(model: Model, live: Live, receives: bool) -> str:
    """Return what is pending for a model; empty where nothing is."""
    found = difference(model, live)
    if not found and is_left(model, live, receives):
        found = "its original weights are still in the cache"
    if not found and live.unknown:
        found = f"its file {', '.join(live.unknown)} has changed since it was verified"
    return f"model {model.name}: {found}" if found else ""


def unavailable(pending: Sequence[Model], receive: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return for which of the models the builder has nothing that could be received, one sentence each."""
    found = []
    for model in pending:
        manifest = receive.get(model.name)
        if manifest is None:
            found.append(f"model {model.name}: the builder has not published it; {RUN_BUILDER}.")
        elif manifest.get("inputs_digest") != model.inputs_digest():
            found.append(
                f"model {model.name}: what the builder has published was made from another entry of the catalogue; "
                f"{RUN_BUILDER}."
            )
    return found


def conversion(model: Model, layout: Layout, tools: Tools, projector: bool) -> dict[str, Any]:
    """Return the arguments of one run of the converter."""
    kind = ["--mmproj"] if projector else []
    source = layout.source_dir(model)
    options = [*kind, "--outtype", model.outtype, "--outfile", OUTPUT]
    return {
        # Which of model_pipeline_snapshot's return values has how large it becomes.
        "size_in": "projector_bytes" if projector else "gguf_bytes",
        "argv": [tools.python, layout.convert_script, tools.converter, source, *options],
        "dest": layout.projector(model) if projector else layout.converted(model),
        "inputs": model.converted_inputs(),
    }


def ready(model: Model, source: Source, layout: Layout) -> list[dict[str, Any]]:
    """Return the arguments of fetching something that is used as it is, of a split GGUF all its parts."""
    if source.url:
        return [
            {"url": part.url, "sha256": part.sha256, "size": part.size, "dest": dest}
            for dest, part in layout.fetched(model, source).items()
        ]
    return [
        {
            "repo": source.repo,
            "revision": source.revision,
            # The names of files, not globs.
            "include": [glob.escape(part.file) for part in source.parts()],
            "exclude": [],
            "dest": layout.ready_dir(model, source),
        }
    ]


def merge(model: Model, layout: Layout, tools: Tools) -> dict[str, Any]:
    """Return the arguments of merging the parts of a split GGUF."""
    return {
        "argv": [tools.gguf_split, "--merge", next(iter(layout.fetched(model, model.source))), OUTPUT],
        "dest": layout.full(model),
        "inputs": model.merged_inputs(),
    }


def preparation(model: Model, found: Found, layout: Layout, tools: Tools) -> dict[str, Any]:
    """Return the steps that are left for a model, and their arguments."""
    left = steps(model, found)
    fetched = [item for source in ready_sources(model, found) for item in ready(model, source, layout)]
    projectors = {"convert": False, "convert_projector": True}
    quantised = model.quantisation != NONE
    return {
        "name": model.name,
        "inputs_digest": model.inputs_digest(),
        "steps": left,
        "outtype": model.outtype,
        "source_fetch": {
            "repo": model.source.repo,
            "revision": model.source.revision,
            "include": list(model.source.include),
            "exclude": list(model.source.exclude),
            "dest": layout.source_dir(model),
        },
        "ready_hub": [item for item in fetched if "repo" in item],
        "ready_url": [item for item in fetched if "url" in item],
        "convert_script": layout.convert_script,
        "conversions": [conversion(model, layout, tools, projectors[step]) for step in left if step in projectors],
        "merges": [merge(model, layout, tools)] if "merge" in left else [],
        "quantised": {
            "src": layout.full(model),
            "dest": layout.quantised(model),
            "quantisation": model.quantisation,
            "imatrix": layout.imatrix(model),
            "inputs": model.quantised_inputs(),
        },
        "published": {
            "model": layout.quantised(model) if quantised else layout.full(model),
            "projector": layout.projector(model),
            # What only this version needs goes; what another quantisation starts from stays.
            "move": quantised,
            "source": model.source.shown(),
            "quantisation": model.quantisation,
        },
        "work": layout.work(model),
    }


def tools_needed(preparations: Sequence[Mapping[str, Any]], tools: Tools) -> dict[str, str]:
    """Return which programs the steps need, and what is missing where one is not there, by path."""
    left = {step for item in preparations for step in item["steps"]}
    hub = "fetch" in left or any(item["ready_hub"] for item in preparations if "ready" in item["steps"])
    converts = bool(left & {"convert", "convert_projector"})
    role = "run the role edge_slm.fleet.llama_cpp on this host first"
    found = {}
    if hub or converts:
        found[tools.python] = (
            f"model_pipeline_python: there is no {tools.python}; {role}, with llama_cpp_converter: true."
        )
    if converts:
        found[tools.converter] = (
            f"model_pipeline_converter_dir: there is no convert_hf_to_gguf.py in {tools.converter_dir}; {role}."
        )
    if "merge" in left:
        found[tools.gguf_split] = f"model_pipeline_quantize: there is no {tools.gguf_split} beside it; {role}."
    if "quantise" in left:
        found[tools.quantize] = f"model_pipeline_quantize: there is no {tools.quantize}; {role}."
    return found

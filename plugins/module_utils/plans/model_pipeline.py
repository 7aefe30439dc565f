# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role model_pipeline; its decisions are in models/pipeline.py and fleet/catalogue.py.

What a host is to have follows from the catalogue alone. Where models are received, the builder's manifests are needed
only to fetch them: the site-wide look compares a device without knowing them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    DRAFT_END,
    DurableError,
    free_bytes,
    names_in,
    read_json,
    require_space,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import (
    Found,
    Layout,
    Model,
    ready_sources,
    steps,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_access, read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    Directory,
    access_difference,
    pending_directories,
    shared_above,
    shared_directories,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import pipeline as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import weigh
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.derive import derived
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import local_path
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import GgufError, checked_header
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import MIB, Weights
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import (
    MANIFEST,
    ManifestError,
    artifacts,
    damage,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.remote import Access
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan

#: How the names of those files end that this role leaves in a model's directory.
OWN_ENDINGS = (MANIFEST, ".gguf", ".part", ".aria2", ".verified", DRAFT_END)
#: What published files are for everybody.
FILE_MODE = "0644"


def read_live(model: Model, inputs: decide.Inputs, host: Host) -> decide.Live:
    """Return what is on the host for one model."""
    layout = inputs.layout
    directory = os.path.join(layout.models_path, model.name)
    manifest = read_json(os.path.join(directory, MANIFEST))
    wrong, unknown = damage(directory, manifest, host.deep) if manifest else ("", [])
    if inputs.receive_url:
        return decide.Live(manifest, wrong, unknown)
    found = Found(
        published=str(manifest.get("inputs_digest", "")) if manifest and not wrong else "",
        converted=bool(derived(layout.converted(model), model.converted_inputs())),
        merged=bool(derived(layout.ready(model, model.source), model.merged_inputs())),
        projector=bool(derived(layout.projector(model), model.converted_inputs())),
        source=os.path.isdir(layout.source_dir(model)),
    )
    return decide.Live(manifest, wrong, unknown, found)


def listed_files(directory: str, manifest: Mapping[str, Any]) -> list[str]:
    """Return the paths of a published model's files that are there."""
    try:
        names = [MANIFEST, *(file.path for file in artifacts(manifest))]
    except ManifestError:
        return []
    paths = [os.path.join(directory, name) for name in names]
    return [path for path in paths if os.path.isfile(path)]


def access_differences(paths: Iterable[str]) -> dict[str, str]:
    """Return how modes and owners of files differ from those of published ones, by path."""
    compared = {path: access_difference(Directory(path, FILE_MODE), read_access(path)) for path in paths}
    return {path: found for path, found in compared.items() if found}


def disk_problem(inputs: decide.Inputs, pending: Sequence[Model]) -> list[str]:
    """Return that what is to be received does not fit, as far as its size is known."""
    needed = 0
    for model in pending:
        directory = os.path.join(inputs.layout.models_path, model.name)
        try:
            files = artifacts(inputs.receive.get(model.name, {}))
        except ManifestError:
            continue
        for file in files:
            path = os.path.join(directory, file.path)
            if not os.path.isfile(path):
                part = f"{path}.part"
                needed += file.size - (os.path.getsize(part) if os.path.isfile(part) else 0)
    try:
        require_space(os.path.join(inputs.layout.models_path, "x"), needed, ", ".join(model.name for model in pending))
    except DurableError as error:
        return [f"model_pipeline_path: {error}."]
    return []


def unusable_files(model: Model, found: Found, layout: Layout) -> list[str]:
    """Return which files of this host a model is to be made of and cannot: what comes from elsewhere is read later."""
    kinds = {model.source: "model"}
    if model.projector and model.projector.source:
        kinds[model.projector.source] = "projector"
    refused = []
    for source in ready_sources(model, found):
        for dest, part in layout.fetched(model, source).items():
            path = local_path(part.url)
            if not path or os.path.isfile(dest):
                continue
            try:
                if source in kinds and source.part_count == 1:
                    checked_header(path, kinds[source])
                else:
                    os.stat(path)
            except OSError as error:
                refused.append(f"{path} cannot be read on this host ({error.strerror}); put it there, or correct it")
            except GgufError as error:
                refused.append(str(error))
    return [f"model_pipeline_models: the source of {model.name}: {sentence}." for sentence in refused]


def weigh_models(
    inputs: decide.Inputs,
    live: Mapping[str, decide.Live],
    left: Sequence[Model],
    which: str,
    outbound: Mapping[str, str],
) -> tuple[dict[str, Weights], list[str]]:
    """Return what models weigh, by name, and why some could not be weighed.

    Args:
        inputs: The role's.
        live: What is on the host.
        left: What is to be prepared or received.
        which: What is wanted: "" nothing but what manifests have, `pending` also what is to be prepared here, `all` of
            each its sizes in other quantisations, too.
        outbound: Variables of the proxies by which this host gets out.
    """
    access = Access(inputs.hf_token, outbound)
    tools = weigh.Tools(inputs.layout, inputs.hf_endpoint, access, inputs.tools.quantize)
    found: dict[str, Weights] = {}
    asked: list[Model] = []
    for model in inputs.models:
        directory = os.path.join(inputs.layout.models_path, model.name)
        if model not in left:
            with contextlib.suppress(ManifestError):
                manifest = live[model.name].manifest
                types = which == "all" or bool(which and model.name in inputs.auto and not inputs.receive_url)
                found[model.name] = weigh.published_weights(model, directory, manifest, types)
        elif which and not inputs.receive_url:
            asked.append(model)

    def weighed(model: Model) -> Weights | str:
        try:
            return weigh.weigh(model, tools)
        except weigh.Unknown as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(weighed, asked))
    for model, answer in zip(asked, answers):  # noqa: B905 (Python 3.9)
        if isinstance(answer, Weights):
            found[model.name] = answer
    return found, [answer for answer in answers if isinstance(answer, str)]


def is_models(directory: str) -> bool:
    """Return whether a directory is a model's of this role: it is published, or a part of one has arrived."""
    if read_json(os.path.join(directory, MANIFEST)).get("name") == os.path.basename(directory):
        return True
    return all(name.endswith(OWN_ENDINGS) for name in os.listdir(directory))


def plan_absent(inputs: decide.Inputs) -> Plan:
    """Return what the role has left on this host: published models and the cache."""
    root, cache = inputs.layout.models_path, inputs.layout.cache_path
    paths = [os.path.join(root, name) for name in names_in(root)]
    models = [path for path in paths if os.path.isdir(path) and is_models(path)]
    # A mount point is somebody else's.
    whole = [path for path in (root, cache) if os.path.isdir(path) and not os.path.ismount(path)]
    others = [path for path in whole if path == cache or not os.listdir(path)]
    return Plan(
        pending=[
            *(f"model {os.path.basename(path)}: is still on this host" for path in models),
            *(f"directory {path}: is no longer wanted" for path in others),
        ],
        files={"uninstall": FileSet(remove=[*models, *others], prune=[root, *shared_above(root, cache)])},
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the catalogue."""
    problems = Problems(prefix="model_pipeline_")
    cast = decide.Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if cast.state == "absent":
        return plan_absent(cast)
    if not cast.models:
        return Plan()

    receives = bool(cast.receive_url)
    root = cast.layout.models_path
    # What `auto` is: as it was chosen in this run, else as it is published.
    cast = replace(
        cast,
        models=tuple(
            decide.settled(model, read_json(os.path.join(root, model.name, MANIFEST))) for model in cast.models
        ),
    )
    live = {model.name: read_live(model, cast, host) for model in cast.models}
    left = [model for model in cast.models if decide.is_left(model, live[model.name], receives)]
    making = [model for model in left if not receives and "ready" in steps(model, live[model.name].found)]
    refusals = [sentence for model in making for sentence in unusable_files(model, live[model.name].found, cast.layout)]
    if refusals:
        return Plan(refusals=refusals)
    prepare = [] if receives else [decide.preparation(m, live[m.name].found, cast.layout, cast.tools) for m in left]

    wanted = [*shared_directories(root), Directory(root)]
    wanted += [Directory(os.path.join(root, model.name)) for model in cast.models]
    cache = Directory(cast.layout.cache_path)
    if prepare or (not receives and os.path.isdir(cache.path)):
        wanted += [*shared_directories(cache.path), cache]
    directories = FileSet(pending_directories(wanted, read_files(one.path for one in wanted)))
    # It may be deleted at any time: that it is missing is not a difference.
    made = f"directory {cache.path}: is missing"
    access = {
        model.name: access_differences(
            listed_files(os.path.join(cast.layout.models_path, model.name), live[model.name].manifest)
        )
        for model in cast.models
        if model not in left
    }
    # Who sets a file's mode changes the file: that it is to be read again follows from that.
    differing = [m for m in cast.models if not access.get(m.name)]
    models = [decide.sentence(model, live[model.name], receives) for model in differing]
    packages = [name for name in decide.PACKAGES if name not in host.packages]
    waiting = decide.unchosen(left) if not inputs.get("weigh") else []
    waiting += [text for path, text in decide.tools_needed(prepare, cast.tools).items() if not os.path.exists(path)]
    missing = decide.unavailable(left, cast.receive) if receives else []
    weights, unweighed = weigh_models(cast, live, left, str(inputs.get("weigh") or ""), inputs.get("outbound") or {})
    return Plan(
        unfit=disk_problem(cast, left) if receives else [],
        pending=[
            *(f"package {name}: is not installed" for name in packages),
            *(text for text in directories.sentences() if text != made),
            *filter(None, models),
            *(f"file {path}: {found}" for paths in access.values() for path, found in paths.items()),
        ],
        waiting=waiting,
        needs={
            "packages": packages,
            "prepare": prepare,
            "receive": [cast.receive[m.name] for m in left if m.name in cast.receive] if receives else [],
            "unavailable": missing,
            "access": [path for paths in access.values() for path in paths],
            "read": any(one.unknown for one in live.values()) or any(access.values()),
            # What fits where is decided over all hosts at once (fleet/fit.py).
            "weights": {name: found.as_dict() for name, found in weights.items()},
            "unweighed": unweighed,
            "auto": list(cast.auto),
            "missing": [model.name for model in left if decide.difference(model, live[model.name])],
            "prepares": not receives,
            "disk_free_mib": free_bytes(root) // MIB,
        },
        files={"configure": directories},
    )

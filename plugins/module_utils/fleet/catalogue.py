# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalogue of models: what an entry may hold, and what is to be done for it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check, without_nulls
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import url_problem

#: Types that llama-quantize knows (b11434, `llama-quantize --help`). True: needs an importance matrix.
QUANTISATIONS: dict[str, bool] = {
    # The twelve of the book's Table 11.1.
    "Q2_K": False,
    "Q3_K_S": False,
    "Q3_K_M": False,
    "Q3_K_L": False,
    "Q4_0": False,
    "Q4_K_S": False,
    "Q4_K_M": False,
    "Q5_0": False,
    "Q5_K_S": False,
    "Q5_K_M": False,
    "Q6_K": False,
    "Q8_0": False,
    # The others.
    "Q1_0": False,
    "Q2_0": False,
    "Q4_1": False,
    "Q5_1": False,
    "Q2_K_S": True,
    "IQ1_S": True,
    "IQ1_M": True,
    "IQ2_XXS": True,
    "IQ2_XS": True,
    "IQ2_S": True,
    "IQ2_M": True,
    "IQ3_XXS": True,
    "IQ3_XS": False,
    "IQ3_S": False,
    "IQ3_M": False,
    "IQ4_NL": False,
    "IQ4_XS": False,
    "TQ1_0": False,
    "TQ2_0": False,
    "MXFP4_MOE": False,
    "F16": False,
    "BF16": False,
}
#: Names that llama-quantize takes for others.
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
#: Publish what was fetched or converted as it is.
NONE = "none"
DEFAULT_QUANTISATION = "Q4_K_M"
#: The best that fits every device that serves the model.
AUTO = "auto"
#: What `auto` takes, the best first. F16 takes twice the memory and the time of Q8_0 for the same answers; types that
#: need an importance matrix, and the old ones, which a K-quant of the same size outdoes, are left out.
LADDER = (
    "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "IQ4_XS", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K",
)  # fmt: skip

#: What convert_hf_to_gguf.py --outtype makes.
OUTTYPES = ("f32", "f16", "bf16", "q8_0", "auto")
DEFAULT_OUTTYPE = "f16"

#: What a conversion needs of a repository: weights, configuration, tokenizer, model card.
DEFAULT_INCLUDE = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "README.md")
#: Second copies of the weights that many repositories carry.
DEFAULT_EXCLUDE = ("original/*", "consolidated*", "onnx/*")

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
REVISION = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
#: How llama-gguf-split names the parts of a GGUF; an address may go on with a query.
SPLIT_GGUF = re.compile(r"-(\d{5})-of-(\d{5})\.gguf(?=$|\?)")

MODEL_KEYS = frozenset({"name", "source", "outtype", "quantisation", "projector", "imatrix", "keep_source"})
SOURCE_KEYS = frozenset({"repo", "revision", "include", "exclude", "file", "url", "path", "sha256", "size"})
#: Those of them that are texts.
MODEL_TEXTS = ("name", "outtype", "quantisation")
SOURCE_TEXTS = ("repo", "revision", "file", "url", "path")


class CatalogueError(Exception):
    """The catalogue cannot be used. The message lists every problem, one a line."""


@dataclass(frozen=True)
class Source:
    """Where something comes from: a repository, one file of it, or an address.

    Args:
        repo: ORG/NAME on the hub, or ''.
        revision: Commit in it, 40 hex digits.
        include: Globs of what is fetched of a repository.
        exclude: Globs of what is left out of that.
        file: One file of the repository that is a GGUF already, or ''.
        url: Web address or absolute path on the host, or ''.
        sha256: Of what is there; of a split GGUF of its first part.
        more_sha256: Of a split GGUF that comes from an address: of its other parts.
        size: In bytes where known, else 0.
    """

    repo: str = ""
    revision: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    file: str = ""
    url: str = ""
    sha256: str = ""
    more_sha256: tuple[str, ...] = ()
    size: int = 0

    @property
    def part_count(self) -> int:
        """How many files it has: more than one where it is a split GGUF."""
        named = SPLIT_GGUF.search(self.file or self.url)
        return int(named[2]) if named else 1

    def parts(self) -> list[Source]:
        """Return the files of a split GGUF in their order; of all others itself alone."""
        count = self.part_count
        if count == 1:
            return [self]
        sums = (self.sha256, *self.more_sha256) if self.url else ("",) * count
        return [
            replace(self, file=_part(self.file, number), url=_part(self.url, number), sha256=sha256, more_sha256=())
            for number, sha256 in enumerate(sums, start=1)
        ]

    @property
    def converts(self) -> bool:
        """Whether it has to be converted to GGUF."""
        return bool(self.repo) and not self.file

    def identity(self) -> dict[str, Any]:
        """Return what decides on the content: for an address its sha256 alone, wherever it is fetched from."""
        if self.url:
            return {"sha256": [self.sha256, *self.more_sha256] if self.more_sha256 else self.sha256}
        if self.file:
            return {"repo": self.repo, "revision": self.revision, "file": self.file}
        return {
            "repo": self.repo,
            "revision": self.revision,
            "include": list(self.include),
            "exclude": list(self.exclude),
        }

    def shown(self) -> dict[str, Any]:
        """Return it for a manifest, which everybody may read."""
        return {"url": shown_url(self.url), **self.identity()} if self.url else self.identity()


def _part(name: str, number: int) -> str:
    """Return the name of another part of a split GGUF."""
    return SPLIT_GGUF.sub(lambda found: f"-{number:05d}-of-{found[2]}.gguf", name)


@dataclass(frozen=True)
class Projector:
    """The part of a model that turns images into tokens: converted from the same repo, or ready."""

    source: Source | None = None

    def identity(self) -> dict[str, Any]:
        """Return what decides on the content."""
        return self.source.identity() if self.source else {"convert": True}


@dataclass(frozen=True)
class Model:
    """An entry of the catalogue, complete with defaults."""

    name: str
    source: Source
    outtype: str = ""
    quantisation: str = DEFAULT_QUANTISATION
    projector: Projector | None = None
    imatrix: Source | None = None
    keep_source: bool = False

    def converted_inputs(self) -> dict[str, Any]:
        """Return what the converted GGUF depends on. The name is part of it: it ends up in the file."""
        return {"name": self.name, "source": self.source.identity(), "outtype": self.outtype}

    def as_quantised(self, quantisation: str) -> Model:
        """Return the entry with a quantisation in place of `auto`; any other entry as it is."""
        return replace(self, quantisation=quantisation) if self.quantisation == AUTO and quantisation else self

    def merged_inputs(self) -> dict[str, Any]:
        """Return what the merged GGUF depends on."""
        return {"source": self.source.identity()}

    def quantised_inputs(self) -> dict[str, Any]:
        """Return what the quantised GGUF depends on."""
        inputs = {**self.converted_inputs(), "quantisation": self.quantisation}
        return {**inputs, "imatrix": self.imatrix.identity()} if self.imatrix else inputs

    def inputs_digest(self) -> str:
        """Return one digest of all that decides on what is published."""
        projector = self.projector.identity() if self.projector else None
        return digest({**self.quantised_inputs(), "projector": projector})


def from_registry(model: Mapping[str, Any]) -> bool:
    """Return whether an entry of the catalogue comes ready from an Ollama registry, past the model pipeline."""
    source = model.get("source")
    return isinstance(source, Mapping) and "ollama" in source


def parse_catalogue(entries: object, variable: str = "model_pipeline_models") -> list[Model]:
    """Check a catalogue and complete what the model pipeline prepares of it.

    Args:
        entries: The list as it is in the inventory.
        variable: What the operator calls it; used in messages.

    Returns:
        Its models but those of an Ollama registry, in order.

    Raises:
        CatalogueError: It has problems; all of them are listed.
    """
    problems = Problems()
    models: list[Model] = []
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise CatalogueError(f"{variable}: must be a list of models")
    seen: dict[str, int] = {}
    for number, entry in enumerate(without_nulls(entries)):
        place = f"{variable}[{number}]"
        if not isinstance(entry, Mapping):
            problems.add(place, "must be a dictionary with name and source")
            continue
        before = len(problems.found)
        model = None if from_registry(entry) else _model(place, entry, problems)
        name = str(entry.get("name", ""))
        if name in seen:
            problems.add(f"{place}.name", f"{name} is taken by {variable}[{seen[name]}] already")
        seen.setdefault(name, number)
        if model and len(problems.found) == before:
            models.append(model)
    if problems.found:
        raise CatalogueError("\n".join(problems.found))
    return models


def _model(place: str, entry: Mapping[str, Any], problems: Problems) -> Model | None:
    """Read one entry; None where it cannot be read."""
    problems.unknown_keys(place, entry, MODEL_KEYS)
    if not _are_texts(place, entry, MODEL_TEXTS, problems):
        return None
    name = entry.get("name", "")
    if not NAME.fullmatch(name):
        problems.add(
            f"{place}.name",
            f"{name!r} must start with a-z or 0-9 and go on with a-z, 0-9, dot, underscore or hyphen",
        )
    source = _source(f"{place}.source", entry.get("source"), problems, convertible=True)
    keep_source = as_bool(entry.get("keep_source", False), f"{place}.keep_source", problems)
    imatrix = None
    if entry.get("imatrix") is not None:
        imatrix = _source(f"{place}.imatrix", entry["imatrix"], problems, convertible=False)
    return Model(
        name=name,
        source=source,
        outtype=_outtype(place, entry, source, problems),
        quantisation=_quantisation(place, entry, source, imatrix, problems),
        projector=_projector(place, entry, source, problems),
        imatrix=imatrix,
        keep_source=keep_source,
    )


def _are_texts(place: str, given: Mapping[str, Any], keys: Sequence[str], problems: Problems) -> bool:
    """Return whether values are texts; note those that are not, which YAML may have made of what was written."""
    known = len(problems.found)
    for key in keys:
        check(f"{place}.{key}", given.get(key), {"type": "str"}, problems)
    return len(problems.found) == known


def _outtype(place: str, entry: Mapping[str, Any], source: Source, problems: Problems) -> str:
    """Read what the conversion makes."""
    given = entry.get("outtype")
    if not source.converts:
        if given is not None:
            problems.add(f"{place}.outtype", "applies to a conversion; this source is GGUF already: leave it out")
        return ""
    outtype = DEFAULT_OUTTYPE if given is None else str(given)
    if outtype not in OUTTYPES:
        problems.add(f"{place}.outtype", f"{outtype!r} is not one of {', '.join(OUTTYPES)}")
    return outtype


def _quantisation(
    place: str, entry: Mapping[str, Any], source: Source, imatrix: Source | None, problems: Problems
) -> str:
    """Read the quantisation; llama-quantize does not care for case."""
    place = f"{place}.quantisation"
    given = str(entry.get("quantisation", DEFAULT_QUANTISATION if source.converts else NONE))
    if given.lower() == NONE:
        return NONE
    if given.lower() == AUTO:
        if not source.converts:
            problems.add(place, "auto chooses what a conversion is quantised to; name the type of a GGUF, or none")
        return AUTO
    quantisation = ALIASES.get(given.upper(), given.upper())
    if quantisation not in QUANTISATIONS:
        close = get_close_matches(quantisation, QUANTISATIONS, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}?" if close else "see llama-quantize --help, or none"
        problems.add(place, f"{given!r} is not a type that llama-quantize knows; {meant}")
    elif QUANTISATIONS[quantisation] and imatrix is None:
        problems.add(
            place,
            f"{quantisation} needs an importance matrix: add imatrix: {{url, sha256}} to this entry, "
            "or take Q2_K or IQ3_XS, which do without",
        )
    return quantisation


def _projector(place: str, entry: Mapping[str, Any], source: Source, problems: Problems) -> Projector | None:
    """Read the projector."""
    place = f"{place}.projector"
    given = entry.get("projector")
    if given is None or given is False:
        return None
    if given is True:
        if not source.converts:
            problems.add(
                place,
                "true converts it from the model's repo, but this source is GGUF already: name its file",
            )
        return Projector()
    return Projector(_source(place, given, problems, convertible=False))


def _source(place: str, given: object, problems: Problems, convertible: bool) -> Source:
    """Read where something comes from."""
    forms = "{repo, revision, file} or {url, sha256} or {path, sha256}"
    if convertible:
        forms = f"{{repo, revision}} or {forms}"
    if not isinstance(given, Mapping):
        problems.add(place, f"must be {forms}")
        return Source()
    problems.unknown_keys(place, given, SOURCE_KEYS)
    if not _are_texts(place, given, SOURCE_TEXTS, problems):
        return Source()
    kinds = [kind for kind in ("repo", "url", "path") if given.get(kind)]
    if len(kinds) != 1:
        found = f"names {' and '.join(kinds)}: choose one" if kinds else "names none"
        problems.add(place, f"must be {forms}; it {found}")
        return Source()
    if kinds == ["repo"]:
        source, name = _repo(place, given, problems, convertible), f"{place}.file"
    else:
        source, name = _address(place, kinds[0], given, problems), f"{place}.{kinds[0]}"
    _check_parts(name, source, problems, convertible)
    return source


def _check_parts(place: str, source: Source, problems: Problems, convertible: bool) -> None:
    """Check that a split GGUF is named by its first part; only a model may be one."""
    named = SPLIT_GGUF.search(source.file or source.url)
    if not named or source.part_count == 1:
        return
    if int(named[1]) != 1:
        problems.add(place, f"is part {int(named[1])} of {int(named[2])}: name the first; all are fetched and merged")
    elif not convertible:
        problems.add(place, "is one part of a split GGUF: merge it with llama-gguf-split first")


def _repo(place: str, given: Mapping[str, Any], problems: Problems, convertible: bool) -> Source:
    """Read a source on the hub."""
    repo, revision, file = (str(given.get(key) or "") for key in ("repo", "revision", "file"))
    revision = revision.lower()
    if not REPO.fullmatch(repo):
        problems.add(f"{place}.repo", f"{repo!r} must be ORG/NAME, as in the address of its page on the hub")
    if not REVISION.fullmatch(revision):
        problems.add(
            f"{place}.revision",
            f"{revision!r} is not pinned: give the commit, 40 hexadecimal digits (on the repo's page under "
            "Files, History; a branch or tag may point elsewhere tomorrow)",
        )
    for key in ("sha256", "size"):
        if key in given:
            problems.add(f"{place}.{key}", "belongs to url or path; a hub knows the sha256 of its files")
    if not file and not convertible:
        problems.add(f"{place}.file", "is missing: name the file in the repo")
    if file and not file.endswith(".gguf"):
        problems.add(f"{place}.file", f"{file!r} must be a .gguf; leave file out to convert the repo")
    globs: dict[str, tuple[str, ...]] = {}
    for key, default in (("include", DEFAULT_INCLUDE), ("exclude", DEFAULT_EXCLUDE)):
        patterns = given.get(key)
        if patterns is not None and file:
            problems.add(f"{place}.{key}", "does not go with file: leave one of them out")
        if patterns is not None and not (
            isinstance(patterns, Sequence)
            and not isinstance(patterns, str)
            and all(isinstance(pattern, str) for pattern in patterns)
        ):
            problems.add(f"{place}.{key}", "must be a list of globs, for example ['*.safetensors']")
            patterns = None
        globs[key] = () if file else default if patterns is None else tuple(patterns)
    return Source(repo=repo, revision=revision, file=file, include=globs["include"], exclude=globs["exclude"])


def _address(place: str, kind: str, given: Mapping[str, Any], problems: Problems) -> Source:
    """Read a source that is an address."""
    url = str(given[kind])
    problem = url_problem(url)
    if problem:
        problems.add(f"{place}.{kind}", f"{shown_url(url)!r} {problem}")
    elif kind == "path" and not url.startswith("/"):
        problems.add(f"{place}.path", f"{url!r} must be an absolute path on the host that prepares the model")
    sums = _sums(f"{place}.sha256", given.get("sha256"), Source(url=url).part_count, problems)
    for key in ("revision", "file", "include", "exclude"):
        if key in given:
            problems.add(f"{place}.{key}", f"belongs to repo, not to {kind}")
    size = as_int(given.get("size", 0), f"{place}.size", 0, 1 << 50, problems)
    if size and len(sums) > 1:
        problems.add(f"{place}.size", "is of one file, and this GGUF has several parts: leave it out")
    return Source(url=url, sha256=sums[0], more_sha256=tuple(sums[1:]), size=size)


def _sums(place: str, given: object, count: int, problems: Problems) -> list[str]:
    """Read the sha256 of a file, or those of all parts of a split GGUF."""
    listed = list(given) if isinstance(given, (list, tuple)) else [given or ""]
    known = len(problems.found)
    check(place, listed, {"type": "list", "elements": "str"}, problems)
    sums = [str(one).lower() for one in listed]
    if len(problems.found) > known:
        return [""] * count
    if len(sums) != count:
        wanted = f"a list of {count}, one for each part in their order" if count > 1 else "one sha256"
        problems.add(place, f"must be {wanted}; it has {len(sums)}: sha256sum prints them")
        return [""] * count
    for sha256 in sums:
        if not SHA256.fullmatch(sha256):
            found = f"it has {len(sha256)} characters" if sha256 else "it is missing"
            problems.add(place, f"must be 64 hexadecimal digits, {found}: sha256sum FILE prints it")
    return sums


@dataclass(frozen=True)
class Layout:
    """Where things are on the host that prepares models."""

    models_path: str
    cache_path: str

    @property
    def convert_script(self) -> str:
        """Where the role's script goes that runs the converter; no model can have that name."""
        return os.path.join(self.cache_path, ".convert.py")

    def source_dir(self, model: Model) -> str:
        """Return where a repository's files go. The last part is the model's name: it leaks into the GGUF."""
        return os.path.join(self.cache_path, model.name, f"source-{digest(model.source.identity())[:12]}", model.name)

    def ready_dir(self, model: Model, source: Source) -> str:
        """Return where what comes ready is fetched to."""
        kind = "ready" if source.part_count == 1 else "parts"
        return os.path.join(self.cache_path, model.name, f"{kind}-{digest(source.identity())[:12]}")

    def fetched(self, model: Model, source: Source) -> dict[str, Source]:
        """Return where a GGUF that comes ready, or each part of a split one, is fetched to. Parts keep their names."""
        directory, parts = self.ready_dir(model, source), source.parts()
        if source.url and len(parts) == 1:
            return {os.path.join(directory, "ready.gguf"): source}
        names = [part.file or os.path.basename(urlsplit(part.url).path) for part in parts]
        return {os.path.join(directory, name): part for name, part in zip(names, parts)}  # noqa: B905 (Python 3.9)

    def ready(self, model: Model, source: Source) -> str:
        """Return where a GGUF that comes ready is in the end: a split one is merged."""
        if source.part_count == 1:
            return next(iter(self.fetched(model, source)))
        return os.path.join(self.cache_path, model.name, f"merged-{digest(source.identity())[:12]}.gguf")

    def converted(self, model: Model) -> str:
        """Return where the converted GGUF goes."""
        key = digest(model.converted_inputs())[:12]
        return os.path.join(self.cache_path, model.name, f"{model.outtype}-{key}.gguf")

    def full(self, model: Model) -> str:
        """Return where the model is before it is quantised."""
        return self.converted(model) if model.source.converts else self.ready(model, model.source)

    def quantised(self, model: Model) -> str:
        """Return where the quantised GGUF goes before it is published."""
        key = digest(model.quantised_inputs())[:12]
        return os.path.join(self.cache_path, model.name, f"{model.quantisation}-{key}.gguf")

    def projector(self, model: Model) -> str:
        """Return where the projector goes before it is published."""
        if model.projector is None:
            return ""
        if model.projector.source is not None:
            return self.ready(model, model.projector.source)
        return os.path.join(self.cache_path, model.name, f"mmproj-{digest(model.converted_inputs())[:12]}.gguf")

    def imatrix(self, model: Model) -> str:
        """Return where the importance matrix goes."""
        return self.ready(model, model.imatrix) if model.imatrix else ""

    def work(self, model: Model) -> dict[str, Any]:
        """Return the model's work directory and the names in it that a next version may start from."""
        directory = os.path.join(self.cache_path, model.name)
        paths = [self.source_dir(model), self.full(model), self.projector(model), self.imatrix(model)]
        names = {os.path.relpath(path, directory).split(os.sep)[0] for path in paths if path}
        return {"path": directory, "keep": sorted(names)}


@dataclass(frozen=True)
class Found:
    """What is on the host already for one model, and right.

    Args:
        published: The inputs digest of what is published, '' if nothing is.
        converted: Whether the converted GGUF is there.
        merged: Whether the parts of a split GGUF have been merged.
        projector: Whether the converted projector is there.
        source: Whether files of the original repository are there.
    """

    published: str = ""
    converted: bool = False
    merged: bool = False
    projector: bool = False
    source: bool = False


#: What is to be done for a model, in this order.
STEPS = ("fetch", "convert", "convert_projector", "ready", "merge", "quantise", "publish", "prune")


def steps(model: Model, found: Found) -> list[str]:
    """Return what is to be done for a model; nothing that is done already.

    `fetch` brings the repository, `ready` the files that need no conversion, `merge` makes one file of a split GGUF,
    `prune` removes the original.
    """
    if found.published == model.inputs_digest():
        return ["prune"] if found.source and not model.keep_source else []
    todo: set[str] = {"publish"}
    if model.source.converts:
        if not found.converted:
            todo.add("convert")
        if model.projector and model.projector.source is None and not found.projector:
            todo.add("convert_projector")
        if todo & {"convert", "convert_projector"}:
            todo.add("fetch")
        if not model.keep_source and (found.source or "fetch" in todo):
            todo.add("prune")
    if ready_sources(model, found):
        todo.add("ready")
    if model.source.part_count > 1 and not found.merged:
        todo.add("merge")
    if model.quantisation != NONE:
        todo.add("quantise")
    return [step for step in STEPS if step in todo]


def ready_sources(model: Model, found: Found) -> list[Source]:
    """Return what is fetched and used as it is: a ready GGUF, a ready projector, an importance matrix."""
    sources = [] if model.source.converts or found.merged else [model.source]
    if model.projector and model.projector.source is not None:
        sources.append(model.projector.source)
    return sources + ([model.imatrix] if model.imatrix else [])

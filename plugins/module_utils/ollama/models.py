# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which models an Ollama server is to hold, and what must be done so that it does; decided, not done."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_float, as_int
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.digest import digest as inputs_digest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.spec import check
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import prompt

#: Where names without a registry come from.
DEFAULT_REGISTRY = "registry.ollama.ai"
#: Its namespace for names without one; those that are pushed to other registries have it too.
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
#: A model that is being replaced keeps its files under such a name until its successor is there: Ollama takes
#: files away with the last name that needs them, and with OLLAMA_NOPRUNE=1 at no other time.
REPLACED_NAMESPACE = "edge-slm-replaced"
#: Registries whose manifests are made on request, so that no digest can be pinned.
UNPINNABLE = ("hf.co", "huggingface.co")

#: The parameters that Ollama 0.6 to 0.17 take (api.Options), and their types. It ignores other names silently.
PARAMETERS: Mapping[str, type] = {
    "num_ctx": int,
    "num_batch": int,
    "num_gpu": int,
    "main_gpu": int,
    "num_thread": int,
    "use_mmap": bool,
    "num_keep": int,
    "seed": int,
    "num_predict": int,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "typical_p": float,
    "repeat_last_n": int,
    "temperature": float,
    "repeat_penalty": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "stop": list,
}
KNOWN_KEYS = (
    "name",
    "digest",
    "registry",
    "path",
    "sha256",
    "published",
    "projector",
    "template",
    "system",
    "parameters",
    "aliases",
    "context",
)
#: Where a model comes from: exactly one of these is given.
SOURCES = ("digest", "path", "published")
#: Stands for the template of a model's own file.
CARRIED_OVER = "carried over"
#: What only a model from a file can be given, as /api/create takes it.
FILE_KEYS = ("template", "system", "parameters")

NAME = re.compile(
    r"(?:(?P<namespace>[A-Za-z0-9_][A-Za-z0-9_-]{0,79})/)?(?P<model>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}))?"
)
REGISTRY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")
#: What `stop` is.
TEXTS = {"type": "list", "elements": "str"}
#: Whole numbers that a parameter can be: a seed has 32 bits, and -1 often means "no limit".
WHOLE = (-(1 << 31), (1 << 32) - 1)
HEX = re.compile(r"[0-9a-f]{64}")
#: Names of models of the role model_pipeline; each is a directory.
PUBLISHED = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class File:
    """A GGUF file.

    Args:
        path: On the device.
        sha256: Of its content.
    """

    path: str
    sha256: str

    @property
    def digest(self) -> str:
        """The name that Ollama keeps it by."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True)
class Model:
    """One model as the inventory wants it.

    Args:
        name: Its normal name, with a tag.
        aliases: Its other names, normal too.
        digest: sha256 of its manifest, 64 hex digits; '' for a file.
        registry: Host of the registry; '' for Ollama's own.
        path: The GGUF file on the device; '' for a model of a registry.
        sha256: Its sha256.
        published: Name of the model of the role model_pipeline whose files it is made of; '' where it is none.
        projector: The file by which it sees; None for one that takes text alone, and for a model of a registry.
        template: Prompt template; '' for the one of its file, carried over.
        system: System prompt.
        parameters: Defaults of requests; num_ctx among them where a context is wanted.
    """

    name: str
    aliases: tuple[str, ...] = ()
    digest: str = ""
    registry: str = ""
    path: str = ""
    sha256: str = ""
    published: str = ""
    projector: File | None = None
    template: str = ""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pull_name(self) -> str:
        """The name to pull by: one from a registry of one's own bears its host."""
        if not self.registry:
            return self.name
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def repository(self) -> str:
        """Its name in a registry, without the tag."""
        path = self.name.rpartition(":")[0]
        return path if "/" in path else f"{DEFAULT_NAMESPACE}/{path}"

    @property
    def tag(self) -> str:
        """The tag alone."""
        return self.name.rpartition(":")[2]

    @property
    def inputs(self) -> str:
        """Digest of what a model from a file is made of. Where the file is does not count."""
        template = self.template or f"{CARRIED_OVER} {prompt.VERSION}"
        projector = [self.projector.sha256] if self.projector else []
        return inputs_digest([self.sha256, template, self.system, dict(self.parameters), *projector])

    @property
    def files(self) -> dict[str, File]:
        """What a model from files is made of, by what each is; Ollama reads from a GGUF whether it is a projector."""
        projector = {"projector": self.projector} if self.projector else {}
        return {"model": File(self.path, self.sha256), **projector}

    def create_request(self) -> dict[str, Any]:
        """Return the body for /api/create; the files must have been uploaded."""
        files = {f"{kind}.gguf": file.digest for kind, file in self.files.items()}
        body: dict[str, Any] = {"model": self.name, "files": files}
        body.update({key: getattr(self, key) for key in FILE_KEYS if getattr(self, key)})
        return body


@dataclass(frozen=True)
class Held:
    """A model that the server holds."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True)
class Plan:
    """What must be done.

    Args:
        bring: Models to pull or create, in order.
        copies: (source, new name) for aliases, to do afterwards.
        delete: Names to take away at the end.
        unlisted: Names that nobody wants.
    """

    bring: tuple[Model, ...]
    copies: tuple[tuple[str, str], ...]
    delete: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether anything must be done."""
        return bool(self.bring or self.copies or self.delete)


def normal_name(name: str) -> str:
    """Return a name as Ollama lists it: with a tag, without what is the default anyway."""
    text = name.strip()
    head, slash, last = text.rpartition("/")
    if ":" not in last:
        last = f"{last}:{DEFAULT_TAG}"
    if head.lower().startswith(f"{DEFAULT_REGISTRY}/"):
        head = head[len(DEFAULT_REGISTRY) + 1 :]
    if head.lower() in (DEFAULT_REGISTRY, DEFAULT_NAMESPACE):
        return last
    return f"{head}{slash}{last}"


def same_name(one: str, other: str) -> bool:
    """Return whether two names mean the same model; Ollama does not distinguish upper and lower case."""
    return normal_name(one).lower() == normal_name(other).lower()


def bare_digest(digest: str) -> str:
    """Return a digest's hex digits alone."""
    return digest.strip().lower().removeprefix("sha256:")


def held_models(tags: Sequence[Mapping[str, Any]]) -> dict[str, Held]:
    """Read the answer of /api/tags; keys are normal names in lower case."""
    found = {}
    for item in tags:
        name = normal_name(str(item.get("name") or item.get("model") or ""))
        found[name.lower()] = Held(name, bare_digest(str(item.get("digest") or "")), int(item.get("size") or 0))
    return found


def replaced_name(name: str) -> str:
    """Return the name under which the files of a model are kept while it is being replaced."""
    path, _unused, tag = normal_name(name).rpartition(":")
    return f"{REPLACED_NAMESPACE}/{path.replace('/', '--').replace(':', '-')}:{tag}"


def _name_problem(value: object) -> str:
    """Return what is wrong with a model's name, or ''."""
    text = str(value or "").strip()
    if not text:
        return "is missing; give a name such as phi3:mini."
    if text.split("/", 1)[0].lower() in UNPINNABLE:
        return (
            f"{text!r}: a model of Hugging Face has no fixed manifest to pin; prepare it with the model pipeline "
            "and give its `path` and `sha256`."
        )
    if text.count("/") > 1:
        return f"{text!r} holds a host; give the host as `registry` and the name without it."
    match = NAME.fullmatch(text)
    if not match:
        return f"{text!r} is not a model name; write name, name:tag or user/name:tag."
    if match.group("namespace") == REPLACED_NAMESPACE:
        return f"{text!r}: names in {REPLACED_NAMESPACE}/ are used while a model is replaced; take another one."
    return ""


def _parameter(value: object, where: str, kind: type, problems: Problems) -> float:
    """Cast a parameter's value, which may have become a string in a template."""
    if kind is bool:
        return as_bool(value, where, problems)
    return as_int(value, where, *WHOLE, problems) if kind is int else as_float(value, where, problems)


def _parameters(raw: object, where: str, problems: Problems) -> dict[str, Any]:
    """Read a model's parameters; notes every problem."""
    if not raw:
        return {}
    if not isinstance(raw, Mapping):
        problems.add(f"{where}", "is not a dictionary; give for instance {temperature: 0.2}.")
        return {}
    found: dict[str, Any] = {}
    for key, value in raw.items():
        kind = PARAMETERS.get(str(key))
        if kind is None:
            problems.add(f"{where}.{key}", f"is not known to Ollama; the parameters are {', '.join(PARAMETERS)}.")
        elif kind is list:
            words = value if isinstance(value, (list, tuple)) else [value]
            check(f"{where}.{key}", list(words), TEXTS, problems)
            found[str(key)] = [str(word) for word in words]
        else:
            found[str(key)] = _parameter(value, f"{where}.{key}", kind, problems)
    return found


def _parse_model(raw: object, where: str, known: Sequence[str], problems: Problems) -> Model | None:
    """Read one entry of `models`; None where it is not a dictionary."""
    if not isinstance(raw, Mapping):
        problems.add(f"{where}", "is not a dictionary; give at least name and digest, or name and published.")
        return None
    # A key that is there but empty means the same as one that is not.
    given = {str(key): value for key, value in raw.items() if value not in (None, "", [], {})}
    problems.unknown_keys(where, given, known)
    before = len(problems.found)
    aliases = given.get("aliases", [])
    if not isinstance(aliases, (list, tuple)):
        problems.add(f"{where}.aliases", "is not a list; write it like [phi3].")
        aliases = []
    named = [("name", given.get("name")), *((f"aliases[{i}]", alias) for i, alias in enumerate(aliases))]
    for key, value in named:
        if problem := _name_problem(value):
            problems.add(f"{where}.{key}", f"{problem}")
    _check_source(given, where, problems)
    parameters = _parameters(given.get("parameters"), f"{where}.parameters", problems)
    projector = _projector(given.get("projector"), f"{where}.projector", problems)
    if "context" in given:
        context = as_int(given["context"], f"{where}.context", 64, 1 << 24, problems)
        if parameters.get("num_ctx", context) != context:
            problems.add(f"{where}.context", f"{context} and parameters.num_ctx differ; give one of them.")
        if "path" in given or "published" in given:
            parameters["num_ctx"] = context
    if len(problems.found) > before:
        return None
    return Model(
        name=normal_name(str(given["name"])),
        aliases=tuple(normal_name(str(alias)) for alias in aliases),
        digest=bare_digest(str(given.get("digest", ""))),
        registry=_registry(given),
        path=str(given.get("path", "")),
        sha256=bare_digest(str(given.get("sha256", ""))),
        published=str(given.get("published", "")),
        projector=projector,
        template=str(given.get("template", "")),
        system=str(given.get("system", "")),
        parameters=parameters,
    )


def _registry(given: Mapping[str, Any]) -> str:
    """Return an entry's registry; '' for Ollama's own, which may be named."""
    registry = str(given.get("registry", "")).removesuffix(f"/{DEFAULT_NAMESPACE}")
    return "" if registry == DEFAULT_REGISTRY else registry


def _projector(raw: object, where: str, problems: Problems) -> File | None:
    """Read the file by which a model sees; None for none."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        problems.add(where, "is not a dictionary; give path and sha256.")
        return None
    problems.unknown_keys(where, raw, ("path", "sha256"))
    return _file(raw, where, problems)


def _file(given: Mapping[str, Any], where: str, problems: Problems) -> File:
    """Read where a file is and what it is known by."""
    path, sha256 = str(given.get("path", "")), bare_digest(str(given.get("sha256", "")))
    if not path.startswith("/"):
        problems.add(f"{where}.path", f"{path!r} is not absolute; give the file's path on the device.")
    if not HEX.fullmatch(sha256):
        problems.add(f"{where}.sha256", "must be the file's sha256, 64 hexadecimal digits.")
    return File(path, sha256)


def _check_source(given: Mapping[str, Any], where: str, problems: Problems) -> None:
    """Check that an entry names exactly one place where the model comes from, and pins it."""
    sources = [key for key in SOURCES if key in given]
    if len(sources) > 1:
        problems.add(
            where,
            f"has {' and '.join(sources)}; give digest for a registry, path and sha256 for a file, or published for a "
            "model of model_pipeline.",
        )
    elif "published" in given:
        if not PUBLISHED.fullmatch(str(given["published"])):
            problems.add(f"{where}.published", f"{given['published']!r} is not a name of a model of model_pipeline.")
        for key in ("registry", "sha256", "projector"):
            if key in given:
                problems.add(f"{where}.{key}", "does not belong to a published model; take it out.")
    elif "path" in given:
        _file(given, where, problems)
        if "registry" in given:
            problems.add(f"{where}.registry", "a file comes from no registry; take it out.")
    else:
        if not HEX.fullmatch(bare_digest(str(given.get("digest", "")))):
            problems.add(
                f"{where}.digest",
                "must be the sha256 of the model's manifest, sha256: and 64 hexadecimal digits "
                "(or give published, the name of a model of model_pipeline, or path and sha256 of a GGUF file).",
            )
        registry = _registry(given)
        if registry.split(":")[0].lower() in UNPINNABLE:
            problems.add(f"{where}.registry", f"{_name_problem(registry + '/x/x')}")
        elif registry and not REGISTRY.fullmatch(registry):
            problems.add(f"{where}.registry", f"{registry!r} is not a host; write it like models.lan:5000.")
        for key in ("projector", *FILE_KEYS):
            if key in given:
                problems.add(
                    f"{where}.{key}",
                    "the pinned digest of a registry's model covers it; push the model with it, "
                    "or take the GGUF by path and sha256.",
                )


def parse_models(raw: Sequence[object], problems: Problems, published: bool = False) -> list[Model]:
    """Read `models`; adds every problem.

    Args:
        raw: As the operator wrote them.
        problems: Where problems go.
        published: Whether a model may be named by its name in model_pipeline, in place of a file.
    """
    known = [key for key in KNOWN_KEYS if published or key != "published"]
    parsed = [_parse_model(item, f"models[{i}]", known, problems) for i, item in enumerate(raw)]
    models = [model for model in parsed if model]
    owners: dict[str, str] = {}
    for model in models:
        for name in (model.name, *model.aliases):
            if name.lower() in owners:
                problems.add("models", f"{name} is a name of {owners[name.lower()]} already; make each name unique.")
            owners[name.lower()] = model.name
    return models


def parse_manifest(content: bytes) -> list[dict[str, Any]]:
    """Return the files that a manifest lists: its layers and its configuration.

    Raises:
        ValueError: It is not a manifest of a model.
    """
    try:
        manifest = json.loads(content)
        parts = [*manifest["layers"], manifest["config"]]
        files = [{"digest": str(part["digest"]), "size": int(part["size"])} for part in parts]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("it is not a manifest of a model (no config and layers with digest and size)") from None
    if not any(str(part.get("mediaType")).startswith("application/vnd.ollama.image") for part in parts):
        raise ValueError("it is the manifest of something else than an Ollama model")
    return files


def stored_form(content: bytes) -> bytes:
    """Return a manifest as Ollama writes it to its disk after a pull: its own fields in its own order."""
    manifest = json.loads(content)

    def part(raw: Mapping[str, Any]) -> dict[str, Any]:
        kept = {"mediaType": raw.get("mediaType", ""), "digest": raw.get("digest", ""), "size": raw.get("size", 0)}
        kept.update({key: raw[key] for key in ("from", "name") if raw.get(key)})
        return kept

    ordered = {
        "schemaVersion": manifest.get("schemaVersion", 0),
        "mediaType": manifest.get("mediaType", ""),
        "config": part(manifest["config"]),
        "layers": [part(layer) for layer in manifest["layers"]],
    }
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()


def prompt_sentence(name: str, lost: str) -> str:
    """Return that Ollama may make other prompts of a model's conversations than llama-server, and why."""
    return f"Model {name}: its prompts may differ from those of llama-server: {lost}. Its `template` may be given."


def is_current(model: Model, held: Mapping[str, Held], record: Mapping[str, Any]) -> bool:
    """Return whether the server holds a model as it is wanted.

    A model of a registry is known by its manifest's digest. One made from a file has a digest that differs from
    one version of Ollama to the next, so the record has which inputs the digest was made of: where the record is
    lost the model is made again, from the file that Ollama holds already, and comes out the same.
    """
    have = held.get(model.name.lower())
    if have is None:
        return False
    if not model.sha256:
        return have.digest == model.digest
    noted = record.get(model.name) or {}
    return noted.get("digest") == have.digest and noted.get("inputs") == model.inputs


def make_plan(
    models: Sequence[Model],
    held: Mapping[str, Held],
    record: Mapping[str, Any],
    remove_others: bool,
    damaged: Collection[str] = (),
) -> Plan:
    """Decide what must be done.

    Args:
        models: What is wanted.
        held: What the server holds, by `held_models`.
        record: What earlier runs noted: {name: {inputs, digest}}.
        remove_others: Whether models that nobody wants are removed.
        damaged: Names of models whose files on the disk are damaged.
    """
    bring = tuple(model for model in models if model.name in damaged or not is_current(model, held, record))
    brought = {model.name for model in bring}
    copies = []
    for model in models:
        have = held.get(model.name.lower())
        for alias in model.aliases:
            there = held.get(alias.lower())
            if model.name in brought or there is None or have is None or there.digest != have.digest:
                copies.append((model.name, alias))
    wanted = {name.lower() for model in models for name in (model.name, *model.aliases)}
    # What an interrupted run left: names with the registry's host, and models that were being replaced.
    passing = {model.pull_name.lower() for model in models} - wanted
    left = [one.name for key, one in held.items() if key in passing or key.startswith(f"{REPLACED_NAMESPACE}/")]
    others = [one.name for key, one in held.items() if key not in wanted and one.name not in left]
    delete = left + (others if remove_others else [])
    return Plan(bring, tuple(copies), tuple(sorted(delete)), tuple(sorted(others)))

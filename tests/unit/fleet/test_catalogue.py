"""The catalogue: what entries may hold, what is refused and how, what is left to do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import (
    ALIASES,
    QUANTISATIONS,
    CatalogueError,
    Found,
    Layout,
    Model,
    parse_catalogue,
    steps,
)

REVISION = "0123456789abcdef0123456789abcdef01234567"
OTHER_REVISION = REVISION[::-1]
SUM = "0123456789abcdef" * 4
REPO = {"repo": "org/name", "revision": REVISION}
READY = {**REPO, "file": "x.gguf"}
URL = {"url": "https://example.org/x.gguf", "sha256": SUM}
SPLIT_URL = {
    "url": "https://models.lan/x-00001-of-00003.gguf?download=true",
    "sha256": ["1" * 64, "2" * 64, "3" * 64],
}

TABLE_11_1 = "Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_0 Q4_K_S Q4_K_M Q5_0 Q5_K_S Q5_K_M Q6_K Q8_0"


def entry(**changes: Any) -> dict[str, Any]:
    return {"name": "m", "source": REPO, **changes}


def one(**changes: Any) -> Model:
    (model,) = parse_catalogue([entry(**changes)])
    return model


def problems(*entries: Any) -> list[str]:
    with pytest.raises(CatalogueError) as refusal:
        parse_catalogue(list(entries), "edge_slm_models")
    return str(refusal.value).splitlines()


def test_credentials_of_an_address_are_neither_shown_nor_published() -> None:
    url = "https://me:hunter2@models.lan/x.gguf?signature=hunter2"
    assert one(source={**URL, "url": url}).source.shown()["url"] == "https://models.lan/x.gguf"
    (line,) = problems(entry(source={**URL, "url": "ftp://me:hunter2@models.lan/x.gguf"}))
    assert "hunter2" not in line


def test_hexadecimal_digits_of_either_case_are_the_same_commit() -> None:
    assert one(source={**REPO, "revision": REVISION.upper()}) == one()


@pytest.mark.parametrize("key", ["outtype", "quantisation", "projector", "imatrix", "keep_source"])
def test_a_key_without_a_value_is_not_given(key: str) -> None:
    assert one(**{key: None}) == one()
    assert one(source={**REPO, "include": None, "file": None}) == one()


def test_defaults_of_a_conversion() -> None:
    model = one()
    assert (model.outtype, model.quantisation, model.projector, model.keep_source) == (
        "f16",
        "Q4_K_M",
        None,
        False,
    )
    assert "*.safetensors" in model.source.include


@pytest.mark.parametrize("source", [READY, URL, {"path": "/srv/x.gguf", "sha256": SUM.upper()}])
def test_defaults_of_a_ready_gguf(source: dict[str, str]) -> None:
    model = one(source=source)
    assert (model.outtype, model.quantisation, model.source.converts) == ("", "none", False)


@pytest.mark.parametrize("name", TABLE_11_1.split())
def test_the_books_quantisations(name: str) -> None:
    assert one(quantisation=name).quantisation == name
    assert one(quantisation=name.lower()).quantisation == name


def test_auto_is_for_what_is_converted() -> None:
    automatic = one(quantisation="Auto")
    assert automatic.quantisation == "auto"
    assert automatic.as_quantised("Q6_K").inputs_digest() == one(quantisation="Q6_K").inputs_digest()
    assert one().as_quantised("Q6_K") == one()
    (line,) = problems(entry(source=READY, quantisation="auto"))
    assert line.startswith("edge_slm_models[0].quantisation: auto chooses what a conversion")


@pytest.mark.parametrize(("alias", "name"), sorted(ALIASES.items()))
def test_aliases(alias: str, name: str) -> None:
    assert one(quantisation=alias).quantisation == name


@pytest.mark.parametrize("name", sorted(name for name, imatrix in QUANTISATIONS.items() if imatrix))
def test_importance_matrix(name: str) -> None:
    assert one(quantisation=name, imatrix=URL).quantisation == name
    (line,) = problems(entry(quantisation=name))
    assert line.startswith("edge_slm_models[0].quantisation: ")
    assert "imatrix" in line


@pytest.mark.parametrize(
    ("bad", "place", "fix"),
    [
        ("m", "", "must be a dictionary with name and source"),
        (entry(name="A b"), ".name", "a-z"),
        (entry(name="-x"), ".name", "a-z"),
        (entry(name="../x"), ".name", "a-z"),
        (entry(name=7), ".name", "YAML has taken it for 7: quote it"),
        (entry(quantisation=False), ".quantisation", "YAML has taken it for False: quote it"),
        (entry(source={**REPO, "revision": 1234}), ".source.revision", "quote it"),
        (entry(source={**REPO, "file": ["x.gguf"]}), ".source.file", "must be a text; it is ['x.gguf']"),
        (entry(source={**URL, "sha256": 12}), ".source.sha256[0]", "quote it"),
        (entry(quantization="Q4_0"), ".quantization", "did you mean quantisation?"),
        (entry(quantisation="Q4_K_X"), ".quantisation", "did you mean Q4_K_"),
        (entry(quantisation="banana"), ".quantisation", "is not a type that llama-quantize knows"),
        (entry(outtype="f17"), ".outtype", "f32, f16, bf16"),
        (entry(source=URL, outtype="f16"), ".outtype", "leave it out"),
        (entry(keep_source="always"), ".keep_source", "true or false"),
        (entry(source=None), ".source", "{repo, revision}"),
        (entry(source={}), ".source", "names none"),
        (entry(source={**REPO, **URL}), ".source", "names repo and url: choose one"),
        (entry(source={**REPO, "revison": REVISION}), ".source.revison", "did you mean revision?"),
        (entry(source={**REPO, "revision": "main"}), ".source.revision", "40 hexadecimal digits"),
        (entry(source={**REPO, "revision": REVISION[:7]}), ".source.revision", "40 hexadecimal digits"),
        (entry(source={"repo": "org/name"}), ".source.revision", "40 hexadecimal digits"),
        (entry(source={**REPO, "repo": "name"}), ".source.repo", "ORG/NAME"),
        (entry(source={**REPO, "sha256": SUM}), ".source.sha256", "belongs to url or path"),
        (entry(source={**REPO, "include": "*.json"}), ".source.include", "list of globs"),
        (entry(source={**REPO, "exclude": [1]}), ".source.exclude", "list of globs"),
        (entry(source={**READY, "include": ["*"]}), ".source.include", "does not go with file"),
        (entry(source={**REPO, "file": "x.bin"}), ".source.file", "must be a .gguf"),
        (entry(source={**REPO, "file": "x-00002-of-00003.gguf"}), ".source.file", "is part 2 of 3: name the first"),
        (entry(source=SPLIT_URL | {"sha256": SUM}), ".source.sha256", "a list of 3, one for each part in their order"),
        (entry(source=SPLIT_URL | {"sha256": [SUM, SUM]}), ".source.sha256", "a list of 3"),
        (entry(source=SPLIT_URL | {"sha256": [SUM, SUM, "0"]}), ".source.sha256", "it has 1 characters"),
        (entry(source=SPLIT_URL | {"size": 5}), ".source.size", "leave it out"),
        (entry(source={**URL, "sha256": [SUM, SUM]}), ".source.sha256", "must be one sha256; it has 2"),
        (entry(projector=SPLIT_URL), ".projector.url", "merge it with llama-gguf-split first"),
        (entry(imatrix={**REPO, "file": "x-00001-of-00002.gguf"}), ".imatrix.file", "llama-gguf-split"),
        (entry(source={**URL, "sha256": SUM[:-1]}), ".source.sha256", "it has 63 characters"),
        (entry(source={"url": URL["url"]}), ".source.sha256", "it is missing"),
        (entry(source={**URL, "url": "ftp://x/y"}), ".source.url", "http://"),
        (entry(source={"path": "x.gguf", "sha256": SUM}), ".source.path", "absolute path"),
        (entry(source={**URL, "size": "4G"}), ".source.size", "must be a whole number from 0"),
        (entry(source={**URL, "revision": REVISION}), ".source.revision", "belongs to repo"),
        (entry(source=URL, projector=True), ".projector", "name its file"),
        (entry(projector="yes"), ".projector", "{url, sha256}"),
        (entry(projector=REPO), ".projector.file", "name the file in the repo"),
        (entry(imatrix=REPO), ".imatrix.file", "name the file in the repo"),
    ],
)
def test_refusals_name_the_place_and_the_fix(bad: Any, place: str, fix: str) -> None:
    (line,) = problems(bad)
    found, _, message = line.partition(": ")
    assert found == f"edge_slm_models[0]{place}"
    assert fix in message


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ({**REPO, "file": "q4/x-00001-of-00002.gguf"}, ["q4/x-00001-of-00002.gguf", "q4/x-00002-of-00002.gguf"]),
        ({**REPO, "file": "x-00001-of-00001.gguf"}, ["x-00001-of-00001.gguf"]),
        (READY, [READY["file"]]),
    ],
)
def test_a_split_gguf_has_all_its_parts(source: dict[str, str], parts: list[str]) -> None:
    model = one(source=source)
    assert [part.file for part in model.source.parts()] == parts
    assert ("merge" in steps(model, Found())) == (len(parts) > 1)
    assert steps(model, Found(merged=len(parts) > 1))[-1] == "publish"


def test_each_part_of_an_address_has_its_own_sha256() -> None:
    model = one(source=SPLIT_URL)
    assert [(part.url, part.sha256) for part in model.source.parts()] == [
        (f"https://models.lan/x-0000{number}-of-00003.gguf?download=true", str(number) * 64) for number in (1, 2, 3)
    ]
    directory = Layout("/models", "/cache").ready_dir(model, model.source)
    assert list(Layout("/models", "/cache").fetched(model, model.source)) == [
        f"{directory}/x-0000{number}-of-00003.gguf" for number in (1, 2, 3)
    ]
    assert model.source.shown()["sha256"] == SPLIT_URL["sha256"]
    assert steps(model, Found()) == ["ready", "merge", "publish"]
    assert steps(model, Found(merged=True)) == ["publish"]


def test_all_problems_at_once() -> None:
    lines = problems(
        entry(quantisation="x", outtype="y"), entry(name="n", source={"repo": "a", "revision": "b"}), entry()
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "edge_slm_models[0].outtype",
        "edge_slm_models[0].quantisation",
        "edge_slm_models[1].source.repo",
        "edge_slm_models[1].source.revision",
        "edge_slm_models[2].name",
    ]
    assert "taken by edge_slm_models[0]" in lines[-1]


def test_models_of_an_ollama_registry_are_passed_over_and_counted() -> None:
    ready = {"name": "phi3-mini", "source": {"ollama": "phi3:mini", "digest": f"sha256:{SUM}"}}
    assert [model.name for model in parse_catalogue([ready, entry()])] == ["m"]
    assert problems(ready, entry(outtype="y"), ready)[0].startswith("edge_slm_models[1].outtype: ")
    assert problems(ready, ready) == ["edge_slm_models[1].name: phi3-mini is taken by edge_slm_models[0] already"]


@pytest.mark.parametrize("given", ["m", {"name": "m"}, 3, None])
def test_no_list(given: object) -> None:
    with pytest.raises(CatalogueError, match=r"^edge_slm_models: must be a list"):
        parse_catalogue(given, "edge_slm_models")


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"keep_source": True}, True),
        ({"quantisation": "q4_k_m"}, True),
        ({"quantisation": "Q8_0"}, False),
        ({"outtype": "f32"}, False),
        ({"projector": True}, False),
        ({"name": "n"}, False),
        ({"source": {**REPO, "revision": OTHER_REVISION}}, False),
        ({"source": {**REPO, "include": ["*"]}}, False),
    ],
)
def test_what_decides_on_the_result(changes: dict[str, Any], same: bool) -> None:
    assert (one(**changes).inputs_digest() == one().inputs_digest()) is same


def test_an_address_is_known_by_its_sha256() -> None:
    moved = one(source={**URL, "url": "https://elsewhere.example/y.gguf", "size": 5})
    assert moved.inputs_digest() == one(source=URL).inputs_digest()


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({}, Found(), "fetch convert quantise publish prune"),
        ({"keep_source": True}, Found(), "fetch convert quantise publish"),
        ({}, Found(converted=True), "quantise publish"),
        ({}, Found(converted=True, source=True), "quantise publish prune"),
        ({"quantisation": "none"}, Found(), "fetch convert publish prune"),
        ({"quantisation": "none"}, Found(converted=True), "publish"),
        ({"projector": True}, Found(), "fetch convert convert_projector quantise publish prune"),
        ({"projector": True}, Found(converted=True), "fetch convert_projector quantise publish prune"),
        ({"projector": True}, Found(converted=True, projector=True), "quantise publish"),
        ({"projector": URL}, Found(converted=True), "ready quantise publish"),
        ({"source": URL}, Found(), "ready publish"),
        ({"source": READY, "quantisation": "Q4_0"}, Found(), "ready quantise publish"),
        ({"quantisation": "IQ2_XS", "imatrix": URL}, Found(converted=True), "ready quantise publish"),
        ({}, Found(published="old", converted=True), "quantise publish"),
    ],
)
def test_steps(changes: dict[str, Any], found: Found, expected: str) -> None:
    assert steps(one(**changes), found) == expected.split()


def test_nothing_is_left_once_published() -> None:
    model = one()
    assert steps(model, Found(published=model.inputs_digest())) == []
    assert steps(model, Found(published=model.inputs_digest(), source=True)) == ["prune"]
    kept = one(keep_source=True)
    assert steps(kept, Found(published=kept.inputs_digest(), source=True)) == []


def test_the_directory_that_is_converted_is_named_like_the_model() -> None:
    layout = Layout("/models", "/cache")
    assert layout.source_dir(one()).endswith("/m")
    assert layout.source_dir(one()) != layout.source_dir(one(source={**REPO, "revision": OTHER_REVISION}))
    assert layout.converted(one()) == layout.converted(one(quantisation="Q8_0"))
    assert layout.quantised(one()) != layout.quantised(one(quantisation="Q8_0"))


def test_no_model_can_be_called_as_the_script_is() -> None:
    """It is in the cache beside the models' directories."""
    name = Layout("/models", "/cache").convert_script.rpartition("/")[2]
    assert "must start with" in problems(entry(name=name))[0]

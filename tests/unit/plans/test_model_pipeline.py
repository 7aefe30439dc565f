"""The plan of model_pipeline: what a host lacks of the catalogue, without knowing what the builder has published."""

from __future__ import annotations

import hashlib
import os
import pwd
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import DISK_RESERVE, write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.catalogue import parse_catalogue
from ansible_collections.edge_slm.fleet.plugins.module_utils.host import state
from ansible_collections.edge_slm.fleet.plugins.module_utils.models import publish as publishing
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import Weights
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import model_pipeline
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "model_pipeline"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
SHA256 = hashlib.sha256(b"weights").hexdigest()
READY = {"name": "m", "source": {"url": "https://models.lan/m.gguf", "sha256": SHA256}}
REPO = {"name": "m", "source": {"repo": "org/m", "revision": "0" * 40}}
OLLAMA = {"name": "o", "source": {"ollama": "phi3:mini", "digest": f"sha256:{SHA256}"}}
FILE = f"{SHA256[:12]}.gguf"
URL = "http://builder-01:8090/models"


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tests' user for root."""
    me = pwd.getpwuid(os.getuid()).pw_name
    if me != "root":
        monkeypatch.setattr(model_pipeline, "access_differences", lambda paths: {})
        monkeypatch.setattr(state, "access_difference", lambda *_: "")


def host(*packages: str) -> Host:
    found = Host()
    found.packages = dict.fromkeys(packages or ("aria2", "ca-certificates"), "1")
    return found


def ask(top: Path, on: Host | None = None, **changes: Any) -> Plan:
    values = {name.removeprefix("model_pipeline_"): value for name, value in DEFAULTS.items()}
    values |= {"models": [READY], "path": str(top / "models"), "cache_path": str(top / "cache")}
    values |= {"quantize": str(top / "quantize"), "python": str(top / "python"), "converter_dir": str(top)}
    return model_pipeline.plan({**values, **changes}, on or host())


def manifest(entry: dict[str, Any] = READY, **changes: Any) -> dict[str, Any]:
    (model,) = parse_catalogue([entry])
    files = [publishing.artifact("model", SHA256, len("weights")).as_dict()]
    return {"name": "m", "inputs_digest": model.inputs_digest(), "files": files, **changes}


def published(top: Path, entry: dict[str, Any] = READY, **changes: Any) -> Path:
    """Publish the model; return its directory."""
    directory = top / "models" / "m"
    directory.mkdir(parents=True)
    (directory / FILE).write_text("weights")
    write_json(str(directory / "manifest.json"), manifest(entry, **changes))
    return directory


@pytest.mark.parametrize("url", ["", URL])
def test_nothing_is_pending_where_the_model_is_published(tmp_path: Path, url: str) -> None:
    published(tmp_path)
    found = ask(tmp_path, receive_url=url)
    assert found.as_dict() == Plan(needs=found.needs, files=found.files).as_dict() | {"files": {"configure": False}}


@pytest.mark.parametrize("url", ["", URL])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: (d / FILE).unlink(), f"model m: its file {FILE} is missing"),
        (lambda d: (d / FILE).write_text("weighty"), f"model m: its file {FILE} differs from its manifest"),
        (lambda d: (d / FILE).write_text("more weights"), f"model m: its file {FILE} differs from its manifest"),
        (lambda d: (d / "manifest.json").unlink(), "model m: is not on this host"),
        (lambda d: (d / "manifest.json").write_text("{"), "model m: is not on this host"),
        (lambda d: write_json(str(d / "manifest.json"), manifest(inputs_digest="0")), "model m: is an older version"),
        (
            lambda d: write_json(str(d / "manifest.json"), manifest(files=[])),
            "model m: its manifest.json cannot be used: it lists no files",
        ),
        (lambda d: d.chmod(0o700), "directory {models}/m: its mode is 0700, not 0755"),
        (lambda d: (d / FILE).chmod(0o600), f"file {{models}}/m/{FILE}: its mode is 0600, not 0644"),
        (lambda d: (d / "manifest.json").chmod(0o640), "file {models}/m/manifest.json: its mode is 0640, not 0644"),
    ],
)
def test_each_difference_has_one_sentence(
    tmp_path: Path, url: str, change: Callable[[Path], Any], sentence: str
) -> None:
    change(published(tmp_path))
    expected = sentence.replace("{models}", str(tmp_path / "models"))
    assert ask(tmp_path, receive_url=url).pending == [expected]


def test_a_bare_host_lacks_everything(tmp_path: Path) -> None:
    found = ask(tmp_path, host("bash"), receive_url=URL)
    assert found.pending == [
        "package aria2: is not installed",
        "package ca-certificates: is not installed",
        f"directory {tmp_path}/models: is missing",
        f"directory {tmp_path}/models/m: is missing",
        "model m: is not on this host",
    ]
    assert (found.refusals, found.unfit, found.waiting) == ([], [], [])


def test_large_files_are_not_read_for_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = published(tmp_path)
    monkeypatch.setattr(publishing, "QUICKLY_READ", 0)
    found = ask(tmp_path)
    assert found.pending == [f"model m: its file {FILE} has changed since it was verified"]
    assert (found.needs["read"], found.needs["prepare"]) == (True, [])
    assert publishing.intact(str(directory), manifest())
    assert ask(tmp_path).pending == []
    (directory / FILE).write_text("weighty")
    assert not publishing.intact(str(directory), manifest())
    assert ask(tmp_path).pending == [f"model m: its file {FILE} differs from its manifest"]


def test_a_deep_look_reads_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = published(tmp_path)
    assert publishing.intact(str(directory), manifest())
    monkeypatch.setattr(publishing, "noted_digest", lambda _path: SHA256)
    monkeypatch.setattr(publishing, "QUICKLY_READ", 0)
    (directory / FILE).write_text("weighty")
    deep = host()
    deep.deep = True
    assert ask(tmp_path).pending == []
    assert ask(tmp_path, deep).pending == [f"model m: its file {FILE} differs from its manifest"]


@pytest.mark.parametrize(
    ("receive", "receives", "unavailable"),
    [
        ([], [], "model m: the builder has not published it; run the builder first: "),
        ([manifest(inputs_digest="0")], ["m"], "model m: what the builder has published was made from another entry"),
        ([manifest(name="other")], [], "model m: the builder has not published it"),
        ([manifest(), manifest(name="other")], ["m"], ""),
    ],
)
def test_only_what_is_pending_is_received(
    tmp_path: Path, receive: list[Any], receives: list[str], unavailable: str
) -> None:
    found = ask(tmp_path, receive_url=URL, receive=receive)
    assert [item["name"] for item in found.needs["receive"]] == receives
    assert "".join(found.needs["unavailable"]).startswith(unavailable)
    assert bool(found.needs["unavailable"]) == bool(unavailable)
    assert found.needs["prepare"] == []
    published(tmp_path)
    settled = ask(tmp_path, receive_url=URL, receive=receive).needs
    assert (settled["receive"], settled["unavailable"]) == ([], [])


def test_what_does_not_fit_is_not_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk:
        f_bavail, f_frsize = DISK_RESERVE + 5, 1

    monkeypatch.setattr(os, "statvfs", lambda _path: Disk)
    (text,) = ask(tmp_path, receive_url=URL, receive=[manifest()]).unfit
    assert text.startswith("model_pipeline_path: disk too small for m: ")
    assert ask(tmp_path, receive_url=URL).unfit == [], "only the manifest has the size"


def test_tools_are_waited_for(tmp_path: Path) -> None:
    found = ask(tmp_path, models=[REPO])
    assert [text.split(":")[0] for text in found.waiting] == [
        "model_pipeline_python",
        "model_pipeline_converter_dir",
        "model_pipeline_quantize",
    ]
    assert "model m: is not on this host" in found.pending
    for name in ("python", "convert_hf_to_gguf.py", "quantize"):
        (tmp_path / name).touch()
    found = ask(tmp_path, models=[REPO])
    assert found.waiting == []
    assert [item["steps"] for item in found.needs["prepare"]] == [["fetch", "convert", "quantise", "publish", "prune"]]
    assert ask(tmp_path, models=[REPO], receive_url=URL).waiting == [], "who receives needs no tools"


def test_original_weights_that_a_killed_run_has_left_are_pending(tmp_path: Path) -> None:
    published(tmp_path, REPO)
    (model,) = parse_catalogue([REPO])
    Path(model_pipeline.decide.Layout("", str(tmp_path / "cache")).source_dir(model)).mkdir(parents=True)
    found = ask(tmp_path, models=[REPO])
    assert found.pending == ["model m: its original weights are still in the cache"]
    assert [item["steps"] for item in found.needs["prepare"]] == [["prune"]]
    assert ask(tmp_path, models=[REPO], receive_url=URL).pending == []


@pytest.mark.parametrize("models", [[], [OLLAMA]])
def test_with_nothing_to_prepare_nothing_is_pending(tmp_path: Path, models: list[Any]) -> None:
    assert ask(tmp_path, host("bash"), models=models).pending == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"state": "gone"}, "model_pipeline_state: 'gone' is not known; give present or absent."),
        ({"models": "m"}, "model_pipeline_models: must be a list of models"),
        ({"models": [{**READY, "name": "M"}]}, "model_pipeline_models[0].name: 'M' must start with"),
        ({"keep": 0}, "model_pipeline_keep: must be a whole number from 1"),
        ({"keep": "two"}, "model_pipeline_keep: must be a whole number from 1"),
        ({"receive": [manifest()]}, "model_pipeline_receive_url: is empty, but model_pipeline_receive has manifests"),
        ({"receive": "m"}, "model_pipeline_receive: is not a list of manifests"),
        ({"receive_url": "ftp://x"}, "model_pipeline_receive_url: 'ftp://x' must be"),
        ({"hf_endpoint": ""}, "model_pipeline_hf_endpoint: '' must be"),
        ({"hf_endpoint": "ftp://me:hunter2@mirror"}, "model_pipeline_hf_endpoint: 'ftp://mirror' must be"),
        ({"hf_token": "hf_0123 4567"}, "model_pipeline_hf_token: holds a space, a line end"),
        ({"hf_token": "hf_0123\u20284567"}, "model_pipeline_hf_token: holds a space, a line end"),
        ({"path": "models"}, "model_pipeline_path: 'models' is not valid; give an absolute path"),
        ({"cache_path": "/var"}, "model_pipeline_cache_path: '/var' is not valid; give an absolute path of 2"),
    ],
)
def test_wrong_inputs_are_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    found = ask(tmp_path, **changes)
    assert [text for text in found.refusals if not text.startswith(sentence)] == []
    assert found.refusals
    assert found.pending == []


def gguf(path: Path, tensors: int = 1, **metadata: str) -> str:
    """Write a GGUF that is nothing but its header; return its path."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    header = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(metadata))
    pairs = [text(f"general.{key}") + struct.pack("<I", 8) + text(value) for key, value in metadata.items()]
    path.write_bytes(header + b"".join([*pairs, (text("t") + struct.pack("<IQIQ", 1, 1, 0, 0)) * tensors, bytes(64)]))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "tensors", "metadata", "sentence"),
    [
        ("source", 1, {"architecture": "llama"}, ""),
        ("source", 1, {"architecture": "llama", "type": "model"}, ""),
        ("source", 0, {"architecture": "llama"}, "has no tensors"),
        ("source", 1, {}, "has no architecture"),
        ("source", 1, {"architecture": "clip"}, "is a projector, not a model: name it as projector"),
        ("source", 1, {"architecture": "llama", "type": "adapter"}, "is not a model (its general.type is adapter)"),
        ("projector", 1, {"architecture": "clip"}, ""),
        ("projector", 1, {"architecture": "llama"}, "is not a projector (its architecture is llama)"),
        ("projector", 0, {"architecture": "clip"}, "has no tensors"),
        ("source", -1, {}, "cannot be read on this host (No such file or directory)"),
        ("projector", -1, {}, "cannot be read on this host"),
        ("imatrix", -1, {}, "cannot be read on this host"),
    ],
)
def test_a_file_of_the_host_that_cannot_serve_is_refused(
    tmp_path: Path, kind: str, tensors: int, metadata: dict[str, str], sentence: str
) -> None:
    path = tmp_path / "x.gguf"
    if tensors >= 0:
        gguf(path, tensors, **metadata)
    entry = {**READY, "quantisation": "Q4_0", kind: {"path": str(path), "sha256": SHA256}}
    found = ask(tmp_path, models=[entry])
    assert bool(found.refusals) == bool(sentence)
    assert "".join(found.refusals).startswith("model_pipeline_models: the source of m: " if sentence else "")
    assert sentence in "".join(found.refusals)
    assert ask(tmp_path, models=[entry], receive_url=URL).refusals == [], "a device that receives does not need it"


def test_the_parts_of_a_split_gguf_are_fetched_and_merged(tmp_path: Path) -> None:
    entry = {"name": "m", "source": {"repo": "org/m", "revision": "0" * 40, "file": "q[4]/x-00001-of-00002.gguf"}}
    found = ask(tmp_path, models=[entry])
    assert any("llama-gguf-split" in text for text in found.waiting)
    (prepare,) = found.needs["prepare"]
    assert prepare["steps"] == ["ready", "merge", "publish"]
    (fetched,) = prepare["ready_hub"]
    assert fetched["include"] == ["q[[]4]/x-00001-of-00002.gguf", "q[[]4]/x-00002-of-00002.gguf"]
    (merge,) = prepare["merges"]
    assert merge["argv"][1:] == ["--merge", f"{fetched['dest']}/q[4]/x-00001-of-00002.gguf", "{output}"]
    assert merge["dest"] == prepare["published"]["model"]
    Path(merge["dest"]).parent.mkdir(parents=True)
    Path(merge["dest"]).write_text("merged")
    write_json(f"{merge['dest']}.json", {"inputs": merge["inputs"], "size": 6, "sha256": SHA256})
    (again,) = ask(tmp_path, models=[entry]).needs["prepare"]
    assert (again["steps"], again["ready_hub"], again["merges"]) == (["publish"], [], [])


def test_absent_removes_models_and_cache_and_nothing_else(tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "models" / "torn").mkdir()
    (tmp_path / "models" / "torn" / f"{FILE}.part").touch()
    (tmp_path / "models" / "somebodys").mkdir()
    (tmp_path / "models" / "somebodys" / "notes").touch()
    (tmp_path / "cache").mkdir()
    found = ask(tmp_path, state="absent", models="no list", keep=0)
    assert found.refusals == []
    assert found.pending == [
        "model m: is still on this host",
        "model torn: is still on this host",
        f"directory {tmp_path}/cache: is no longer wanted",
    ]
    assert list(found.files["uninstall"].remove) == [
        f"{tmp_path}/models/m",
        f"{tmp_path}/models/torn",
        f"{tmp_path}/cache",
    ]
    assert list(found.files["uninstall"].prune) == [f"{tmp_path}/models"], "what is above is not the role's"


def test_absent_is_settled_where_nothing_is_left(tmp_path: Path) -> None:
    assert ask(tmp_path, state="absent").pending == []
    (tmp_path / "models").mkdir()
    assert ask(tmp_path, state="absent").pending == [f"directory {tmp_path}/models: is no longer wanted"]


def test_of_a_catalogue_only_what_is_named_is_wanted(tmp_path: Path) -> None:
    published(tmp_path)
    models = [READY, {**READY, "name": "other"}]
    assert ask(tmp_path, models=models, names=["m"]).pending == []
    assert ask(tmp_path, models=models).pending != []
    assert ask(tmp_path, models=models, names=["nope"]).refusals == [
        "model_pipeline_names: there is no model nope in model_pipeline_models."
    ]
    # A wrong entry is refused by its number in the whole catalogue, also by hosts that do not want it.
    wrong = ask(tmp_path, models=[READY, {**READY, "name": "x y"}], names=["m"]).refusals
    assert wrong[0].startswith("model_pipeline_models[1].name")


AUTOMATIC = {**REPO, "quantisation": "auto"}


@pytest.mark.parametrize("url", ["", URL])
@pytest.mark.parametrize(
    ("chosen", "pending"),
    [
        # Nothing has been chosen in this run: what is published is what it was.
        ({}, []),
        ({"m": "Q5_K_M"}, []),
        ({"m": "Q8_0"}, ["model m: is an older version"]),
    ],
)
def test_auto_is_what_is_published_until_another_is_chosen(
    tmp_path: Path, url: str, chosen: dict[str, str], pending: list[str]
) -> None:
    published(tmp_path, {**REPO, "quantisation": "Q5_K_M"}, quantisation="Q5_K_M")
    found = ask(tmp_path, models=[AUTOMATIC], quantisations=chosen, receive_url=url)
    assert (found.refusals, [one for one in found.pending if "cache" not in one]) == ([], pending)
    assert found.needs["auto"] == ["m"]


def test_what_is_published_of_another_entry_is_not_taken_for_auto(tmp_path: Path) -> None:
    other = {**REPO, "source": {"repo": "org/other", "revision": "0" * 40}, "quantisation": "Q5_K_M"}
    published(tmp_path, other, quantisation="Q5_K_M")
    assert "model m: is an older version" in ask(tmp_path, models=[AUTOMATIC]).pending


def test_auto_waits_until_it_is_chosen_and_the_look_asks_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        model_pipeline.weigh, "weigh", lambda model, _tools: Weights(7, quantisation=model.quantisation)
    )
    alone = ask(tmp_path, models=[AUTOMATIC])
    assert any("run playbooks/site.yml, which chooses one" in one for one in alone.waiting)
    look = ask(tmp_path, models=[AUTOMATIC], weigh="pending")
    assert not any("run playbooks/site.yml" in one for one in look.waiting)
    assert (look.needs["weights"]["m"]["quantisation"], look.needs["missing"]) == ("auto", ["m"])
    named = ask(tmp_path, models=[AUTOMATIC], quantisations={"m": "Q4_K_M"})
    assert named.needs["prepare"][0]["quantised"]["quantisation"] == "Q4_K_M"


def test_a_source_is_asked_in_a_look_alone_and_only_where_the_model_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def weighed(model: Any, tools: Any) -> Weights:
        asked.append((model.name, tools.endpoint))
        raise model_pipeline.weigh.Unknown("model m: its size is not known (no answer)")

    monkeypatch.setattr(model_pipeline.weigh, "weigh", weighed)
    ask(tmp_path)
    ask(tmp_path, receive_url=URL, weigh="all")
    assert asked == []
    found = ask(tmp_path, weigh="pending")
    assert asked == [("m", "https://huggingface.co")]
    assert (found.needs["unweighed"], found.needs["weights"]) == (["model m: its size is not known (no answer)"], {})


@pytest.mark.parametrize(
    ("chosen", "message"), [("Q8_0", "is not a dictionary"), ({"m": "IQ1_S"}, "'IQ1_S' of m is not one of Q8_0")]
)
def test_what_auto_cannot_be(tmp_path: Path, chosen: object, message: str) -> None:
    (refusal,) = ask(tmp_path, models=[AUTOMATIC], quantisations=chosen).refusals
    assert refusal.startswith("model_pipeline_quantisations: ")
    assert message in refusal

"""What the controller adds to endpoint_tls' plan and judges after, with real certificates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan, with_secrets
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import endpoint_tls_side as side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs, collect
from certificates import issue, pem_of

PASSPHRASE = "the passphrase of a test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("controller")
    for name, days in (("leaf", 60), ("soon", 20), ("over", -1)):
        _, pem, key = issue("pi-01.lan", days)
        (folder / f"{name}.pem").write_text(pem)
        (folder / f"{name}.key").write_text(pem_of(key))
        (folder / f"{name}.locked").write_text(pem_of(key, PASSPHRASE))
        # As HAProxy wants them: certificate, chain and key in one file.
        (folder / f"{name}.both").write_text(f"Bag Attributes\n{pem}{pem_of(key)}{pem}")
    (folder / "text").write_text("no PEM\n")
    return folder


@pytest.fixture(scope="module")
def authority(folder: Path) -> Any:
    made = issue("CA", 3650)
    (folder / "ca").mkdir()
    (folder / "ca/ca.pem").write_text(made[1])
    (folder / "ca/ca.key").write_text(pem_of(made[2], PASSPHRASE))
    return made


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(side, "warn", lambda _inputs, sentence: found.append(sentence))
    return found


def ask(**values: Any) -> Inputs:
    """Return the inputs as they would travel."""
    variables = {
        f"endpoint_tls_{name}": str(value) if isinstance(value, Path) else value for name, value in values.items()
    }
    inputs = collect("endpoint_tls", DataLoader(), variables)
    side.before(inputs)
    return inputs


def test_of_one_file_only_certificates_pass_and_the_key_is_a_secret(folder: Path, warnings: list[str]) -> None:
    both = folder / "leaf.both"
    inputs = ask(mode="given", certificate=both, key=both, names=["pi-01.lan"])
    assert (inputs.refusals, warnings) == ([], [])
    leaf, key = (folder / "leaf.pem").read_text(), (folder / "leaf.key").read_text()
    assert inputs.values["certificate_pem"] == leaf + leaf
    assert "PRIVATE KEY" not in json.dumps(inputs.values)
    assert inputs.secrets == [key]
    assert with_secrets(inputs.values, inputs.secrets)["key_pem"] == key


@pytest.mark.parametrize(
    ("certificate", "key", "names", "refusals"),
    [
        ("leaf.pem", "leaf.key", [], []),
        ("leaf.pem", "soon.key", [], ["endpoint_tls_key: does not belong"]),
        ("over.pem", "over.key", [], ["endpoint_tls_certificate: it expired on"]),
        (
            "leaf.pem",
            "leaf.key",
            ["elsewhere"],
            ["endpoint_tls_certificate: it is not for elsewhere but for pi-01.lan"],
        ),
        ("leaf.pem", "leaf.locked", [], ["endpoint_tls_key: /leaf.locked needs a passphrase"]),
        (
            "leaf.key",
            "leaf.pem",
            [],
            ["endpoint_tls_certificate: /leaf.key holds no", "endpoint_tls_key: /leaf.pem holds"],
        ),
        ("text", "text", [], ["endpoint_tls_certificate: /text holds no", "endpoint_tls_key: /text holds no"]),
        ("nothing", "leaf.key", [], ["endpoint_tls_certificate: there is no file /nothing on the controller"]),
        ("leaf.pem", "", ["a b"], ["endpoint_tls_names: 'a b'", "endpoint_tls_key: '' is not an absolute path"]),
    ],
)
def test_given(folder: Path, certificate: str, key: str, names: list[str], refusals: list[str]) -> None:
    inputs = ask(mode="given", certificate=folder / certificate, key=folder / key if key else "", names=names)
    found = [sentence.replace(str(folder), "") for sentence in inputs.refusals]
    assert len(found) == len(refusals), found
    assert [one for one, begin in zip(found, refusals, strict=True) if not one.startswith(begin)] == []
    assert not any("PRIVATE" in sentence for sentence in inputs.refusals)
    if refusals:
        assert "key_pem" not in inputs.values


def test_one_that_ends_soon_is_warned_of(folder: Path, warnings: list[str]) -> None:
    assert ask(mode="given", certificate=folder / "soon.pem", key=folder / "soon.key").refusals == []
    assert [sentence[:40] for sentence in warnings] == ["endpoint_tls_certificate: it ends in 19 "]


def test_a_refusal_names_what_the_operator_wrote(folder: Path) -> None:
    variables = {
        "endpoint_tls_mode": "given",
        "endpoint_tls_certificate": trust_as_template("{{ edge_slm_tls_certificate }}"),
        "endpoint_tls_key": str(folder / "leaf.key"),
        "edge_slm_tls_certificate": "/nothing",
    }
    inputs = collect("endpoint_tls", DataLoader(), variables)
    side.before(inputs)
    assert inputs.refusals == [
        "edge_slm_tls_certificate: there is no file /nothing on the controller; give the path of one."
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "off"},
        {"mode": False},
        {"state": "absent"},
        {"mode": "fleet_ca", "names": ["pi-01.lan"]},
        {"mode": "fleet_ca", "names": []},
        {"mode": "given"},
    ],
)
def test_the_cas_passphrase_does_not_travel(folder: Path, authority: Any, values: dict[str, Any]) -> None:
    inputs = ask(ca_passphrase=PASSPHRASE, ca_dir=folder / "ca", **values)
    assert PASSPHRASE not in json.dumps([inputs.values, inputs.secrets])


@pytest.mark.parametrize(
    ("passphrase", "parts", "refusal"),
    [
        (PASSPHRASE, {}, ""),
        ("wrong", {}, "endpoint_tls_ca_passphrase: is not that of ca.key"),
        ("", {}, "endpoint_tls_ca_passphrase: is not that of ca.key"),
        (PASSPHRASE, {"ca.key": "leaf.key"}, "endpoint_tls_ca_dir: ca.key does not belong to ca.pem"),
        (PASSPHRASE, {"ca.pem": "text"}, "endpoint_tls_ca_dir: ca.pem or ca.key is not PEM"),
        (PASSPHRASE, {"ca.key": ""}, "endpoint_tls_ca_dir: there is no file"),
        (PASSPHRASE, {"ca.pem": "over.pem", "ca.key": "over.key"}, "endpoint_tls_ca_dir: ca.pem expired on"),
        # With a key alone a killed run is picked up.
        (PASSPHRASE, {"ca.pem": ""}, ""),
    ],
)
def test_ca(
    folder: Path,
    tmp_path: Path,
    authority: Any,
    warnings: list[str],
    passphrase: str,
    parts: dict[str, str],
    refusal: str,
) -> None:
    for name in ("ca.pem", "ca.key"):
        source = parts.get(name, f"ca/{name}")
        if source:
            (tmp_path / name).write_text((folder / source).read_text())
    inputs = ask(mode="fleet_ca", names=["pi-01.lan"], ca_dir=tmp_path, ca_passphrase=passphrase)
    assert len(inputs.refusals) == bool(refusal), inputs.refusals
    assert "".join(inputs.refusals).startswith(refusal)
    if not refusal:
        assert inputs.values["ca_pem"] == ("" if "ca.pem" in parts else authority[1])
    assert "PRIVATE KEY" not in json.dumps([inputs.values, inputs.secrets])


@pytest.mark.parametrize(
    ("names", "matches", "what", "reason", "make_key"),
    [
        (["pi-01.lan"], True, "issued", "", False),
        (["pi-01.lan"], False, "issued", "it does not belong to the key", True),
        (["pi-02.lan"], True, "issued", "its names have changed", False),
        (["pi-01.lan"], True, "soon", "it ends on", False),
        (["pi-01.lan"], True, "leaf.pem", "another CA has issued it", True),
        (["pi-01.lan"], True, "text", "there is none", True),
        (["pi-01.lan"], False, "", "there is none", True),
    ],
)
def test_issuing(
    folder: Path, authority: Any, names: list[str], matches: bool, what: str, reason: str, make_key: bool
) -> None:
    texts = {"issued": issue("pi-01.lan", 60, authority)[1], "soon": issue("pi-01.lan", 20, authority)[1], "": ""}
    pem = texts[what] if what in texts else (folder / what).read_text()
    inputs = ask(mode="fleet_ca", names=names, ca_dir=folder / "ca", ca_passphrase=PASSPHRASE)
    plan = Plan(needs={"mode": "fleet_ca", "certificate": pem, "matches": matches}).as_dict()
    side.after(inputs, plan)
    begin = "certificate /etc/edge-slm/tls/certificate.pem: the fleet's CA issues a new one: "
    assert [sentence.startswith(begin + reason) for sentence in plan["pending"]] == [True] * bool(reason)
    assert (plan["needs"]["issue"].startswith(reason), plan["needs"]["make_key"]) == (True, make_key)
    assert plan["needs"]["make_ca"] is False
    assert "BEGIN" not in repr(plan)


def test_a_ca_that_is_missing_is_pending(tmp_path: Path) -> None:
    inputs = ask(mode="fleet_ca", names=["pi-01.lan"], ca_dir=tmp_path)
    plan = Plan(needs={"mode": "fleet_ca", "certificate": "", "matches": False}).as_dict()
    side.after(inputs, plan)
    assert plan["pending"][1:] == [f"CA {tmp_path} on the controller: is made, there is none"]
    assert plan["needs"]["make_ca"]


WITHOUT = """
import sys
sys.modules["cryptography"] = None
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import collect
for mode in ("off", "given", "fleet_ca"):
    inputs = collect("endpoint_tls", DataLoader(), {
        "endpoint_tls_mode": mode, "endpoint_tls_names": ["x"], "endpoint_tls_ca_dir": "/ca",
        "endpoint_tls_certificate": "/c", "endpoint_tls_key": "/k",
    })
    controller_side.before(inputs)
    print(mode, inputs.refusals)
"""


def test_without_cryptography_there_is_a_refusal_and_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    off, *others = done.stdout.splitlines()
    assert off == "off []"
    for line, mode in zip(others, ("given", "fleet_ca"), strict=True):
        assert f"endpoint_tls_mode: {mode} needs the Python package cryptography" in line
        assert "install cryptography on the controller" in line

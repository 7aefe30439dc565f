"""Text that a person hands over may come from Windows: with a byte order mark, with CRLF. Nothing of it arrives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import parse_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import with_secrets
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import client_context
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.controller_side import before
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import collect
from certificates import issue, pem_of

WINDOWS = pytest.mark.parametrize("change", [lambda text: f"\ufeff{text}", lambda text: text.replace("\n", "\r\n")])
Change = Callable[[str], str]
_, PEM, KEY = issue("pi-01.lan")
KEY_PEM = pem_of(KEY)
PUBLIC_KEY = f"ssh-ed25519 {'A' * 68} me\n"


def write(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return str(path)


def sent(role: str, **variables: Any) -> dict[str, Any]:
    """Return a role's inputs as they arrive on a host."""
    inputs = collect(role, DataLoader(), {"inventory_hostname_short": "pi-01", **variables})
    before(inputs)
    assert inputs.refusals == []
    return with_secrets(inputs.values, inputs.secrets)


@WINDOWS
def test_certificate_and_key(tmp_path: Path, change: Change) -> None:
    found = sent(
        "endpoint_tls",
        endpoint_tls_mode="given",
        endpoint_tls_certificate=write(tmp_path / "certificate", change(PEM)),
        endpoint_tls_key=write(tmp_path / "key", change(KEY_PEM)),
    )
    assert (found["certificate_pem"], found["key_pem"]) == (PEM, KEY_PEM)


@WINDOWS
def test_the_fleets_ca(tmp_path: Path, change: Change) -> None:
    write(tmp_path / "ca.pem", change(PEM))
    write(tmp_path / "ca.key", change(KEY_PEM))
    found = sent(
        "endpoint_tls",
        endpoint_tls_mode="fleet_ca",
        endpoint_tls_ca_dir=str(tmp_path),
        endpoint_tls_names=["pi-01.lan"],
        endpoint_tls_days=30,
        endpoint_tls_renew_days=10,
    )
    assert found["ca_pem"] == PEM


@WINDOWS
def test_a_ca_that_hosts_are_to_trust(tmp_path: Path, change: Change) -> None:
    found = sent("host_baseline", host_baseline_ca_certificates=[write(tmp_path / "ca.pem", change(PEM))])
    assert found["ca_texts"] == [PEM]


@WINDOWS
@pytest.mark.parametrize("beside", ["", KEY_PEM])
def test_a_registrys_ca(tmp_path: Path, change: Change, beside: str) -> None:
    entry = {"host": "registry.lan:5000", "ca": write(tmp_path / "ca.pem", change(beside + PEM))}
    found = sent("jetson_ollama", jetson_ollama_registries=[entry])
    assert found["registry_ca_texts"] == [PEM], "and no key that is in the same file"


@WINDOWS
def test_a_ca_that_the_controller_trusts(tmp_path: Path, change: Change) -> None:
    context = client_context(write(tmp_path / "ca.pem", change(PEM)))
    assert [len(context.get_ca_certs()), context.cert_store_stats()["x509"]] in ([0, 1], [1, 1])


def test_a_file_without_certificates_is_not_taken_for_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it holds no certificate"):
        client_context(write(tmp_path / "ca.pem", "no PEM\n"))


@WINDOWS
def test_a_public_key(tmp_path: Path, change: Change) -> None:
    file = write(tmp_path / "id.pub", change(PUBLIC_KEY))
    lookup = trust_as_template(f"{{{{ lookup('ansible.builtin.file', '{file}', rstrip=false) }}}}")
    assert sent("host_baseline", host_baseline_admin_keys=[lookup])["admin_keys"] == [PUBLIC_KEY]


@WINDOWS
def test_an_api_key(change: Change) -> None:
    problems = Problems()
    found = parse_keys([{"name": "a", "key": change(f"{'k' * 32}\n")}], problems)
    assert (problems.found, [one.key for one in found]) == ([], ["k" * 32])


@pytest.mark.parametrize(
    ("role", "values", "names"),
    [
        (
            "endpoint_tls",
            {"endpoint_tls_certificate": "file", "endpoint_tls_key": "file", "endpoint_tls_mode": "given"},
            ["endpoint_tls_certificate", "endpoint_tls_key"],
        ),
        (
            "jetson_ollama",
            {"jetson_ollama_registries": [{"host": "a"}, {"host": "b", "ca": "file"}]},
            ["jetson_ollama_registries[1].ca"],
        ),
    ],
)
def test_utf_16_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, values: dict[str, Any], names: list[str]
) -> None:
    """PowerShell's `>` writes it."""
    (tmp_path / "file").write_bytes(PEM.encode("utf-16"))
    monkeypatch.chdir(tmp_path)
    inputs = collect(role, DataLoader(), values)
    before(inputs)
    assert [sentence.split(":")[0] for sentence in inputs.refusals] == names

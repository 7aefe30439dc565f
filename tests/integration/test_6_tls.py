"""TLS by the fleet's CA, on a device of each engine: switched on, met as clients do, renewed, switched off again."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from endpoints import JETSON, KEY_FILE, PIS, Device
from plays import changes, played, refused


@pytest.fixture(scope="module", params=(PIS[1], JETSON), ids=lambda device: device.name)
def place(request: pytest.FixtureRequest) -> Device:
    return request.param  # type: ignore[no-any-return]


def run(place: Device, playbook: str, **variables: Any) -> str:
    """Run a playbook that must succeed on one device."""
    return played(f"playbooks/{playbook}.yml", limit=place.name, **variables)


def secure_url(place: Device) -> str:
    return place.url.replace("http://", "https://")


@pytest.fixture(scope="module")
def variables(place: Device, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Switch TLS on; yields the fleet's variables for that."""
    variables = {
        "edge_slm_tls_mode": "fleet_ca",
        "edge_slm_tls_ca_dir": str(tmp_path_factory.mktemp("ca") / "fleet"),
        "edge_slm_tls_names": [place.name, place.address],
    }
    run(place, "service", **variables)
    yield variables
    run(place, "service", edge_slm_tls_mode="off")
    assert place.client(KEY_FILE.read_text().strip()).models.list().data


@pytest.fixture
def ca(variables: dict[str, Any]) -> Path:
    return Path(variables["edge_slm_tls_ca_dir"], "ca.pem")


def served(place: Device, ca: Path, name: str) -> str:
    """Return the serial number of the certificate that is served, as a client finds it who asks for a name."""
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection((place.address, place.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return str((secure.getpeercert() or {})["serialNumber"])


def client(place: Device, verify: ssl.SSLContext | bool, key: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(trust_env=False, verify=verify)
    return openai.OpenAI(base_url=f"{secure_url(place)}/v1", api_key=key, timeout=120, max_retries=0, http_client=http)


def test_the_openai_client_trusts_the_fleets_ca(place: Device, ca: Path, key: str) -> None:
    answer = client(place, ssl.create_default_context(cafile=ca), key).chat.completions.create(
        model=place.model,
        temperature=0,
        max_tokens=48,
        messages=[{"role": "user", "content": "What is the capital of France? Answer in one word."}],
    )
    assert "Paris" in (answer.choices[0].message.content or "")


def test_without_the_ca_it_refuses_to_talk(place: Device, ca: Path, key: str) -> None:
    with pytest.raises(openai.APIConnectionError) as caught:
        client(place, True, key).models.list()
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)


def test_the_certificate_is_for_its_names_alone(place: Device, ca: Path) -> None:
    assert served(place, ca, place.name) == served(place, ca, place.address)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        served(place, ca, "elsewhere.lan")


def test_nothing_is_answered_in_clear(place: Device, ca: Path, key: str) -> None:
    with pytest.raises(openai.APIConnectionError):
        place.client(key).models.list()
    with socket.create_connection((place.address, place.port), timeout=30) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: pi\r\n\r\n")
        assert b"HTTP" not in plain.recv(1024)


def test_verify_and_status_ask_by_tls(place: Device, variables: dict[str, Any], tmp_path: Path) -> None:
    assert secure_url(place) in run(place, "verify", **variables)
    run(place, "status", **variables, edge_slm_status_dir=str(tmp_path))
    report = json.loads((tmp_path / f"{place.name}.json").read_text())
    assert {row["health"] for row in report["endpoints"]} == {"ok"}


def test_renewed_before_it_ends_and_served_at_once(place: Device, variables: dict[str, Any], ca: Path) -> None:
    first = served(place, ca, place.name)
    assert changes(run(place, "service", **variables)) == [0]
    assert served(place, ca, place.name) == first
    due = {"endpoint_tls_days": 100, "endpoint_tls_renew_days": 95}
    assert "it ends on" in run(place, "service", **variables, **due)
    renewed = served(place, ca, place.name)
    assert renewed != first
    assert changes(run(place, "service", **variables, **due)) == [0]


def test_a_key_of_another_certificate_is_refused_while_the_endpoint_goes_on(place: Device, ca: Path, key: str) -> None:
    before = served(place, ca, place.name)
    given = {"edge_slm_tls_certificate": str(ca), "edge_slm_tls_key": f"{ca.parent}/other.key"}
    subprocess.run(
        [
            *("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-out", given["edge_slm_tls_key"]),
        ],
        check=True,
        capture_output=True,
    )
    variables = {"edge_slm_tls_mode": "given", "edge_slm_tls_names": []}
    text = refused("playbooks/service.yml", limit=place.name, **variables, **given)
    assert "edge_slm_tls_key: does not belong" in text
    assert changes(text) == [0]
    assert served(place, ca, place.name) == before

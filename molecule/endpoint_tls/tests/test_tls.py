"""What the role endpoint_tls guarantees, seen on the devices and on the controller."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from devices import FLEET, connect
from plays import changes, play

SCENARIO = Path(__file__).resolve().parents[1]
TLS = "/etc/edge-slm/tls"
PIS = ("pi-01", "pi-02")


@pytest.fixture(params=PIS)
def pi(request: pytest.FixtureRequest) -> Any:
    return connect(request.param)


def serial(host: Any) -> str:
    return str(host.check_output(f"openssl x509 -in {TLS}/certificate.pem -noout -serial"))


def text(path: str) -> str:
    """Return a file of the controller."""
    return (FLEET / path).read_text()


def fingerprint(host: Any) -> str:
    return str(host.check_output(f"sha256sum {TLS}/key.pem"))


def converge(limit: str, **variables: Any) -> tuple[int, str]:
    run = play(SCENARIO / "converge.yml", "-vv", "--diff", limit=limit, **variables)
    return run.returncode, run.stdout + run.stderr


def test_only_those_who_serve_read_the_key(pi: Any) -> None:
    key, certificate = pi.file(f"{TLS}/key.pem"), pi.file(f"{TLS}/certificate.pem")
    assert (key.user, key.group, key.mode) == ("root", "edge-slm", 0o640)
    assert (certificate.user, certificate.mode) == ("root", 0o644)
    assert pi.check_output(f"ls -A {TLS}").split() == ["ca.pem", "certificate.pem", "key.pem"]


def test_the_fleets_ca_has_issued_it_for_the_names(pi: Any) -> None:
    pi.check_output(f"openssl verify -x509_strict -purpose sslserver -CAfile {TLS}/ca.pem {TLS}/certificate.pem")
    name = pi.check_output("hostname")
    assert f"DNS:{name}, IP" in pi.check_output(f"openssl x509 -in {TLS}/certificate.pem -noout -ext subjectAltName")
    assert pi.file(f"{TLS}/ca.pem").content_string == text("tls-ca/ca.pem")


def test_keys_are_each_devices_own_and_the_cas_is_locked() -> None:
    assert len({fingerprint(connect(name)) for name in PIS}) == 2
    assert sorted(path.name for path in (FLEET / "tls-ca").iterdir()) == ["ca.key", "ca.pem"]
    assert stat.S_IMODE((FLEET / "tls-ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((FLEET / "tls-ca/ca.key").stat().st_mode) == 0o600
    assert "ENCRYPTED" in (FLEET / "tls-ca/ca.key").read_text()


def test_given_files_are_there_as_they_were_given() -> None:
    builder = connect("builder-01")
    assert builder.file(f"{TLS}/certificate.pem").content_string == text("tls-given/builder.pem")
    key = builder.file(f"{TLS}/key.pem")
    assert key.content_string == text("tls-given/builder.key")
    assert (key.group, key.mode) == ("root", 0o640)
    assert not builder.file(f"{TLS}/ca.pem").exists


def test_of_one_file_with_certificate_and_key_only_the_certificate_is_public() -> None:
    """As HAProxy wants them; an older run has left the key where everybody may read it."""
    both = FLEET / "tls-given/both.pem"
    both.write_text(text("tls-given/builder.pem") + text("tls-given/builder.key"))
    both.chmod(0o600)
    host = connect("builder-01")
    host.check_output(f"cat {TLS}/key.pem >> {TLS}/certificate.pem")
    code, output = converge("builder-01", endpoint_tls_certificate=str(both), endpoint_tls_key=str(both))
    assert (code, changes(output)) == (0, [1]), output[-2000:]
    assert f"file {TLS}/certificate.pem: its text differs" in output
    assert host.file(f"{TLS}/certificate.pem").content_string == text("tls-given/builder.pem")
    assert host.file(f"{TLS}/key.pem").content_string == text("tls-given/builder.key")
    secret = text("tls-given/builder.key").splitlines()[1]
    assert [word for word in ("PRIVATE KEY", secret) if word in output] == []


@pytest.mark.parametrize(
    ("drift", "sentence"),
    [
        (f"chmod 0644 {TLS}/key.pem", f"file {TLS}/key.pem: its mode is 0644, not 0640"),
        (f"chown pi {TLS}/certificate.pem", f"file {TLS}/certificate.pem: it belongs to pi:root, not root:root"),
        (f"chmod 0777 {TLS}", f"directory {TLS}: its mode is 0777, not 0755"),
        (f"rm {TLS}/ca.pem", f"file {TLS}/ca.pem: is missing"),
    ],
)
def test_drift_is_reported_in_a_sentence_and_fixed(drift: str, sentence: str) -> None:
    host = connect("pi-01")
    before = serial(host)
    host.check_output(drift)
    code, output = converge("pi-01")
    assert (code, changes(output)) == (0, [1]), output[-2000:]
    assert f"pending: - '{sentence}' refusals:" in " ".join(output.split())
    assert changes(converge("pi-01")[1]) == [0]
    assert serial(host) == before


def test_another_directory() -> None:
    host = connect("pi-02")
    code, output = converge("pi-02", endpoint_tls_dir="/srv/tls-elsewhere")
    assert code == 0, output[-2000:]
    assert host.check_output("ls -A /srv/tls-elsewhere").split() == ["ca.pem", "certificate.pem", "key.pem"]
    assert changes(converge("pi-02", endpoint_tls_dir="/srv/tls-elsewhere")[1]) == [0]
    assert converge("pi-02", endpoint_tls_dir="/srv/tls-elsewhere", endpoint_tls_state="absent")[0] == 0
    assert not host.file("/srv/tls-elsewhere").exists
    assert host.file(f"{TLS}/key.pem").exists


def test_one_that_ends_soon_is_renewed_for_the_same_key() -> None:
    host = connect("pi-01")
    before, key = serial(host), fingerprint(host)
    code, output = converge("pi-01", endpoint_tls_days=100, endpoint_tls_renew_days=95)
    assert code == 0, output[-2000:]
    assert "it ends on" in output
    assert serial(host) != before
    assert fingerprint(host) == key
    assert "PRIVATE KEY" not in output
    assert "the passphrase of a test" not in output


def test_new_names_new_certificate() -> None:
    host = connect("pi-01")
    code, output = converge("pi-01", endpoint_tls_names=["pi-01.lan"])
    assert (code, "its names have changed" in output) == (0, True), output[-2000:]
    assert "DNS:pi-01.lan" in host.check_output(f"openssl x509 -in {TLS}/certificate.pem -noout -ext subjectAltName")


def test_a_pair_torn_by_a_power_cut_is_replaced() -> None:
    host = connect("pi-01")
    host.check_output(f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {TLS}/key.pem")
    code, output = converge("pi-01")
    assert (code, "it does not belong to the key" in output) == (0, True), output[-2000:]


def test_another_ca_is_made_once_for_all_devices() -> None:
    shutil.rmtree(FLEET / "tls-ca")
    code, output = converge("pi")
    assert code == 0, output[-2000:]
    made = re.search(r"TASK \[[^]]*Create the CA's certificate\].*?(?=TASK)", output, flags=re.DOTALL)
    assert made
    assert made.group().count("changed: [") == 1
    for name in PIS:
        host = connect(name)
        assert host.file(f"{TLS}/ca.pem").content_string == text("tls-ca/ca.pem")
        host.check_output(f"openssl verify -CAfile {TLS}/ca.pem {TLS}/certificate.pem")
    assert changes(converge("pi")[1]) == [0, 0]


@pytest.mark.parametrize(
    ("limit", "variables", "expected"),
    [
        (
            "builder-01",
            {"endpoint_tls_key": str(FLEET / "tls-given/other.key")},
            ["endpoint_tls_key", "does not belong"],
        ),
        (
            "builder-01",
            {"endpoint_tls_names": ["elsewhere.org"]},
            ["endpoint_tls_certificate", "elsewhere.org", "*.lan"],
        ),
        (
            "builder-01",
            {"endpoint_tls_certificate": "/nonexistent.pem"},
            ["endpoint_tls_certificate", "/nonexistent.pem"],
        ),
        ("builder-01", {"endpoint_tls_key": str(FLEET / "tls-ca/ca.key")}, ["endpoint_tls_key", "passphrase"]),
        ("pi-01", {"endpoint_tls_ca_passphrase": "wrong"}, ["endpoint_tls_ca_passphrase"]),
        ("pi-01", {"endpoint_tls_names": ["a b"]}, ["endpoint_tls_names", "a b"]),
        ("pi-01", {"endpoint_tls_renew_days": 90}, ["endpoint_tls_renew_days", "89"]),
    ],
    ids=["another key", "other names", "no file", "locked key", "passphrase", "no name", "always due"],
)
def test_refused_before_anything_changes(limit: str, variables: dict[str, Any], expected: list[str]) -> None:
    code, output = converge(limit, **variables)
    assert code != 0
    assert [word for word in expected if word not in " ".join(output.split())] == [], output[-2000:]
    assert changes(output) == [0]


def test_one_that_is_given_and_ends_soon_is_warned_of() -> None:
    code, output = converge("builder-01")
    assert (code, changes(output)) == (0, [0])
    assert re.search(r"\[WARNING\]: endpoint_tls_certificate: it ends in (19|20) days", output)


def test_removed_when_absent_and_left_when_off() -> None:
    host = connect("pi-02")
    # Unquoted, YAML makes a boolean of it.
    code, output = converge("pi-02", endpoint_tls_mode=False)
    assert (code, changes(output)) == (0, [0]), output[-2000:]
    assert host.file(f"{TLS}/key.pem").exists
    assert converge("pi-02", endpoint_tls_state="absent")[0] == 0
    assert not host.file(TLS).exists
    assert (FLEET / "tls-ca/ca.key").exists()
    assert converge("pi-02")[0] == 0

"""Tables for certificates: which are refused, when a new one is issued, whether a pair works."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import ask
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import certificates as tls
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import x509 as reading
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = ["pi-01.lan", "192.168.1.11"]
KEY = "0" * 64


def certificate(left: float = 60, age: float = 30, names: list[str] = NAMES, key: str = KEY) -> tls.Certificate:
    return tls.Certificate(frozenset(names), NOW - timedelta(days=age), NOW + timedelta(days=left), key)


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (["Pi-01.LAN.", "192.168.1.11"], ["pi-01.lan", "192.168.1.11"]),
        (["::0001", "::1", "[::1]"], ["::1"]),
        (["*.lan", "registry"], ["*.lan", "registry"]),
    ],
)
def test_names(raw: list[str], names: list[str]) -> None:
    assert tls.parse_names(raw) == (names, [])


@pytest.mark.parametrize("bad", ["", "192.168.1", "*.168.1.11", "a b", "https://pi", "pi:8080", "-pi", "pi..lan", "*"])
def test_bad_names(bad: str) -> None:
    names, problems = tls.parse_names(["ok", bad])
    assert names == ["ok"]
    assert len(problems) == 1
    assert "endpoint_tls_names" in problems[0]


def test_names_are_a_list() -> None:
    assert "is not a list" in tls.parse_names("pi-01")[1][0]


def test_names_of_a_request() -> None:
    assert tls.subject_alternative_names(["pi-01", "10.0.0.1", "::1"]) == ["DNS:pi-01", "IP:10.0.0.1", "IP:::1"]


BLOCK = "-----BEGIN {0}-----\nMIIB\n-----END {0}-----\n"
LEAF, EC_KEY, RSA_KEY = (BLOCK.format(name) for name in ("CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY"))
LOCKED = BLOCK.format("ENCRYPTED PRIVATE KEY")


@pytest.mark.parametrize(
    ("pem", "certificates", "key"),
    [
        (LEAF, LEAF, ""),
        (LEAF + LEAF, LEAF + LEAF, ""),
        (LEAF + EC_KEY, LEAF, EC_KEY),
        (EC_KEY + LEAF + LEAF, LEAF + LEAF, EC_KEY),
        ("Bag Attributes\n" + LEAF + "subject=x\n" + RSA_KEY + LEAF, LEAF + LEAF, RSA_KEY),
        (BLOCK.format("EC PARAMETERS") + BLOCK.format("EC PRIVATE KEY"), "", BLOCK.format("EC PRIVATE KEY")),
        (LOCKED, "", LOCKED),
        ((LEAF + EC_KEY).replace("\n", "\r\n"), LEAF, EC_KEY),
        (LEAF.rstrip("\n"), LEAF, ""),
        ("no PEM\n", "", ""),
        ("", "", ""),
    ],
)
def test_certificates_and_keys_of_one_file_are_kept_apart(pem: str, certificates: str, key: str) -> None:
    assert tls.certificates_in(pem) == certificates
    assert tls.key_in(pem) == key


@pytest.mark.parametrize(
    ("names", "on_it", "missing"),
    [
        (["pi-01.lan"], ["pi-01.lan"], []),
        (["pi-01.lan"], ["*.lan"], []),
        (["a.pi-01.lan"], ["*.lan"], ["a.pi-01.lan"]),
        (["lan"], ["*.lan"], ["lan"]),
        ([], ["x"], []),
    ],
)
def test_covering(names: list[str], on_it: list[str], missing: list[str]) -> None:
    assert tls.uncovered(names, certificate(names=on_it)) == missing


@pytest.mark.parametrize(
    ("found", "key", "part"),
    [
        (certificate(), KEY, ""),
        (certificate(names=["*.lan", "192.168.1.11"]), KEY, ""),
        (certificate(), "1" * 64, "endpoint_tls_key: does not belong"),
        (certificate(left=-1), KEY, "expired on 2026-05-31"),
        (certificate(age=-1), KEY, "not valid before 2026-06-02"),
        (certificate(names=["pi-01.lan"]), KEY, "not for 192.168.1.11 but for pi-01.lan"),
        (certificate(names=[]), KEY, "but for nobody"),
    ],
)
def test_given(found: tls.Certificate, key: str, part: str) -> None:
    problems, warnings = tls.check_given(found, key, NAMES, NOW, 30)
    assert bool(problems) == bool(part)
    assert part in "\n".join(problems)
    assert warnings == []


def test_given_and_soon_over() -> None:
    problems, warnings = tls.check_given(certificate(left=29.5), KEY, NAMES, NOW, 30)
    assert problems == []
    assert "ends in 29 days, on 2026-06-30" in warnings[0]


@pytest.mark.parametrize(
    ("found", "reason", "own_key"),
    [
        (tls.Found(certificate(), True, True), "", True),
        (tls.Found(certificate(left=30), True, True), "", True),
        (tls.Found(certificate(left=29), True, True), "it ends on 2026-06-30", True),
        (tls.Found(certificate(left=-5), True, True), "it ends on 2026-05-27", True),
        (tls.Found(certificate(age=-2), True, True), "it is not valid yet", True),
        (tls.Found(certificate(names=["pi-01.lan"]), True, True), "its names have changed", True),
        (tls.Found(certificate(names=[*NAMES, "more"]), True, True), "its names have changed", True),
        (tls.Found(certificate(), False, True), "it does not belong to the key", False),
        (tls.Found(certificate(), True, False), "another CA has issued it", False),
        (tls.Found(), "there is none", False),
    ],
)
def test_issuing(found: tls.Found, reason: str, own_key: bool) -> None:
    assert tls.reason_to_issue(found, NAMES, NOW, 30) == reason
    assert tls.key_is_own(found) == own_key


# From here on with real certificates.


def make(folder: Path, name: str, days: tuple[int, int] = (-1, 30), signer: str = "") -> tuple[str, str]:
    """Write a certificate for localhost and its key; without a signer it is a CA that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, issuer_key = subject, key
    if signer:
        issuer = x509.load_pem_x509_certificate((folder / f"{signer}.pem").read_bytes()).subject
        loaded = load_pem_private_key((folder / f"{signer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        issuer_key = loaded
    names = [x509.DNSName("LocalHost"), x509.IPAddress(ip_address("127.0.0.1"))]
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    built = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) + timedelta(days=days[0]))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=not signer, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=not signer, crl_sign=not signer, decipher_only=False, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(Encoding.PEM))
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(plain)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    (folder / f"{name}.locked").write_bytes(locked)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make(folder, "ca")
    make(folder, "other")
    make(folder, "leaf", signer="ca")
    make(folder, "old", days=(-20, -10), signer="ca")
    make(folder, "new", days=(10, 20), signer="ca")
    (folder / "text.pem").write_text("no PEM\n")
    return folder


def test_reading(folder: Path) -> None:
    leaf, key = (folder / "leaf.pem").read_text(), (folder / "leaf.key").read_text()
    found = reading.read_certificate(leaf)
    assert found.names == {"localhost", "127.0.0.1"}
    assert found.public_key == reading.read_key(key) == reading.read_key(key, "needless")
    assert found.public_key != reading.read_key((folder / "ca.key").read_text())
    locked = (folder / "leaf.locked").read_text()
    assert reading.read_key(locked, "open sesame") == found.public_key
    for passphrase in ("", "wrong"):
        with pytest.raises(reading.EncryptedKeyError):
            reading.read_key(locked, passphrase)
    for read in (reading.read_certificate, reading.read_key):
        with pytest.raises(ValueError):  # noqa: PT011 (cryptography's own message)
            read("no PEM")


@pytest.mark.parametrize(("authority", "is_it"), [("ca", True), ("other", False), ("text", False)])
def test_issued_by(folder: Path, authority: str, is_it: bool) -> None:
    texts = ((folder / f"{name}.pem").read_text() for name in ("leaf", authority))
    assert reading.is_issued_by(*texts) is is_it


@pytest.mark.parametrize(
    ("certificate", "key", "trusted", "part"),
    [
        ("leaf.pem", "leaf.key", "ca.pem", ""),
        ("leaf.pem", "leaf.key", "", ""),
        ("ca.pem", "ca.key", "", ""),
        ("leaf.pem", "leaf.key", "other.pem", "unable to get"),
        ("leaf.pem", "ca.key", "", "does not belong"),
        ("old.pem", "old.key", "", "expired"),
        ("new.pem", "new.key", "", "not yet valid"),
        ("leaf.pem", "leaf.locked", "", "encrypted"),
        ("text.pem", "leaf.key", "", "cannot be read"),
        ("leaf.pem", "nothing", "", "cannot be read"),
    ],
)
def test_pairs(folder: Path, certificate: str, key: str, trusted: str, part: str) -> None:
    problem = tls.pair_problem(f"{folder}/{certificate}", f"{folder}/{key}", f"{folder}/{trusted}" if trusted else "")
    assert bool(problem) == bool(part), problem
    assert part in problem


class Handler(BaseHTTPRequestHandler):
    """Answers everything with 200."""

    def log_message(self, *_args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize(
    ("name", "trusted", "part"),
    [
        ("localhost", "ca.pem", ""),
        ("127.0.0.1", "leaf.pem", ""),
        ("127.0.0.1", "other.pem", "verify failed"),
        ("127.0.0.1", "", "verify failed"),
        ("ip6-localhost.invalid", "ca.pem", "not known"),
    ],
)
def test_clients_outside(folder: Path, server: int, name: str, trusted: str, part: str) -> None:
    context = tls.client_context(f"{folder}/{trusted}" if trusted else "")
    reply = ask(f"https://{name}:{server}/", timeout=5, tls=context)
    assert (reply.status == 200) == (not part), reply
    assert part in reply.body


def test_names_count_outside_and_not_where_the_certificate_is_pinned(folder: Path) -> None:
    httpd = HTTPServer(("127.0.0.2", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    url = f"https://127.0.0.2:{httpd.server_port}/"
    try:
        assert "mismatch" in ask(url, timeout=5, tls=tls.client_context(f"{folder}/ca.pem")).body
        assert ask(url, timeout=5, tls=tls.pinned_context(f"{folder}/leaf.pem")).status == 200
        assert "verify failed" in ask(url, timeout=5, tls=tls.pinned_context(f"{folder}/other.pem")).body
        assert ask(url.replace("https", "http"), timeout=5).status == 0
    finally:
        httpd.shutdown()
        httpd.server_close()

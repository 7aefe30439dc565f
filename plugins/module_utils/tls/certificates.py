# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of endpoints: which are refused, when a new one is issued, whether a pair really works."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import plain_text

#: Blocks of a PEM file that may be public, and those that must not.
CERTIFICATE_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)
KEY_BLOCK = re.compile(r"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----\s.*?-----END \1-----", re.DOTALL)
#: OpenSSL's X509_V_FLAG_PARTIAL_CHAIN; Python has a name for it from 3.10 on.
PARTIAL_CHAIN = 0x80000
DNS_NAME = re.compile(
    r"(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
#: Messages that a handshake of two in-memory ends may need; real ones need four.
HANDSHAKE_ROUNDS = 10


@dataclass(frozen=True)
class Certificate:
    """What counts of an X.509 certificate. Times are UTC; `public_key` is the sha256 of the key."""

    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    public_key: str


@dataclass(frozen=True)
class Found:
    """What is on a device. `certificate` is None where there is none that can be read."""

    certificate: Certificate | None = None
    #: Whether the key there belongs to the certificate there.
    matches: bool = False
    #: Whether the fleet's CA has signed it.
    issued_by_ca: bool = False


def certificates_in(pem: str) -> str:
    """Return only the certificates of a PEM file: a key that is in the same file, too, is left out."""
    return "".join(f"{block.group(0)}\n" for block in CERTIFICATE_BLOCK.finditer(plain_text(pem)))


def key_in(pem: str) -> str:
    """Return only the first private key of a PEM file; empty where there is none."""
    block = KEY_BLOCK.search(plain_text(pem))
    return f"{block.group(0)}\n" if block else ""


def normal_name(name: object) -> str:
    """Return a DNS name in lower case, or an IP address in its one spelling; empty where it is neither."""
    text = str(name).strip().lower().rstrip(".").strip("[]")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        # Digits and dots alone are a mistyped address, not a name.
        return text if DNS_NAME.fullmatch(text) and not re.fullmatch(r"[*\d.]+", text) else ""


def parse_names(raw: object) -> tuple[list[str], list[str]]:
    """Read the names that clients use.

    Returns:
        The names, each once, and what is wrong with them, one sentence each.
    """
    variable = "endpoint_tls_names"
    if not isinstance(raw, (list, tuple)):
        return [], [f"{variable}: is not a list; give the DNS names and IP addresses that clients use."]
    bad = [item for item in raw if not normal_name(item)]
    problems = [
        f"{variable}: {item!r} is neither a DNS name nor an IP address; correct it or take it out." for item in bad
    ]
    return list(dict.fromkeys(normal_name(item) for item in raw if normal_name(item))), problems


def subject_alternative_names(names: Iterable[str]) -> list[str]:
    """Return names as a certificate request wants them: `DNS:…` and `IP:…`."""

    def is_address(name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    return [f"IP:{name}" if is_address(name) else f"DNS:{name}" for name in names]


def uncovered(names: Iterable[str], certificate: Certificate) -> list[str]:
    """Return those names that a client could not use with the certificate; `*.` matches one label."""
    return [name for name in names if not {name, re.sub(r"^[^.]+", "*", name)} & certificate.names]


def check_validity(what: str, certificate: Certificate, now: datetime, fix: str) -> list[str]:
    """Refuse a certificate that is not valid now; the sentence ends with what to do."""
    if now < certificate.not_before:
        return [f"{what} is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC; {fix}, or set the clock."]
    if now >= certificate.not_after:
        return [f"{what} expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC; {fix}."]
    return []


def check_given(
    certificate: Certificate, key: str, names: Sequence[str], now: datetime, left: int
) -> tuple[list[str], list[str]]:
    """Judge a certificate that the operator gives.

    Args:
        certificate: The first one in the file.
        key: The public half of the key that was given, as in Certificate.
        names: The names that clients use.
        now: The time.
        left: From how many days before its end on to warn.

    Returns:
        Why it is refused, and what to warn of.
    """
    variable = "endpoint_tls_certificate"
    problems = check_validity(f"{variable}: it", certificate, now, "give a newer one")
    if certificate.public_key != key:
        problems.append(
            "endpoint_tls_key: does not belong to the first certificate in endpoint_tls_certificate; "
            "give the key that it was made for, and put the server's certificate before its chain."
        )
    missing = uncovered(names, certificate)
    if missing:
        problems.append(
            f"{variable}: it is not for {', '.join(missing)} "
            f"but for {', '.join(sorted(certificate.names)) or 'nobody'}; "
            "give one with these names, or take them out of endpoint_tls_names."
        )
    warnings = []
    if not problems and certificate.not_after - now < timedelta(days=left):
        warnings.append(
            f"{variable}: it ends in {(certificate.not_after - now).days} days, on {certificate.not_after:%Y-%m-%d}; "
            "give a newer one before."
        )
    return problems, warnings


def reason_to_issue(found: Found, names: Sequence[str], now: datetime, left: int) -> str:
    """Return why the fleet's CA has to issue a new certificate; empty where the one on the device stays.

    Args:
        found: What is on the device.
        names: The names that clients use.
        now: The time.
        left: From how many days before its end on it is renewed.
    """
    certificate = found.certificate
    if certificate is None:
        return "there is none"
    if not found.issued_by_ca:
        return "another CA has issued it"
    if not found.matches:
        return "it does not belong to the key"
    if certificate.names != set(names):
        return "its names have changed"
    if now < certificate.not_before:
        return "it is not valid yet"
    if certificate.not_after - now < timedelta(days=left):
        return f"it ends on {certificate.not_after:%Y-%m-%d}"
    return ""


def key_is_own(found: Found) -> bool:
    """Return whether the key on the device was made there: only then a new certificate may be for it."""
    return found.certificate is not None and found.issued_by_ca and found.matches


def pinned_context(certificate: str) -> ssl.SSLContext:
    """Return the settings of a client that trusts the certificates in one file and nothing else.

    The name is not looked at: who serves with the key of that very certificate is who is meant, under
    whatever address, loopback above all.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    # Also a certificate that another one has signed may be the anchor.
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | PARTIAL_CHAIN)
    return context


def client_context(ca_file: str) -> ssl.SSLContext:
    """Return the settings of a client outside: it trusts the certificates in a file, or what its host trusts.

    The file may hold a CA's certificate or the server's own. Names are looked at.
    """
    context = ssl.create_default_context(cadata=_trusted(ca_file) if ca_file else None)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | PARTIAL_CHAIN)
    return context


def _trusted(ca_file: str) -> str:
    """Return the certificates of a file that a person hands over.

    Raises:
        OSError: It cannot be read, or holds none.
    """
    with open(ca_file, encoding="utf-8", errors="replace") as file:
        found = certificates_in(file.read())
    if not found:
        raise OSError("it holds no certificate")
    return found


def belongs(certificate: str, key: str) -> bool:
    """Return whether a certificate and a key that can be used belong together."""
    try:
        # Without a password OpenSSL would ask the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="-")  # noqa: S106
    except (OSError, ValueError):
        return False
    return True


def pair_problem(certificate: str, key: str, trusted: str = "") -> str:
    """Do a handshake of a client with a server that has the certificate and key, without a network.

    Args:
        certificate: Path of the certificate with its chain.
        key: Path of its key.
        trusted: Path of what the client trusts; the certificate itself where empty.

    Returns:
        Why no client could use them; empty where one could, now and on this host.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password="-")  # noqa: S106
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            return "the key does not belong to the certificate"
        return f"they cannot be read as PEM, or the key is encrypted ({error.reason or error})"
    except OSError as error:
        return f"they cannot be read ({error})"
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client = pinned_context(trusted or certificate).wrap_bio(to_client, to_server)
        server = context.wrap_bio(to_server, to_client, server_side=True)
        waiting = [client, server]
        for _unused in range(HANDSHAKE_ROUNDS):
            for end in list(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass
            if not waiting:
                return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return str(error.reason or error)
    return "the handshake does not end"

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read certificates and keys on the controller, where the package cryptography should be (see MISSING if it is not)."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import Certificate, normal_name

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
except ImportError:
    INSTALLED = False
else:
    # Before release 42 times had no zone.
    INSTALLED = hasattr(x509.Certificate, "not_valid_before_utc")

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

#: What to do where the package is missing or too old; empty where it is there.
MISSING = (
    ""
    if INSTALLED
    else "needs the Python package cryptography, release 42 or newer: install cryptography on the controller "
    f"({sys.executable} -m pip install --upgrade cryptography)."
)


class EncryptedKeyError(ValueError):
    """A key needs a passphrase that was not given, or not this one."""


def _fingerprint(key: PublicKeyTypes) -> str:
    """Return the sha256 of a public key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_certificate(pem: str) -> Certificate:
    """Read the first certificate of a text.

    Raises:
        ValueError: There is none.
    """
    loaded = x509.load_pem_x509_certificate(pem.encode())
    try:
        found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: set[str] = set()  # The common name alone has not counted for clients since 2017.
    else:
        names = {normal_name(name) for name in found.get_values_for_type(x509.DNSName)}
        names |= {normal_name(address) for address in found.get_values_for_type(x509.IPAddress)}
    return Certificate(
        frozenset(names - {""}),
        loaded.not_valid_before_utc,
        loaded.not_valid_after_utc,
        _fingerprint(loaded.public_key()),
    )


def read_key(pem: str, passphrase: str = "") -> str:
    """Return the public half of a private key, as Certificate has it.

    Raises:
        EncryptedKeyError: It needs another passphrase.
        ValueError: It is not a key in PEM.
    """
    try:
        loaded = load_pem_private_key(pem.encode(), passphrase.encode() or None)
    except TypeError as error:  # cryptography: a passphrase is missing, or was given for a key without one
        if not passphrase:
            raise EncryptedKeyError(str(error)) from error
        return read_key(pem)
    except ValueError as error:
        if passphrase and "ENCRYPTED" in pem:
            raise EncryptedKeyError(str(error)) from error
        raise
    return _fingerprint(loaded.public_key())


def is_issued_by(certificate: str, authority: str) -> bool:
    """Return whether a CA's certificate has signed the first one of a text."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True

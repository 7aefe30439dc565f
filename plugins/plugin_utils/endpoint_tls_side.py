# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role endpoint_tls takes from the controller, and what is judged there after.

The operator's certificate and key, or the fleet's CA, are files of the controller; a certificate that has come back
from the host is read here, where there is a library for it. No plan has key material in it: a given key travels as a
secret, the CA's key and its passphrase do not travel.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import certificates as tls
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.files import Inputs as Cast
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import x509
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs


def before(inputs: Inputs) -> None:
    """Add the given certificate and key, or the CA's certificate; refuse what no client could use."""
    passphrase = inputs.take_secret("ca_passphrase")
    problems = Problems()
    cast = Cast.of(inputs.values, problems)
    if cast.wanted and x509.MISSING:
        problems.add("endpoint_tls_mode", f"{cast.mode} {x509.MISSING}")
    if cast.wanted and not problems.found:
        (add_given if cast.mode == "given" else add_ca)(inputs, cast, passphrase, problems)
    inputs.refusals += map(inputs.by_the_operators_names, problems.found)


def ca_paths(cast: Cast) -> tuple[str, str]:
    """Return the paths of the CA's certificate and key on the controller."""
    return os.path.join(cast.ca_dir, "ca.pem"), os.path.join(cast.ca_dir, "ca.key")


def read(inputs: Inputs, path: str, variable: str, problems: Problems) -> str:
    """Return the text of a file on the controller, decrypted; add a problem where that cannot be done."""
    if not os.path.isfile(path):
        problems.add(variable, f"there is no file {path} on the controller; give the path of one.")
        return ""
    try:
        return str(inputs.loader.get_text_file_contents(path))
    except AnsibleError as error:
        problems.add(variable, f"{path} cannot be read ({error}); name a PEM file of the controller.")
        return ""


def warn(inputs: Inputs, sentence: str) -> None:
    """Warn of what is right today and will not be for long."""
    Display().warning(inputs.by_the_operators_names(sentence))


def add_given(inputs: Inputs, cast: Cast, _passphrase: str, problems: Problems) -> None:
    """Check the operator's certificate and key, which may be in one file, and add them."""
    certificate_text = read(inputs, cast.certificate, "endpoint_tls_certificate", problems)
    key_text = read(inputs, cast.key, "endpoint_tls_key", problems)
    if problems.found:
        return
    pem, key_pem = tls.certificates_in(certificate_text), tls.key_in(key_text)
    certificate, key = None, ""
    try:
        certificate = x509.read_certificate(pem)
    except ValueError:
        problems.add("endpoint_tls_certificate", f"{cast.certificate} holds no certificate in PEM.")
    try:
        key = x509.read_key(key_pem)
    except x509.EncryptedKeyError:
        problems.add(
            "endpoint_tls_key",
            f"{cast.key} needs a passphrase, which no service could be asked for; take it off "
            "(openssl pkey -in OLD -out NEW) and encrypt the file with ansible-vault instead.",
        )
    except ValueError:
        problems.add("endpoint_tls_key", f"{cast.key} holds no private key in PEM.")
    if certificate and key:
        found, warnings = tls.check_given(certificate, key, cast.names, datetime.now(UTC), cast.renew_days)
        problems.found += found
        for sentence in warnings:
            warn(inputs, sentence)
    if not problems.found:
        inputs.values["certificate_pem"] = pem
        inputs.values["key_pem"] = inputs.add_secret(key_pem)


def add_ca(inputs: Inputs, cast: Cast, passphrase: str, problems: Problems) -> None:
    """Check the fleet's CA and add its certificate; there is none yet before the first device needs it."""
    certificate, key = ca_paths(cast)
    inputs.values["ca_pem"] = ""
    if not os.path.exists(certificate):
        return  # With a key alone, a killed run is picked up.
    pem = tls.certificates_in(read(inputs, certificate, "endpoint_tls_ca_dir", problems))
    key_pem = tls.key_in(read(inputs, key, "endpoint_tls_ca_dir", problems))
    if problems.found:
        return
    fix = f"move {cast.ca_dir} away for a new CA (every client needs its certificate then)"
    try:
        authority = x509.read_certificate(pem)
        if authority.public_key != x509.read_key(key_pem, passphrase):
            problems.add("endpoint_tls_ca_dir", f"ca.key does not belong to ca.pem; restore both, or {fix}.")
    except x509.EncryptedKeyError:
        problems.add("endpoint_tls_ca_passphrase", "is not that of ca.key; give the one that it was made with.")
        return
    except ValueError:
        problems.add("endpoint_tls_ca_dir", f"ca.pem or ca.key is not PEM; restore both, or {fix}.")
        return
    now = datetime.now(UTC)
    problems.found += tls.check_validity("endpoint_tls_ca_dir: ca.pem", authority, now, fix)
    if authority.not_after - now < timedelta(days=cast.days):
        warn(inputs, f"endpoint_tls_ca_dir: the CA ends on {authority.not_after:%Y-%m-%d}; {fix}.")
    inputs.values["ca_pem"] = pem


def after(inputs: Inputs, plan: dict[str, Any]) -> None:
    """Decide whether the fleet's CA issues a new certificate, by the one that is on the host."""
    needs = plan["needs"]
    pem = str(needs.pop("certificate", ""))
    matches = bool(needs.pop("matches", False))
    if needs["mode"] != "fleet_ca":
        return
    cast = Cast.of(inputs.values, Problems())
    try:
        found = tls.Found(x509.read_certificate(pem), matches, x509.is_issued_by(pem, cast.ca_pem))
    except ValueError:
        found = tls.Found()
    certificate, key = ca_paths(cast)
    reason = tls.reason_to_issue(found, cast.names, datetime.now(UTC), cast.renew_days)
    needs.update(
        issue=reason,
        make_key=bool(reason) and not tls.key_is_own(found),
        make_ca=not cast.ca_pem,
        ca=certificate,
        ca_key=key,
        names=list(cast.names),
        subject_alt_names=tls.subject_alternative_names(cast.names),
        days=cast.days,
    )
    if reason:
        plan["pending"].append(f"certificate {cast.paths.certificate}: the fleet's CA issues a new one: {reason}")
    if needs["make_ca"]:
        plan["pending"].append(f"CA {cast.ca_dir} on the controller: is made, there is none")

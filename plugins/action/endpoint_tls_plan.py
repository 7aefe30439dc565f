# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of edge_slm.fleet.endpoint_tls_plan (its documentation is in plugins/modules)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import certificates as tls
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import x509

SPEC: dict[str, dict[str, Any]] = {
    "mode": {"type": "str", "choices": list(tls.MODES), "required": True},
    "names": {"type": "raw", "required": True},
    "certificate": {"type": "str", "default": ""},
    "key": {"type": "str", "default": ""},
    "ca_dir": {"type": "str", "default": ""},
    "ca_passphrase": {"type": "str", "default": "", "no_log": True},
    "days": {"type": "int", "default": 90},
    "renew_days": {"type": "int", "default": 30},
    "directory": {"type": "path", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Read what lies on the controller and on the device, and decide."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the plan, or fail with every problem."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, given = self.validate_argument_spec(SPEC)
        names, self._problems = tls.parse_names(given["names"])
        self._warnings: list[str] = []
        self._authority = ""
        self._now = datetime.now(UTC)
        self._problems += tls.check_inputs(
            given["mode"],
            names,
            (given["certificate"], given["key"]),
            given["ca_dir"],
            given["days"],
            given["renew_days"],
        )
        folder = Path(given["ca_dir"]).expanduser()
        plan: dict[str, Any] = {
            "mode": given["mode"],
            "key": str(Path(given["key"]).expanduser()),
            "issue": "",
            "new_key": False,
            "make_ca": False,
            "ca": str(folder / "ca.pem"),
            "ca_key": str(folder / "ca.key"),
            "subject_alt_names": tls.subject_alternative_names(names),
            "certificate": "",
        }
        if given["mode"] == "given" and not self._problems:
            plan["certificate"] = self._judge_given(given, names)
        if given["mode"] == "fleet_ca" and not self._problems:
            plan["make_ca"] = self._judge_ca(plan["ca"], plan["ca_key"], given)
            if not self._problems:
                self._decide(plan, names, given, task_vars or {})
        if self._problems:
            raise AnsibleActionFail("\n".join(self._problems))
        return {**result, **plan, "changed": False, **({"warnings": self._warnings} if self._warnings else {})}

    def _read(self, path: str, variable: str) -> str:
        """Return the text of a file on the controller, decrypted; note a problem where that cannot be done."""
        if not Path(path).expanduser().is_file():
            self._problems.append(f"{variable}: there is no file {path} on the controller; give the path of one.")
            return ""
        try:
            return Path(self._loader.get_real_file(str(Path(path).expanduser()))).read_text(encoding="utf-8")
        except (AnsibleError, OSError, UnicodeDecodeError) as error:
            self._problems.append(f"{variable}: {path} cannot be read ({error}); name a PEM file of the controller.")
            return ""

    def _judge_given(self, given: dict[str, Any], names: list[str]) -> str:
        """Check the operator's certificate and key; return the certificate."""
        pem = self._read(given["certificate"], "endpoint_tls_certificate")
        key_pem = self._read(given["key"], "endpoint_tls_key")
        if self._problems:
            return ""
        certificate, key = None, ""
        try:
            certificate = x509.read_certificate(pem)
        except ValueError:
            self._problems.append(f"endpoint_tls_certificate: {given['certificate']} holds no certificate in PEM.")
        try:
            key = x509.read_key(key_pem)
        except x509.EncryptedKeyError:
            self._problems.append(
                f"endpoint_tls_key: {given['key']} needs a passphrase, which no service could be asked for; "
                "take it off (openssl pkey -in OLD -out NEW) and encrypt the file with ansible-vault instead."
            )
        except ValueError:
            self._problems.append(f"endpoint_tls_key: {given['key']} holds no private key in PEM.")
        if certificate and key:
            problems, warnings = tls.check_given(certificate, key, names, self._now, given["renew_days"])
            self._problems += problems
            self._warnings += warnings
        return pem

    def _judge_ca(self, certificate: str, key: str, given: dict[str, Any]) -> bool:
        """Check the fleet's CA; return whether it has to be made first."""
        if not Path(certificate).exists():
            return True  # With a key alone, a killed run is picked up.
        pem, key_pem = self._read(certificate, "endpoint_tls_ca_dir"), self._read(key, "endpoint_tls_ca_dir")
        if self._problems:
            return False
        self._authority = pem
        mend = f"move {given['ca_dir']} away for a new CA (every client needs its certificate then)"
        try:
            authority = x509.read_certificate(pem)
            if authority.public_key != x509.read_key(key_pem, given["ca_passphrase"]):
                self._problems.append(
                    f"endpoint_tls_ca_dir: ca.key does not belong to ca.pem; restore both, or {mend}."
                )
        except x509.EncryptedKeyError:
            self._problems.append(
                "endpoint_tls_ca_passphrase: is not that of ca.key; give the one that it was made with."
            )
            return False
        except ValueError:
            self._problems.append(f"endpoint_tls_ca_dir: ca.pem or ca.key is no PEM; restore both, or {mend}.")
            return False
        self._problems += tls.check_validity("endpoint_tls_ca_dir: ca.pem", authority, self._now, mend)
        if authority.not_after - self._now < timedelta(days=given["days"]):
            self._warnings.append(f"endpoint_tls_ca_dir: the CA ends on {authority.not_after:%Y-%m-%d}; {mend}.")
        return False

    def _decide(self, plan: dict[str, Any], names: list[str], given: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Decide whether the fleet's CA issues a new certificate, by what lies on the device."""
        seen = self._execute_module(
            module_name="edge_slm.fleet.endpoint_tls_files",
            module_args={"directory": given["directory"]},
            task_vars=task_vars,
        )
        if seen.get("failed") or seen.get("unreachable"):
            raise AnsibleActionFail(str(seen.get("msg") or "the device's certificate could not be read"), result=seen)
        pem = str(seen.get("certificate") or "")
        try:
            found = tls.Found(
                x509.read_certificate(pem),
                matches=bool(seen.get("matches")),
                issued_by_ca=x509.is_issued_by(pem, self._authority),
            )
        except ValueError:
            found = tls.Found()
        plan["issue"] = tls.reason_to_issue(found, names, self._now, given["renew_days"])
        plan["new_key"] = bool(plan["issue"]) and not tls.key_is_own(found)
        plan["certificate"] = "" if plan["issue"] else pem

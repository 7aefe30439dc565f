#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.tls_files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_tls_files
short_description: Put a certificate and its key where services read them
version_added: 0.2.0
description:
  - Writes C(key.pem), C(certificate.pem) and C(ca.pem) beside their final names, lets a client that trusts the CA
    (or the certificate itself) shake hands with a server that has them, and only then renames them.
  - Without O(certificate) it only tells what lies there.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  directory:
    description: Where the files lie.
    type: path
    required: true
  certificate:
    description: The certificate with its chain, in PEM.
    type: str
    default: ""
  ca:
    description: The CA's certificate, in PEM. Without it there is no C(ca.pem).
    type: str
    default: ""
  key:
    description: The key, in PEM. Without it, the key from O(key_file), or the one that lies there.
    type: str
    default: ""
  key_file:
    description: A key that was made on the device, to be moved into place. It may be missing.
    type: path
  group:
    description: Group that may read the key.
    type: str
    default: root
attributes:
  check_mode:
    support: full
    description: Tells what would be written.
  diff_mode:
    support: none
    description: A certificate tells people nothing, a key must not be shown.
"""

EXAMPLES = r"""
- name: Write the certificate
  edge_slm.fleet.endpoint_tls_files:
    directory: /etc/edge-slm/tls
    certificate: "{{ lookup('ansible.builtin.file', 'pi-01.pem') }}"
    key: "{{ lookup('ansible.builtin.unvault', 'pi-01.key') }}"
    group: edge-slm
  no_log: true
"""

RETURN = r"""
certificate:
  description: The certificate that lies there now; empty where there is none.
  returned: success
  type: str
matches:
  description: Whether the key that lies there belongs to it, and both can be used.
  returned: success
  type: bool
written:
  description: Files that were written or removed.
  returned: success
  type: list
  elements: str
"""

import grp
import ssl
import stat
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import finish, read_text, remove, write_draft
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pair_problem


def is_right(path: Path, text: str, mode: int, group: str) -> bool:
    """Tell whether a file is there with that text, mode and owners."""
    if not path.is_file() or read_text(path) != text:
        return False
    state = path.stat()
    try:
        owners = (0, grp.getgrnam(group).gr_gid)
    except KeyError:
        return False
    return stat.S_IMODE(state.st_mode) == mode and (state.st_uid, state.st_gid) == owners


def belongs(certificate: Path, key: Path) -> bool:
    """Tell whether certificate and key belong together."""
    try:
        # Without a password OpenSSL would ask the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="-")  # noqa: S106
    except (OSError, ValueError):
        return False
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "certificate": {"type": "str", "default": ""},
            "ca": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "key_file": {"type": "path", "no_log": False},
            "group": {"type": "str", "default": "root"},
        },
        supports_check_mode=True,
    )
    given = module.params
    folder = Path(given["directory"])
    certificate, key, ca = (folder / f"{name}.pem" for name in ("certificate", "key", "ca"))
    if not given["certificate"]:
        module.exit_json(
            changed=False, certificate=read_text(certificate), matches=belongs(certificate, key), written=[]
        )
    new_key = Path(given["key_file"] or "/nonexistent")
    key_text = given["key"] or read_text(new_key) or read_text(key)
    files = [
        (key, key_text, 0o640, given["group"]),
        (certificate, given["certificate"], 0o644, "root"),
    ]
    if given["ca"]:
        files.append((ca, given["ca"], 0o644, "root"))
    wrong = [file for file in files if not is_right(*file)]
    unwanted = [path for path in ([] if given["ca"] else [ca]) + [new_key] if path.is_file()]
    written = [str(file[0]) for file in wrong] + [str(path) for path in unwanted]
    if wrong and not module.check_mode:
        drafts = {path: write_draft(str(path), text, mode, "root", group) for path, text, mode, group in files}
        problem = pair_problem(drafts[certificate], drafts[key], drafts[ca] if given["ca"] else "")
        if problem:
            remove(*drafts.values())
            module.fail_json(msg=f"The certificate was not put into {folder}, what lay there still does: {problem}.")
        # The key first: where the power goes between the two, the next run sees that they do not belong together.
        for path, draft in drafts.items():
            finish(draft, str(path))
    if not module.check_mode:
        remove(*map(str, unwanted))
    module.exit_json(
        changed=bool(written), certificate=read_text(certificate), matches=belongs(certificate, key), written=written
    )


if __name__ == "__main__":
    main()

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at the proxy and what it needs on the device: sockets, ports, certificate, package."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import socket
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import STATUS
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import Listener, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import read_live
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pair_problem

DISTRIBUTION_CONFIG = "/etc/haproxy/haproxy.cfg"


def read_unit() -> Unit:
    """Return the live state of the proxy's unit."""
    return read_live(proxying.UNIT)


def ask(path: str, command: str) -> str:
    """Ask HAProxy on one of its sockets; '' where it does not answer."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(f"{command}\n".encode())
            # An empty line ends an answer; the master of HAProxy 2.2 then keeps the connection open.
            while not answer.endswith(b"\n\n"):
                part = client.recv(65536)
                if not part:
                    break
                answer += part
    except OSError:
        return ""
    return answer.decode("utf-8", errors="replace")


def loaded_mark() -> str:
    """Return the mark of what the running worker has loaded; '' where none answers."""
    return proxying.description(ask(proxying.ADMIN_SOCKET, "show info"))


def user_name(uid: int) -> str:
    """Return a user's name; the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owner_of(listener: Listener) -> str:
    """Return the name of the process that holds a socket, or of its user where the kernel does not show more."""
    target = f"socket:[{listener.inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = any(os.readlink(descriptor) == target for descriptor in (process / "fd").iterdir())
        except OSError:  # it ended while it was looked at, or is none of ours in a container
            continue
        if held:
            return f"{read_text(f'{process}/comm').strip()} (process {process.name})"
    return f"a program of the user {user_name(listener.uid)}"


def port_owner(settings: proxying.Settings) -> str:
    """Return who holds the port that the proxy is to listen on; '' where it is free or the proxy's own."""
    for listener in read_listeners():
        if user_name(listener.uid) == proxying.USER:  # nobody else runs as it
            continue
        if listener.port == settings.port and proxying.clashes(listener.address, settings.listen):
            return owner_of(listener)
    return ""


def read_pem(certificate: str, key: str) -> str:
    """Return certificate and key as HAProxy wants them, in one text.

    Raises:
        ValueError: They are missing, do not belong together or have expired; the text names the input and the mend.
    """
    texts = []
    for name, path in (("certificate", certificate), ("key", key)):
        texts.append(read_text(path).strip())
        if not texts[-1]:
            raise ValueError(f"endpoint_proxy_tls_{name}: {path} is missing or empty; put it there first.")
    problem = pair_problem(certificate, key)
    if problem:
        raise ValueError(
            f"endpoint_proxy_tls_certificate: {certificate} and {key} will not do: {problem}; give a certificate that "
            "is valid today and its own key, without a password."
        )
    return f"{texts[0]}\n{texts[1]}\n"


def distribution_is_idle() -> bool:
    """Tell whether the distribution's instance would start at boot though nobody has configured it."""
    if output_of(["systemctl", "is-enabled", "haproxy.service"]).strip() != "enabled":
        return False
    recorded = re.search(rf"^ {DISTRIBUTION_CONFIG} ([0-9a-f]{{32}})", read_text(STATUS), re.M)
    found = hashlib.md5(read_text(DISTRIBUTION_CONFIG).encode(), usedforsecurity=False).hexdigest()
    return bool(recorded and recorded.group(1) == found)

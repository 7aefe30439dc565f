# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at the proxy and what it needs on the device: sockets, ports, certificate, package."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import modified, read_text, remove, write_draft
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, overlap, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import user_number
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import read_live
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit, describe_unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pair_problem

HAPROXY = "/usr/sbin/haproxy"


def read_unit() -> Unit:
    """Return the live state of the proxy's unit."""
    return read_live(proxying.UNIT)


def with_environment(unit: Unit, properties: Mapping[str, str]) -> Unit:
    """Return a unit with the environment of its running process."""
    try:
        return describe_unit(properties, Path(f"/proc/{unit.pid}/environ").read_bytes()) if unit.pid else unit
    except OSError:  # it ended between the two looks
        return unit


def user_of(pid: int) -> int | None:
    """Return the number of the user that a process belongs to; None where there is none."""
    try:
        return os.stat(f"/proc/{pid}").st_uid if pid else None
    except OSError:
        return None


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


def read_loaded() -> proxying.Loaded:
    """Return what the running worker has loaded.

    A file that was changed by hand and loaded may still have the digest in it: times show that.
    """
    info = ask(proxying.ADMIN_SOCKET, "show info")
    # A worker's uptime is in whole seconds.
    started = time.time() - proxying.uptime(info) + 1
    return proxying.Loaded(proxying.loaded_digest(info), all(modified(path) <= started for path in proxying.LOADED))


def read_maps() -> dict[int, str]:
    """Return the keys that each worker takes, those on their way out too; empty where one did not answer."""
    workers = proxying.worker_pids(ask(proxying.MASTER_SOCKET, "show proc"))
    maps = {pid: ask(proxying.MASTER_SOCKET, f"@!{pid} show map {proxying.KEY_MAP}") for pid in workers}
    return maps if all(maps.values()) else {}


def port_owner(settings: proxying.Settings, own: int | None) -> str:
    """Return who holds the port that the proxy is to listen on; '' where it is free or the proxy's own.

    Args:
        settings: The inputs.
        own: Number of the user that the running proxy belongs to; nobody else runs as it.
    """
    for listener in read_listeners():
        if listener.uid in (own, user_number(proxying.USER)):
            continue
        if listener.port == settings.port and overlap(listener.address, settings.listen):
            return holder(listener)
    return ""


def read_pem(certificate: str, key: str, role: str) -> tuple[str, str]:
    """Return certificate and key of a role as HAProxy wants them, in one text, and why they cannot be used.

    They may be missing, not belong together or have expired, and a role that runs before this one may bring or renew
    them. Both texts are empty where the role has no certificate.
    """
    if not certificate:
        return "", ""
    texts = []
    for name, path in (("certificate", certificate), ("key", key)):
        texts.append(read_text(path).strip())
        if not texts[-1]:
            return "", f"{role}_tls_{name}: {path} is missing or empty; put it there first."
    problem = pair_problem(certificate, key)
    if problem:
        return "", (
            f"{role}_tls_certificate: {certificate} and {key} cannot be used: {problem}; give a certificate "
            "that is valid today and its own key, without a password."
        )
    return f"{texts[0]}\n{texts[1]}\n", ""


def refusal(config: str, drafts: Mapping[str, str], path: str = proxying.CONFIG) -> str:
    """Check a configuration with HAProxy while files that it names have other names; return why it is refused.

    Args:
        config: Its text.
        drafts: The names that files have for now, by those that they will have.
        path: Its own place, beside which it is written for the check.
    """
    for name, draft in drafts.items():
        config = config.replace(name, draft)
    trial = write_draft(f"{path}.trial", config, 0o600)
    try:
        done = subprocess.run(
            [HAPROXY, "-c", "-q", "-f", trial], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"HAProxy cannot be asked: {error}"
    finally:
        remove(trial)
    return f"HAProxy refuses the configuration: {(done.stderr or done.stdout).strip()}" if done.returncode else ""

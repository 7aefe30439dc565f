# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Docker's settings on a Jetson must be, without losing what its owner has there; decided, not done."""

from __future__ import annotations

import copy
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import Package
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import PROXIES
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveUnit

DAEMON_JSON = "/etc/docker/daemon.json"
DEFAULT_ROOT = "/var/lib/docker"
#: Where containerd keeps what Docker gives it.
CONTAINERD_ROOT = "/var/lib/containerd"
#: Log drivers that know max-size and max-file.
ROTATED_DRIVERS = ("json-file", "local")
RUNTIME = "nvidia"
RUNTIME_COMMAND = "nvidia-container-runtime"
#: The first Docker that limits memory under cgroup v2, with which Ubuntu 22.04 and later boot.
MINIMUM_VERSION = (20, 10)
#: Keys whose values the role adds to.
MERGED: Mapping[str, type] = {"runtimes": dict, "log-opts": dict, "proxies": dict, "insecure-registries": list}
#: Named in messages.
MINIMUM_NAME = "20.10"
#: The first Docker that takes proxies from daemon.json.
PROXIES_VERSION = (23, 0)

#: What Docker can be installed from, best first: the distribution's own, then Docker's where its source is set up.
SOURCES: Sequence[Sequence[str]] = (
    ("docker.io", "docker-cli"),
    ("docker-ce", "docker-ce-cli", "containerd.io"),
)
#: NVIDIA's runtime, best first: JetPack's meta package, then the toolkit alone.
TOOLKIT_PACKAGES = ("nvidia-container", "nvidia-container-toolkit")
#: What modules need on the device: community.docker's, and the one that renders chat templates.
PYTHON_PACKAGES = ("python3-jinja2", "python3-requests")
#: What a hold keeps where it is.
HELD_PACKAGES = (
    "docker.io",
    "docker-cli",
    "docker-ce",
    "docker-ce-cli",
    "containerd",
    "containerd.io",
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container1",
    "libnvidia-container-tools",
)
#: What of these comes with another package.
BROUGHT = {
    "docker.io": ("containerd",),
    "nvidia-container": HELD_PACKAGES[6:],
    "nvidia-container-toolkit": HELD_PACKAGES[6:],
}
#: Every package that apt is asked about.
ASKED_PACKAGES = (*(name for source in SOURCES for name in source), *TOOLKIT_PACKAGES, *PYTHON_PACKAGES)


@dataclass(frozen=True)
class Wanted:
    """What the role's inputs ask of Docker's settings.

    Args:
        data_root: Where its data is to be; '' leaves that alone.
        log_max_mib: Size at which a log is rotated; 0 leaves logs alone.
        log_files: How many are kept.
        live_restore: Whether containers go on running while dockerd is restarted.
        proxies: Variables of the way out, such as https_proxy.
        insecure_registries: Hosts of registries that speak plain HTTP.
    """

    data_root: str = ""
    log_max_mib: int = 10
    log_files: int = 3
    live_restore: bool = True
    proxies: Mapping[str, object] = field(default_factory=dict)
    insecure_registries: tuple[str, ...] = ()


def parse_daemon(text: str, path: str = DAEMON_JSON) -> dict[str, Any]:
    """Read daemon.json; an empty file is an empty object, as for dockerd.

    Raises:
        ValueError: It is not a JSON object; the message names path and line, and what to do.
    """
    if not text.strip():
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        where = f"{path}, line {getattr(error, 'lineno', 1)}, column {getattr(error, 'colno', 1)}"
        raise ValueError(
            f"{where}: this is not JSON ({getattr(error, 'msg', error)}); correct it by hand (`python3 -m json.tool "
            f"{path}` checks it) or move it away. It was left as it is."
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: this is not a JSON object; correct it or move it away. It was left as it is.")
    for key, kind in MERGED.items():
        if not isinstance(content.get(key, kind()), kind):
            name = "object" if kind is dict else "list"
            raise ValueError(f"{path}: {key} is not a JSON {name}; correct it by hand. It was left as it is.")
    return content


def settings(owners: Mapping[str, Any], wanted: Wanted, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be in daemon.json, by key; a dot divides a key from one inside of it.

    The entry of the runtime is what `nvidia-ctk runtime configure` writes. One that runs NVIDIA's runtime from
    another path is the owner's choice and stays. So does a log driver that rotates in its own way. What a flag of
    dockerd's unit sets is not set here, too: dockerd would not start.

    Args:
        owners: daemon.json without the role's settings, as `restored` returns it.
        wanted: What the inputs ask for.
        flags: The settings in dockerd's flags, which `check_flags` has found to fit.
    """
    found: dict[str, Any] = {}
    runs = {**owners, **flags}
    if not any(_runs_nvidia(content.get("runtimes") or {}) for content in (owners, flags)):
        found[f"runtimes.{RUNTIME}"] = {"args": [], "path": RUNTIME_COMMAND}
    if wanted.log_max_mib and _rotates(runs):
        if "log-driver" not in owners:
            found["log-driver"] = "json-file"
        found["log-opts.max-size"] = f"{wanted.log_max_mib}m"
        found["log-opts.max-file"] = str(wanted.log_files)
    found["live-restore"] = wanted.live_restore
    if wanted.data_root:
        found["data-root"] = wanted.data_root
    for key in PROXIES:
        if key in wanted.proxies:
            found[f"proxies.{key.replace('_', '-')}"] = wanted.proxies[key]
    if wanted.insecure_registries:
        found["insecure-registries"] = sorted({*owners.get("insecure-registries", []), *wanted.insecure_registries})
    return {
        key: value for key, value in found.items() if key.startswith("runtimes.") or key.partition(".")[0] not in flags
    }


def _runs_nvidia(runtimes: Mapping[str, Any]) -> bool:
    """Return whether these runtimes have NVIDIA's, at whatever path."""
    runtime = runtimes.get(RUNTIME)
    path = str(runtime.get("path") or "") if isinstance(runtime, Mapping) else ""
    return posixpath.basename(path) == RUNTIME_COMMAND


def _rotates(content: Mapping[str, Any]) -> bool:
    """Return whether the log driver knows how logs are rotated."""
    return str(content.get("log-driver") or "json-file") in ROTATED_DRIVERS


def check_flags(current: Mapping[str, Any], wanted: Wanted, flags: Mapping[str, Any], problems: Problems) -> None:
    """Refuse what dockerd's flags leave no room for: they are its owner's, and no setting beside them is possible."""
    unit = "docker.service (`systemctl cat docker.service`, with the variables in its command line) gives dockerd"
    path = str(flags.get("config-file") or DAEMON_JSON)
    if posixpath.normpath(path) != DAEMON_JSON:
        problems.found.append(
            f"{unit} the file {path}, and this role keeps its settings in {DAEMON_JSON}: move the file there, and "
            "take --config-file out of the unit."
        )
    problems.found += [
        f"{unit} {key} as a flag, and {DAEMON_JSON} has it as well, so dockerd does not start: take one of them out."
        for key in sorted(set(flags) & set(current) - {"runtimes"})
    ]
    runtimes = flags.get("runtimes") or {}
    if RUNTIME in runtimes and not _runs_nvidia(runtimes):
        problems.found.append(
            f"{unit} --add-runtime {RUNTIME}={runtimes[RUNTIME]['path']}, which is not {RUNTIME_COMMAND}: take it out."
        )
    rotated = wanted.log_max_mib and _rotates({**current, **flags})
    if rotated and "max-size" not in flags.get("log-opts", {"max-size": ""}):
        problems.add(
            "docker_log_max_mib",
            f"{unit} --log-opt, beside which it takes no log-opts from {DAEMON_JSON}: add `--log-opt "
            f"max-size={wanted.log_max_mib}m --log-opt max-file={wanted.log_files}` there, move them all into "
            f"{DAEMON_JSON}, or set this to 0 to leave logs alone.",
        )
    if flags.get("live-restore", wanted.live_restore) != wanted.live_restore:
        problems.add(
            "docker_live_restore",
            f"{unit} --live-restore={str(flags['live-restore']).lower()}: set this to that, or take the flag out.",
        )
    known = flags.get("insecure-registries", wanted.insecure_registries)
    missing = [host for host in wanted.insecure_registries if host not in known]
    if missing:
        options = " ".join(f"--insecure-registry={host}" for host in missing)
        problems.add(
            "registries",
            f"{unit} --insecure-registry, beside which it takes none from {DAEMON_JSON}: add {options} there, or move "
            f"them all into {DAEMON_JSON}.",
        )
    root = str(flags.get("data-root") or "")
    if root and wanted.data_root and posixpath.normpath(root) != posixpath.normpath(wanted.data_root):
        problems.add("docker_data_root", f"{unit} --data-root={root}: set this to that, or take the flag out.")


def check_swarm(wanted: Wanted, info: Mapping[str, Any], joined: bool, problems: Problems) -> None:
    """Refuse live-restore on a node of a swarm, on which dockerd does not start with it.

    Args:
        wanted: What the inputs ask for.
        info: `GET /info` of the daemon; empty where it does not answer.
        joined: Whether its data has the state of a swarm; this counts where it does not answer.
        problems: Takes the refusal.
    """
    state = str((info.get("Swarm") or {}).get("LocalNodeState") or "inactive")
    if wanted.live_restore and (state != "inactive" if info else joined):
        problems.add(
            "docker_live_restore",
            "this host is a node of a Docker swarm, on which dockerd does not start with live-restore: set this to "
            "false, or leave the swarm (`docker swarm leave`).",
        )


def check_proxies(wanted: Wanted, version: str, problems: Problems) -> None:
    """Refuse proxies for a Docker that does not start with them in its file.

    Args:
        wanted: What the inputs ask for.
        version: Docker's; '' where it is not there yet.
        problems: Takes the refusal.
    """
    if wanted.proxies and version and version_tuple(version)[:2] < PROXIES_VERSION:
        problems.add(
            "proxy_environment",
            f"Docker {version} takes no proxies from {DAEMON_JSON}, Docker 23 is the first that does: upgrade it "
            "(`apt-get install --only-upgrade docker.io`), and run again.",
        )


def images_directory(info: Mapping[str, Any]) -> str:
    """Return where Docker keeps images: in its own store, or in containerd's, as new installations since Docker 29."""
    snapshotter = any("io.containerd.snapshotter" in str(part) for part in info.get("DriverStatus") or [])
    return CONTAINERD_ROOT if snapshotter else str(info.get("DockerRootDir") or DEFAULT_ROOT)


def check_image_store(wanted: Wanted, info: Mapping[str, Any], problems: Problems) -> None:
    """Refuse another directory for Docker's data where that would leave the images behind.

    Args:
        wanted: What the inputs ask for.
        info: `GET /info` of the daemon; empty where it does not answer.
        problems: Takes the refusal.
    """
    if wanted.data_root and info and images_directory(info) == CONTAINERD_ROOT:
        problems.add(
            "docker_data_root",
            f"this Docker keeps images in containerd's store, below {CONTAINERD_ROOT}, which data-root does not move: "
            "mount the larger disk there or set `root` in /etc/containerd/config.toml, and leave this empty. (`docker "
            "info` shows the store as driver-type io.containerd.snapshotter.v1.)",
        )


def check_users(content: Mapping[str, Any], info: Mapping[str, Any], problems: Problems) -> None:
    """Refuse a Docker that maps the users of containers: Ollama's has the host's network and its device nodes.

    Args:
        content: The settings in daemon.json and in dockerd's flags.
        info: `GET /info` of the daemon; empty where it does not answer.
        problems: Takes the refusal.
    """
    running = any("name=userns" in str(option).split(",") for option in info.get("SecurityOptions") or [])
    if running or content.get("userns-remap"):
        problems.found.append(
            f"Docker maps the users of containers to others (userns-remap in {DAEMON_JSON} or in dockerd's flags), and "
            "Ollama's container needs the host's network and device nodes: take userns-remap out, restart Docker, and "
            "run again. Docker then no longer shows the images and containers that it has now."
        )


def _get(content: Mapping[str, Any], key: str) -> object:
    """Return the value of a key that may be inside another; None where there is none."""
    outer, dot, inner = key.partition(".")
    value = content.get(outer)
    if not dot:
        return value
    return value.get(inner) if isinstance(value, Mapping) else None


def _set(content: dict[str, Any], key: str, value: object) -> None:
    """Set such a key; None removes it, and what is empty then."""
    outer, dot, inner = key.partition(".")
    target: dict[str, Any] = content.setdefault(outer, {}) if dot else content
    name = inner if dot else outer
    if value is None:
        target.pop(name, None)
    else:
        target[name] = value
    if dot and not target:
        del content[outer]


def merged(owners: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return daemon.json with the settings in it; every other key stays."""
    content = copy.deepcopy(dict(owners))
    for key, value in changes.items():
        _set(content, key, value)
    return content


def before(owners: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the owner has in place of our settings: {key: {before, ours}}.

    `before` is None where the key is not there. Docker's data stays where it is, and so does the setting with its path.
    """
    return {key: {"before": _get(owners, key), "ours": value} for key, value in changes.items() if key != "data-root"}


def restored(current: Mapping[str, Any], noted: Mapping[str, Any]) -> dict[str, Any]:
    """Return daemon.json as its owner has it: as before the role, where nobody has changed our settings since."""
    content = copy.deepcopy(dict(current))
    for key, note in noted.items():
        if _get(content, key) == note["ours"]:
            _set(content, key, note["before"])
    return content


def text_of(content: Mapping[str, Any]) -> str:
    """Return daemon.json's text as `nvidia-ctk` writes it; '' where no setting is left."""
    return json.dumps(content, indent=4) + "\n" if content else ""


def differences(current: Mapping[str, Any], wanted: Mapping[str, Any], changes: Iterable[str]) -> list[str]:
    """Return what differs in daemon.json for each changed key, as «live-restore is false, not true»."""

    def shown(value: object) -> str:
        return "not set" if value is None else json.dumps(value, sort_keys=True)

    return [
        f"{key} is {shown(_get(current, key))}, not {shown(_get(wanted, key))}"
        for key in changes
        if _get(current, key) != _get(wanted, key)
    ]


def unit_problems(service: LiveUnit | None, socket: LiveUnit | None) -> list[str]:
    """Return why dockerd would not come up at the next boot, as «docker.service: is masked»; none without Docker."""
    found = []
    if socket and socket.masked:
        found.append("docker.socket: is masked")
    if service and service.masked:
        found.append("docker.service: is masked")
    elif service and service.loaded and not service.enabled:
        found.append("docker.service: is not enabled")
    return found


def restart_reasons(
    content: Mapping[str, Any], info: Mapping[str, Any], modified: float, started: float, trusted: float = 0
) -> list[str]:
    """Return why dockerd must be restarted: it does not run with what is in its file.

    Args:
        content: The settings in daemon.json and in dockerd's flags.
        info: `GET /info` of the daemon; empty where it does not answer.
        modified: When the file was written; 0 where there is none.
        started: When dockerd was started.
        trusted: When the CA certificates that this host trusts were written; dockerd reads them once.
    """
    if not info:
        return ["is not running"]
    reasons = [
        f"does not know the runtime {name}"
        for name in content.get("runtimes") or {}
        if name not in (info.get("Runtimes") or {})
    ]
    root, used = str(content.get("data-root") or DEFAULT_ROOT), str(info.get("DockerRootDir") or DEFAULT_ROOT)
    if posixpath.normpath(root) != posixpath.normpath(used):
        reasons.append(f"keeps its data in {used}, not in {root}")
    wanted, live = bool(content.get("live-restore")), bool(info.get("LiveRestoreEnabled"))
    if wanted != live:
        reasons.append(f"runs {'with' if live else 'without'} live-restore")
    driver, used = str(content.get("log-driver", "json-file")), str(info.get("LoggingDriver", "json-file"))
    if driver != used:
        reasons.append(f"logs to {used}, not to {driver}")
    if not reasons and modified > started > 0:
        reasons.append(f"runs since before {DAEMON_JSON} changed")
    if not reasons and trusted > started > 0:
        reasons.append("runs since before the host's CA certificates changed")
    return reasons


def version_tuple(text: str) -> tuple[int, ...]:
    """Return a version's leading numbers."""
    return tuple(int(word) for word in re.findall(r"\d+", text)[:3])


def is_new_enough(version: str) -> bool:
    """Return whether a Docker of that version will do."""
    return version_tuple(version)[:2] >= MINIMUM_VERSION


def parse_candidates(text: str) -> dict[str, str]:
    """Read `apt-cache policy`: the version that would be installed, by package; packages without one are left out."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line and not line.startswith(" ") and line.endswith(":"):
            name = line[:-1]
        elif name and line.strip().startswith("Candidate:"):
            version = line.split(":", 1)[1].strip()
            if version and version != "(none)":
                found[name] = version
    return found


#: Where `docker_packages` finds none.
NO_DOCKER = (
    "Docker is not there, and apt knows neither docker.io nor docker-ce: set up the distribution's sources (on Ubuntu: "
    "universe), run `apt-get update`, and run again."
)


def docker_packages(candidates: Mapping[str, str]) -> list[str]:
    """Return what to install Docker from, by what apt knows; empty where it knows none."""
    for source in SOURCES:
        if source[0] in candidates:
            return [name for name in source if name in candidates]
    return []


def toolkit_packages(candidates: Mapping[str, str]) -> list[str]:
    """Return what to install NVIDIA's runtime from, by what apt knows; empty where it knows none."""
    return [name for name in TOOLKIT_PACKAGES if name in candidates][:1]


def selections(packages: Mapping[str, Package], coming: Sequence[str], hold: bool) -> list[dict[str, str]]:
    """Return which packages apt is to hold, or to hold no longer.

    Args:
        packages: What is installed.
        coming: Packages that are about to be installed.
        hold: Whether they are to be held.
    """
    wanted = "hold" if hold else "install"
    found = {name: package.selection for name, package in packages.items() if name in HELD_PACKAGES}
    if hold:
        brought = [name for package in coming for name in (package, *BROUGHT.get(package, ()))]
        found.update({name: "install" for name in brought if name in HELD_PACKAGES and name not in found})
    return [{"name": name, "selection": wanted} for name, now in sorted(found.items()) if now != wanted]


def data_root_problem(wanted: str, current: str, foreign: Sequence[str], entries: Sequence[str], mounted: bool) -> str:
    """Return why Docker's data cannot be moved; '' where it can, or need not.

    Args:
        wanted: Where it is to be; '' where it may stay.
        current: Where it is.
        foreign: Names of running containers that are not the role's.
        entries: What is in the wanted directory.
        mounted: Whether the wanted directory is the root of a file system.
    """
    if not wanted or posixpath.normpath(wanted) == posixpath.normpath(current):
        return ""
    if not wanted.startswith("/") or posixpath.normpath(wanted) == "/":
        return f"{wanted!r} is not a directory for Docker's data; give an absolute path such as /mnt/nvme/docker."
    if posixpath.normpath(wanted).startswith(posixpath.normpath(current) + "/"):
        return f"{wanted} is inside {current}, where Docker's data is now; give a directory beside it."
    if mounted:
        return f"{wanted} is the root of a file system; give a directory in it, such as {wanted.rstrip('/')}/docker."
    if entries and MOVED_MARKER not in entries:
        return f"{wanted} is not empty ({', '.join(sorted(entries)[:3])}); give a directory that is, or empty it."
    if foreign:
        return (
            f"Docker's data cannot move to {wanted} while containers run that are not this role's: "
            f"{', '.join(foreign)}. Stop them (`docker stop {' '.join(foreign)}`) and run again."
        )
    return ""


#: In a directory that Docker's data was copied into whole; until the switch it is a copy that may be thrown away.
MOVED_MARKER = ".edge-slm-copied"

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Instances of llama-server@.service: their state and what has to be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What is asked of `systemctl show`.
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "Result",
    "ExecMainStartTimestampMonotonic",
)


@dataclass(frozen=True)
class Unit:
    """The state of one instance; `environment` is that of its running process.

    `started` is when that process was started, in seconds since the kernel was.
    """

    load: str
    active: str
    sub: str
    enabled: bool
    stale: bool
    pid: int
    restarts: int
    result: str
    environment: Mapping[str, str]
    started: float = 0.0

    @property
    def digest(self) -> str:
        """Digest of what the running process was started with; empty where nothing runs."""
        return self.environment.get("EDGE_SLM_DIGEST", "")

    @property
    def port(self) -> str:
        """Port of the running process; empty where nothing runs."""
        return self.environment.get("EDGE_SLM_PORT", "")

    @property
    def masked(self) -> bool:
        """Whether it is kept from being started."""
        return self.load == "masked"


@dataclass(frozen=True)
class Steps:
    """What has to be done. `reason` is why it is restarted."""

    unmask: bool
    reload: bool
    enable: bool
    restart: bool
    reason: str


def unit_name(instance: str) -> str:
    """Return the name of an instance's unit."""
    return f"llama-server@{instance}.service"


def parse_environ(data: bytes) -> dict[str, str]:
    """Parse /proc/PID/environ."""
    pairs = (item.partition("=") for item in data.decode("utf-8", errors="replace").split("\0"))
    return {name: value for name, sep, value in pairs if sep}


def describe_unit(values: Mapping[str, str], environ: bytes) -> Unit:
    """Read the properties that `systemctl show` has (as above) and the main process's environment."""
    return Unit(
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        enabled=values.get("UnitFileState", "") == "enabled",
        stale=values.get("NeedDaemonReload", "") == "yes",
        pid=int(values.get("MainPID") or 0),
        restarts=int(values.get("NRestarts") or 0),
        result=values.get("Result", ""),
        environment=parse_environ(environ),
        started=int(values.get("ExecMainStartTimestampMonotonic") or 0) / 1e6,
    )


def steps_to_run(unit: Unit, digest: str, problem: str = "") -> Steps:
    """Decide what brings an instance to its wanted arguments and files, from the live state alone.

    A service that is still loading with the right digest is left alone. One whose unit changed under
    it is restarted: its process may have been started under the old limits.

    Args:
        unit: The instance as it is.
        digest: What its process must have been started with.
        problem: Why the process has to go though it was started with that; empty where it may stay.
    """
    missing = unit.load in ("not-found", "masked")
    if unit.active not in ("active", "activating", "reloading"):
        reason = f"was {unit.active or 'not there'}"
    elif not unit.pid:
        reason = f"was waiting to be restarted (last result: {unit.result})"
    elif unit.stale or unit.masked:
        reason = "its unit has changed"
    elif unit.digest != digest:
        reason = "its release, model, arguments, keys or certificate have changed"
    else:
        reason = problem
    return Steps(unit.masked, missing or unit.stale, not unit.enabled, bool(reason), reason)


def start_problem(unit: Unit, restarts_before: int) -> str:
    """Return why a service that is being waited for will not come up; empty while it may."""
    if unit.restarts > restarts_before or unit.sub.startswith("auto-restart"):
        return f"it crashed while it started (result: {unit.result}, restarts: {unit.restarts})"
    if unit.active in ("failed", "inactive"):
        return f"it is {unit.active} (result: {unit.result})"
    return ""

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services of llama-server on a device: decisions of the role llama_service."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_bool, as_int, as_path
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    ConfigFile,
    Directory,
    LiveFile,
    pending_directories,
    pending_files,
    shared_above,
    shared_directories,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import UNIT_DIR
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit, describe_unit, unit_name
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Plan

STATES = ("present", "absent")
PATHS = ("llama_cpp_dir", "models_dir", "config_dir")
#: The configuration's directory is removed with all that is in it: a path of one name may be the system's own.
LEAST_NAMES = {"config_dir": 2}
#: What is missing where systemd does not answer.
UNKNOWN = describe_unit({}, b"")
#: Arguments that differ are named up to this number.
SHOWN_ARGUMENTS = 3


@dataclass(frozen=True)
class Inputs:
    """The role's inputs, cast, and what the controller adds to them."""

    state: str
    instances: tuple[serving.Instance, ...]
    keys: str
    listen: str
    reserve_mib: int
    overhead_mib: int
    load_mib_per_second: int
    #: The services are on the device's GPU, whose own memory they have to fit.
    gpu: bool
    llama_cpp_dir: str
    models_dir: str
    paths: serving.Paths
    #: User and group that llama-server runs as.
    user: str
    unit: ConfigFile
    wait_script: ConfigFile

    @classmethod
    def of(cls, values: Mapping[str, Any], problems: Problems) -> Inputs:
        """Cast raw values, which are named like the inputs without the role's name, and note what is wrong with them.

        With the state `absent` only what decides on what is removed is looked at.
        """
        state = str(values["state"])
        if state not in STATES:
            problems.add("llama_service_state", f"{state!r} is not known; give {' or '.join(STATES)}.")
        places = {
            name: as_path(
                str(values[name] or "").rstrip("/"), f"llama_service_{name}", LEAST_NAMES.get(name, 1), problems
            )
            for name in PATHS
        }
        certificate, key = str(values["tls_certificate"] or ""), str(values["tls_key"] or "")
        listen = str(values["listen"] or "")
        instances: list[serving.Instance] = []
        keys: list[serving.ApiKey] = []
        gpu = False
        numbers = {"memory_reserve_mib": 0, "memory_overhead_mib": 0, "load_mib_per_second": 1}
        if state != "absent":
            gpu = as_bool(values["gpu"], "llama_service_gpu", problems)
            instances = serving.parse_instances(values["instances"], problems, gpu)
            keys = serving.parse_keys(values["api_keys"], problems)
            serving.check_addresses(listen, values["allowed_cidrs"], problems)
            serving.check_tls(certificate, key, problems)
            for name, low in numbers.items():
                numbers[name] = as_int(values[name], f"llama_service_{name}", low, 1 << 24, problems)
            if values["unit_problem"] and not problems.found:
                problems.add("llama_service", f"the template of its unit cannot be rendered: {values['unit_problem']}")
        return cls(
            state=state,
            instances=tuple(instances),
            keys=serving.key_file_text(keys),
            listen=listen,
            reserve_mib=numbers["memory_reserve_mib"],
            overhead_mib=numbers["memory_overhead_mib"],
            load_mib_per_second=numbers["load_mib_per_second"],
            gpu=gpu,
            llama_cpp_dir=places["llama_cpp_dir"],
            models_dir=places["models_dir"],
            paths=serving.Paths(places["config_dir"], certificate, key),
            user=values["user"],
            unit=ConfigFile(values["unit_file"], values["unit"]),
            wait_script=ConfigFile(values["wait_script_file"], values["wait_script"], mode="0755"),
        )


@dataclass(frozen=True)
class Brought:
    """What other roles have brought to the device.

    Args:
        models: By name.
        release: Key of the release that serves; empty where there is none.
        pair: Text of certificate and key.
        waiting: What is missing or cannot be used, one sentence each.
    """

    models: Mapping[str, serving.Model] = field(default_factory=dict)
    release: str = ""
    pair: str = ""
    waiting: Sequence[str] = ()


@dataclass(frozen=True)
class Live:
    """The device as it is.

    Args:
        account: User and group of the services.
        files: By path.
        units: By the instance's name.
        health: Why running services do not answer, by the instance's name.
        booted: When the monotonic clock was zero, in seconds since the epoch.
        in_use: A path of another role's that belongs to the group; empty where there is none.
        config_names: Names in the configuration's directory.
        unit_names: Names in systemd's directories.
    """

    account: Account
    files: Mapping[str, LiveFile] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    health: Mapping[str, str] = field(default_factory=dict)
    booted: float = 0.0
    in_use: str = ""
    config_names: Sequence[str] = ()
    unit_names: Sequence[str] = ()


def dropin_directory(instance: str) -> str:
    """Return the directory of an instance's drop-in."""
    return f"{UNIT_DIR}/{unit_name(instance)}.d"


def dropin_file(instance: str) -> str:
    """Return the file with an instance's limits."""
    return f"{dropin_directory(instance)}/limits.conf"


def environment_file(inputs: Inputs, instance: str) -> str:
    """Return the file with an instance's arguments."""
    return f"{inputs.paths.config_dir}/{instance}{serving.ENVIRONMENT_ENDING}"


def answered_file(inputs: Inputs, instance: str) -> str:
    """Return the file with the digest of what has answered a real request."""
    return f"{inputs.paths.config_dir}/{instance}{serving.ANSWERED_ENDING}"


def waiting_for(inputs: Inputs, brought: Brought) -> list[str]:
    """Return what other roles have yet to bring before the services can run."""
    if not inputs.instances:
        return []
    found = [
        f"llama_service_instances: {serving.unknown_model(instance, list(brought.models))}"
        for instance in inputs.instances
        if instance.model not in brought.models
    ]
    if not brought.release:
        found.append(
            f"llama_service_llama_cpp_dir: there is no release in {inputs.llama_cpp_dir}/current; "
            "run playbooks/receive.yml, or the role edge_slm.fleet.llama_cpp, first."
        )
    return found + list(brought.waiting)


def services_of(inputs: Inputs, brought: Brought, board: serving.Board) -> list[serving.Service]:
    """Return the services whose models are on the device, as they are to run."""
    return [
        serving.plan_service(
            instance,
            brought.models[instance.model],
            board,
            inputs.paths,
            listen=inputs.listen,
            release=brought.release,
            unit=inputs.unit.content,
            keys=inputs.keys,
            pair=brought.pair,
        )
        for instance in inputs.instances
        if instance.model in brought.models
    ]


def wanted_directories(inputs: Inputs, services: Sequence[serving.Service]) -> list[Directory]:
    """Return the role's directories."""
    return [
        *shared_directories(inputs.wait_script.path, inputs.paths.config_dir),
        Directory(inputs.paths.config_dir, "0750", group=inputs.user),
        *(Directory(dropin_directory(service.instance.name)) for service in services),
    ]


def wanted_files(inputs: Inputs, services: Sequence[serving.Service]) -> list[ConfigFile]:
    """Return the role's files. Environments come last: their digest claims that the rest is in place."""
    return [
        inputs.wait_script,
        inputs.unit,
        ConfigFile(inputs.paths.key_file, inputs.keys, "0640", group=inputs.user, secret=True),
        *(ConfigFile(dropin_file(service.instance.name), service.dropin) for service in services),
        *(
            ConfigFile(environment_file(inputs, service.instance.name), service.environment, "0640", group=inputs.user)
            for service in services
        ),
    ]


def arguments_by_flag(text: str) -> dict[str, str]:
    """Return the values of llama-server's flags from `$LLAMA_ARGS`."""
    try:
        words = shlex.split(text)
    except ValueError:  # somebody has edited it
        return {}
    found: dict[str, str] = {}
    flag = ""
    for word in words:
        if word.startswith("-"):
            flag = word
            found[flag] = ""
        else:
            found[flag] = f"{found.get(flag, '')} {word}".strip()
    return found


def what_differs(running: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Return how a process was started otherwise than it should be, as far as its environment shows."""
    found = []
    releases = [environment.get("EDGE_SLM_RELEASE", "") or "an unknown one" for environment in (running, wanted)]
    if releases[0] != releases[1]:
        found.append(f"runs release {releases[0]}, not {releases[1]}")
    was, to_be = (arguments_by_flag(environment.get("LLAMA_ARGS", "")) for environment in (running, wanted))
    changed = [flag for flag in {**to_be, **was} if was.get(flag) != to_be.get(flag)]
    shown = [
        f"{flag} {was[flag]}".strip() + (f", not {to_be[flag]}" if to_be.get(flag) else "")
        if flag in was
        else f"no {flag} {to_be[flag]}".strip()
        for flag in changed[:SHOWN_ARGUMENTS]
    ]
    if shown:
        more = len(changed) - len(shown)
        found.append(f"runs with {'; '.join(shown)}{f'; and {more} more' if more else ''}")
    return "; ".join(found) or "its model, keys, certificate or limits have changed since it was started"


def process_problem(inputs: Inputs, service: serving.Service, live: Live) -> str:
    """Return why a running process must go though it carries the wanted digest; empty where it may stay.

    Somebody may have edited what it was started with, and have restarted it; that the files are right again does not
    make the process right.
    """
    name = service.instance.name
    unit = live.units.get(name, UNKNOWN)
    if not unit.pid or unit.digest != service.digest:
        return ""
    wanted = serving.parse_environment(service.environment)
    if any(unit.environment.get(variable) != value for variable, value in wanted.items()):
        return what_differs(unit.environment, wanted)
    keys = live.files.get(inputs.paths.key_file)
    if keys and keys.modified > live.booted + unit.started:
        return f"runs since before {inputs.paths.key_file} changed"
    problem = live.health.get(name, "")
    return f"does not answer: {problem}" if problem else ""


def unit_difference(service: serving.Service, unit: Unit, problem: str, changing: bool) -> str:
    """Return how an instance differs from what it should be; empty where it does not.

    Args:
        service: What it should be.
        unit: What it is.
        problem: Why its process must go though it carries the wanted digest; empty where it may stay.
        changing: Whether its unit's files are written by this run: that systemd has not read them follows from that.
    """
    if unit.masked:
        return "is masked"
    if unit.active == "failed":
        return f"has failed (result: {unit.result})"
    if unit.active not in ("active", "activating", "reloading"):
        return "is not running"
    if not unit.pid:
        return f"waits to be restarted (last result: {unit.result})"
    if unit.digest != service.digest:
        return what_differs(unit.environment, serving.parse_environment(service.environment))
    if unit.stale and not changing:
        return "has changed since systemd read it"
    if problem:
        return problem
    if unit.active != "active":
        return "is starting"
    return "" if unit.enabled else "is not enabled"


def plan_present(
    inputs: Inputs, brought: Brought, services: Sequence[serving.Service], live: Live, waiting: Sequence[str]
) -> Plan:
    """Return what is to be done so that the services run."""
    names = [instance.name for instance in inputs.instances]
    stale = serving.stale_instances(names, live.config_names, live.unit_names)
    left = [
        path
        for name in stale
        for path in (dropin_directory(name), environment_file(inputs, name), answered_file(inputs, name))
        if path in live.files
    ]
    files = FileSet(
        directories=pending_directories(wanted_directories(inputs, services), live.files),
        files=pending_files(wanted_files(inputs, services), live.files),
        remove=left,
    )
    writing = {file.path for file in files.files}
    keys_change = inputs.paths.key_file in writing
    accounts = live.account.missing()
    problems = {service.instance.name: process_problem(inputs, service, live) for service in services}
    units: list[str] = []
    trials: list[dict[str, Any]] = []
    for service in services:
        name = service.instance.name
        changing = bool(writing & {inputs.unit.path, dropin_file(name)})
        problem = "" if keys_change else problems[name]
        found = unit_difference(service, live.units.get(name, UNKNOWN), problem, changing)
        if found:
            units.append(f"unit {unit_name(name)}: {found}")
            # Where nothing runs there is nothing to lose: the gate reports what does not come up. A trial is an
            # instance of the unit that is there, which knows no other directory than its own.
            runs = name in live.units and live.units[name].pid
            installed = live.files[inputs.unit.path].content if inputs.unit.path in live.files else ""
            if runs and f"EnvironmentFile={inputs.paths.config_dir}/" in installed:
                arguments = serving.trial_arguments(service.instance, inputs.llama_cpp_dir, inputs.paths)
                trials.append({"name": name, "arguments": list(arguments)})
            continue
        answered = live.files.get(answered_file(inputs, name))
        # A run may have been killed before the service was asked: that it is healthy is not yet an answer.
        if not answered or answered.content.strip() != service.digest:
            units.append(f"service {name}: has not answered a request since it was changed")
    pending = [
        *accounts,
        *files.sentences(),
        *units,
        *(f"unit {unit_name(name)}: is no longer wanted" for name in stale),
    ]
    return Plan(
        pending=[*pending, *waiting],
        waiting=list(waiting),
        needs={
            "accounts": bool(accounts),
            "stale": stale,
            "trials": trials,
            "services": [
                {
                    **service.as_dict(),
                    "problem": "its keys change" if keys_change else problems[service.instance.name],
                    "answered": answered_file(inputs, service.instance.name),
                }
                for service in services
            ],
            "summary": [service.summary() for service in services],
        },
        files={"configure": files},
    )


def plan_absent(inputs: Inputs, live: Live) -> Plan:
    """Return what the role has left on the device."""
    stale = serving.stale_instances([], live.config_names, live.unit_names)
    own = [*map(dropin_directory, stale), inputs.paths.config_dir, inputs.wait_script.path, inputs.unit.path]
    remove = [path for path in own if path in live.files]
    accounts = [] if live.in_use else live.account.left()
    return Plan(
        pending=[
            *(f"unit {unit_name(name)}: is no longer wanted" for name in stale),
            *(f"{path}: is no longer wanted" for path in remove),
            *accounts,
        ],
        needs={"stale": stale, "accounts": bool(accounts), "services": []},
        files={
            "uninstall": FileSet(
                remove=remove,
                prune=shared_above(inputs.paths.config_dir, inputs.wait_script.path),
            )
        },
    )

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role llama_service; its decisions are in llama_cpp/services.py and llama_cpp/serving.py."""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import names_in, read_json, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import listening
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.ports import holder, overlap, read_listeners
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import HIDDEN
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import ask
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import read_account, user_number
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import services as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.cuda import NO_GPU
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import instance_traces, read_instances
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.selftest import known_flags
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import ManifestError
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pair_problem, pinned_context

#: Seconds that a service may take to be healthy.
HEALTH_TIMEOUT = 5


def read_models(directory: str) -> tuple[dict[str, serving.Model], list[str]]:
    """Return the models on the device by name, and sentences about manifests that cannot be used."""
    models: dict[str, serving.Model] = {}
    unusable: list[str] = []
    for name in names_in(directory):
        path = os.path.join(directory, name, "manifest.json")
        if not os.path.isfile(path):
            continue
        try:
            models[name] = serving.parse_model(read_json(path), f"{directory}/{name}")
        except ManifestError as error:
            unusable.append(f"{path}: cannot be used ({error}); run playbooks/receive.yml to write it again.")
    return models, unusable


def read_release(directory: str) -> str:
    """Return the key of the release that serves, or '' where there is none."""
    current = Path(directory, "current")
    if not (current / "bin" / "llama-server").is_file():
        return ""
    return str(read_json(current / "release.json").get("key") or current.resolve().name)


def can_read(path: str, user: str) -> bool:
    """Return whether a user can read a file, by its mode and those of its directories; true for one yet to be made."""
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        return True
    groups = {who.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    for place in (Path(path), *Path(path).parents):
        state = place.stat()
        shift = 6 if state.st_uid == who.pw_uid else 3 if state.st_gid in groups else 0
        if not state.st_mode >> shift & (1 if place.is_dir() else 4):
            return False
    return True


def tls_problems(paths: serving.Paths, user: str) -> list[str]:
    """Return why the services could not serve with the certificate on the device; another role may bring it yet."""
    fix = "run the role edge_slm.fleet.endpoint_tls first, or fix the files"
    given = {"llama_service_tls_certificate": paths.tls_certificate, "llama_service_tls_key": paths.tls_key}
    found = [f"{name}: there is no {path}; {fix}." for name, path in given.items() if not os.path.isfile(path)]
    if found:
        return found
    found = [f"{name}: {user} cannot read {path}; {fix}." for name, path in given.items() if not can_read(path, user)]
    problem = pair_problem(paths.tls_certificate, paths.tls_key)
    if problem:
        found.append(
            f"llama_service_tls_certificate: {paths.tls_certificate} and {paths.tls_key} cannot be used: {problem}; "
            f"{fix}."
        )
    return found


def flags_of(directory: str) -> set[str]:
    """Return the flags that the release that serves knows; none where it cannot be asked."""
    return known_flags(output_of([f"{directory}/current/bin/llama-server", "--help"]))


def adapter_problems(instance: serving.Instance, user: str) -> list[str]:
    """Return which files that belong to a service's model llama-server could not load."""
    where = f"llama_service_instances: `extra_args` of the service {instance.name}"
    found = []
    for path in serving.adapter_files(instance):
        if path.startswith(HIDDEN):
            found.append(f"{where}: the services cannot see {path}; put it outside of {', '.join(HIDDEN)}.")
        elif not os.path.isfile(path):
            found.append(f"{where}: there is no {path} on this device; bring it there first.")
        elif not can_read(path, user):
            found.append(f"{where}: {user} cannot read {path}; let it read the file and enter the directories above.")
    return found


def read_brought(inputs: decide.Inputs) -> decide.Brought:
    """Return what other roles have brought to the device."""
    models, waiting = read_models(inputs.models_dir)
    for instance in inputs.instances:
        path = models[instance.model].path if instance.model in models else ""
        if os.path.isfile(path) and not can_read(path, inputs.user):
            waiting.append(
                f"llama_service_models_dir: {inputs.user} cannot read {path}; let others enter the directories above."
            )
    paths, release = inputs.paths, read_release(inputs.llama_cpp_dir)
    known = flags_of(inputs.llama_cpp_dir) if any(instance.extra_args for instance in inputs.instances) else set()
    for instance in inputs.instances:
        waiting += serving.flag_problems(instance, release, known)
        waiting += adapter_problems(instance, inputs.user)
    if inputs.instances and paths.tls_certificate:
        waiting += tls_problems(paths, inputs.user)
    return decide.Brought(
        models=models,
        release=release,
        pair=read_text(paths.tls_certificate) + read_text(paths.tls_key) if paths.tls_certificate else "",
        waiting=waiting,
    )


def health_problem(inputs: decide.Inputs, service: serving.Service) -> str:
    """Ask a running service whether it is healthy; return why not, empty where it is."""
    certificate = inputs.paths.tls_certificate
    url = serving.health_url(inputs.listen, service.instance.port, tls=bool(certificate))
    try:
        reply = ask(url, timeout=HEALTH_TIMEOUT, tls=pinned_context(certificate) if certificate else None)
    except OSError as error:
        return f"{certificate}: {error}"
    return "" if reply.status == 200 else f"{url} answered {reply.brief()}"


def read_health(
    inputs: decide.Inputs, services: Sequence[serving.Service], units: Mapping[str, Unit]
) -> dict[str, str]:
    """Ask the services that run as they should; the others are restarted anyway."""
    found = {}
    for service in services:
        unit = units.get(service.instance.name, decide.UNKNOWN)
        if unit.active == "active" and unit.pid and unit.digest == service.digest:
            found[service.instance.name] = health_problem(inputs, service)
    return found


def group_in_use(inputs: decide.Inputs) -> str:
    """Return a path beside the role's own configuration that belongs to the group; empty where there is none."""
    try:
        number = grp.getgrnam(inputs.user).gr_gid
    except KeyError:
        return ""
    for directory, inner, names in os.walk(os.path.dirname(inputs.paths.config_dir)):
        inner[:] = [name for name in inner if os.path.join(directory, name) != inputs.paths.config_dir]
        for name in (*inner, *names):
            if os.lstat(os.path.join(directory, name)).st_gid == number:
                return os.path.join(directory, name)
    return ""


def read_live(inputs: decide.Inputs, services: Sequence[serving.Service]) -> decide.Live:
    """Return the device as it is."""
    config_names, unit_names = names_in(inputs.paths.config_dir), instance_traces()
    names = [instance.name for instance in inputs.instances]
    stale = serving.stale_instances(names, config_names, unit_names)
    paths = [
        *(directory.path for directory in decide.wanted_directories(inputs, services)),
        *(file.path for file in decide.wanted_files(inputs, services)),
        *(decide.dropin_directory(name) for name in stale),
        *(decide.environment_file(inputs, name) for name in stale),
        *(decide.answered_file(inputs, name) for name in (*names, *stale)),
    ]
    units = read_instances(names)
    return decide.Live(
        files=read_files(dict.fromkeys(paths)),
        units=units,
        health=read_health(inputs, services, units),
        booted=time.time() - time.monotonic(),
        account=read_account(inputs.user),
        in_use=group_in_use(inputs) if inputs.state == "absent" else "",
        config_names=config_names,
        unit_names=unit_names,
    )


def taken_ports(inputs: decide.Inputs) -> list[str]:
    """Return which ports of the services are held by a program that is none of them."""
    own = user_number(inputs.user)
    strangers = [listener for listener in read_listeners() if listener.uid != own]
    found = []
    for instance in inputs.instances:
        for listener in strangers:
            if listener.port == instance.port and overlap(listener.address, inputs.listen):
                found.append(
                    f"llama_service_instances: port {instance.port} of the service {instance.name} is taken by "
                    f"{holder(listener)}; stop it, or give the service another `port`."
                )
                break
    return found


def board_of(inputs: decide.Inputs, host: Host) -> serving.Board:
    """Return what there is for the services; their models are in the GPUs' memory where these are to serve."""
    return serving.Board(
        memory_mib=host.gpus.memory_mib if inputs.gpu else host.device["memory_mib"],
        cores=host.device["cores"],
        reserve_mib=inputs.reserve_mib,
        overhead_mib=inputs.overhead_mib + (serving.CUDA_OVERHEAD_MIB if inputs.gpu else 0),
        load_mib_per_second=inputs.load_mib_per_second,
        vram=inputs.gpu,
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the device with its services."""
    problems, unfit = Problems(), Problems()
    cast = decide.Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if cast.state == "absent":
        return decide.plan_absent(cast, read_live(cast, []))
    cast = replace(cast, listen=listening(cast.listen))
    brought = read_brought(cast)
    serving.check_models(cast.instances, brought.models, problems)
    if cast.gpu and host.gpus.problem:
        return Plan(unfit=[f"llama_service_gpu: {host.gpus.problem}; {NO_GPU}"])
    board = board_of(cast, host)
    serving.check_memory(cast.instances, brought.models, board, unfit)
    refusal = "".join(sentence.partition(": ")[2] for sentence in unfit.found)
    if not host.device["systemd"]:
        unfit.add("llama_service", "this host was not booted by systemd; start it with systemd as its init.")
    unfit.found += taken_ports(cast)
    # What is not here yet is added up over all hosts (fleet/fit.py).
    asks = [asdict(serving.ask_of(instance, board.overhead_mib)) for instance in cast.instances]
    memory = {"room": asdict(board.room), "asks": asks, "weights": {}, "refusal": refusal}
    needs = {"memory": memory}
    if problems.found or unfit.found:
        return Plan(refusals=problems.found, unfit=unfit.found, needs=needs)
    services = decide.services_of(cast, brought, board)
    waiting = decide.waiting_for(cast, brought)
    found = decide.plan_present(cast, brought, services, read_live(cast, services), waiting)
    found.needs.update(needs)
    return found

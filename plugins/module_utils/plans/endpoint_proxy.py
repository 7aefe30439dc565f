# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role endpoint_proxy; its decisions are in proxy/service.py."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import is_as_packaged
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import listening
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import show
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import read_account, user_number
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import WANTS_DIR
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import PROPERTIES, describe_unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import config as proxying
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import live as reading
from ansible_collections.edge_slm.fleet.plugins.module_utils.proxy import service as decide


def read_backend_key(settings: proxying.Settings) -> tuple[str, str]:
    """Return what the backend wants for a key, and why it cannot be used."""
    if not settings.backend_key_file:
        return "", ""
    key = read_text(settings.backend_key_file).strip()
    # It stands in a line of HAProxy's.
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", key):
        return "", f"endpoint_proxy_backend_key_file: {settings.backend_key_file} holds no key; put it there first."
    return key, ""


def read_live(inputs: decide.Inputs, host: Host) -> decide.Live:
    """Return the proxy as it is."""
    units = {unit["Id"]: unit for unit in show(("Id", *PROPERTIES), (proxying.UNIT, decide.DISTRIBUTION_UNIT))}
    properties = units.get(proxying.UNIT, {})
    unit = reading.with_environment(describe_unit(properties, b""), properties)
    user, runs_as = user_number(proxying.USER), reading.user_of(unit.pid)
    live = decide.Live(
        files=read_files(decide.PATHS),
        unit=unit,
        linked=os.path.islink(os.path.join(WANTS_DIR, proxying.UNIT)),
        account=read_account(proxying.USER),
        unit_path_taken=os.path.lexists(proxying.UNIT_FILE),
    )
    if inputs.state == "absent":
        return live
    pem, problem = reading.read_pem(inputs.settings.tls_certificate, inputs.settings.tls_key, "endpoint_proxy")
    backend_key, no_key = read_backend_key(inputs.settings)
    enabled = units.get(decide.DISTRIBUTION_UNIT, {}).get("UnitFileState") == "enabled"
    return replace(
        live,
        packages=host.packages,
        loaded=reading.read_loaded() if unit.pid else proxying.Loaded(),
        own_user=runs_as in (None, user),
        key_maps=reading.read_maps() if unit.pid else {},
        idle_distribution=enabled and is_as_packaged(decide.DISTRIBUTION_CONFIG),
        port_owner=reading.port_owner(inputs.settings, runs_as),
        pem=pem,
        pem_problem=problem,
        backend_key=backend_key,
        backend_key_problem=no_key,
    )


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the proxy with the inputs."""
    problems = Problems()
    cast = decide.Inputs.of(inputs, problems)
    cast = replace(cast, settings=replace(cast.settings, listen=listening(cast.settings.listen)))
    live = decide.Live() if problems.found else read_live(cast, host)
    unfit = [] if cast.state == "absent" else decide.unfit(cast, host.device, live)
    if problems.found or unfit:
        return Plan(refusals=problems.found, unfit=unfit)
    made = decide.plan(cast, live)
    for files in made.files.values():
        if files.files:
            texts = proxying.texts(cast.settings, cast.keys, live.pem, live.backend_key)
            files.check = partial(reading.refusal, texts.config)
    return made

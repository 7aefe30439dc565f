# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role endpoint_tls; its decisions are in tls/files.py, and partly made on the controller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import names_in
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import read_account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import files as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import belongs, pair_problem


def read_live(inputs: decide.Inputs) -> decide.Live:
    """Return certificate and key as they are."""
    paths = inputs.paths
    directory = paths.directory
    names = names_in(directory)
    return decide.Live(
        files=read_files([*(one.path for one in decide.wanted_directories(inputs)), *paths.all]),
        group=read_account(inputs.group).group,
        matches=inputs.mode == "fleet_ca" and belongs(paths.certificate, paths.key),
        taken=os.path.exists(directory) and not os.path.isdir(directory),
        only_ours={os.path.join(directory, name) for name in names} <= set(paths.all),
    )


def accept(paths: decide.Paths, mode: str, drafts: Mapping[str, str]) -> str:
    """Do a TLS handshake: a client that trusts the CA, or the certificate itself, with a server that has the files."""
    certificate, key, ca = (drafts.get(path, path) for path in (paths.certificate, paths.key, paths.ca))
    problem = pair_problem(certificate, key, ca if mode == "fleet_ca" else "")
    return f"no client could use them: {problem}" if problem else ""


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare certificate and key with the inputs."""
    problems = Problems()
    cast = decide.Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    made = decide.plan(cast, read_live(cast) if cast.wanted or cast.state == "absent" else decide.Live())
    if "configure" in made.files:
        made.files["configure"].check = partial(accept, cast.paths, cast.mode)
    return made

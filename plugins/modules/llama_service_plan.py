#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.service_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: llama_service_plan
short_description: Decide how llama-server is to run on a device
version_added: 0.1.0
description:
  - Checks services and keys against each other and against what lies on the device.
  - Fails with all problems at once.
  - Returns for each service its arguments, limits, files and the digest of all that must lead to a restart.
  - Changes nothing.
author:
  - edge_slm.fleet contributors (@edge-slm)
extends_documentation_fragment: [edge_slm.fleet.api_keys, edge_slm.fleet.reads_only]
options:
  state:
    description: With V(absent) nothing is checked and every instance on the device is returned as stale.
    type: str
    choices: [present, absent]
    default: present
  instances:
    description: The services, as in the role's input llama_service_instances.
    type: raw
    required: true
  listen:
    description: IP address to listen on.
    type: str
    required: true
  allowed_cidrs:
    description: Networks that may talk to the services.
    type: raw
    required: true
  unit:
    description: Text of the systemd template unit.
    type: str
    required: true
  memory_mib:
    description: Memory of the board in MiB.
    type: int
    required: true
  cores:
    description: CPUs of the board.
    type: int
    required: true
  memory_reserve_mib:
    description: Memory that is kept for the system, in MiB.
    type: int
    required: true
  memory_overhead_mib:
    description: Memory that a service takes beside weights and caches, in MiB.
    type: int
    required: true
  load_mib_per_second:
    description: Speed at which the slowest storage gives weights, in MiB/s.
    type: int
    required: true
  llama_cpp_dir:
    description: Where releases lie; its C(current) is the release that serves.
    type: path
    required: true
  models_dir:
    description: Where models lie.
    type: path
    required: true
  config_dir:
    description: Where the services' configuration lies.
    type: path
    required: true
  tls_certificate:
    description: Certificate on the device; empty for plain HTTP.
    type: str
    default: ""
  tls_key:
    description: Its key on the device.
    type: str
    default: ""
  user:
    description: User that the services run as, who must be able to read both.
    type: str
    default: edge-slm
"""

EXAMPLES = r"""
- name: Decide how llama-server is to run
  edge_slm.fleet.llama_service_plan:
    instances:
      - model: smollm2
    api_keys:
      - name: chat
        key: "{{ vault_chat_key }}"
    listen: 0.0.0.0
    allowed_cidrs: [192.168.0.0/16]
    unit: "{{ lookup('ansible.builtin.template', 'llama-server@.service.j2') }}"
    memory_mib: "{{ ansible_facts['edge_slm_device']['memory_mib'] }}"
    cores: "{{ ansible_facts['edge_slm_device']['cores'] }}"
    memory_reserve_mib: 512
    memory_overhead_mib: 256
    load_mib_per_second: 10
    llama_cpp_dir: /opt/edge-slm/llama.cpp
    models_dir: /var/lib/edge-slm/models
    config_dir: /etc/edge-slm/llama-server
"""

RETURN = r"""
services:
  description: >-
    The services that can run, each with name, model, port, arguments, limits, environment, dropin and digest.
  returned: success
  type: list
  elements: dict
stale:
  description: Names of instances that left something on the device and are no longer wanted.
  returned: success
  type: list
  elements: str
pending:
  description: >-
    What other roles have yet to bring (release, models, certificate) before a service can run, with the mend.
  returned: success
  type: list
  elements: str
summary:
  description: One line for each service.
  returned: success
  type: list
  elements: str
"""

import grp
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json, read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.instances import instance_traces, names_in
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import MANIFEST, ManifestError
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import pair_problem


def read_models(directory: str, problems: Problems) -> dict[str, serving.Model]:
    """Return the models whose manifest lies on the device, by name."""
    models: dict[str, serving.Model] = {}
    for name in names_in(directory):
        manifest = Path(directory, name, MANIFEST)
        if not manifest.is_file():
            continue
        try:
            models[name] = serving.parse_model(read_json(manifest), f"{directory}/{name}")
        except ManifestError as error:
            problems.add(str(manifest), f"cannot be used ({error}); run playbooks/receive.yml to write it anew.")
    return models


def read_release(directory: str) -> str:
    """Return the key of the release that serves, or '' where there is none."""
    current = Path(directory, "current")
    if not (current / "bin" / "llama-server").is_file():
        return ""
    return str(read_json(current / "release.json").get("key") or current.resolve().name)


def can_read(path: str, user: str) -> bool:
    """Tell whether a user can read a file, by the modes of it and the directories above; yes for one yet to be made."""
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


def tls_problems(certificate: str, key: str, user: str) -> list[str]:
    """Say why the services could not serve with what lies on the device now; another role may bring it yet."""
    mend = "run the role edge_slm.fleet.endpoint_tls first, or mend the files"
    given = {"llama_service_tls_certificate": certificate, "llama_service_tls_key": key}
    found = [f"{name}: there is no {path}; {mend}." for name, path in given.items() if not Path(path).is_file()]
    if found:
        return found
    found = [f"{name}: {user} cannot read {path}; {mend}." for name, path in given.items() if not can_read(path, user)]
    problem = pair_problem(certificate, key)
    if problem:
        found.append(f"llama_service_tls_certificate: {certificate} and {key} cannot be used: {problem}; {mend}.")
    return found


def main() -> None:
    """Run the module."""
    # Only the keys themselves are secret: hiding names too would blot them out of arguments and messages.
    whole = {"type": "int", "required": True}
    place = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "instances": {"type": "raw", "required": True},
            "api_keys": serving.API_KEYS_ARGUMENT,
            "listen": {"type": "str", "required": True},
            "allowed_cidrs": {"type": "raw", "required": True},
            "unit": {"type": "str", "required": True},
            "memory_mib": whole,
            "cores": whole,
            "memory_reserve_mib": whole,
            "memory_overhead_mib": whole,
            "load_mib_per_second": whole,
            "llama_cpp_dir": place,
            "models_dir": place,
            "config_dir": place,
            "tls_certificate": {"type": "str", "default": ""},
            "tls_key": {"type": "str", "default": "", "no_log": False},
            "user": {"type": "str", "default": "edge-slm"},
        },
        supports_check_mode=True,
    )
    given = module.params
    problems = Problems()
    pending: list[str] = []
    services: list[serving.Service] = []
    instances: list[serving.Instance] = []
    if given["state"] == "present":
        instances = serving.parse_instances(given["instances"], problems)
        keys = serving.parse_keys(given["api_keys"], problems)
        serving.check_addresses(given["listen"], given["allowed_cidrs"], problems)
        serving.check_tls(given["tls_certificate"], given["tls_key"], problems)
        for name in ("memory_overhead_mib", "memory_reserve_mib"):
            if given[name] < 0:
                problems.add(f"llama_service_{name}", "is negative; give MiB, 0 or more.")
        if given["load_mib_per_second"] < 1:
            problems.add("llama_service_load_mib_per_second", "is less than 1; give MiB a second.")
        models = read_models(given["models_dir"], problems)
        release = read_release(given["llama_cpp_dir"])
        pending = [
            f"llama_service_instances: {serving.unknown_model(i, list(models))}"
            for i in instances
            if i.model and i.model not in models
        ]
        if instances and not release:
            pending.append(
                f"llama_service_llama_cpp_dir: there is no release in {given['llama_cpp_dir']}/current; "
                "run playbooks/receive.yml, or the role edge_slm.fleet.llama_cpp, first."
            )
        paths = serving.Paths(given["config_dir"], given["tls_certificate"], given["tls_key"])
        if instances and paths.tls_certificate and paths.tls_key:
            pending += tls_problems(paths.tls_certificate, paths.tls_key, given["user"])
        serving.check_models(instances, models, problems)
        if problems.found:
            module.fail_json(msg="\n".join(problems.found), problems=problems.found)
        board = serving.Board(
            memory_mib=given["memory_mib"],
            cores=given["cores"],
            reserve_mib=given["memory_reserve_mib"],
            overhead_mib=given["memory_overhead_mib"],
            load_mib_per_second=given["load_mib_per_second"],
        )
        serving.check_memory(instances, models, board, problems)
        services = [
            serving.plan_service(
                instance,
                models[instance.model],
                board,
                paths,
                listen=given["listen"],
                release=release,
                unit=given["unit"],
                keys=serving.key_file_text(keys),
                pair=read_text(paths.tls_certificate) + read_text(paths.tls_key),
            )
            for instance in instances
            if instance.model in models
        ]
    if problems.found:
        module.fail_json(msg="\n".join(problems.found), problems=problems.found)
    module.exit_json(
        changed=False,
        services=[service.as_dict() for service in services],
        stale=serving.stale_instances(
            [instance.name for instance in instances], names_in(given["config_dir"]), instance_traces()
        ),
        pending=pending,
        summary=[service.summary() for service in services],
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_ollama_image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_image
short_description: Have a container image in Docker, by digest
version_added: 0.1.0
description:
  - Asks the registry for the sizes and the disk for room first, then pulls through Docker's socket and reads the
    whole stream, in which errors come after a good HTTP status.
  - A pull that breaks off is taken up again; Docker keeps layers that are finished.
  - Needs nothing but Python on the device. A login is sent with the pull and is not left there.
  - Can note in a receipt which images it brought, so that they, and no others, can be removed.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  state:
    description: V(absent) removes the image; one that a container needs stays.
    type: str
    choices: [present, absent]
    default: present
  receipt:
    description: JSON file whose list C(images) names the images that were brought, the last one last.
    type: path
  image:
    description: Name of the image with its digest, C(registry:5000/ollama/ollama@sha256:…).
    type: str
    required: true
  username:
    description: Login at the registry; empty for none.
    type: str
    default: ""
  password:
    description: Its password.
    type: str
    default: ""
  timeout:
    description: How long Docker may be silent before the pull counts as broken, in seconds.
    type: int
    default: 300
  attempts:
    description: How often a pull that broke off without a reason of its own is taken up.
    type: int
    default: 5
attributes:
  check_mode:
    support: full
    description: Reports whether the image is missing.
  diff_mode:
    support: none
    description: An image is not text.
"""

EXAMPLES = r"""
- name: Pull the image
  edge_slm.fleet.jetson_ollama_image:
    image: docker.io/ollama/ollama@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
"""

RETURN = r"""
id:
  description: Docker's name for the image; empty in check mode where it is missing.
  returned: success
  type: str
attempts:
  description: How often the pull was begun; 0 where the image was there.
  returned: success
  type: int
transferred_mib:
  description: Compressed size of what was missing, as the registry gives it.
  returned: success
  type: int
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_json, read_text, write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import pull as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.daemon import images_directory
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.registry import (
    Credentials,
    Image,
    Registry,
    RegistryError,
    parse_image,
    proxies_for,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.certificates import certificates_in

CERTIFICATES = "/etc/docker/certs.d"
PAUSE_SECONDS = 5


def expected_sizes(module: AnsibleModule, engine: Engine, image: Image, login: Credentials) -> dict[str, int]:
    """Return the sizes of the image's layers; empty where only a mirror of Docker's has them."""
    info = engine.info()
    own = (info.get("RegistryConfig") or {}).get("IndexConfigs", {}).get(image.host) or {}
    environment = {"HTTP_PROXY": info.get("HttpProxy"), "HTTPS_PROXY": info.get("HttpsProxy")}
    registry = Registry(
        image.host,
        login,
        certificates=certificates_in(read_text(os.path.join(CERTIFICATES, image.host, "ca.crt"))),
        proxies=proxies_for(image.host, {**environment, "NO_PROXY": info.get("NoProxy")}),
        insecure=own.get("Secure") is False,
    )
    try:
        return registry.sizes(image, str(info.get("Architecture") or os.uname().machine))
    except RegistryError as error:
        if (info.get("RegistryConfig") or {}).get("Mirrors"):
            module.warn(f"{error}; Docker has mirrors, so it is asked all the same. The free disk was not checked.")
            return {}
        module.fail_json(msg=f"{image.reference} cannot be pulled: {error}. {decide.advice(str(error))}")
    return {}


def pull(module: AnsibleModule, engine: Engine, image: Image, login: Credentials, total: int) -> int:
    """Pull until it is done; returns how often it was begun."""
    attempts: int = max(1, module.params["attempts"])
    for attempt in range(1, attempts + 1):
        state = decide.PullState()
        try:
            with Progress.of(module, image.name, total=total) as progress:
                auth = login.for_engine(image.host)
                for line in engine.pull(image.name, image.digest, auth, module.params["timeout"]):
                    state.take(line)
                    progress.update(min(state.done, total) if total else state.done, note=state.note)
        except EngineError as error:
            state.error = str(error)
        if not state.error:
            return attempt
        if not decide.is_worth_another_try(state.error) or attempt == attempts:
            module.fail_json(
                msg=f"{image.reference} cannot be pulled: {state.error}. {decide.advice(state.error)}", attempts=attempt
            )
        time.sleep(PAUSE_SECONDS)
    return attempts


def remove(module: AnsibleModule, engine: Engine, image: Image) -> None:
    """Remove an image; one that a container needs stays."""
    try:
        engine.read("DELETE", f"/images/{image.reference}")
    except EngineError as error:
        if error.status != 409:
            module.fail_json(msg=f"{image.reference} cannot be removed: {error}")
        module.warn(f"{image.reference} stays: {error}")


def note(path: str | None, reference: str, present: bool) -> None:
    """Note in a receipt that an image is there, as the last one, or is not any more."""
    if not path:
        return
    receipt = read_json(path)
    before = list(receipt.get("images") or [])
    images = [*(name for name in before if name != reference), *([reference] if present else [])]
    if images != before:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_json(path, {**receipt, "images": images})


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "receipt": {"type": "path"},
            "image": {"type": "str", "required": True},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "timeout": {"type": "int", "default": 300},
            "attempts": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        image = parse_image(given["image"])
    except ValueError as error:
        module.fail_json(msg=f"image: {error}.")
    engine, login = Engine(), Credentials(given["username"], given["password"])
    try:
        there = engine.image(image.reference)
    except EngineError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        there = None
    if given["state"] == "absent":
        if there and not module.check_mode:
            remove(module, engine, image)
        if not module.check_mode:
            note(given["receipt"], image.reference, present=False)
        module.exit_json(changed=bool(there), id="", attempts=0, transferred_mib=0)
    if there or module.check_mode:
        if not module.check_mode:
            note(given["receipt"], image.reference, present=True)
        module.exit_json(changed=not there, id=(there or {}).get("Id", ""), attempts=0, transferred_mib=0)
    total = sum(expected_sizes(module, engine, image, login).values())
    root = images_directory(engine.info())
    status = os.statvfs(root)
    problem = decide.disk_problem(total, status.f_bavail * status.f_frsize, root, image.reference)
    if problem:
        module.fail_json(msg=problem)
    attempts = pull(module, engine, image, login, total)
    there = engine.image(image.reference)
    if not there:
        module.fail_json(msg=f"Docker reports that {image.reference} was pulled, but does not have it: run again.")
    note(given["receipt"], image.reference, present=True)
    found = (there or {}).get("Id", "")
    module.exit_json(changed=True, id=found, attempts=attempts, transferred_mib=-(-total // (1 << 20)))


if __name__ == "__main__":
    followed(main)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role provision, which works on the controller: the host does not run yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_path
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    is_verified,
    names_in,
    read_text,
    sha256_digest,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.names import host_name_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import ConfigFile, pending_files
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import url_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision import (
    boot_partition,
    card_image,
    cloud_init,
    firstrun,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.provision.settings import Settings

STATES = ("present", "absent")


@dataclass(frozen=True)
class Inputs:
    """Where to write. `boot` is empty where an image is made, `image` where a mounted card is written to."""

    boot: str
    image: str
    digest: Digest
    output: str
    settings: Settings

    @property
    def base(self) -> str:
        """Where the image to begin with is kept, as it was fetched."""
        name = os.path.basename(self.image.partition("?")[0])
        return os.path.join(self.output, "base", f"{self.digest.hex[:12]}-{name}")

    @property
    def result(self) -> str:
        """The host's image."""
        return os.path.join(self.output, f"{self.settings.hostname}.img")


def cast(inputs: Mapping[str, Any], problems: Problems) -> Inputs:
    """Cast the inputs, or add problems."""
    digest = Digest("")
    boot, image = str(inputs["boot"]), str(inputs["image"])
    if bool(boot) == bool(image):
        found = "both are" if boot else "neither it nor provision_image is"
        problems.add("boot", f"{found} set; give a mounted card by provision_boot, or an image by provision_image.")
    if boot:
        as_path(boot, "boot", 1, problems)
    if image:
        problem = url_problem(image)
        if problem:
            problems.add("image", f"{problem}; it is {image!r}.")
        elif os.path.exists(image) and not os.path.isfile(image):
            problems.add(
                "image", f"{image} is not a file; give the file of an image. A card is written to when flashed."
            )
        try:
            digest = sha256_digest(str(inputs["image_sha256"]))
        except ValueError as error:
            problems.add("image_sha256", f"{error}; the page that the image is from shows it.")
    return Inputs(
        boot=os.path.realpath(boot) if boot else "",
        image=image,
        digest=digest,
        output=as_path(inputs["output"], "output", 1, problems).rstrip("/"),
        settings=Settings.of(inputs, problems),
    )


def plan_card(inputs: Inputs) -> Plan:
    """Compare a mounted card with the inputs."""
    problem = boot_partition.mount_problem(inputs.boot, boot_partition.parse_mounts(read_text(boot_partition.MOUNTS)))
    names = names_in(inputs.boot)
    if not problem:
        lack = boot_partition.lack(names)
        problem = f"{inputs.boot} {lack}." if lack else ""
    if problem:
        return Plan(refusals=[f"provision_boot: {problem}"])
    texts = boot_partition.wanted(inputs.settings, names, read_text(os.path.join(inputs.boot, firstrun.CMDLINE)))
    found = read_files(os.path.join(inputs.boot, name) for name in texts)
    texts = cloud_init.to_write(texts, {os.path.basename(path): file.content for path, file in found.items()})
    # FAT has one mode and owner for all files: those that it was mounted with.
    wanted = [ConfigFile(os.path.join(inputs.boot, name), text, mode="", secret=True) for name, text in texts.items()]
    files = FileSet(files=pending_files(wanted, found))
    return Plan(pending=files.sentences(), needs={"image": ""}, files={"configure": files})


def plan_image(inputs: Inputs) -> Plan:
    """Compare the host's image with the inputs."""
    if not find_command("mcopy"):
        return Plan(refusals=["provision_image: the controller has no mtools; install the package mtools."])
    difference = card_image.difference(inputs.result, inputs.digest.hex, inputs.settings)
    fetch = bool(difference) and not is_verified(inputs.base, inputs.digest, remember=False)
    return Plan(
        pending=[
            *([f"file {inputs.base}: is to be fetched"] if fetch else []),
            *([f"image {inputs.result}: {difference}"] if difference else []),
        ],
        needs={
            "fetch": {"url": inputs.image, "sha256": inputs.digest.hex, "dest": inputs.base} if fetch else {},
            "image": inputs.result if difference else "",
        },
        files={"configure": FileSet()},
    )


def plan_absent(inputs: Mapping[str, Any]) -> Plan:
    """Return what is left of the host's image; what was fetched serves other hosts, and a card is flashed anew."""
    problem = host_name_problem(str(inputs["hostname"]))
    if problem:
        return Plan(refusals=[f"provision_hostname: {problem}"])
    image = os.path.join(str(inputs["output"]), f"{inputs['hostname']}.img")
    # Of a run that was killed, too.
    left = [path for path in (image, card_image.note(image), card_image.part(image)) if os.path.isfile(path)]
    files = FileSet(remove=left)
    return Plan(pending=files.sentences(), files={"uninstall": files})


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the card, or the image, with the inputs."""
    state = str(inputs["state"])
    if state not in STATES:
        return Plan(refusals=[f"provision_state: {state!r} is not one of {', '.join(STATES)}."])
    if state == "absent":
        return plan_absent(inputs)
    problems = Problems(prefix="provision_")
    found = cast(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    return plan_card(found) if found.boot else plan_image(found)

#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.jetson_ollama_daemon."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: jetson_ollama_daemon
short_description: Let dockerd run with the settings that a Jetson needs
version_added: 0.1.0
description:
  - Merges settings into Docker's C(daemon.json) without losing what its owner has there, and notes what was there
    before in a receipt, so that it can be put back.
  - Restarts dockerd where, and only where, the running daemon differs from the file, so a plain re-run repairs
    what a killed one left. Containers go on running where live-restore is wanted.
  - Where dockerd does not start with the new file, the one from before comes back and dockerd is started with it.
  - Unmasks and enables dockerd's units.
  - Moves Docker's data where C(data-root) differs from where it is. It is copied whole and compared first, then
    dockerd is switched; the old directory stays.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  state:
    description: V(absent) puts back what was there before, except where Docker's data is.
    type: str
    choices: [present, absent]
    default: present
  settings:
    description: Settings by key; a dot divides a key from one inside of it.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reports what would be done.
  diff_mode:
    support: full
    description: Shows the file's change.
"""

EXAMPLES = r"""
- name: Let Docker know NVIDIA's runtime
  edge_slm.fleet.jetson_ollama_daemon:
    settings:
      runtimes.nvidia: {args: [], path: nvidia-container-runtime}
      log-opts.max-size: 10m
      live-restore: true
"""

RETURN = r"""
reasons:
  description: Why dockerd was restarted; empty where it was left alone.
  returned: success
  type: list
  elements: str
moved_from:
  description: Where Docker's data was before it was moved; empty where it was not moved. It may be deleted.
  returned: success
  type: str
"""

import contextlib
import os
import shutil
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    DurableError,
    finish,
    modified,
    read_json,
    read_text,
    require_space,
    write_draft,
    write_json,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import daemon as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import flags
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_units
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.progress import Progress
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.server import (
    CA_DIRECTORY,
    RECEIPT,
    ROLE,
    ROLE_LABEL,
)

UNIT = "docker.service"
SOCKET = "docker.socket"
CERTIFICATES = f"{CA_DIRECTORY}/ca-certificates.crt"
START_SECONDS = 60


class StartError(Exception):
    """dockerd was not stopped or started; the message has systemd's reason and dockerd's last lines."""


class Daemon:
    """dockerd, its file, and what is to be done about them."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.engine = Engine()
        self.flags = flags.read()
        #: The role's containers that were stopped to move Docker's data.
        self.stopped: list[str] = []

    def run(self, *argv: str) -> None:
        """Run a command.

        Raises:
            StartError: It fails.
        """
        code, out, error = self.module.run_command(list(argv))
        if code:
            raise StartError(f"{' '.join(argv)}: {(error or out).strip()}\n{last_lines()}")

    def read(self) -> dict[str, Any]:
        """Return daemon.json."""
        try:
            return decide.parse_daemon(read_text(decide.DAEMON_JSON))
        except ValueError as error:
            self.module.fail_json(msg=str(error))
            return {}

    def unit_problems(self) -> list[str]:
        """Return what keeps dockerd from coming up at the next boot."""
        units = read_units([UNIT, SOCKET])
        return decide.unit_problems(units.get(UNIT), units.get(SOCKET))

    def enable(self) -> None:
        """Enable dockerd at every boot."""
        self.run("systemctl", "unmask", "--quiet", UNIT, SOCKET)
        self.run("systemctl", "enable", "--quiet", UNIT)

    def reasons(self, content: dict[str, Any]) -> list[str]:
        """Return why dockerd must be restarted."""
        unit = read_units([UNIT]).get(UNIT)
        started = unit.since if unit else 0.0
        return decide.restart_reasons(
            self.flags.over(content), self.engine.info(), modified(decide.DAEMON_JSON), started, modified(CERTIFICATES)
        )

    def write(self, content: dict[str, Any]) -> None:
        """Write daemon.json whole, after dockerd has found it good."""
        text = decide.text_of(content)
        if not text:
            if os.path.exists(decide.DAEMON_JSON):
                os.unlink(decide.DAEMON_JSON)
            return
        os.makedirs(os.path.dirname(decide.DAEMON_JSON), mode=0o755, exist_ok=True)
        path = os.path.realpath(decide.DAEMON_JSON)
        draft = write_draft(path, text)
        # Docker 20.10 has no --validate.
        if "--validate" in output_of(["dockerd", "--help"]):
            command = ["dockerd", *self.flags.arguments, "--validate", f"--config-file={draft}"]
            code, out, error = self.module.run_command(command)
            if code:
                os.unlink(draft)
                self.module.fail_json(
                    msg=f"{decide.DAEMON_JSON} was not written: dockerd refuses what it would be with the role's "
                    f"settings: {(error or out).strip()}"
                )
        finish(draft, path)

    def restart(self, reload_first: bool) -> None:
        """Restart dockerd and wait until it answers.

        Raises:
            StartError: It does not come up.
        """
        if reload_first:
            # live-restore is taken over by a reload; containers then survive the restart.
            self.run("systemctl", "reload", UNIT)
        self.enable()
        self.run("systemctl", "reset-failed", UNIT)
        # A socket that was masked meanwhile has lost its descriptor: dockerd starts only with one that is started, too.
        units = [name for name in (SOCKET, UNIT) if read_units([name])[name].loaded]
        self.run("systemctl", "stop", *units)
        self.run("systemctl", "start", *units)
        deadline = time.monotonic() + START_SECONDS
        while not self.engine.answers():
            if time.monotonic() > deadline:
                raise StartError(f"dockerd does not answer {START_SECONDS} s after its start.\n{last_lines()}")
            time.sleep(0.25)

    def restart_or_return(self, before: str | None, reload_first: bool) -> None:
        """Restart dockerd with the file that was written; where it does not come up, return to the one from before.

        Args:
            before: Text of the file from before; None where there was none.
            reload_first: As in `restart`.
        """
        try:
            self.restart(reload_first)
        except StartError as error:
            path = os.path.realpath(decide.DAEMON_JSON)
            if before is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            else:
                finish(write_draft(path, before), path)
            state = "Docker runs again with it"
            try:
                self.restart(reload_first=False)
                self.start_stopped()
            except StartError as again:
                state = f"Docker does not run with it either: {again}"
            self.module.fail_json(
                msg=f"dockerd does not start with the role's settings, so {decide.DAEMON_JSON} is what it was before; "
                f"{state}. The reason: {error}"
            )

    def start_stopped(self) -> None:
        """Start the containers again that were stopped to move Docker's data."""
        for name in self.stopped:
            with contextlib.suppress(EngineError):
                self.engine.read("POST", f"/containers/{name}/start")

    def stop_all(self) -> None:
        """Stop the role's containers, then dockerd; refuses while others run."""
        try:
            for entry in self.engine.running():
                name = str((entry.get("Names") or ["?"])[0]).lstrip("/")
                if not str((entry.get("Labels") or {}).get(ROLE_LABEL, "")).startswith(ROLE):
                    self.module.fail_json(msg=f"Docker's data was not moved: the container {name} runs; stop it.")
                self.engine.read("POST", f"/containers/{name}/stop?t=30", timeout=90)
                self.stopped.append(name)
        except EngineError as error:
            if error.status:
                self.module.fail_json(msg=f"Docker's data was not moved: {error}")
        self.run("systemctl", "stop", SOCKET, UNIT)

    def move(self, old: str, new: str) -> None:
        """Copy Docker's data and compare; the switch is daemon.json's."""
        part = f"{new.rstrip('/')}.edge-slm-part"
        self.stop_all()
        try:
            for leftover in (part, new):
                if leftover == part or os.path.exists(os.path.join(new, decide.MOVED_MARKER)):
                    shutil.rmtree(leftover, ignore_errors=True)
            size = sum(entry[1] for entry in listing(old).values())
            os.makedirs(os.path.dirname(part), exist_ok=True)
            require_space(part, size, f"Docker's data from {old}")
            with Progress.of(self.module, f"{old} to {new}", total=size) as progress:
                progress.update(0, note="copying")
                self.copy(old, part)
            if listing(old) != listing(part):
                raise DurableError(f"the copy of {old} in {part} differs from it")
            with open(os.path.join(part, decide.MOVED_MARKER), "w", encoding="utf-8") as file:
                file.write("A copy of Docker's data, made by edge_slm.fleet; dockerd does not use it yet.\n")
            os.sync()
            if os.path.isdir(new):
                os.rmdir(new)
            os.rename(part, new)
        except (OSError, DurableError) as error:
            shutil.rmtree(part, ignore_errors=True)
            self.restart(reload_first=False)
            self.start_stopped()
            self.module.fail_json(msg=f"Docker's data was not moved and is used where it was: {error}")

    def copy(self, old: str, part: str) -> None:
        """Copy a tree with everything that overlays need: owners, links, extended attributes, device files."""
        code, out, error = self.module.run_command(["cp", "-a", "--sparse=auto", old, part])
        if code:
            raise DurableError((error or out).strip().splitlines()[0])


def last_lines() -> str:
    """Return dockerd's last lines."""
    lines = output_of(["journalctl", "-u", UNIT, "-n", "20", "-o", "cat", "--no-pager"])
    return f"dockerd's last lines:\n{lines}"


def listing(root: str) -> dict[str, tuple[int, int, int]]:
    """Return mode, size and whole seconds of change of everything below a directory."""
    found: dict[str, tuple[int, int, int]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            size = status.st_size if name in files else 0
            found[os.path.relpath(path, root)] = (status.st_mode, size, int(status.st_mtime))
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    daemon = Daemon(module)
    try:
        reconcile(daemon)
    except StartError as error:
        module.fail_json(msg=str(error))


def reconcile(daemon: Daemon) -> None:
    """Bring file and daemon to what is wanted."""
    module = daemon.module
    current = daemon.read()
    receipt = read_json(RECEIPT)
    noted = receipt.get("daemon.json") or {}
    owners = decide.restored(current, noted)
    settings = module.params["settings"] if module.params["state"] == "present" else {}
    wanted, notes = decide.merged(owners, settings), decide.before(owners, settings)
    info = daemon.engine.info()
    installed = bool(find_command("dockerd"))
    old_root = str(info.get("DockerRootDir") or daemon.flags.over(current).get("data-root") or decide.DEFAULT_ROOT)
    new_root = str(daemon.flags.over(wanted).get("data-root") or old_root)
    moving = installed and os.path.normpath(old_root) != os.path.normpath(new_root) and os.path.isdir(old_root)
    differs = wanted != current
    reasons = daemon.reasons(wanted) if installed else []
    if differs and installed and not reasons:
        reasons = [f"{decide.DAEMON_JSON} has changed"]
    masked = daemon.unit_problems() if installed and module.params["state"] == "present" else []
    if any(problem.startswith(SOCKET) for problem in masked) and not reasons:
        reasons = ["has lost its socket"]
    changed = differs or bool(reasons or masked) or notes != noted
    if changed and not module.check_mode:
        before = read_text(decide.DAEMON_JSON) if os.path.exists(decide.DAEMON_JSON) else None
        os.makedirs(os.path.dirname(RECEIPT), mode=0o755, exist_ok=True)
        if notes:
            write_json(RECEIPT, {**receipt, "daemon.json": notes})
        if moving:
            daemon.move(old_root, new_root)
        if differs:
            daemon.write(wanted)
        if masked and not reasons:
            daemon.enable()
        if reasons:
            live = bool(wanted.get("live-restore")) and not info.get("LiveRestoreEnabled")
            daemon.restart_or_return(before, reload_first=bool(info) and live and not moving)
            left = daemon.reasons(wanted)
            if left:
                module.fail_json(msg=f"dockerd was restarted and still differs from its file: it {'; it '.join(left)}.")
        marker = os.path.join(new_root, decide.MOVED_MARKER)
        if os.path.exists(marker):
            os.unlink(marker)
        if not notes and noted:
            write_json(RECEIPT, {name: value for name, value in receipt.items() if name != "daemon.json"})
    diff = {"before_header": decide.DAEMON_JSON, "after_header": decide.DAEMON_JSON}
    diff.update(before=decide.text_of(current), after=decide.text_of(wanted))
    module.exit_json(changed=changed, reasons=[*masked, *reasons], moved_from=old_root if moving else "", diff=diff)


if __name__ == "__main__":
    main()

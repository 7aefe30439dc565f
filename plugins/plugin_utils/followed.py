# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follow a long module's work on a device and show how far it is: the controller's side of jobs/followed.py.

The module is called as any other, with a word in its environment that asks for the work to be followed. What takes
less than some seconds comes back as always. For longer work this asks the device, with one small command at a time
that ends when the work does, and shows a line now and then. When the work is over the module is called once more:
it returns what the work has returned, so that everything about the result is Ansible's own doing.

A connection that drops is tried again. A run that is killed leaves its work at work; the next run waits for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shlex
import sys
import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import MARKER, VARIABLE
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.progress_lines import (
    UNSEEN,
    Follower,
    pause,
    shown,
)

#: Seconds for which a device that does not answer is tried again.
LOST = 120.0
#: Seconds between two of these trials.
AGAIN = 5.0
#: The strategy imports this in Ansible's first process; those that run tasks have no terminal any more.
TERMINAL = sys.stdout.isatty()

display = Display()


class FollowedAction(ActionBase):  # type: ignore[misc]
    """Runs the module of the action's name, and follows it."""

    _supports_async = True

    #: Arguments that distinguish one piece of work on a device from another, none of them secret.
    identity: tuple[str, ...] = ("dest",)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode or self._task.async_val:
            wrap = bool(self._task.async_val) and not self._connection.has_native_async
            answer = self._execute_module(task_vars=task_vars, wrap_async=wrap)
        else:
            wrap = False
            answer = self._follow(task_vars or {})
        if not wrap:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return dict(merge_hash(result, answer))

    def _follow(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Call the module, look until its work is over, and call it for the result."""
        wanted = {VARIABLE: f"{self._work()} {secrets.token_hex(8)}"}
        if self._task.environment is None:
            self._task.environment = []
        self._task.environment.append(wanted)
        try:
            started = time.monotonic()
            follower = self._follower(task_vars)
            while True:
                answer: dict[str, Any] = self._execute_module(task_vars=task_vars)
                unfinished = answer.get(MARKER)
                if not unfinished:
                    return answer
                self._wait(unfinished["directory"], unfinished["state"] == "busy", follower, started)
        finally:
            self._task.environment.remove(wanted)

    def _work(self) -> str:
        """Return the name of this work on the device: the same in each run that wants the same."""
        identity = {name: self._task.args.get(name) for name in self.identity}
        text = json.dumps([self._task.action.rpartition(".")[2], identity], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _follower(self, task_vars: dict[str, Any]) -> Follower:
        """Return what makes the lines."""
        host = str(task_vars.get("inventory_hostname", ""))
        if self._task.delegate_to:
            host = f"{host} -> {self._task.delegate_to}"
        return Follower(host, self._task.get_name().rpartition(" : ")[2], bool(self._task.no_log))

    def _wait(self, directory: str, busy: bool, follower: Follower, started: float) -> None:
        """Return when the work in that directory is over; until then show how far it is."""
        loud = shown(os.environ.get("EDGE_SLM_PROGRESS", ""), TERMINAL)
        while True:
            elapsed = time.monotonic() - started
            over, state = self._look(directory, pause(elapsed) if loud else UNSEEN)
            if over:
                return
            if loud:
                display.display(follower.line(state, time.monotonic() - started, busy))

    def _look(self, directory: str, seconds: float) -> tuple[bool, dict[str, Any]]:
        """Wait on the device for the work to end, but no longer than some seconds.

        Returns:
            Whether it is over, and if not, its progress.
        """
        command = (
            f"cd {shlex.quote(directory)} 2>/dev/null || exit 0; flock --shared --timeout {seconds:.1f} . true;"
            " code=$?; cat progress.json 2>/dev/null; exit $code"
        )
        lost = 0.0
        while True:
            try:
                answer = self._low_level_execute_command(command)
                break
            except AnsibleConnectionFailure:
                if not lost:
                    display.warning(f"no answer from the device, whose work in {directory} goes on; trying again")
                    lost = time.monotonic()
                if time.monotonic() - lost > LOST:
                    raise
                time.sleep(AGAIN)
                with contextlib.suppress(Exception):  # a connection that is gone may fail to be put away too
                    self._connection.reset()
        if answer["rc"] not in (0, 1):
            raise AnsibleActionFail(
                f"cannot follow the work in {directory} on the device, it goes on: {answer['stderr'] or answer['rc']}"
            )
        try:
            state = json.loads(answer["stdout"] or "{}")
        except ValueError:
            state = {}
        return answer["rc"] == 0, state if isinstance(state, dict) else {}

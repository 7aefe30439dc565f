# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run an action's modules on the controller; variables that say how a host is reached do not count."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader


def stay_here(action: ActionBase, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Give an action a local connection; return the variables that its modules are run with."""
    # A fresh one: that of the task may be another host's, and have sudo in it.
    action._connection = connection_loader.get("ansible.builtin.local", action._play_context)
    action._connection.set_options()
    action._connection._shell.set_options()
    return {**variables, "ansible_python_interpreter": sys.executable}

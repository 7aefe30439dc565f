# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flags that dockerd's unit gives it: dockerd does not start where daemon.json has the same settings.

Runtimes alone are merged, by every Docker that the role takes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.systemd import show

UNIT = "docker.service"
#: Flags of the settings that this role cares for, by their key in daemon.json.
KEYS = {
    "--add-runtime": "runtimes",
    "--config-file": "config-file",
    "--data-root": "data-root",
    "--graph": "data-root",
    "-g": "data-root",
    "--live-restore": "live-restore",
    "--log-driver": "log-driver",
    "--http-proxy": "proxies",
    "--https-proxy": "proxies",
    "--insecure-registry": "insecure-registries",
    "--log-opt": "log-opts",
    "--no-proxy": "proxies",
    "--userns-remap": "userns-remap",
}
BOOLEANS = ("live-restore",)
#: What Go takes for a flag that is off.
OFF = ("0", "f", "false")


@dataclass(frozen=True)
class Flags:
    """dockerd's command line.

    Args:
        arguments: Its words, without the program.
        settings: The settings in them, as daemon.json would have them.
    """

    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def over(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that dockerd runs with by its file and its flags."""
        runtimes = {**(content.get("runtimes") or {}), **self.settings.get("runtimes", {})}
        return {**content, **self.settings, **({"runtimes": runtimes} if runtimes else {})}


def parse_environment(text: str) -> dict[str, str]:
    """Read a file of variables as systemd does: one a line, quotes around values, comments."""
    # systemd takes a value without quotes to the end of its line, and joins lines at a backslash.
    pattern = r"""^\s*(\w+)\s*=\s*(["']?)(.*?)\2\s*$"""
    lines = text.replace("\r\n", "\n").replace("\\\n", " ")
    return {name: value for name, _quote, value in re.findall(pattern, lines, flags=re.MULTILINE)}


def words(line: str, environment: Mapping[str, str]) -> list[str]:
    """Return the words of a command line in a unit: `$NAME` becomes the words of a variable, `${NAME}` its text."""
    found: list[str] = []
    for word in line.split():
        whole = re.fullmatch(r"\$(\w+)", word)
        if whole:
            found += environment.get(whole.group(1), "").split()
        else:
            found.append(re.sub(r"\$\{(\w+)\}", lambda name: environment.get(name.group(1), ""), word))
    return found


def parse(arguments: Sequence[str]) -> Flags:
    """Return dockerd's flags from its arguments; flags of other settings are in none of the role's."""
    settings: dict[str, Any] = {}
    left = list(arguments)
    while left:
        name, sign, value = left.pop(0).partition("=")
        key = KEYS.get(name)
        if not key:
            continue
        if key in BOOLEANS:
            settings[key] = value.lower() not in OFF
            continue
        if not sign:
            value = left.pop(0) if left else ""
        inner, _unused, rest = value.partition("=")
        if key == "runtimes":
            settings.setdefault(key, {})[inner] = {"path": rest}
        elif key == "log-opts":
            settings.setdefault(key, {})[inner] = rest
        elif key == "proxies":
            settings.setdefault(key, {})[name.lstrip("-")] = value
        elif key == "insecure-registries":
            settings.setdefault(key, []).append(value)
        else:
            settings[key] = value
    return Flags(tuple(arguments), settings)


def read() -> Flags:
    """Read the flags that dockerd is started with; none where there is no unit."""
    units = show(("ExecStart", "Environment", "EnvironmentFiles"), [UNIT])
    unit = units[0] if units else {}
    command = re.search(r"argv\[\]=(.*?) ; ", unit.get("ExecStart", ""))
    if not command:
        return Flags()
    environment = dict(word.partition("=")[::2] for word in shlex.split(unit.get("Environment", "")))
    for path in re.findall(r"(\S+) \(ignore_errors=\w+\)", unit.get("EnvironmentFiles", "")):
        environment.update(parse_environment(read_text(path)))
    return parse(words(command.group(1), environment)[1:])

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What sshd really does: its own answer for a login decides, not what is in a file.

A value before sshd_config's Include, no Include at all, a Match block: each wins over a drop-in.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import read_text, write_text
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import SshConnection

MAIN = "/etc/ssh/sshd_config"
DROPIN_DIR = "/etc/ssh/sshd_config.d"
DROPIN = f"{DROPIN_DIR}/00-edge-slm.conf"
#: A line that includes files, and the directory of drop-ins in it; a relative path is one below /etc/ssh.
INCLUDE = re.compile(r"^\s*Include\b.*$", re.IGNORECASE | re.MULTILINE)
OWN_DIR = re.compile(r"(?<![^\s\"'=])(?:/etc/ssh/)?sshd_config\.d/")
#: A line that sets something.
OPTION = re.compile(r"\s*\w")
#: Lists to which other files add, and whose every entry lets somebody in.
EXCLUSIVE = ("allowusers", "allowgroups")

#: The values of each keyword; `sshd -T` prints some keywords more than once.
Effective = Mapping[str, tuple[str, ...]]


def parse_effective(text: str) -> dict[str, tuple[str, ...]]:
    """Return what `sshd -T` prints, by keyword in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        keyword, _unused, value = line.partition(" ")
        found[keyword] = (*found.get(keyword, ()), value)
    return found


def ask(file: str, user: str, connection: SshConnection) -> dict[str, tuple[str, ...]]:
    """Return what counts for a user who comes the way of a connection; nothing where sshd does not tell."""
    client, server = connection.client or "127.0.0.1", connection.server or "127.0.0.1"
    login = f"user={user or 'root'},host={client},addr={client},laddr={server},lport={connection.port or 22}"
    return parse_effective(output_of(["sshd", "-T", "-f", file, "-C", login]))


def differences(wanted: Effective, found: Effective, names: Mapping[str, str]) -> list[str]:
    """Return which of the wanted values do not count, as «Keyword value (not value)».

    Args:
        wanted: What is to count.
        found: What counts.
        names: Keywords as they are written, by keyword in lower case.
    """

    def holds(keyword: str) -> bool:
        want, have = set(wanted[keyword]), set(found.get(keyword, ()))
        return want == have if keyword in EXCLUSIVE else want <= have

    return [
        f"{names[keyword]} {' '.join(found.get(keyword, ())) or 'unset'} (not {' '.join(values)})"
        for keyword, values in wanted.items()
        if not holds(keyword)
    ]


def overruled(dropin: str, users: Iterable[str], connection: SshConnection) -> list[str]:
    """Return what would not count of a drop-in, whether it is there yet or not, and for whom, in sentences.

    Args:
        dropin: Its text.
        users: Who may log in.
        connection: How they come.
    """
    lines = [line.split()[0] for line in dropin.splitlines() if line and not line.startswith("#")]
    names = {name.lower(): name for name in lines}
    texts = {**read_configuration(), DROPIN: dropin}
    with tempfile.TemporaryDirectory(prefix="edge-slm-sshd-") as directory:
        copies = copy(texts, directory)
        # Alone it says how sshd writes the wanted values: 1m is 60, prohibit-password is without-password.
        alone = ask(copies[DROPIN], "", SshConnection())
        wanted = {keyword: values for keyword, values in alone.items() if keyword in names}
        answers = {user: ask(copies[MAIN], user, connection) for user in dict.fromkeys(users)}
    concerned: dict[str, list[str]] = {}
    for user, answer in answers.items():
        differing = ", ".join(differences(wanted, answer, names)) if answer else ""
        concerned.setdefault(differing, []).append(user)
    concerned.pop("", None)
    tried = [f"for {', '.join(found)} sshd would take {differing}" for differing, found in concerned.items()]
    others = {path: text for path, text in texts.items() if path != DROPIN}
    return tried or [block for path, text in others.items() for block in in_match_blocks(path, text, dropin)]


def in_match_blocks(path: str, text: str, dropin: str) -> list[str]:
    """Return which options of a drop-in a file sets otherwise in Match blocks, for logins that nobody can try here.

    A block may be about networks, groups or hosts that the controller does not come from; it wins all the same.
    """
    wanted = {line.split()[0].lower(): line.split()[1:] for line in dropin.splitlines() if OPTION.match(line)}
    found, block = [], ""
    for line in text.splitlines():
        words = line.replace("=", " ", 1).split()
        if not OPTION.match(line):
            continue
        if words[0].lower() == "match":
            block = " ".join(words)
        elif block and [w.lower() for w in wanted.get(words[0].lower(), words[1:])] != [w.lower() for w in words[1:]]:
            found.append(f"{path} has {' '.join(words)} in the block `{block}`")
    return found


def read_configuration() -> dict[str, str]:
    """Return the texts of sshd's configuration by path: the main file and all in the directory of drop-ins."""
    return {path: read_text(path) for path in (MAIN, *glob.glob(f"{DROPIN_DIR}/*"))}


def copy(texts: Mapping[str, str], directory: str) -> dict[str, str]:
    """Write files of /etc/ssh into another directory, where they include each other; return the copies' paths."""
    copies = {path: os.path.join(directory, os.path.relpath(path, "/etc/ssh")) for path in texts}
    for path, text in texts.items():
        there = INCLUDE.sub(lambda line: OWN_DIR.sub(f"{directory}/sshd_config.d/", line[0]), text)
        write_text(copies[path], there, 0o600)
    return copies


def refused(options: Mapping[str, str]) -> str:
    """Return why sshd does not take options, in its own words; '' where it does, or is not there yet."""
    command = find_command("sshd")
    if not command or not options:
        return ""
    arguments = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(
        [command, "-t", "-f", os.devnull, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    # Host keys may be missing, too: what it says of the options begins like this.
    return "".join(line.strip() for line in done.stderr.splitlines() if line.startswith("command-line"))

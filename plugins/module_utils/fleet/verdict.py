# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the looks at all hosts: what stops the run, who drops out, and which roles each host enters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.fit import PIPELINE, Fitting, decide, host_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.questions import (
    BUILDER,
    BUILDER_ROLES,
    RECEIVERS,
    board_of,
    is_for_others,
    release_question,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import STANDS_ON, with_dependents


@dataclass(frozen=True)
class Look:
    """One host's answers.

    Args:
        groups: The host's groups in the inventory.
        plans: By question; empty where the host did not answer.
        cpu_class: The host's CPU class; empty where it is not known.
        failure: Why the host did not answer; empty where it did.
        board: Its model in the device tree.
    """

    groups: tuple[str, ...] = ()
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cpu_class: str = ""
    failure: str = ""
    board: str = ""


@dataclass
class Verdict:
    """What follows.

    Attributes:
        errors: Errors in the inventory, with the hosts that they were found on. Any stops the run.
        refused: The same by host.
        dropped: Hosts that cannot be what is asked or do not answer, with the reasons.
        pending: By host and role, what is pending, in sentences.
        enter: By host, the roles that it enters.
        classes: By builder, the CPU classes whose release is pending, `auto` for its own.
        fitting: Which model fits which board.
    """

    errors: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    pending: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    enter: dict[str, list[str]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)
    fitting: Fitting = field(default_factory=Fitting)

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups that hosts join, as M(ansible.builtin.add_host) takes them."""
        joined = [
            {"host": host, "groups": ["edge_slm_entered", *(_group(role, host in self.classes) for role in roles)]}
            for host, roles in self.enter.items()
        ]
        return joined + [{"host": host, "groups": ["edge_slm_failed"]} for host in self.dropped]

    def lines(self) -> list[str]:
        """Return the verdict for people, one line a sentence."""
        rows = [
            (host, role, sentence)
            for host, roles in self.pending.items()
            for role, sentences in roles.items()
            for sentence in sentences
        ]
        rows += [(host, "drops out", reason) for host, reasons in self.dropped.items() for reason in reasons]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        return [f"{host.ljust(widths[0])}  {role.ljust(widths[1])}  {sentence}" for host, role, sentence in rows]


def counted(looks: Mapping[str, Look], host: str) -> dict[str, Mapping[str, Any]]:
    """Return those of a host's plans that count: of a builder's releases, those for the fleet's devices."""
    look = looks[host]
    if BUILDER not in look.groups:
        return dict(look.plans)
    wanted = {
        release_question(other.cpu_class)
        for other in looks.values()
        if board_of(other.groups) in RECEIVERS
        and "llama_cpp" in other.plans
        and other.cpu_class not in ("", look.cpu_class)
    }
    return {name: plan for name, plan in look.plans.items() if not is_for_others(name) or name in wanted}


def published_twice(looks: Mapping[str, Look]) -> list[str]:
    """Return the error of an inventory in which two builders make a release for the same CPU class."""
    makers: dict[str, list[str]] = {}
    for host, look in looks.items():
        if BUILDER in look.groups:
            classes = [_class(name) for name in counted(looks, host) if _role(name) == "llama_cpp"]
            for name in classes:
                makers.setdefault((look.cpu_class or "native") if name == "auto" else name, []).append(host)
    return [
        f"the group builder: {_hosts(hosts)} would each publish a release for the CPU class {cpu_class}, and devices "
        "take theirs from one builder; leave one of them in the group."
        for cpu_class, hosts in sorted(makers.items())
        if len(hosts) > 1
    ][:1]


def in_vain(plans: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what roles of a host wait for although no role below them has anything to bring."""
    bringing = {_role(name) for name, plan in plans.items() if plan["pending"]}
    return [
        sentence
        for name, plan in plans.items()
        if not bringing & set(STANDS_ON.get(_role(name), ()))
        for sentence in plan["waiting"]
    ]


def judge(looks: Mapping[str, Look]) -> Verdict:
    """Decide what follows from the looks at all hosts."""
    verdict = Verdict()
    found_on: dict[str, list[str]] = {}
    fitting = verdict.fitting = decide({host: host_of(look.plans, look.board) for host, look in looks.items()})
    for host, look in looks.items():
        plans = counted(looks, host)
        for plan in plans.values():
            for sentence in plan["refusals"]:
                found_on.setdefault(sentence, []).append(host)
                verdict.refused.setdefault(host, []).append(sentence)
        withdrawn = fitting.withdrawn.get(host, [])
        unfit = (sentence for plan in plans.values() for sentence in plan["unfit"])
        reasons = [sentence for sentence in unfit if sentence.partition(": ")[2] not in withdrawn] + in_vain(plans)
        reasons += fitting.unfit.get(host, [])
        if look.failure:
            reasons = [look.failure]
        if reasons:
            verdict.dropped[host] = list(dict.fromkeys(reasons))
            continue
        pending = {name: list(plan["pending"]) for name, plan in plans.items() if plan["pending"]}
        if host in fitting.pending:
            pending[PIPELINE] = [*pending.get(PIPELINE, []), *fitting.pending[host]]
        if pending:
            verdict.pending[host] = pending
            verdict.enter[host] = with_dependents(map(_role, pending), map(_role, plans))
            if BUILDER in look.groups:
                verdict.classes[host] = [_class(name) for name in pending if _role(name) == "llama_cpp"]
    verdict.errors = [f"{_hosts(hosts)}: {sentence}" for sentence, hosts in found_on.items()] + published_twice(looks)
    return verdict


def as_wanted(count: int) -> str:
    """Return the sentence about a fleet on which nothing differs."""
    return f"{count} hosts are as the inventory wants them." if count != 1 else "The host is as the inventory wants it."


def left_out(looks: Mapping[str, Look], groups: Mapping[str, Collection[str]]) -> list[str]:
    """Return what is not known because `--limit` leaves out devices that a builder works for.

    Args:
        looks: Of the hosts that were looked at.
        groups: The inventory's hosts by group.
    """
    builders = [host for host, look in looks.items() if BUILDER in look.groups]
    unseen = {host for board in RECEIVERS for host in groups.get(board, ())} - {*looks}
    if not builders or not unseen:
        return []
    names = _hosts(builders)
    return [f"{names}: the CPU classes of {_hosts(unseen)}, which --limit leaves out, are not considered."]


def _group(role: str, builder: bool) -> str:
    """Return the group of the hosts that enter a role; a builder makes for others what devices receive."""
    return f"{'builds' if builder and role in BUILDER_ROLES else 'needs'}_{role}"


def _role(question: str) -> str:
    """Return the role of a question."""
    return question.partition(" for ")[0]


def _class(question: str) -> str:
    """Return the CPU class of a question about a release."""
    return question.partition(" for ")[2] or "auto"


def _hosts(hosts: Iterable[str]) -> str:
    """Return the names of hosts, of many the first ones."""
    names = sorted(set(hosts))
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} others"

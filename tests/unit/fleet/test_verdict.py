"""What follows from the looks at all hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.verdict import Look, as_wanted, judge, left_out
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import ON_HOSTS, STANDS_ON, with_dependents

PI4, PI5, PC = "armv8-a", "armv8.2-a+dotprod+fp16", "x86-64-v3"
SAYS, WHY = "builder-01: the CPU classes of", "which --limit leaves out, are not considered."
DEVICE = ("host_baseline", "pi_baseline", "llama_cpp", "model_pipeline", "llama_service")


def look(groups: tuple[str, ...] = ("pi",), cpu_class: str = PI5, **changes: dict[str, Any]) -> Look:
    """Return a look at a host whose plans have nothing to do but for the given ones, `__` standing for a space."""
    names = ("host_baseline", "artifact_store", "llama_cpp", "model_pipeline") if "builder" in groups else DEVICE
    plans = {name: Plan().as_dict() for name in names}
    for name, plan in changes.items():
        plans[name.replace("__", " ")] = Plan(**plan).as_dict()
    return Look(groups, plans, cpu_class)


def for_class(cpu_class: str, **plan: Any) -> dict[str, Any]:
    """Return a builder's plan for a further CPU class."""
    return {f"llama_cpp for {cpu_class}": Plan(**plan).as_dict()}


def builder(*plans: dict[str, Any], cpu_class: str = PC) -> Look:
    """Return a look at a builder."""
    found = look(("builder",), cpu_class)
    merged = dict(found.plans)
    for plan in plans:
        merged.update(plan)
    return Look(found.groups, merged, cpu_class)


def test_a_converged_fleet_enters_nothing() -> None:
    verdict = judge({"pi-01": look(), "builder-01": builder()})
    assert (verdict.errors, verdict.dropped, verdict.enter, verdict.groups(), verdict.lines()) == ([], {}, {}, [], [])


@pytest.mark.parametrize(
    ("pending", "entered"),
    [
        ("host_baseline", ["host_baseline"]),
        ("llama_cpp", ["llama_cpp", "model_pipeline", "llama_service"]),
        ("model_pipeline", ["model_pipeline", "llama_service"]),
        ("llama_service", ["llama_service"]),
    ],
)
def test_what_stands_on_a_pending_role_is_entered_too(pending: str, entered: list[str]) -> None:
    verdict = judge({"pi-01": look(**{pending: {"pending": ["x: differs"]}}), "pi-02": look()})
    assert verdict.enter == {"pi-01": entered}
    assert verdict.groups() == [
        {"host": "pi-01", "groups": ["edge_slm_entered", *(f"needs_{role}" for role in entered)]}
    ]
    assert verdict.lines() == [f"pi-01  {pending}  x: differs"]


def test_an_error_of_one_host_is_an_error_of_the_run_and_reported_once() -> None:
    wrong = {"refusals": ["edge_slm_services[0].port: 80 is not a port"]}
    verdict = judge({"pi-01": look(llama_service=wrong), "pi-02": look(llama_service=wrong), "pi-03": look()})
    assert verdict.errors == ["pi-01, pi-02: edge_slm_services[0].port: 80 is not a port"]
    assert verdict.refused == {"pi-01": wrong["refusals"], "pi-02": wrong["refusals"]}


def test_a_host_that_cannot_drops_out_and_the_others_go_on() -> None:
    full = {"unfit": ["disk: is full"]}
    verdict = judge({"pi-01": look(model_pipeline=full), "pi-02": look(llama_cpp={"pending": ["release: is missing"]})})
    assert verdict.errors == []
    assert verdict.dropped == {"pi-01": ["disk: is full"]}
    assert list(verdict.enter) == ["pi-02"]
    assert {"host": "pi-01", "groups": ["edge_slm_failed"]} in verdict.groups()


@pytest.mark.parametrize(("below", "dropped"), [({}, True), ({"pending": ["release: is missing"]}, False)])
def test_a_role_that_waits_for_what_nobody_brings(below: dict[str, Any], dropped: bool) -> None:
    """Such as a flag that the server does not know: only another release could have it."""
    service = {"waiting": ["extra_args: no such flag"], "pending": ["extra_args: no such flag"]}
    # What is wrong with the inventory as a whole belongs to no role.
    verdict = judge({"pi-01": look(llama_service=service, llama_cpp=below, inventory={"refusals": ["x: is wrong"]})})
    assert verdict.dropped == ({"pi-01": ["extra_args: no such flag"]} if dropped else {})
    assert bool(verdict.enter) is not dropped


def test_a_host_that_does_not_answer_drops_out() -> None:
    verdict = judge({"pi-01": Look(("pi",), failure="does not answer: no route"), "pi-02": look()})
    assert verdict.dropped == {"pi-01": ["does not answer: no route"]}


def test_a_builder_enters_for_the_classes_of_the_fleet_alone() -> None:
    looks = {
        "builder-01": builder(
            for_class(PI4, pending=["release: is missing"]), for_class(PI5, refusals=["no compiler"])
        ),
        "pi-01": look(cpu_class=PI4),
    }
    verdict = judge(looks)
    assert verdict.errors == []
    assert verdict.enter["builder-01"] == ["llama_cpp", "model_pipeline"]
    assert verdict.classes["builder-01"] == [PI4]
    assert verdict.groups()[0]["groups"] == ["edge_slm_entered", "builds_llama_cpp", "builds_model_pipeline"]


@pytest.mark.parametrize(
    ("role", "classes"),
    [("llama_cpp", [PI5]), ("jetson_ollama", [])],
)
def test_a_jetsons_class_counts_where_it_serves_by_llama_cpp(role: str, classes: list[str]) -> None:
    orin = Look(("jetson",), {role: Plan(pending=["x"]).as_dict()}, PI5)
    looks = {"builder-01": builder(for_class(PI5, pending=["release: is missing"])), "jetson-01": orin}
    assert judge(looks).classes.get("builder-01", []) == classes


def test_a_host_with_gpus_asks_no_builder_for_its_class() -> None:
    gpu = Look(("gpu",), {"llama_cpp": Plan(pending=["x"]).as_dict()}, PI5)
    looks = {"builder-01": builder(for_class(PI5, pending=["release: is missing"])), "gpu-01": gpu}
    assert (judge(looks).classes, list(judge(looks).enter)) == ({}, ["gpu-01"])
    assert left_out({"builder-01": looks["builder-01"]}, {"gpu": ["gpu-01"]}) == []


def test_a_class_that_the_builder_cannot_build_is_an_error() -> None:
    looks = {"builder-01": builder(for_class(PI5, refusals=["no compiler"])), "pi-01": look(cpu_class=PI5)}
    assert judge(looks).errors == ["builder-01: no compiler"]


def test_a_class_that_two_builders_publish_is_an_error() -> None:
    devices = {"pi-01": look(), "pi-02": look(cpu_class=PI4)}
    plans = [for_class(PI4), for_class(PI5)]
    assert judge({**devices, "builder-01": builder(*plans)}).errors == []
    (error,) = judge({**devices, "pc-01": builder(*plans), "pc-02": builder(*plans, cpu_class=PI5)}).errors
    assert error == (
        f"the group builder: pc-01, pc-02 would each publish a release for the CPU class {PI4}, and devices take "
        "theirs from one builder; leave one of them in the group."
    )


def test_two_old_pcs_both_publish_what_runs_on_them_alone() -> None:
    (error,) = judge({"pc-01": builder(cpu_class=""), "pc-02": builder(cpu_class="")}).errors
    assert "would each publish a release for the CPU class native" in error


def test_a_builders_own_class_is_asked_once() -> None:
    looks = {"builder-01": builder(for_class(PC, pending=["x"])), "pc-01": look(cpu_class=PC)}
    assert judge(looks).enter == {}


def test_roles_stand_on_earlier_ones() -> None:
    order = list(STANDS_ON)
    for role, below in STANDS_ON.items():
        assert all(order.index(other) < order.index(role) for other in below)
    assert with_dependents(["jetson_ollama"], order) == ["jetson_ollama", "endpoint_proxy"]
    assert with_dependents(["jetson_ollama"], ["jetson_ollama"]) == ["jetson_ollama"]
    assert set(STANDS_ON) - set(ON_HOSTS) == {"provision"}, "what runs before there is a host, no look asks"


@pytest.mark.parametrize(
    ("looked_at", "expected"),
    [
        (["builder-01", "pi-01", "jetson-01"], []),
        (["pi-01"], []),
        (["builder-01"], [f"{SAYS} jetson-01, pi-01, {WHY}"]),
        (["builder-01", "pi-01"], [f"{SAYS} jetson-01, {WHY}"]),
    ],
)
def test_a_builder_says_whose_cpu_classes_it_does_not_know(looked_at: list[str], expected: list[str]) -> None:
    groups = {"builder": ["builder-01"], "pi": ["pi-01"], "jetson": ["jetson-01"], "all": ["builder-01"]}
    looks = {host: Look((host.partition("-")[0],)) for host in looked_at}
    assert left_out(looks, groups) == expected


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(1, "The host is as the inventory wants it."), (2, "2 hosts are as the inventory wants them.")],
)
def test_a_fleet_as_wanted(count: int, sentence: str) -> None:
    assert as_wanted(count) == sentence

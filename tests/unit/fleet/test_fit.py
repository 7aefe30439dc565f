"""Which model fits which board, over all hosts at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.fit import (
    Engine,
    Fitting,
    Host,
    decide,
    host_of,
    report,
    table,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.verdict import Look, judge
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import MIB, Ask, Room, Weights
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan

#: About Mistral 7B.
TYPES = {"F16": 13815, "Q8_0": 7339, "Q6_K": 5666, "Q5_K_M": 4893, "Q4_K_M": 4166, "Q3_K_M": 3355, "Q2_K": 2592}
SEVEN = Weights(
    size=4166 * MIB,
    quantisation="Q4_K_M",
    kv_per_token=131072,
    types={name: size * MIB for name, size in TYPES.items()},
    fetched=13815 * MIB,
    source="its headers",
)
AUTO = replace(SEVEN, size=2592 * MIB, quantisation="auto")
PI_4, PI_8, PI_16 = 4020, 8062, 16080
SMALL = Weights(size=100 * MIB, quantisation="Q8_0", kv_per_token=1024)


def engine(memory: int, *models: str, **weights: Weights) -> Engine:
    asks = tuple(Ask(model, model, overhead_mib=256) for model in models)
    return Engine("llama_service", Room(memory, 512), asks, weights)


def pi(memory: int, *models: str, **changes: Any) -> Host:
    return Host("Raspberry Pi 5 Model B", (engine(memory, *models),), missing=models, **changes)


def builder(auto: bool = False, **weights: Weights) -> Host:
    return Host(weights=weights, prepares=True, auto=tuple(weights) if auto else (), missing=tuple(weights))


def test_what_does_not_fit_is_refused_before_it_is_downloaded_with_what_would() -> None:
    fitting = decide({"builder-01": builder(seven=SEVEN), "pi-01": pi(PI_4, "seven"), "pi-02": pi(PI_8, "seven")})
    assert fitting.unfit == {
        "pi-01": [
            "edge_slm_services: the services need 4934 MiB, the board has 4020 MiB of memory of which 512 MiB are kept "
            "for the system: 3508 MiB are left. seven 4934 (weights 4166, KV cache 512 of f16 for 4096 tokens x 1, "
            "prompt cache 0, overhead 256). Instead fits seven as Q2_K (2592 MiB)."
        ]
    }
    assert [(row.host, row.fits) for row in fitting.rows] == [("pi-01", False), ("pi-02", True)]


def test_what_fits_no_device_is_not_prepared_either() -> None:
    fitting = decide({"builder-01": builder(seven=SEVEN), "pi-01": pi(PI_4, "seven"), "pi-02": pi(PI_4, "seven")})
    assert fitting.unfit["builder-01"] == [
        "edge_slm_models: seven fits none of the devices that serve it (pi-01, pi-02): not downloaded."
    ]
    assert "builder-01" not in decide({"builder-01": builder(seven=SEVEN), "pi-01": pi(PI_8, "seven")}).unfit


def test_what_nothing_helps_is_refused_with_that() -> None:
    fitting = decide({"builder-01": builder(seven=SEVEN), "pi-01": pi(2010, "seven")})
    assert "take a smaller model or a larger board" in fitting.unfit["pi-01"][0]


def test_what_the_device_has_refused_is_not_refused_twice() -> None:
    refusing = replace(engine(PI_4, "seven"), refusal="the services need more")
    fitting = decide({"pi-01": Host(engines=(refusing,), weights={"seven": SEVEN})})
    assert (fitting.unfit, fitting.withdrawn) == ({}, {})


def test_what_auto_now_makes_fit_is_no_longer_refused() -> None:
    published = replace(SEVEN, size=5666 * MIB, quantisation="Q6_K", fetched=0)
    needs = memory_needs(PI_4)
    needs["memory"]["refusal"] = "the services need more"
    pipeline = {"weights": {"seven": replace(published, types={}).as_dict()}, "auto": ["seven"], "missing": []}
    unfit = ["edge_slm_services: the services need more"]
    found = plans(model_pipeline={"needs": pipeline}, llama_service={"needs": needs, "unfit": unfit})
    maker = {"weights": {"seven": published.as_dict()}, "auto": ["seven"], "missing": [], "prepares": True}
    looks = {
        "builder-01": Look(("builder",), plans(model_pipeline={"needs": maker})),
        "pi-01": Look(("pi",), found),
    }
    verdict = judge(looks)
    assert (verdict.dropped, verdict.fitting.quantisations) == ({}, {"seven": "Q2_K"})
    assert verdict.enter == {"builder-01": ["model_pipeline"], "pi-01": ["model_pipeline", "llama_service"]}


def test_services_share_the_memory() -> None:
    hosts = {"builder-01": builder(seven=SEVEN, small=SMALL), "pi-01": pi(5500, "seven", "small")}
    assert "seven 4934" in decide(hosts).unfit["pi-01"][0]
    assert decide({**hosts, "pi-01": pi(5500, "seven")}).unfit == {}


def test_a_model_whose_size_is_not_known_is_no_reason_to_refuse() -> None:
    fitting = decide({"builder-01": Host(unweighed=("model seven: no answer",)), "pi-01": pi(PI_4, "seven")})
    assert (fitting.unfit, fitting.notes, [row.fits for row in fitting.rows]) == (
        {},
        ["model seven: no answer"],
        [None],
    )


@pytest.mark.parametrize(
    ("boards", "chosen", "refused"),
    [
        ((PI_16,), "Q8_0", []),
        ((PI_8,), "Q6_K", []),
        ((PI_8, PI_16), "Q6_K", []),
        ((PI_4, PI_8, PI_16), "Q2_K", []),
        # A board that is too small for all of them is refused, and does not spoil it for the others.
        ((2010, PI_8), "Q6_K", ["pi-0"]),
    ],
)
def test_auto_is_the_best_that_fits_the_smallest(boards: tuple[int, ...], chosen: str, refused: list[str]) -> None:
    devices = {f"pi-{number}": pi(memory, "seven") for number, memory in enumerate(boards)}
    fitting = decide({"builder-01": builder(auto=True, seven=AUTO), **devices})
    assert fitting.quantisations == {"seven": chosen}
    assert list(fitting.unfit) == refused
    assert {row.weights.quantisation for row in fitting.rows} == {chosen}


def test_auto_stays_what_is_published_while_it_fits() -> None:
    published = replace(SEVEN, fetched=0, quantisation="Q4_K_M")
    maker = Host(weights={"seven": published}, auto=("seven",), prepares=True)
    fitting = decide({"builder-01": maker, "pi-01": pi(PI_16, "seven")})
    assert (fitting.quantisations, fitting.pending, fitting.unfit) == ({"seven": "Q4_K_M"}, {}, {})


def test_auto_is_chosen_anew_where_a_smaller_board_joins() -> None:
    published = replace(SEVEN, fetched=0, size=5666 * MIB, quantisation="Q6_K")
    maker = Host(weights={"seven": published}, auto=("seven",), prepares=True)
    large = pi(PI_8, "seven", weights={"seven": replace(published, types={})}, auto=("seven",))
    fitting = decide({"builder-01": maker, "pi-01": large, "pi-02": pi(PI_4, "seven", auto=("seven",))})
    assert fitting.quantisations == {"seven": "Q2_K"}
    assert fitting.unfit == {}
    assert set(fitting.pending) == {"builder-01", "pi-01"}
    assert fitting.pending["pi-01"] == ["model seven: is Q6_K, and Q2_K is the best that fits every device"]


@pytest.mark.parametrize(
    ("devices", "chosen"),
    [
        # Nothing was asked of any device: a stage alone does not choose.
        ({}, {}),
        # No device serves it.
        ({"pi-01": pi(PI_8, "other")}, {"seven": "Q4_K_M"}),
    ],
)
def test_auto_of_a_model_that_nobody_is_known_to_serve(devices: dict[str, Host], chosen: dict[str, str]) -> None:
    fitting = decide({"builder-01": builder(auto=True, seven=AUTO), **devices})
    assert fitting.quantisations == chosen
    assert ("no device was asked what it serves" in str(fitting.unfit)) is (not chosen)


def test_auto_of_a_model_that_cannot_be_weighed_is_refused() -> None:
    fitting = decide({"builder-01": Host(auto=("seven",), missing=("seven",), prepares=True), "pi-01": pi(PI_8, "x")})
    assert "the model's size is not known" in fitting.unfit["builder-01"][0]


@pytest.mark.parametrize(
    ("host", "message"),
    [
        # A device has the quantised model, a builder all that it is made of.
        (pi(PI_8, "seven", disk_free_mib=4000), "model_pipeline_path: 4166 MiB are to come (seven 4166)"),
        (pi(PI_8, "seven", disk_free_mib=6000), ""),
        (replace(builder(seven=SEVEN), disk_free_mib=30000), "31796 MiB are to come (seven 31796)"),
        (replace(builder(seven=SEVEN), disk_free_mib=33000), ""),
        (replace(builder(seven=SEVEN), missing=(), disk_free_mib=10), ""),
    ],
)
def test_disk(host: Host, message: str) -> None:
    found = decide({"builder-01": builder(seven=SEVEN), "it": host}).unfit.get("it", [""])[0]
    assert message in found
    assert bool(message) == bool(found)


def test_the_table_and_the_report_have_every_number() -> None:
    fitting = decide({"builder-01": builder(seven=SEVEN), "pi-01": pi(PI_4, "seven"), "pi-02": pi(PI_8, "seven")})
    lines = table(fitting)
    assert " ".join(lines[1].split()) == (
        "pi-01 seven seven Q4_K_M no 4934 MiB 3508 MiB 4166+0+512+0+0+256 4096 x 1 f16 2.5 seven as Q2_K (2592 MiB)"
    )
    assert any(line.startswith("predicted from Llama 3.2 3B") for line in lines)
    (first, second) = report(fitting)["services"]
    assert (first["fits"], second["fits"], second["need_mib"], second["budget_mib"]) == (False, True, 4934, 7550)
    assert sum(second["parts_mib"].values()) == second["need_mib"]
    assert second["predicted_tokens_per_second"] == 2.5
    assert second["types_bytes"]["Q2_K"] == 2592 * MIB
    assert table(Fitting())[0].startswith("HOST")


def plans(**roles: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: Plan(**plan).as_dict() for name, plan in roles.items()}


def memory_needs(memory: int) -> dict[str, Any]:
    one = engine(memory, "seven")
    return {"memory": {"room": vars(one.room), "asks": [vars(ask) for ask in one.asks], "weights": {}}}


def looked(memory: int, have: Weights | None = None) -> Look:
    """Return a look at a device with one service."""
    pipeline = {"weights": {"seven": have.as_dict()} if have else {}, "auto": ["seven"], "missing": []}
    found = plans(model_pipeline={"needs": pipeline}, llama_service={"needs": memory_needs(memory)})
    return Look(("pi",), found, "armv8-a", board="Raspberry Pi 4 Model B")


def test_plans_tell_what_counts() -> None:
    host = host_of(looked(PI_4, SEVEN).plans, "board")
    assert host.engines == (engine(PI_4, "seven"),)
    assert (host.weights, host.auto, host.board) == ({"seven": SEVEN}, ("seven",), "board")
    assert host_of({}, "") == Host()


def test_the_verdict_drops_who_does_not_fit_and_enters_who_gets_another_type() -> None:
    needs = {"weights": {"seven": replace(SEVEN, quantisation="Q6_K", fetched=0).as_dict()}, "auto": ["seven"]}
    looks = {
        "builder-01": Look(("builder",), plans(model_pipeline={"needs": needs}), "x86-64-v3"),
        "pi-01": looked(PI_4),
        "pi-02": looked(2010),
    }
    verdict = judge(looks)
    assert list(verdict.dropped) == ["pi-02"]
    assert verdict.fitting.quantisations == {"seven": "Q2_K"}
    assert verdict.enter == {"builder-01": ["model_pipeline"]}
    assert "model seven: is Q6_K" in verdict.lines()[0]

"""Decisions of the role llama_service: what differs on a device, in one sentence each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.account import Account
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.services import (
    Brought,
    Inputs,
    Live,
    answered_file,
    plan_absent,
    plan_present,
    services_of,
    waiting_for,
    wanted_directories,
    wanted_files,
    what_differs,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.unit import Unit
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "llama_service"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
SECRET = "0123456789abcdef"
CONFIG = "/etc/edge-slm/llama-server"
UNITS = "/etc/systemd/system"
UNIT_FILE = f"{UNITS}/llama-server@.service"
UNIT_TEXT = f"[Service]\nEnvironmentFile={CONFIG}/%i.env\n"
NAME = "unit llama-server@m.service"
MODEL = serving.Model("m", "/models/m/a.gguf", 98362432, "a" * 64, context_length=8192, kv_bytes_per_token=23040)
BOARD = serving.Board(memory_mib=8062, cores=4)
BROUGHT = Brought({"m": MODEL}, "r1")
STARTED = 50.0
ACCOUNT = Account("edge-slm", "edge-slm", group=True)


def values(**changes: Any) -> dict[str, Any]:
    """Return the role's inputs as the plan gets them."""
    found = {name.removeprefix("llama_service_"): value for name, value in DEFAULTS.items()}
    found |= {"instances": [{"model": "m"}], "api_keys": [{"name": "a", "key": SECRET}]}
    found |= {"user": "edge-slm", "unit_file": UNIT_FILE, "wait_script_file": "/usr/local/lib/edge-slm/wait-healthy"}
    return {
        **found,
        "unit": UNIT_TEXT,
        "wait_script": "#!\n",
        "unit_problem": "",
        **changes,
    }


def inputs(**changes: Any) -> Inputs:
    problems = Problems()
    found = Inputs.of(values(**changes), problems)
    assert problems.found == []
    return found


def serves(cast: Inputs) -> Live:
    """Return a device that serves as wanted."""
    services = services_of(cast, BROUGHT, BOARD)
    files = {
        one.path: LiveFile("", int(one.mode, 8), 0.0, one.owner, one.group)
        for one in wanted_directories(cast, services)
    }
    for file in wanted_files(cast, services):
        files[file.path] = LiveFile(file.content, int(file.mode, 8), 1000.0, file.owner, file.group)
    for service in services:
        files[answered_file(cast, service.instance.name)] = LiveFile(f"{service.digest}\n", 0o640, 0.0)
    units = {
        service.instance.name: Unit(
            load="loaded",
            active="active",
            sub="running",
            enabled=True,
            stale=False,
            pid=7,
            restarts=0,
            result="success",
            environment=serving.parse_environment(service.environment),
            started=STARTED,
        )
        for service in services
    }
    return Live(ACCOUNT, files, units, booted=1000.0)


def ask(cast: Inputs, live: Live, brought: Brought = BROUGHT) -> Plan:
    return plan_present(cast, brought, services_of(cast, brought, BOARD), live, waiting_for(cast, brought))


def unit(**changes: Any) -> Callable[[Live], Live]:
    return lambda live: replace(live, units={name: replace(one, **changes) for name, one in live.units.items()})


def running(**changes: str) -> Callable[[Live], Live]:
    return lambda live: unit(environment={**live.units["m"].environment, **changes})(live)


def file(path: str, **changes: Any) -> Callable[[Live], Live]:
    return lambda live: replace(live, files={**live.files, path: replace(live.files[path], **changes)})


def without(*paths: str) -> Callable[[Live], Live]:
    return lambda live: replace(live, files={path: one for path, one in live.files.items() if path not in paths})


def test_a_device_that_serves_has_nothing_pending() -> None:
    found = ask(inputs(), serves(inputs()))
    assert (found.pending, found.waiting) == ([], [])
    assert not found.files["configure"]


@pytest.mark.parametrize(
    ("change", "tried"),
    [
        (lambda live: live, []),
        (running(LLAMA_ARGS="--temp 1"), ["m"]),
        (running(EDGE_SLM_DIGEST="another"), ["m"]),
        # Where nothing runs there is nothing to lose.
        (unit(active="failed", pid=0), []),
        (lambda live: replace(live, units={}), []),
        # Its configuration is somewhere else yet.
        (file(UNIT_FILE, content="[Service]\nEnvironmentFile=/etc/elsewhere/%i.env\n"), []),
    ],
)
def test_a_running_service_is_stopped_only_after_a_trial(change: Callable[[Live], Live], tried: list[str]) -> None:
    trials = ask(inputs(), change(serves(inputs()))).needs["trials"]
    assert [trial["name"] for trial in trials] == tried
    assert all("/opt/edge-slm/llama.cpp/current/selftest.gguf" in trial["arguments"] for trial in trials)


DIGEST = services_of(inputs(), BROUGHT, BOARD)[0].digest
ARGUMENTS = serves(inputs()).units["m"].environment["LLAMA_ARGS"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (unit(load="masked"), f"{NAME}: is masked"),
        (unit(active="failed", pid=0, result="exit-code"), f"{NAME}: has failed (result: exit-code)"),
        (unit(active="inactive", pid=0), f"{NAME}: is not running"),
        (lambda live: replace(live, units={}), f"{NAME}: is not running"),
        (
            unit(active="activating", pid=0, result="signal"),
            f"{NAME}: waits to be restarted (last result: signal)",
        ),
        (unit(active="activating"), f"{NAME}: is starting"),
        (unit(enabled=False), f"{NAME}: is not enabled"),
        (unit(stale=True), f"{NAME}: has changed since systemd read it"),
        (running(EDGE_SLM_DIGEST="0", EDGE_SLM_RELEASE="r0"), f"{NAME}: runs release r0, not r1"),
        (
            running(EDGE_SLM_DIGEST="0", LLAMA_ARGS=ARGUMENTS.replace("--ctx-size 4096", "--ctx-size 2048")),
            f"{NAME}: runs with --ctx-size 2048, not 4096",
        ),
        # Edited, restarted, and perhaps edited back: the digest alone would not show it.
        (
            running(LLAMA_ARGS=ARGUMENTS.replace("--ctx-size 4096", "--ctx-size 2048")),
            f"{NAME}: runs with --ctx-size 2048, not 4096",
        ),
        (
            running(EDGE_SLM_DIGEST="0"),
            f"{NAME}: its model, keys, certificate or limits have changed since it was started",
        ),
        (
            file(f"{CONFIG}/api-keys", modified=1000.0 + STARTED + 1),
            f"{NAME}: runs since before {CONFIG}/api-keys changed",
        ),
        (lambda live: replace(live, health={"m": "HTTP 503"}), f"{NAME}: does not answer: HTTP 503"),
        (without(f"{CONFIG}/m.answered"), "service m: has not answered a request since it was changed"),
        (file(f"{CONFIG}/m.answered", content="0\n"), "service m: has not answered a request since it was changed"),
        (file(f"{CONFIG}/m.env", content="edited"), f"file {CONFIG}/m.env: its text differs"),
        (file(f"{CONFIG}/m.env", mode=0o644), f"file {CONFIG}/m.env: its mode is 0644, not 0640"),
        (without(f"{CONFIG}/api-keys"), f"file {CONFIG}/api-keys: is missing"),
        (file(f"{CONFIG}/api-keys", content="more"), f"file {CONFIG}/api-keys: its text differs"),
        (file(CONFIG, mode=0o777), f"directory {CONFIG}: its mode is 0777, not 0750"),
        (file(CONFIG, group="root"), f"directory {CONFIG}: it belongs to root:root, not root:edge-slm"),
        (file("/usr/local/lib/edge-slm", owner="nobody"), "directory /usr/local/lib/edge-slm: it belongs to nobody"),
        (
            file("/usr/local/lib/edge-slm/wait-healthy", mode=0o644),
            "file /usr/local/lib/edge-slm/wait-healthy: its mode is 0644, not 0755",
        ),
        (file(UNIT_FILE, content="edited"), f"file {UNIT_FILE}: its text differs"),
        (
            lambda live: unit(stale=True)(file(UNIT_FILE, content="edited")(live)),
            f"file {UNIT_FILE}: its text differs",
        ),
        (
            without(f"{UNITS}/llama-server@m.service.d/limits.conf"),
            f"file {UNITS}/llama-server@m.service.d/limits.conf: is missing",
        ),
        (lambda live: replace(live, account=replace(ACCOUNT, primary_group="")), "user edge-slm: is missing"),
        (
            lambda live: replace(live, account=replace(ACCOUNT, primary_group="nogroup")),
            "user edge-slm: its group is nogroup, not edge-slm",
        ),
        (lambda live: replace(live, account=replace(ACCOUNT, group=False)), "group edge-slm: is missing"),
        (
            lambda live: replace(live, unit_names=["llama-server@old.service"]),
            "unit llama-server@old.service: is no longer wanted",
        ),
    ],
)
def test_each_difference_has_one_sentence(change: Callable[[Live], Live], sentence: str) -> None:
    found = ask(inputs(), change(serves(inputs())))
    assert len(found.pending) == 1, found.pending
    assert found.pending[0].startswith(sentence)
    assert SECRET not in repr(found.as_dict())


def test_keys_that_change_restart_every_service() -> None:
    live = file(f"{CONFIG}/api-keys", content="old\n")(serves(inputs()))
    assert [service["problem"] for service in ask(inputs(), live).needs["services"]] == ["its keys change"]
    assert [service["problem"] for service in ask(inputs(), serves(inputs())).needs["services"]] == [""]


def test_a_bare_device_lacks_everything_in_the_order_of_writing() -> None:
    found = ask(inputs(), Live(Account("edge-slm")))
    assert found.pending[:2] == ["group edge-slm: is missing", "user edge-slm: is missing"]
    assert [one.path for one in found.files["configure"].files] == [
        "/usr/local/lib/edge-slm/wait-healthy",
        UNIT_FILE,
        f"{CONFIG}/api-keys",
        f"{UNITS}/llama-server@m.service.d/limits.conf",
        f"{CONFIG}/m.env",
    ]
    assert [one.path for one in found.files["configure"].files if one.secret] == [f"{CONFIG}/api-keys"]


def test_what_is_no_longer_wanted_is_removed_with_its_files() -> None:
    live = serves(inputs(instances=[{"model": "m"}, {"model": "m", "name": "old", "port": 8081}]))
    found = ask(inputs(), replace(live, config_names=["m.env", "old.env", "old.answered", "api-keys"]))
    assert found.needs["stale"] == ["old"]
    assert list(found.files["configure"].remove) == [
        f"{UNITS}/llama-server@old.service.d",
        f"{CONFIG}/old.env",
        f"{CONFIG}/old.answered",
    ]


@pytest.mark.parametrize(
    ("brought", "sentences"),
    [
        (BROUGHT, []),
        (Brought({}, "r1"), ["llama_service_instances: the service m wants the model m, which is not on the device"]),
        (
            Brought({"m": MODEL}, ""),
            ["llama_service_llama_cpp_dir: there is no release in /opt/edge-slm/llama.cpp/cur"],
        ),
        (Brought({"m": MODEL}, "r1", "", ["llama_service_tls_key: gone"]), ["llama_service_tls_key: gone"]),
    ],
)
def test_what_other_roles_have_yet_to_bring_is_waited_for(brought: Brought, sentences: list[str]) -> None:
    found = ask(inputs(), serves(inputs()), brought)
    assert len(found.waiting) == len(sentences)
    assert all(text.startswith(start) for text, start in zip(found.waiting, sentences, strict=True))
    assert set(found.waiting) <= set(found.pending)
    assert waiting_for(inputs(instances=[]), brought) == [], "without services nothing is waited for"


@pytest.mark.parametrize(
    ("was", "expected"),
    [
        ("--a 1 --b 2 --c", ""),
        ("--a 2 --b 2 --c", "runs with --a 2, not 1"),
        ("--b 2 --c", "runs with no --a 1"),
        ("--a 1 --b 2", "runs with no --c"),
        ("--a 1 --b 2 --c --d x y", "runs with --d x y"),
        ("--a 2 --b 1 --d 3 --e 4", "runs with --a 2, not 1; --b 1, not 2; no --c; and 2 more"),
        ('--a "torn', "runs with no --a 1; no --b 2; no --c"),
    ],
)
def test_what_differs(was: str, expected: str) -> None:
    found = what_differs({"LLAMA_ARGS": was}, {"LLAMA_ARGS": "--a 1 --b 2 --c"})
    assert found == expected or (not expected and "have changed" in found)


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"state": "gone"}, "llama_service_state: 'gone' is not known"),
        ({"instances": "m"}, "llama_service_instances: "),
        ({"api_keys": [{"name": "a", "key": "short"}]}, "llama_service_api_keys[0] (a): the key has 5 characters"),
        ({"listen": "here"}, "llama_service_listen: "),
        ({"allowed_cidrs": 3}, "llama_service_allowed_cidrs: "),
        ({"tls_key": "/etc/key.pem"}, "llama_service_tls_certificate: is missing"),
        ({"memory_reserve_mib": -1}, "llama_service_memory_reserve_mib: must be a whole number from 0"),
        ({"memory_overhead_mib": "much"}, "llama_service_memory_overhead_mib: must be a whole number from 0"),
        ({"load_mib_per_second": 0}, "llama_service_load_mib_per_second: must be a whole number from 1"),
        ({"models_dir": "models"}, "llama_service_models_dir: 'models' is not valid"),
        ({"config_dir": "/etc"}, "llama_service_config_dir: '/etc' is not valid; give an absolute path of 2"),
        ({"unit": "", "unit_problem": "no variable"}, "llama_service: the template of its unit cannot be rendered: no"),
    ],
)
def test_wrong_inputs_are_refused(changes: dict[str, Any], start: str) -> None:
    problems = Problems()
    Inputs.of(values(**changes), problems)
    assert len(problems.found) == 1
    assert problems.found[0].startswith(start)


def test_absent_checks_only_what_it_removes() -> None:
    cast = inputs(state="absent", instances="no list", api_keys=[], listen="", allowed_cidrs=3, memory_reserve_mib=-1)
    live = replace(serves(inputs()), config_names=["m.env", "api-keys"])
    found = plan_absent(cast, live)
    assert found.pending == [
        f"{NAME}: is no longer wanted",
        f"{UNITS}/llama-server@m.service.d: is no longer wanted",
        f"{CONFIG}: is no longer wanted",
        "/usr/local/lib/edge-slm/wait-healthy: is no longer wanted",
        f"{UNIT_FILE}: is no longer wanted",
        "user edge-slm: is no longer wanted",
        "group edge-slm: is no longer wanted",
    ]
    assert list(found.files["uninstall"].prune) == ["/etc/edge-slm", "/usr/local/lib/edge-slm"]
    assert plan_absent(cast, Live(Account("edge-slm"))).pending == []


def test_accounts_stay_while_another_role_uses_them() -> None:
    cast = inputs(state="absent")
    found = plan_absent(cast, Live(ACCOUNT, in_use="/etc/edge-slm/tls/key.pem"))
    assert (found.pending, found.needs["accounts"]) == ([], False)

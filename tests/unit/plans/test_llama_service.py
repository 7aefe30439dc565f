"""The plan of llama_service on this machine: what it reads of models, release, certificate, ports and health."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import write_json
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import Reply
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.fit import host_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import services as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.memory import Ask, Room
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import artifact
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import llama_service
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "llama_service"
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
SECRET = "0123456789abcdef"
ME = pwd.getpwuid(os.getuid()).pw_name


def host(**changes: Any) -> Host:
    found = Host()
    found.device = {"memory_mib": 8062, "cores": 4, "systemd": True, **changes}
    return found


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def device(top: Path) -> None:
    """Bring a release and a model."""
    (top / "llama.cpp/current/bin").mkdir(parents=True)
    (top / "llama.cpp/current/bin/llama-server").touch()
    write_json(str(top / "llama.cpp/current/release.json"), {"key": "r1"})
    files = [artifact("model", "a" * 64, 1000).as_dict()]
    (top / "models/m").mkdir(parents=True)
    write_json(str(top / "models/m/manifest.json"), {"name": "m", "files": files, "context_length": 8192})


def given(top: Path, **changes: Any) -> dict[str, Any]:
    found = {name.removeprefix("llama_service_"): value for name, value in DEFAULTS.items()}
    found |= {"instances": [{"model": "m", "port": 48080}], "api_keys": [{"name": "a", "key": SECRET}]}
    found |= {"user": ME, "unit": "[Unit]\n", "unit_problem": "", "wait_script": "#!\n"}
    found |= {"unit_file": str(top / "llama-server@.service"), "wait_script_file": str(top / "lib/wait-healthy")}
    found |= {name: str(top / name) for name in ("models_dir", "config_dir")}
    return {**found, "models_dir": str(top / "models"), "llama_cpp_dir": str(top / "llama.cpp"), **changes}


def ask(top: Path, on: Host | None = None, **changes: Any) -> Plan:
    return llama_service.plan(given(top, **changes), on or host())


def test_a_device_with_release_and_model_waits_for_nothing(tmp_path: Path) -> None:
    device(tmp_path)
    found = ask(tmp_path)
    assert (found.refusals, found.unfit, found.waiting) == ([], [], [])
    assert [service["name"] for service in found.needs["services"]] == ["m"]
    assert f"file {tmp_path}/lib/wait-healthy: is missing" in found.pending
    assert SECRET not in repr(found.as_dict())


def test_what_the_services_ask_for_is_told_whether_their_models_are_here_or_not(tmp_path: Path) -> None:
    bare = ask(tmp_path, instances=[{"model": "m", "port": 48080, "context": 512, "kv_cache_type": "q8_0"}])
    found = host_of({"llama_service": bare.as_dict()}, "board")
    (engine,) = found.engines
    assert (engine.room, engine.refusal) == (Room(8062, 512), "")
    assert engine.asks == (Ask("m", "m", context=512, kv_cache_type="q8_0", overhead_mib=256),)
    device(tmp_path)
    refused = ask(tmp_path, host(memory_mib=300))
    (engine,) = host_of({"llama_service": refused.as_dict()}, "board").engines
    assert refused.unfit == [f"llama_service_instances: {engine.refusal}"]


def test_what_is_served_on_a_gpu_has_to_fit_its_own_memory(tmp_path: Path) -> None:
    device(tmp_path)
    on = host()
    on.gpus = Gpus((Gpu("Tesla T4", 15360, "7.5"),))
    found = ask(tmp_path, on, gpu=True)
    (engine,) = host_of({"llama_service": found.as_dict()}, "").engines
    assert (engine.room, engine.asks[0].overhead_mib) == (Room(15360, 512, vram=True), 256 + 512)
    on.gpus = Gpus((Gpu("GT 1030", 900, "6.1"),))
    (sentence,) = ask(tmp_path, on, gpu=True, instances=[{"model": "m", "context": 8192}]).unfit
    assert "the GPU has 900 MiB of VRAM of which 512 MiB are kept" in sentence
    on.gpus = Gpus(problem="no NVIDIA GPU was found")
    assert ask(tmp_path, on, gpu=True).unfit[0].startswith("llama_service_gpu: no NVIDIA GPU was found; install")
    assert ask(tmp_path, on).unfit == []


def test_a_bare_device_waits_for_release_and_model(tmp_path: Path) -> None:
    found = ask(tmp_path)
    assert [text.split(":")[0] for text in found.waiting] == ["llama_service_instances", "llama_service_llama_cpp_dir"]
    assert set(found.waiting) <= set(found.pending)
    assert found.needs["services"] == []


def test_a_torn_manifest_is_waited_for(tmp_path: Path) -> None:
    device(tmp_path)
    (tmp_path / "models/m/manifest.json").write_text("{")
    unknown, torn = ask(tmp_path).waiting
    assert "which is not on the device (it has none yet)" in unknown
    assert torn.startswith(f"{tmp_path}/models/m/manifest.json: cannot be used (")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--temp", "0.7"], ""),
        (["--tmep", "0.7"], "`extra_args` of the service m: the release r1 does not know --tmep; did you mean --temp?"),
        (["--lora", "/srv/nothing.gguf"], "there is no /srv/nothing.gguf on this device"),
        (["--lora", "/home/me/a.gguf"], "the services cannot see /home/me/a.gguf"),
    ],
)
def test_arguments_are_compared_with_the_release(tmp_path: Path, words: list[str], part: str) -> None:
    device(tmp_path)
    server = tmp_path / "llama.cpp/current/bin/llama-server"
    server.write_text("#!/bin/sh\necho '-s, --seed N'; echo '--temp, --temperature N'; echo '--lora FNAME'\n")
    server.chmod(0o755)
    waiting = ask(tmp_path, instances=[{"model": "m", "port": 48080, "extra_args": words}]).waiting
    assert len(waiting) == bool(part)
    assert part in "".join(waiting)


@pytest.mark.parametrize(
    ("changes", "device_changes", "kind", "start"),
    [
        ({"memory_reserve_mib": 8000}, {}, "unfit", "llama_service_instances: the services need "),
        ({}, {"memory_mib": 300}, "unfit", "llama_service_instances: the services need "),
        ({}, {"systemd": False}, "unfit", "llama_service: this host was not booted by systemd"),
        (
            {"instances": [{"model": "m", "context": 9000}]},
            {},
            "refusals",
            "llama_service_instances: the service m wants",
        ),
        ({"listen": "here"}, {}, "refusals", "llama_service_listen: "),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, changes: dict[str, Any], device_changes: dict[str, Any], kind: str, start: str
) -> None:
    device(tmp_path)
    found = ask(tmp_path, host(**device_changes), **changes)
    other = {"unfit": "refusals", "refusals": "unfit"}[kind]
    assert len(getattr(found, kind)) == 1
    assert getattr(found, kind)[0].startswith(start)
    assert (getattr(found, other), found.pending) == ([], [])


def test_a_port_of_another_program_is_named(tmp_path: Path, port: int) -> None:
    device(tmp_path)
    instances = [{"model": "m", "port": port}]
    (text,) = ask(tmp_path, user="nobody", instances=instances).unfit
    assert text.startswith(f"llama_service_instances: port {port} of the service m is taken by ")
    assert f"(process {os.getpid()})" in text
    assert ask(tmp_path, user=ME, instances=instances).unfit == [], "what the services' user holds is theirs"
    assert ask(tmp_path, user="nobody", instances=instances, listen="127.0.0.2").unfit == []


def test_a_certificate_that_is_missing_or_useless_is_waited_for(tmp_path: Path) -> None:
    device(tmp_path)
    paths = {"tls_certificate": str(tmp_path / "certificate.pem"), "tls_key": str(tmp_path / "key.pem")}
    cast = decide.Inputs.of(given(tmp_path), llama_service.Problems())
    tls = replace(cast.paths, **paths)
    first, second = llama_service.tls_problems(tls, ME)
    assert first.startswith("llama_service_tls_certificate: there is no ")
    assert second.startswith("llama_service_tls_key: there is no ")
    for path in paths.values():
        Path(path).write_text("no PEM")
    (text,) = llama_service.tls_problems(tls, ME)
    assert text.startswith("llama_service_tls_certificate: ")
    assert "cannot be used" in text


def test_a_file_in_a_closed_directory_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "closed" / "key.pem"
    file.parent.mkdir(mode=0o700)
    file.touch(mode=0o600)
    assert llama_service.can_read(str(file), ME)
    assert not llama_service.can_read(str(file), "nobody")
    assert llama_service.can_read(str(file), "nobody-has-this-name"), "the user is yet to be created"
    file.chmod(0)
    assert not llama_service.can_read(str(file), ME)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(200, "{}"), ""),
        (Reply(503, '{"error": "loading"}'), "http://127.0.0.1:48080/health answered "),
        (Reply(0, "timed out"), "http://127.0.0.1:48080/health answered "),
    ],
)
def test_only_running_services_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, problem: str
) -> None:
    device(tmp_path)
    cast = decide.Inputs.of(given(tmp_path), llama_service.Problems())
    (service,) = decide.services_of(cast, llama_service.read_brought(cast), llama_service.serving.Board(8062, 4))
    running = replace(decide.UNKNOWN, active="active", pid=7, environment={"EDGE_SLM_DIGEST": service.digest})
    asked: list[str] = []
    monkeypatch.setattr(llama_service, "ask", lambda url, **_: asked.append(url) or reply)
    health = llama_service.read_health(cast, [service], {"m": running})
    assert health["m"].startswith(problem)
    assert bool(health["m"]) == bool(problem)
    stopped = replace(running, active="inactive")
    other = replace(running, environment={})
    for unit in (stopped, other):
        assert llama_service.read_health(cast, [service], {"m": unit}) == {}
    assert len(asked) == 1


def test_the_group_is_in_use_while_another_roles_files_belong_to_it(tmp_path: Path) -> None:
    cast = decide.Inputs.of(given(tmp_path / "etc"), llama_service.Problems())
    (tmp_path / "etc/config_dir").mkdir(parents=True)
    name = replace(cast, user=llama_service.grp.getgrgid(os.getgid()).gr_name)
    assert llama_service.group_in_use(name) == ""
    (tmp_path / "etc/tls").mkdir()
    assert llama_service.group_in_use(name) == str(tmp_path / "etc/tls")
    assert llama_service.group_in_use(replace(cast, user="nobody-has-this-name")) == ""


def test_absent_reads_no_models(tmp_path: Path) -> None:
    found = ask(tmp_path, host(memory_mib=0, systemd=False), state="absent", instances=3, user="nobody-has-this-name")
    assert (found.refusals, found.unfit, found.pending) == ([], [], [])

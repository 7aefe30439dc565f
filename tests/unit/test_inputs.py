"""Every input of every role has a check: of its type, of its words, of the limits of its numbers, of nothing at all.

What counts is what the look says: the refusals of the inputs' collection and of the role's plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, with_secrets
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.registry import STANDS_ON, planner
from ansible_collections.edge_slm.fleet.plugins.plugin_utils import controller_side
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import collect, read_role

#: A value of another type than the one that is wanted.
WRONG_TYPE: dict[str, object] = {
    "bool": "maybe",
    "int": "many",
    "float": "much",
    "list": "one",
    "dict": ["one"],
    "str": ["one"],
    "path": {"one": 1},
    "raw": {"one": 1},
}
#: A number that no input takes.
OUT_OF_RANGE = (-7, 10**15)


#: What inputs must be set for others to count.
COUNTING = {
    "endpoint_tls": {"mode": "fleet_ca"},
    "jetson_ollama": {"client": "release"},
    "provision": {"image": "https://example.org/a.img.xz"},
}
#: Texts that are not what an input takes, and what Ansible's own check of types lets pass.
NONSENSE: list[tuple[str, str, object]] = [
    ("artifact_store", "cidrs", ["nonsense"]),
    ("artifact_store", "cidrs", []),
    ("artifact_store", "releases_path", "releases"),
    ("chat_frontend", "allowed_cidrs", ["nonsense"]),
    ("chat_frontend", "api_keys", []),
    ("chat_frontend", "ca_file", "ca.pem"),
    ("chat_frontend", "endpoint_cidrs", []),
    ("chat_frontend", "endpoint_key", ""),
    ("chat_frontend", "endpoints", [{"name": "a", "url": "pi-01:8080", "model": "m"}]),
    ("chat_frontend", "listen", "nonsense"),
    ("chat_frontend", "tls_certificate", "certificate.pem"),
    ("endpoint_proxy", "allowed_cidrs", ["nonsense"]),
    ("endpoint_proxy", "allowed_cidrs", []),
    ("endpoint_proxy", "allowed_cidrs", "10.0.0.0/8"),
    ("endpoint_proxy", "cors_origins", ["a b"]),
    ("endpoint_proxy", "listen", "nonsense"),
    ("endpoint_proxy", "tls_certificate", "certificate.pem"),
    ("endpoint_proxy", "backend_key_file", "key"),
    ("endpoint_tls", "dir", "tls"),
    ("fleet_gateway", "allowed_cidrs", ["nonsense"]),
    ("fleet_gateway", "cloud_models", [{"name": "c", "served": "c", "url": "nonsense", "key": "k"}]),
    ("fleet_gateway", "endpoints", []),
    ("fleet_gateway", "models", [{"name": "m", "aliases": ["a b"]}]),
    ("fleet_gateway", "models", [{"name": "m", "fallback": "nobody"}]),
    ("endpoint_tls", "group", "a b"),
    ("endpoint_tls", "names", ["a b"]),
    ("endpoint_tls", "ca_dir", "ca"),
    ("host_baseline", "admin_keys", ["nonsense"]),
    ("host_baseline", "admin_user", "a b"),
    ("host_baseline", "firewall_rules", [{"ports": ["http"], "cidrs": ["10.0.0.0/8"]}]),
    ("host_baseline", "firewall_rules", [{"ports": [0], "cidrs": ["10.0.0.0/8"]}]),
    ("host_baseline", "firewall_rules", [{"ports": [80], "cidrs": ["nonsense"]}]),
    ("host_baseline", "firewall_rules", [{"ports": [], "cidrs": ["10.0.0.0/8"]}]),
    ("host_baseline", "hostname", "a b"),
    ("host_baseline", "locale", "a b"),
    ("host_baseline", "ntp_servers", ["a b"]),
    ("host_baseline", "packages", ["a b"]),
    ("host_baseline", "ssh_allow_users", ["a b"]),
    ("host_baseline", "ssh_cidrs", ["nonsense"]),
    ("host_baseline", "ssh_options", {"Permit RootLogin": "no"}),
    ("host_baseline", "ssh_options", {"Match": "User me"}),
    ("host_baseline", "timezone", "Mars/Olympus Mons"),
    ("host_baseline", "unattended_hold", ["a b"]),
    ("host_baseline", "unattended_reboot_time", "25:00"),
    ("host_baseline", "unattended_reboot_time", 870),
    ("host_baseline", "ca_certificates", ["/nowhere/ca.pem"]),
    ("jetson_baseline", "jtop_users", ["a b"]),
    ("jetson_baseline", "swap_file", "swap"),
    ("jetson_ollama", "client_url", "nonsense"),
    ("jetson_ollama", "client_sha256", "nonsense"),
    ("jetson_ollama", "docker_data_root", "docker"),
    ("jetson_ollama", "environment", {"A B": "c"}),
    ("jetson_ollama", "environment", {"OLLAMA_DEBUG": True}),
    ("jetson_ollama", "image", "ollama/ollama:latest"),
    ("jetson_ollama", "images", {"r36": "ollama/ollama:latest"}),
    ("jetson_ollama", "images", {"r99": f"ollama/ollama@sha256:{'0' * 64}"}),
    ("jetson_ollama", "keep_alive", "soon"),
    ("jetson_ollama", "keep_alive", True),
    ("jetson_ollama", "models", [{"name": "m", "path": "m.gguf", "sha256": "0" * 64}]),
    ("jetson_ollama", "models", [{"name": "m", "published": "m", "parameters": ["num_ctx 4096"]}]),
    ("jetson_ollama", "other_ports", {"a": "many"}),
    ("jetson_ollama", "proxy_environment", {"ftp_proxy": "http://p:1"}),
    ("jetson_ollama", "registries", [{"host": "a", "ca": "/nowhere/ca.pem"}]),
    ("llama_cpp", "cmake_options", {"A B": "ON"}),
    ("llama_cpp", "converter_requirements", ["transformers"]),
    ("llama_cpp", "keep", 0),
    ("llama_cpp", "root", "llama.cpp"),
    ("llama_cpp", "source", {"git": "x"}),
    ("llama_service", "allowed_cidrs", ["nonsense"]),
    ("llama_service", "config_dir", "etc"),
    ("llama_service", "instances", [{"model": "m", "cors_origins": "a b"}]),
    ("llama_service", "instances", [{"model": "m", "port": 80}]),
    ("llama_service", "listen", "nonsense"),
    ("llama_service", "tls_certificate", "certificate.pem"),
    ("model_pipeline", "hf_endpoint", "huggingface.co"),
    ("model_pipeline", "keep", 0),
    ("model_pipeline", "names", ["nobody"]),
    ("model_pipeline", "path", "models"),
    ("model_pipeline", "receive_url", "builder:8090"),
    ("pi_baseline", "boot_config", ["a\nb"]),
    ("pi_baseline", "cpu_governor", "a b"),
    ("provision", "address", "192.168.1.21"),
    ("provision", "boot", "card"),
    ("provision", "gateway", "router"),
    ("provision", "hostname", "a b"),
    ("provision", "image", "raspios.img"),
    ("provision", "image_sha256", "nonsense"),
    ("provision", "keyboard", "a b"),
    ("provision", "locale", "German"),
    ("provision", "nameservers", ["router"]),
    ("provision", "output", "images"),
    ("provision", "password_hash", "raspberry"),
    ("provision", "ssh_password_login", True),
    ("provision", "timezone", "../../etc/shadow"),
    ("provision", "user", "a b"),
    ("provision", "user", "root"),
    ("provision", "user_keys", []),
    ("provision", "user_keys", ["nonsense"]),
    ("provision", "wifi_country", "Germany"),
    ("provision", "wifi_passphrase", "short"),
    ("provision", "wifi_ssid", "a" * 33),
]


def refusals(role: str, **inputs: object) -> list[str]:
    """Return what is refused of a role's inputs on any host."""
    given = {**COUNTING.get(role, {}), **inputs}
    variables = {"inventory_hostname_short": "pi-01", **{f"{role}_{name}": value for name, value in given.items()}}
    found = collect(role, DataLoader(), variables)
    controller_side.before(found)
    if found.refusals:
        return found.refusals
    plan = planner(role)(with_secrets(found.values, found.secrets), Host())
    return [found.by_the_operators_names(sentence) for sentence in plan.refusals + plan.unfit]


def wrong(option: Mapping[str, Any]) -> Iterator[object]:
    """Yield values that an option must refuse."""
    kind = option["type"]
    yield WRONG_TYPE[kind]
    if "choices" in option:
        yield "nonsense"
    if kind in ("int", "float"):
        yield from OUT_OF_RANGE
    if kind == "list":
        yield [WRONG_TYPE[option.get("elements", "str")]]


def required(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with what must be in it."""
    examples = {"list": ["1"], "str": "a", "float": 2}
    return {name: examples[part["type"]] for name, part in options.items() if part.get("required")}


def cases(role: str) -> Iterator[tuple[str, object, str]]:
    """Yield each input with a value that it must refuse, and how the refusal must name it."""
    for full, option in read_role(role).options.items():
        name = full[len(role) + 1 :]
        for value in wrong(option):
            yield name, value, re.escape(full)
        for part, suboption in option.get("options", {}).items():
            for value in wrong(suboption):
                entry = {**required(option["options"]), part: value}
                yield name, [entry], rf"{re.escape(full)}\[0\].*{part}"


@pytest.mark.parametrize(
    ("role", "name", "value", "named"),
    [pytest.param(role, *case, id=f"{role}-{case[0]}-{case[1]}") for role in STANDS_ON for case in cases(role)],
)
def test_every_input_has_a_check(role: str, name: str, value: object, named: str) -> None:
    assert [text for text in refusals(role, **{name: value}) if re.match(named, text)]


@pytest.mark.parametrize(("role", "name", "value"), NONSENSE)
def test_nonsense_is_refused(role: str, name: str, value: object) -> None:
    assert [text for text in refusals(role, **{name: value}) if text.startswith(f"{role}_{name}")]

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the gateway offers: which device answers for which name, what the cloud answers, what never leaves the site."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import as_texts, plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import token_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems

#: Nothing at all leaves the site.
EVERYTHING = "everything"
#: Kinds of content, which files/edge_slm_policy.py recognises: whatever is not text in a message, documents to make
#: embeddings of, and what is answered by text.
ATTACHMENTS, EMBEDDINGS, TEXT = "attachments", "embeddings", "text"
#: What can be kept on the site while the cloud is asked for the rest.
KINDS = ("tool_output", ATTACHMENTS, EMBEDDINGS)

#: Names of models as clients send them: those of catalogues, of Ollama (phi3:mini) and of clouds (vendor/model).
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")


@dataclass(frozen=True)
class Target:
    """One server that answers for a name: a device's endpoint, or a cloud.

    Args:
        host: The device; empty for a cloud.
        model: What clients of the gateway call the model.
        served: What its server calls it.
        url: Of the server, with /v1.
        key: The server's own key.
        lacks: Kinds of content that it cannot take.
    """

    host: str
    model: str
    served: str
    url: str
    key: str = field(repr=False)
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routes:
    """Everything that the gateway offers.

    Args:
        devices: What answers on the site, in the order of the inventory.
        clouds: What may be asked elsewhere.
        aliases: Further names, with the model that each means.
        fallbacks: By model, the cloud model that answers where no device does.
        stays: Kinds of content that are never sent to a cloud.
        left_out: What the policy takes away, one sentence each.
    """

    devices: tuple[Target, ...] = ()
    clouds: tuple[Target, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    stays: tuple[str, ...] = KINDS
    left_out: tuple[str, ...] = ()

    @property
    def models(self) -> list[str]:
        """The models of the site, each once."""
        return list(dict.fromkeys(target.model for target in self.devices))


def parse_routes(values: Mapping[str, Any], problems: Problems) -> Routes:
    """Read the inputs by their names without the role's; adds every problem."""
    keys = {str(entry["host"]): entry["key"] for entry in values["keys"]}
    devices = tuple(
        _device(f"endpoints[{number}]", entry, keys, problems) for number, entry in enumerate(values["endpoints"])
    )
    clouds = tuple(
        _cloud(f"cloud_models[{number}]", entry, problems) for number, entry in enumerate(values["cloud_models"])
    )
    if not devices and not problems.found:
        problems.add("endpoints", "is empty; give a device something to serve.")
    stays = as_texts(values["stays_on_site"], "stays_on_site", problems)
    routes = Routes(devices, clouds, stays=tuple(kind for kind in KINDS if kind in stays))
    aliases, fallbacks = _further(values["models"], routes, problems)
    routes = Routes(devices, clouds, aliases, fallbacks, routes.stays)
    return without_cloud(routes) if EVERYTHING in stays else routes


def without_cloud(routes: Routes) -> Routes:
    """Return what is left where nothing leaves the site; one word in the policy is enough to bring it all back."""
    lost = [f"the cloud model {cloud.model}" for cloud in routes.clouds]
    lost += [f"the fallback of {model} to {cloud}" for model, cloud in routes.fallbacks.items()]
    reason = f"fleet_gateway_stays_on_site has {EVERYTHING}"
    return Routes(
        routes.devices, aliases=routes.aliases, left_out=tuple(f"{reason}: {one} is left out" for one in lost)
    )


def _device(place: str, entry: Mapping[str, Any], keys: Mapping[str, str], problems: Problems) -> Target:
    """Read one model of a device."""
    host = str(entry["host"])
    if host not in keys:
        problems.add(f"{place}.host", f"fleet_gateway_keys has no key of {host}; give it one.")
    return _target(host, str(entry["model"]), entry, place, keys.get(host, "none"), problems)


def _target(host: str, model: str, entry: Mapping[str, Any], place: str, key: str, problems: Problems) -> Target:
    """Read one server that answers."""
    url = str(entry["url"]).rstrip("/")
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        problems.add(f"{place}.url", f"{url!r} is not a URL; give http://ADDRESS:PORT/v1 or https://NAME/v1.")
    secret = plain_secret(str(key))
    problem = token_problem(secret) if secret else "is empty; give the server's key"
    if problem:
        problems.add(f"{place}.key", f"{problem}.")
    lacks = as_texts(entry.get("lacks"), f"{place}.lacks", problems)
    return Target(host, model, str(entry.get("served") or model), url, secret, lacks)


def _cloud(place: str, entry: Mapping[str, Any], problems: Problems) -> Target:
    """Read one model of a cloud."""
    target = _target("", str(entry["name"]), entry, place, str(entry["key"]), problems)
    if not NAME.fullmatch(target.model):
        problems.add(f"{place}.name", f"{target.model!r} is no name for a model; take letters, digits and . _ : / -.")
    split = urlsplit(target.url)
    if split.scheme == "http" and not _is_private(split.hostname or ""):
        problems.add(f"{place}.url", f"{target.url!r} sends the key and every prompt in clear text; give https://.")
    return target


def _is_private(host: str) -> bool:
    """Return whether a host is an address that no packet leaves the site for."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _further(
    entries: Sequence[Mapping[str, Any]], routes: Routes, problems: Problems
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the aliases and the fallbacks of models; every name that clients may send means one thing."""
    clouds = [cloud.model for cloud in routes.clouds]
    taken = dict.fromkeys(routes.models, "the name of a model of the fleet")
    for number, name in enumerate(clouds):
        if name in taken:
            problems.add(f"cloud_models[{number}].name", f"{name} is {taken[name]} already; choose another.")
        taken[name] = "the name of a cloud model"
    aliases: dict[str, str] = {}
    fallbacks: dict[str, str] = {}
    for number, entry in enumerate(entries):
        place, model = f"models[{number}]", str(entry["name"])
        if routes.devices and model not in routes.models:
            problems.add(f"{place}.name", f"no device serves {model}; there are {', '.join(routes.models)}.")
        for index, alias in enumerate(as_texts(entry.get("aliases"), f"{place}.aliases", problems)):
            if not NAME.fullmatch(alias):
                problems.add(f"{place}.aliases[{index}]", f"{alias!r} is no name; take letters, digits and . _ : / -.")
            if alias in taken:
                problems.add(f"{place}.aliases[{index}]", f"{alias} is {taken[alias]} already; choose another.")
            taken[alias] = f"an alias of {model}"
            aliases[alias] = model
        fallback = str(entry.get("fallback") or "")
        if fallback and fallback not in clouds:
            known = ", ".join(clouds) or "none"
            problems.add(f"{place}.fallback", f"{fallback} is not one of fleet_gateway_cloud_models; they are {known}.")
        if fallback:
            fallbacks[model] = fallback
    return aliases, fallbacks

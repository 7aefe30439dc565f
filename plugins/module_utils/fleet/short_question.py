# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask an endpoint for one token, by plain HTTP: enough to know that a fleet in which nothing changed still answers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import (
    Abilities,
    ask,
    prove,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import GATEWAY, OLLAMA
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import abilities
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import same_name


@dataclass(frozen=True)
class Asked:
    """One endpoint of one host. The key is a secret."""

    host: str
    url: str
    key: str
    engine: str
    model: str
    embeddings: bool = False
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: a text, or a problem, or neither where the model is not loaded and was left alone."""

    text: str = ""
    problem: str = ""

    @property
    def skipped(self) -> bool:
        """Whether the model was not asked."""
        return not self.text and not self.problem


def ask_briefly(asked: Asked, timeout: float) -> Answer:
    """Ask for one token, or one embedding. A model that Ollama has not loaded is not asked: it would evict another.

    Nor is one asked through a gateway, for the same reason: what it passes on, its devices are asked themselves.
    """
    if asked.engine == GATEWAY:
        listed = ask(f"{asked.url}/v1/models", asked.key, None, timeout, asked.tls)
        names = [str(model.get("id")) for model in listed.json().get("data") or []]
        return Answer(asked.model) if asked.model in names else Answer(problem=f"it is not offered: {listed.brief()}")
    if asked.engine == OLLAMA:
        loaded = ask(f"{asked.url}/api/ps", asked.key, None, timeout, asked.tls)
        if loaded.status != 200:
            return Answer(problem=loaded.brief())
        if not any(same_name(str(model.get("name")), asked.model) for model in loaded.json().get("models") or []):
            return Answer()
        shown = ask(f"{asked.url}/api/show", asked.key, {"model": asked.model}, timeout, asked.tls)
        can = abilities(shown.json())
    else:
        can = Abilities(asked.embeddings)
    found = prove(asked.url, asked.key, asked.model, can, timeout, asked.tls, tokens=1)
    return Answer(found.text, found.problem)

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user of an endpoint relies on, checked through the official OpenAI client."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.endpoint import (
    UNTRUSTED,
    Abilities,
    Reply,
    ask,
    said,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.fleet.services import GATEWAY, LLAMA_CPP, OLLAMA
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.gate import abilities, find_loaded
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import same_name

#: The path that is open without a key.
HEALTH_PATHS = {LLAMA_CPP: "/health", OLLAMA: "/healthz", GATEWAY: "/healthz"}
WRONG_KEY = "not-a-key-of-this-endpoint"
ANY_MODEL = "gpt-3.5-turbo"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as its users see it."""

    engine: str
    url: str
    key: str = field(repr=False)
    model: str
    embeddings: bool
    ui: bool
    admin: bool = False
    tls: ssl.SSLContext | None = None

    def ask(self, path: str, key: str = "", body: Mapping[str, Any] | None = None, wait: float = 10.0) -> Reply:
        """Ask it past the OpenAI client."""
        return ask(f"{self.url}{path}", key, body, wait, self.tls)


@dataclass
class Checks:
    """What was found. A failure has what was expected and what came."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    answer: str = ""
    tokens_per_second: float = 0.0
    on_gpu: float | None = None

    def expect(self, name: str, holds: bool, otherwise: str) -> None:
        """Note one result."""
        if holds:
            self.passed.append(name)
        else:
            self.failed.append(f"{name}: {otherwise}")

    def shut(self, endpoint: Endpoint, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Note whether a path is refused to those without a key."""
        keyless = endpoint.ask(path, body=body)
        self.expect(f"{path} without a key", keyless.status == 401, f"expected HTTP 401, got {keyless.brief()}")

    def attempt(self, name: str, check: Callable[[], str]) -> None:
        """Run a check that returns '' or what was wrong; an exception is a failure too."""
        try:
            problem = check()
        except Exception as error:  # the client's own classes, and those of httpx below it
            problem = f"{type(error).__name__}: {error}"
        self.expect(name, not problem, problem)


def speed(timings: object, tokens: int, seconds: float) -> float:
    """Return tokens/s: as llama-server measured them, else as the client waited for them."""
    value = timings.get("predicted_per_second") if isinstance(timings, dict) else None
    return round(float(value or 0) or tokens / max(seconds, 0.001), 1)


def page_problem(status: int, content_type: str, body: str, wanted: bool) -> str:
    """Return what is wrong with `GET /`, which is the web UI or nothing."""
    is_page = status == 200 and "html" in content_type and "<html" in body.lower()
    if wanted and not is_page:
        return f"HTTP {status} and no HTML page; build the release with a web UI, or set `ui: false`"
    if not wanted and is_page:
        return "a page is served although the service has `ui: false`"
    return ""


def abilities_of(endpoint: Endpoint, timeout: float) -> Abilities:
    """Return what a model can do: Ollama is asked, others make what a service was declared to make.

    A gateway knows of what Ollama serves only that it does not chat.
    """
    if endpoint.engine == GATEWAY and not endpoint.embeddings:
        question = {"model": endpoint.model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        return Abilities(endpoint.ask("/v1/chat/completions", endpoint.key, question, timeout).status == 400)
    if endpoint.engine != OLLAMA:
        return Abilities(endpoint.embeddings)
    return abilities(endpoint.ask("/api/show", endpoint.key, {"model": endpoint.model}).json())


def check_endpoint(endpoint: Endpoint, question: str, timeout: float) -> Checks:
    """Check an endpoint from outside: keys, models, answers and streaming, and what only its engine has."""
    import openai

    checks = Checks()
    messages: Any = [{"role": "user", "content": question}]

    def client(key: str) -> openai.OpenAI:
        # Devices are asked directly: a proxy of the controller's environment does not know them.
        direct = openai.DefaultHttpxClient(trust_env=False, verify=endpoint.tls or True)
        return openai.OpenAI(
            base_url=f"{endpoint.url}/v1", api_key=key, timeout=timeout, max_retries=0, http_client=direct
        )

    def refused() -> str:
        try:
            client(WRONG_KEY).chat.completions.create(model=endpoint.model, messages=messages, max_tokens=1)
        except openai.AuthenticationError:
            return ""
        return "a wrong key was accepted"

    def chat(model: str) -> str:
        started = time.monotonic()
        completion = client(endpoint.key).chat.completions.create(
            model=model, messages=messages, max_tokens=32, temperature=0
        )
        seconds = time.monotonic() - started
        message = completion.choices[0].message
        checks.answer = " ".join(said(message.model_dump()).split())
        checks.tokens_per_second = speed(
            (completion.model_extra or {}).get("timings"),
            completion.usage.completion_tokens if completion.usage else 0,
            seconds,
        )
        return "" if checks.answer else "the answer is empty"

    def streaming() -> str:
        stream = client(endpoint.key).chat.completions.create(
            model=endpoint.model, messages=messages, max_tokens=8, temperature=0, stream=True
        )
        pieces = [said(chunk.choices[0].delta.model_dump()) for chunk in stream if chunk.choices]
        return "" if len(pieces) > 1 and "".join(pieces).strip() else f"no text in {len(pieces)} pieces"

    def models() -> str:
        names = [model.id for model in client(endpoint.key).models.list()]
        found = [name for name in names if same_name(name, endpoint.model)]
        return "" if found else f"it lists {', '.join(names)}, not {endpoint.model}"

    def vector(model: str) -> str:
        found = client(endpoint.key).embeddings.create(model=model, input=question)
        checks.answer = f"a vector of {len(found.data[0].embedding)} numbers"
        return "" if any(found.data[0].embedding) else "the vector is empty or all zeros"

    health = endpoint.ask(HEALTH_PATHS[endpoint.engine], wait=min(timeout, 10.0))
    hint = "" if UNTRUSTED in health.body else "; is the service up, is its port open?"
    checks.expect("health", health.status == 200, f"{health.brief()}{hint}")
    if health.status == 0:
        return checks  # every other check would fail in the same way
    can = abilities_of(endpoint, timeout)
    path, body = ("embeddings", {"input": question}) if can.embeddings else ("completions", {"prompt": "Hi"})
    checks.shut(endpoint, f"/v1/{path}", {"model": endpoint.model, "max_tokens": 1, **body})
    checks.shut(endpoint, "/v1/models")
    checks.shut(endpoint, "/metrics")
    checks.attempt("a wrong key is refused", refused)
    work, name = (vector, "embeddings") if can.embeddings else (chat, "chat completion")
    if endpoint.engine == LLAMA_CPP:
        # Listing 11.1 asks for gpt-3.5-turbo; the endpoint has one model and answers with that.
        checks.attempt("any model name", lambda: work(ANY_MODEL))
    checks.attempt(name, lambda: work(endpoint.model))
    if not can.embeddings:
        checks.attempt("streaming", streaming)
    if endpoint.tls:
        clear = ask(endpoint.url.replace("https://", "http://", 1) + HEALTH_PATHS[endpoint.engine])
        checks.expect("no answer without TLS", clear.status != 200, "it answers in clear text too")
    checks.attempt("/v1/models", models)
    {LLAMA_CPP: _check_llama_cpp, OLLAMA: _check_ollama, GATEWAY: _check_gateway}[endpoint.engine](checks, endpoint)
    return checks


def _check_llama_cpp(checks: Checks, endpoint: Endpoint) -> None:
    """Check what only llama-server has: its metrics and its web UI."""
    metrics = endpoint.ask("/metrics", endpoint.key)
    checks.expect("/metrics", "llamacpp:" in metrics.body, f"no metrics in {metrics.brief()}")
    page = endpoint.ask("/")
    problem = page_problem(page.status, page.content_type, page.body, endpoint.ui)
    checks.expect("web UI" if endpoint.ui else "no web UI", not problem, problem)


def _check_ollama(checks: Checks, endpoint: Endpoint) -> None:
    """Check what only Ollama has: its own API, closed without a key, and where the model is."""
    checks.shut(endpoint, "/")
    checks.shut(endpoint, "/api/tags")
    if not endpoint.admin:
        forbidden = endpoint.ask("/api/pull", endpoint.key, {"model": endpoint.model})
        problem = f"expected HTTP 403 from /api/pull, got {forbidden.brief()}"
        checks.expect("an inference key may not change models", forbidden.status == 403, problem)
    running = endpoint.ask("/api/ps", endpoint.key)
    loaded = find_loaded(running.json().get("models") or [], endpoint.model)
    checks.expect("loaded", loaded is not None, f"/api/ps does not show {endpoint.model}: {running.brief()}")
    if loaded:
        checks.on_gpu = loaded.share


def _check_gateway(checks: Checks, endpoint: Endpoint) -> None:
    """Check what only the gateway has: an administration of its own, closed to those who may ask models."""
    checks.shut(endpoint, "/model/info")
    if not endpoint.admin:
        forbidden = endpoint.ask("/model/info", endpoint.key)
        problem = f"expected HTTP 403 from /model/info, got {forbidden.brief()}"
        checks.expect("an inference key may not administer the gateway", forbidden.status == 403, problem)

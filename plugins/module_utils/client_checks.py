# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user of an endpoint relies on, checked through the official OpenAI client."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.endpoint import Reply, ask

WRONG_KEY = "not-a-key-of-this-endpoint"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as its users see it."""

    url: str
    key: str = field(repr=False)
    model: str
    embeddings: bool
    ui: bool
    tls: ssl.SSLContext | None = None


@dataclass
class Checks:
    """What was found. A failure says what was expected and what came."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    answer: str = ""
    tokens_per_second: float = 0.0

    def expect(self, name: str, holds: bool, otherwise: str) -> None:
        """Note one result."""
        if holds:
            self.passed.append(name)
        else:
            self.failed.append(f"{name}: {otherwise}")

    def attempt(self, name: str, check: Callable[[], str]) -> None:
        """Run a check that returns '' or what was wrong; an exception is a failure too."""
        try:
            problem = check()
        except Exception as error:  # the client's own classes, and those of httpx below it
            problem = f"{type(error).__name__}: {error}"
        self.expect(name, not problem, problem)


def speed(timings: object) -> float:
    """Return tokens/s from llama-server's timings; 0 where there are none."""
    value = timings.get("predicted_per_second") if isinstance(timings, dict) else None
    return round(float(value or 0), 1)


def page_problem(status: int, content_type: str, body: str, wanted: bool) -> str:
    """Say what is wrong with `GET /`, which is the web UI or nothing."""
    is_page = status == 200 and "html" in content_type and "<html" in body.lower()
    if wanted and not is_page:
        return f"HTTP {status} and no HTML page; build the release with a web UI, or set `ui: false`"
    if not wanted and is_page:
        return "a page is served although the service says `ui: false`"
    return ""


def check_endpoint(endpoint: Endpoint, question: str, timeout: float) -> Checks:
    """Check an endpoint from outside: keys, models, answers, streaming, metrics and the web UI."""
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
        completion = client(endpoint.key).chat.completions.create(
            model=model, messages=messages, max_tokens=32, temperature=0
        )
        checks.answer = (completion.choices[0].message.content or "").strip()
        checks.tokens_per_second = speed((completion.model_extra or {}).get("timings"))
        return "" if checks.answer else "the answer is empty"

    def streaming() -> str:
        stream = client(endpoint.key).chat.completions.create(
            model=endpoint.model, messages=messages, max_tokens=8, temperature=0, stream=True
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        return "" if len(pieces) > 1 and "".join(pieces).strip() else f"no text in {len(pieces)} pieces"

    def models() -> str:
        names = [model.id for model in client(endpoint.key).models.list()]
        return "" if endpoint.model in names else f"it lists {', '.join(names)}, not {endpoint.model}"

    def vector() -> str:
        found = client(endpoint.key).embeddings.create(model="text-embedding-3-small", input=question)
        checks.answer = f"a vector of {len(found.data[0].embedding)} numbers"
        return "" if any(found.data[0].embedding) else "the vector is empty or all zeros"

    def raw(path: str, key: str = "", body: Mapping[str, Any] | None = None, wait: float = 10.0) -> Reply:
        return ask(f"{endpoint.url}{path}", key, body, wait, endpoint.tls)

    health = raw("/health", wait=min(timeout, 10.0))
    checks.expect("health", health.status == 200, f"{health.brief()}; is the service up, is its port open?")
    if health.status == 0:
        return checks  # every other check would say the same
    path, body = ("embeddings", {"input": question}) if endpoint.embeddings else ("completions", {"prompt": "Hi"})
    keyless = raw(f"/v1/{path}", body={"model": endpoint.model, "max_tokens": 1, **body})
    checks.expect("no key is refused", keyless.status == 401, f"expected HTTP 401, got {keyless.brief()}")
    if endpoint.embeddings:
        checks.attempt("embeddings, any model name", vector)
    else:
        checks.attempt("a wrong key is refused", refused)
        # Listing 11.1 asks for gpt-3.5-turbo; the endpoint has one model and answers with that.
        checks.attempt("any model name", lambda: chat("gpt-3.5-turbo"))
        checks.attempt("chat completion", lambda: chat(endpoint.model))
        checks.attempt("streaming", streaming)
    if endpoint.tls:
        clear = ask(endpoint.url.replace("https://", "http://", 1) + "/health")
        checks.expect("no answer without TLS", clear.status != 200, "it answers in clear text too")
    checks.attempt("/v1/models", models)
    metrics, closed = raw("/metrics", endpoint.key), raw("/metrics")
    checks.expect("/metrics", "llamacpp:" in metrics.body, f"no metrics in {metrics.brief()}")
    checks.expect("/metrics without a key", closed.status == 401, f"expected HTTP 401, got {closed.brief()}")
    page = raw("/")
    problem = page_problem(page.status, page.content_type, page.body, endpoint.ui)
    checks.expect("web UI" if endpoint.ui else "no web UI", not problem, problem)
    return checks

# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask an OpenAI-compatible endpoint with nothing but the standard library, and read its answers."""

from __future__ import annotations

import gzip
import json
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import request

#: A prompt whose continuation (" Paris") every quantisation of even a very small model knows.
CANARY_PROMPT = "The capital of Germany is Berlin. The capital of Italy is Rome. The capital of France is"
#: Enough tokens for a speed, few enough for the slowest board.
CANARY_TOKENS = 8


#: What to do about a certificate of somebody's own CA, or for other names.
UNTRUSTED = "edge_slm_tls_ca_file is the CA that the controller trusts, edge_slm_tls_names what it is for"


@dataclass(frozen=True)
class Reply:
    """What came back. Status 0 means that nothing did; the body then has the reason."""

    status: int
    body: str
    content_type: str = ""

    def json(self) -> dict[str, Any]:
        """Return the body as a dictionary; empty where it is none."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def brief(self) -> str:
        """Return a short text for messages."""
        head = f"HTTP {self.status}" if self.status else "no answer"
        return f"{head}: {' '.join(self.body.split())[:200]}"


@dataclass(frozen=True)
class Abilities:
    """What decides on how a model is asked.

    Args:
        embeddings: It makes vectors in place of text.
        thinking: It thinks before it answers, so that a short answer may be nothing but reasoning.
    """

    embeddings: bool = False
    thinking: bool = False


@dataclass(frozen=True)
class Generation:
    """A text that a model made. `problem` is empty when it is one."""

    text: str = ""
    tokens: int = 0
    tokens_per_second: float = 0.0
    problem: str = ""


def ask(
    url: str,
    key: str = "",
    body: Mapping[str, Any] | None = None,
    timeout: float = 10.0,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send a GET, or a POST where there is a body; never raises, never uses a proxy.

    Args:
        url: An http:// or https:// URL.
        key: Sent as bearer token; none where empty.
        body: Sent as JSON.
        timeout: Seconds without a sign of life.
        tls: Whom to trust (module_utils/tls/certificates.py); the host's own CAs without it.
    """
    headers = {"Accept-Encoding": "gzip"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        response = request(url, body, headers, timeout, tls)
        return Reply(response.status, _text(response.body), response.headers.get("Content-Type") or "")
    except ssl.SSLCertVerificationError as error:
        return Reply(0, f"certificate verify failed: {error.verify_message}; {UNTRUSTED}")
    except (OSError, EOFError, ValueError, zlib.error) as error:  # also what gzip makes of half a body
        return Reply(0, str(error) or type(error).__name__)


def _text(data: bytes) -> str:
    """Decode a body; a compressed one (the web UI) is recognised by its first bytes."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="replace")


def read_completion(reply: Reply) -> Generation:
    """Read the answer of /v1/completions; tokens/s as llama-server measured them."""
    choices = reply.json().get("choices") or [{}]
    text = str(choices[0].get("text") or "")
    timings = reply.json().get("timings") or {}
    tokens = int(timings.get("predicted_n") or reply.json().get("usage", {}).get("completion_tokens") or 0)
    problem = ""
    if reply.status != 200:
        problem = f"the completion was refused: {reply.brief()}"
    elif not text.strip():
        problem = "the completion was empty"
    return Generation(text, tokens, round(float(timings.get("predicted_per_second") or 0), 2), problem)


def said(message: Mapping[str, Any]) -> str:
    """Return what a message of a chat, or a piece of one, says; what the model thinks where it says nothing yet.

    Reasoning is `reasoning_content` in llama-server's answers, `reasoning` in Ollama's.
    """
    return str(message.get("content") or message.get("reasoning_content") or message.get("reasoning") or "")


def read_chat(reply: Reply) -> Generation:
    """Read the answer of /v1/chat/completions."""
    choices = reply.json().get("choices") or [{}]
    text = said(choices[0].get("message") or {})
    problem = ""
    if reply.status != 200:
        problem = f"the chat was refused: {reply.brief()}"
    elif not text.strip():
        problem = "the answer was empty"
    return Generation(text, int((reply.json().get("usage") or {}).get("completion_tokens") or 0), problem=problem)


def read_embedding(reply: Reply) -> Generation:
    """Read the answer of /v1/embeddings; the text has its length."""
    data = reply.json().get("data") or [{}]
    vector = data[0].get("embedding") or []
    if reply.status != 200:
        return Generation(problem=f"the embedding was refused: {reply.brief()}")
    if not any(vector):
        return Generation(problem="the embedding was empty or all zeros")
    return Generation(text=f"{len(vector)} numbers")


def prove(
    base_url: str,
    key: str,
    model: str,
    abilities: Abilities,
    timeout: float,
    tls: ssl.SSLContext | None = None,
    tokens: int = CANARY_TOKENS,
) -> Generation:
    """Make a model work once: by an embedding, a completion, or a chat where it thinks first."""

    def post(path: str, question: Mapping[str, Any]) -> Reply:
        return ask(f"{base_url}/v1/{path}", key, {"model": model, **question}, timeout, tls)

    if abilities.embeddings:
        return read_embedding(post("embeddings", {"input": CANARY_PROMPT}))
    limits = {"temperature": 0, "max_tokens": tokens}
    if abilities.thinking:
        # Ollama's completions leave reasoning out, and the first token only opens it.
        messages = [{"role": "user", "content": CANARY_PROMPT}]
        return read_chat(post("chat/completions", {"messages": messages, **limits, "max_tokens": CANARY_TOKENS}))
    return read_completion(post("completions", {"prompt": CANARY_PROMPT, **limits}))

# Written by the role edge_slm.fleet.fleet_gateway; changes are overwritten.
"""Which server may be sent a request: LiteLLM asks before it chooses one, and again before each attempt.

A device's entry of the configuration has the kinds of content that the device cannot take, a cloud's those that must
not leave the site. One client's request never makes the gateway leave out a device that works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger

#: Calls whose content is looked through. No other one goes to a cloud.
CHAT, TEXT, EMBEDDING = "acompletion", "atext_completion", "aembedding"
#: Parts of a message that are no attachments.
PLAIN = ("text", "refusal")
#: Time to connect, in seconds: a device that has lost its power answers nothing at all.
CONNECT_SECONDS = 5
#: What devices write into an HTTP 500 that is the request's fault.
FAULTS_OF_REQUESTS = (
    # llama.cpp b11434: common/chat.cpp, tools/server/server-common.cpp, tools/server/server-context.cpp
    b"Failed to parse messages",
    b"Failed to parse tools",
    b"Unknown reasoning format",
    b"input is not supported",
    b"is too large to process",
    # Ollama 0.6 to 0.17: llm/server.go
    b"invalid JSON schema in format",
)


def parts(request: dict[str, Any]) -> Iterator[object]:
    """Yield the parts of messages that are more than one text."""
    for message in request.get("messages") or ():
        content = message.get("content")
        yield from content if isinstance(content, list) else ()


def kinds(call: str, request: dict[str, Any]) -> Iterator[str]:
    """Yield the kinds of content in a request."""
    if call == EMBEDDING:
        yield "embeddings"
    for message in request.get("messages") or ():
        if message.get("role") in ("tool", "function"):
            yield "tool_output"
    for part in parts(request):
        if not isinstance(part, dict) or part.get("type") not in PLAIN:
            yield "attachments"


def refusal(call: str, request: dict[str, Any]) -> str:
    """Return why a request must not be sent to the server that was chosen for it; '' where it may."""
    info = request.get("model_info") or {}
    stays = info.get("edge_slm_stays_on_site")
    if stays is None:  # a device of the site
        return ""
    if call not in (CHAT, TEXT, EMBEDDING):
        return f"{call} is not a call that may leave the site"
    found = sorted(set(kinds(call, request)) & set(stays))
    return f"{', '.join(found)} must not leave the site (edge_slm_stays_on_site)" if found else ""


def asks_for(messages: Sequence[Any] | None) -> set[str]:
    """Return what a server has to be able to take; LiteLLM gives the messages of requests for text alone."""
    if messages is None:
        return {"embeddings"}
    # A prompt that is a list of texts or of tokens comes as the parts of one message.
    attached = (part for part in parts({"messages": messages}) if isinstance(part, dict))
    return {"text", *("attachments" for part in attached if part.get("type") not in PLAIN)}


def able(servers: Sequence[dict[str, Any]], messages: Sequence[Any] | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Return which of the servers that are up can take a request, and what of it no server of the model ever can."""
    asked = asks_for(messages)

    def lacks(server: dict[str, Any], key: str) -> set[str]:
        return asked & set(server["model_info"].get(key) or ())

    found = [one for one in servers if not lacks(one, "edge_slm_lacks")]
    return found, sorted(set().union(*(lacks(one, "edge_slm_all_lack") for one in servers)))


async def find_fault(response: httpx.Response) -> None:
    """Make the answer to a faulty request a 400: after a server error the device would be left out for a while."""
    if response.status_code == 501:
        response.status_code = 400
    elif response.status_code == 500:
        answer = await response.aread()
        if any(text in answer for text in FAULTS_OF_REQUESTS):
            response.status_code = 400


class Policy(CustomLogger):
    """LiteLLM's hooks."""

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: list[Any] | None,
        *_more: object,
        **_rest: object,
    ) -> list[dict[str, Any]]:
        """Leave only the servers that can take a request; refuse one that no server of the model can."""
        found, lacking = able(healthy_deployments, messages)
        if lacking:
            reason = f"no device that serves {model} takes a request with {' and '.join(lacking)}"
            raise litellm.BadRequestError(reason, model, "edge_slm")
        return found

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> dict[str, Any]:
        """Refuse what must not be sent, and give up soon on a server that does not even accept a connection."""
        reason = refusal(str(getattr(call_type, "value", call_type)), kwargs)
        if reason:
            answer = httpx.Response(403, request=httpx.Request("POST", "http://gateway"))
            raise litellm.PermissionDeniedError(reason, "edge_slm", str(kwargs.get("model")), answer)
        seconds = kwargs.get("timeout")
        if isinstance(seconds, (int, float)):
            kwargs = {**kwargs, "timeout": httpx.Timeout(seconds, connect=CONNECT_SECONDS)}
        return kwargs


#: An idle connection is not kept as long as llama-server keeps it (5 s): a request must not meet its end.
LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=2)
litellm.aclient_session = httpx.AsyncClient(
    event_hooks={"response": [find_fault]}, limits=LIMITS, follow_redirects=True
)
policy = Policy()

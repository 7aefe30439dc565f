# Written by the role edge_slm.fleet.fleet_gateway; changes are overwritten.
"""What never leaves the site: LiteLLM asks before each request to a server, the attempts of a fallback among them.

An entry of the configuration whose server is elsewhere has the kinds of content that it must not be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def kinds(call: str, request: dict[str, Any]) -> Iterator[str]:
    """Yield the kinds of content in a request."""
    if call == EMBEDDING:
        yield "embeddings"
    for message in request.get("messages") or ():
        if message.get("role") in ("tool", "function"):
            yield "tool_output"
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
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


class Policy(CustomLogger):
    """LiteLLM's hook."""

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


policy = Policy()

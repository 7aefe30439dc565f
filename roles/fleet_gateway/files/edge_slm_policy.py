# Written by the role edge_slm.fleet.fleet_gateway; changes are overwritten.
"""What the gateway takes of a request, and which server may be sent it. LiteLLM asks three times.

- When a request has come: fields that OpenAI's API and llama.cpp do not have are dropped, LiteLLM's own controls among
  them, and what is malformed is refused.
- Before it chooses a server: a device's entry of the configuration has the kinds of content that it cannot take.
- Before each attempt: a cloud's entry has the kinds of content that must not leave the site.

No request of one client makes the gateway leave out a device that works, but for one that ends Ollama's own process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger

#: Calls that are looked through. No other one goes to a cloud.
CHAT, TEXT, EMBEDDING = "acompletion", "atext_completion", "aembedding"
#: Fields that a client may send with any call for text: OpenAI's, and llama.cpp's for sampling.
SAMPLING = (
    "model stream stream_options max_tokens max_completion_tokens temperature top_p n stop seed presence_penalty "
    "frequency_penalty logit_bias logprobs top_logprobs user disable_fallbacks "
    "cache_prompt dry_allowed_length dry_base dry_multiplier dry_penalty_last_n dry_sequence_breakers "
    "dynatemp_exponent dynatemp_range grammar ignore_eos json_schema min_keep min_p mirostat mirostat_eta "
    "mirostat_tau n_keep n_predict n_probs post_sampling_probs repeat_last_n repeat_penalty return_tokens samplers "
    "timings_per_token top_k top_n_sigma typical_p xtc_probability xtc_threshold"
)
CHAT_FIELDS = (
    "messages tools tool_choice parallel_tool_calls functions function_call response_format reasoning_effort "
    "reasoning_format chat_template_kwargs"
)
FIELDS = {
    CHAT: {*SAMPLING.split(), *CHAT_FIELDS.split()},
    TEXT: {*SAMPLING.split(), "prompt", "suffix", "echo", "best_of"},
    EMBEDDING: {"model", "input", "dimensions", "encoding_format", "user", "disable_fallbacks"},
}
#: What LiteLLM itself has put into a request by then.
ITS_OWN = {
    "litellm_call_id",
    "litellm_logging_obj",
    "litellm_trace_id",
    "metadata",
    "proxy_server_request",
    "secret_fields",
}
#: Time to connect, in seconds: a device that has lost its power answers nothing at all.
CONNECT_SECONDS = 5
#: What devices write into an HTTP 500 that is the request's fault.
FAULTS_OF_REQUESTS = (
    # llama.cpp b11434: common/chat.cpp, tools/server/server-common.cpp, tools/server/server-context.cpp
    b"Cannot use both json_schema and grammar",
    b"Failed to parse messages",
    b"Failed to parse tools",
    b"Invalid base64 value",
    b"Unknown reasoning format",
    b"cannot make GET request",
    b"does not support logits computation",
    b"does not support multimodal requests",
    b"input is not supported",
    b"is too large to process",
    # Ollama 0.6 to 0.17: llm/server.go, runner/llamarunner
    b"invalid JSON schema in format",
    b"invalid format: ",
    b"no input provided",
    b"received zero length image",
)

#: Parts of a message that are no attachments.
PLAIN = ("text", "refusal")
#: Who says something in a conversation, and who brings what a tool has found.
SPEAKERS, TOOLS = ("system", "developer", "user", "assistant"), ("tool", "function")
#: What a message that leaves the site has beside its role, content and calls of tools: texts, by who says it.
SPOKEN = ("name", "refusal", "reasoning", "reasoning_content")
MESSAGE_TEXTS = {**dict.fromkeys(SPEAKERS, SPOKEN), **dict.fromkeys(TOOLS, ("name", "tool_call_id"))}


def is_text(part: object) -> bool:
    """Return whether a part of a message is text and nothing else."""
    if not isinstance(part, Mapping) or part.get("type") not in PLAIN:
        return False
    kind = part["type"]
    return set(part) == {"type", kind} and isinstance(part[kind], str)


def parts(message: Mapping[str, Any]) -> list[object]:
    """Return what a message holds beside one text."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return []
    return content if isinstance(content, list) else [content]


def is_known(message: Mapping[str, Any]) -> bool:
    """Return whether a message has a form that is looked through; what has no value does not count."""
    known = MESSAGE_TEXTS.get(str(message.get("role")))
    fields = {name: value for name, value in message.items() if value and name not in ("role", "content", "tool_calls")}
    return known is not None and all(name in known and isinstance(value, str) for name, value in fields.items())


def kinds(call: str, request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the kinds of content in a request, and `unknown` for what is of no known form."""
    if call == EMBEDDING:
        yield "embeddings"
    for message in request.get("messages") or ():
        if message.get("role") in TOOLS:
            yield "tool_output"
        if not is_known(message):
            yield "unknown"
        for part in parts(message):
            if not is_text(part):
                yield "attachments"


def refusal(call: str, request: Mapping[str, Any]) -> str:
    """Return why a request must not be sent to the server that was chosen for it; '' where it may."""
    info = request.get("model_info") or {}
    stays = info.get("edge_slm_stays_on_site")
    if stays is None:  # a device of the site
        return ""
    if call not in FIELDS:
        return f"{call} is not a call that may leave the site"
    found = set(kinds(call, request))
    if "unknown" in found and stays:
        return "a message with fields or a role that are not known must not leave the site (edge_slm_stays_on_site)"
    kept = sorted(found & set(stays))
    return f"{', '.join(kept)} must not leave the site (edge_slm_stays_on_site)" if kept else ""


def malformed(call: str, request: Mapping[str, Any]) -> str:
    """Return what no server could take in a request; '' where it has its form."""
    if call == CHAT:
        messages = request.get("messages")
        if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
            return "messages must be a list of objects"
        for number, message in enumerate(messages):
            if not isinstance(message.get("role"), str):
                return f"messages[{number}].role must be a text"
            if not all(isinstance(part, Mapping) and isinstance(part.get("type"), str) for part in parts(message)):
                return f"messages[{number}].content must be a text or a list of parts with a type"
        return ""
    name = "prompt" if call == TEXT else "input"
    given = request.get(name)
    # Texts, tokens, or lists of tokens.
    items = given if isinstance(given, list) else [given]
    flat = [one for item in items for one in (item if isinstance(item, list) else [item])]
    good = bool(flat) and all(isinstance(one, (str, int)) for one in flat)
    return "" if good else f"{name} must be a text, or a list of texts or tokens"


def asks_for(messages: Sequence[Any] | None) -> set[str]:
    """Return what a server has to be able to take; LiteLLM gives the messages of requests for text alone."""
    if messages is None:
        return {"embeddings"}
    # A prompt that is a list of texts or of tokens comes as the parts of one message.
    attached = (part for message in messages for part in parts(message) if isinstance(part, Mapping))
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


def is_model(name: object) -> bool:
    """Return whether clients may ask for a model by a name; LiteLLM would take the identity of a server, too."""
    from litellm.proxy.proxy_server import llm_router

    return name in llm_router.model_names or name in (llm_router.model_group_alias or {})


class Policy(CustomLogger):
    """LiteLLM's hooks."""

    async def async_pre_call_hook(
        self, user_api_key_dict: object, cache: object, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Take of a request what servers are to get; refuse what has no form, or asks for no model."""
        model = str(data.get("model") or "")
        if not is_model(model):
            raise litellm.NotFoundError(f"there is no model {model}", model, "edge_slm")
        if call_type not in FIELDS:
            return data
        kept = FIELDS[call_type] | ITS_OWN
        request = {name: value for name, value in data.items() if name in kept}
        if problem := malformed(call_type, request):
            raise litellm.BadRequestError(problem, model, "edge_slm")
        return request

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

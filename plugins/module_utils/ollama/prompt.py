# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry a GGUF's chat template over to Ollama, so that both engines make the same prompt of a conversation.

A GGUF has a template in Jinja, which llama-server renders. Ollama's templates are Go's; it compares the GGUF's with
those that it knows, takes it for the one that it resembles, and so loses a default system message. Here the GGUF's own
template is rendered with conversations that show which text it puts around a message. That it does nothing else is then
tried on further conversations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.edge_slm.fleet.plugins.module_utils.models.gguf import read_header, token_texts

#: What a template is made of here is part of what a model is made of: another number makes models again.
VERSION = 2
SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
#: Texts that no template has.
FIRST, SECOND, THIRD = "\u2460first", "\u2461second", "\u2462third"

#: A message: its role and its text.
Message = tuple[str, str]
#: Renders a conversation, with what an answer begins with or without.
Render = Callable[[Sequence[Message], bool], str]


class NotCarriedOver(Exception):
    """A template does more than putting text around messages. The message has what."""


@dataclass(frozen=True)
class ChatTemplate:
    """A GGUF's chat template and the tokens that it may name.

    Args:
        text: In Jinja.
        bos: Text of the token that prompts begin with.
        eos: Text of the token that answers end with.
        adds_bos: Whether the tokenizer puts the first one before every prompt.
    """

    text: str
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False

    def renderer(self) -> Render:
        """Return what renders it, as llama-server and transformers do.

        Raises:
            NotCarriedOver: It cannot be read.
        """
        try:
            import jinja2
            import jinja2.ext
            import jinja2.sandbox
        except ImportError as error:
            raise NotCarriedOver("python3-jinja2 is not installed") from error

        def refuse(reason: str) -> None:
            raise jinja2.TemplateError(reason)

        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
        )
        environment.globals["raise_exception"] = refuse
        try:
            template = environment.from_string(self.text)
        except jinja2.TemplateError as error:
            raise NotCarriedOver(f"it cannot be read: {error}") from error

        def render(conversation: Sequence[Message], answer: bool) -> str:
            messages = [{"role": role, "content": text} for role, text in conversation]
            try:
                rendered = template.render(
                    messages=messages, add_generation_prompt=answer, bos_token=self.bos, eos_token=self.eos
                )
            except Exception as error:  # whatever a template does wrong
                roles = ", ".join(role for role, _text in conversation)
                raise NotCarriedOver(f"it takes no conversation of {roles}") from error
            # Where the tokenizer adds it the engines see to it that it is not there twice.
            return rendered[len(self.bos) :] if self.adds_bos and rendered.startswith(self.bos) else rendered

        return render if takes_system(render) else without_system(render)


def takes_system(render: Render) -> bool:
    """Return whether a template does anything with a system message."""
    try:
        return FIRST in render([(SYSTEM, FIRST), (USER, SECOND)], False)
    except NotCarriedOver:
        return False


def without_system(render: Render) -> Render:
    """Return what renders a system message as a part of the first question, which is what llama-server does then."""

    def merged(conversation: Sequence[Message], answer: bool) -> str:
        (role, text), *others = conversation
        if role == SYSTEM and others:
            (asker, question), *others = others
            return render([(asker, f"{text}\n{question}"), *others], answer)
        return render(conversation, answer)

    return merged


@dataclass(frozen=True)
class Frame:
    """The text around messages.

    Args:
        default: Before a conversation without a system message.
        before: Before a message, by its role.
        after: After it.
        answer: What an answer begins with.
        merged: Whether a system message and what is after it go into the question that follows.
    """

    default: str
    before: dict[str, str]
    after: dict[str, str]
    answer: str
    merged: bool = False

    def render(self, conversation: Sequence[Message], answer: bool) -> str:
        """Render a conversation as `go` does."""
        texts, held = [self.default] if conversation[0][0] != SYSTEM else [], ""
        for role, text in conversation:
            if role == SYSTEM and self.merged:
                texts.append(self.before[SYSTEM])
                held = f"{text}{self.after[SYSTEM]}"
            else:
                texts += [self.before[role], held, text, self.after[role]]
                held = ""
        return "".join([*texts, self.answer if answer else ""])

    def go(self) -> str:
        """Return it as a template of Ollama."""

        def message(role: str, held: str = "") -> str:
            return f"{literal(self.before[role])}{held}{{{{ $message.Content }}}}{literal(self.after[role])}"

        start, system, user = "", message(SYSTEM), message(USER)
        if self.merged:
            start = '{{ $system := "" }}'
            hold = f"{{{{ $system = print $message.Content {json.dumps(self.after[SYSTEM])} }}}}"
            system = f"{literal(self.before[SYSTEM])}{hold}"
            user = f'{message(USER, "{{ $system }}")}{{{{ $system = "" }}}}'
        return (
            f"{start}{{{{ range $index, $message := .Messages }}}}"
            f'{{{{ if eq $message.Role "system" }}}}{system}{{{{ else }}}}'
            f"{{{{ if eq $index 0 }}}}{literal(self.default)}{{{{ end }}}}"
            f'{{{{ if eq $message.Role "user" }}}}{user}'
            f'{{{{ else if eq $message.Role "assistant" }}}}{message(ASSISTANT)}'
            f"{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}{literal(self.answer)}"
        )


def literal(text: str) -> str:
    """Return text as it stands in a template of Go; its braces would open an action."""
    return text.replace("{{", '{{ "{{" }}')


def parts(rendered: str, *texts: str) -> list[str]:
    """Return what is around texts in what was rendered of them.

    Raises:
        NotCarriedOver: They are not all in it, once and in order.
    """
    found = []
    for text in texts:
        head, there, rendered = rendered.partition(text)
        if not there or text in rendered:
            raise NotCarriedOver("it does not take every message once, in order")
        found.append(head)
    return [*found, rendered]


def rest(text: str, start: str) -> str:
    """Return what follows a start.

    Raises:
        NotCarriedOver: The text starts otherwise.
    """
    if not text.startswith(start):
        raise NotCarriedOver("what is around a message depends on those before it")
    return text[len(start) :]


def head_of(text: str, end: str) -> str:
    """Return what precedes an end; raises as `rest` does."""
    return rest(text[::-1], end[::-1])[::-1]


def find_frame(render: Render) -> Frame:
    """Find the text around messages.

    Raises:
        NotCarriedOver: There is more to it.
    """
    user, assistant = (USER, FIRST), (ASSISTANT, SECOND)
    one = render([user], False)
    answer = rest(render([user], True), one)
    head, after_user = parts(one, FIRST)
    _head, to_assistant, after_assistant = parts(render([user, assistant], False), FIRST, SECOND)
    _head, _same, to_user, _tail = parts(render([user, assistant, (USER, THIRD)], False), FIRST, SECOND, THIRD)
    before_user = rest(to_user, after_assistant)
    before_system, after_system, _tail = parts(render([(SYSTEM, SECOND), user], False), SECOND, FIRST)
    # What precedes a question stands either between the system message and the question, or before both.
    merged = not after_system.endswith(before_user)
    if merged:
        before_system = head_of(before_system, before_user)
    else:
        after_system = head_of(after_system, before_user)
    return Frame(
        default=head_of(head, before_user),
        before={SYSTEM: before_system, USER: before_user, ASSISTANT: rest(to_assistant, after_user)},
        after={SYSTEM: after_system, USER: after_user, ASSISTANT: after_assistant},
        answer=answer,
        merged=merged,
    )


def conversations(text: str) -> list[list[Message]]:
    """Return conversations of many shapes about a text."""
    turns: list[Message] = [(USER, f"{text} 1"), (ASSISTANT, f"{text} 2")] * 3
    open_ones = [turns[:count] for count in (1, 3, 5)]
    return [*open_ones, *([(SYSTEM, text), *turns] for turns in open_ones)]


#: Texts that templates are known to change.
PLAIN = ("Hello", "two\nlines", 'quoted "{{ x }}" <b>&amp;', "<think>no</think>")
PADDED = ("  spaces  ", "\nlines\n")


def differences(render: Render, frame: Frame, texts: Sequence[str]) -> bool:
    """Return whether a template and its frame make different prompts of conversations about texts."""
    found = [one for text in texts for one in conversations(text)]
    return any(render(one, answer) != frame.render(one, answer) for one in found for answer in (True, False))


#: What llama-server takes where a GGUF has no template (llama.cpp tag b11434, common/chat.cpp).
CHATML = (
    "{%- for message in messages -%}\n"
    "  {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}\n"
    "{%- endfor -%}\n{%- if add_generation_prompt -%}\n  {{- '<|im_start|>assistant\n' -}}\n{%- endif -%}"
)
#: Vocabularies before whose prompts both engines put a first token unless the file denies it.
BEGINNING_VOCABULARIES = ("llama", "llama-bpe")


def read_template(path: str) -> ChatTemplate | None:
    """Return the chat template of a GGUF; None where it makes embeddings and has none.

    Raises:
        GgufError: The file is no GGUF.
        OSError: It cannot be read.
    """
    metadata = read_header(path).metadata
    text = metadata.get("tokenizer.chat_template")
    if not text and any(key.endswith(".pooling_type") for key in metadata):
        return None

    def token(name: str) -> str:
        number = metadata.get(f"tokenizer.ggml.{name}_token_id")
        return token_texts(path, [number]).get(number, "") if isinstance(number, int) else ""

    kinds = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre"))
    begins = any(kind in BEGINNING_VOCABULARIES for kind in kinds)
    return ChatTemplate(
        text=str(text or CHATML),
        bos=token("bos"),
        eos=token("eos"),
        adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", begins)),
    )


def carry_over(template: ChatTemplate) -> tuple[str, str]:
    """Return a template for Ollama, empty where there is none, and what differs with it, empty where nothing does."""
    try:
        render = template.renderer()
        frame = find_frame(render)
        if differences(render, frame, PLAIN):
            raise NotCarriedOver("it changes messages, or what is around them depends on those before")
        padded = differences(render, frame, PADDED)
    except NotCarriedOver as reason:
        return "", f"the chat template of its file cannot be carried over ({reason})"
    found = ["white space around a message stays, which llama-server cuts off"] if padded else []
    if "tools" in template.text:
        found.append("tools are not offered to the model")
    return frame.go(), "; ".join(found)

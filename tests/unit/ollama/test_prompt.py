"""Chat templates of well-known families, carried over to Ollama or not."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import prompt
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.prompt import ChatTemplate, carry_over

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PHI3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
#: Refuses system messages, and questions and answers that do not take turns.
TURNS = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
#: Does not know them.
ANSWERS_ONLY = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
#: Puts the system message into the first question.
GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set loop_messages = messages[1:] %}{% else %}{% set first = '' %}{% set loop_messages = messages %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + message['content'] + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
#: Refuses system messages, and cuts white space off.
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + "
    "'<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
#: Puts the system message into the last question.
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' }}"
    "{% if loop.last and messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\n\n' }}{% endif %}"
    "{{ message['content'] + '[/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
#: Takes reasoning out of earlier answers.
THINKING = SMOLLM2.replace("message['content'] +", "message['content'].split('</think>')[-1] +")
DATED = SMOLLM2.replace("trained by Hugging Face", "today is ' + strftime_now('%d') + '")


@pytest.mark.parametrize(
    ("template", "start", "lost"),
    [
        (ChatTemplate(SMOLLM2, "<|im_start|>", "<|im_end|>"), "<|im_start|>system\nYou are a helpful", ""),
        (ChatTemplate(prompt.CHATML), "<|im_start|>user\n", ""),
        (ChatTemplate(PHI3, "<s>", "</s>", adds_bos=True), "<|user|>\n", ""),
        # Where the tokenizer adds no first token the template's own stays.
        (ChatTemplate(PHI3, "<s>", "</s>"), "<s><|user|>\n", ""),
        (ChatTemplate(ZEPHYR, "<s>", "</s>", adds_bos=True), "<|user|>\n", ""),
        (
            ChatTemplate(LLAMA3, "<|begin|>", "", adds_bos=True),
            "<|start_header_id|>user",
            "white space around a message",
        ),
        (ChatTemplate(SMOLLM2 + "{# tools #}"), "<|im_start|>system\n", "tools are not offered"),
        (ChatTemplate(TURNS, "<s>", "</s>", adds_bos=True), "[INST] x [/INST]", ""),
        (ChatTemplate(ANSWERS_ONLY, "<s>", "</s>"), "USER: x ASSISTANT:", ""),
        (ChatTemplate(GEMMA3, "<bos>", "", adds_bos=True), "<start_of_turn>user\n", ""),
        (ChatTemplate(GEMMA, "<bos>", "", adds_bos=True), "<start_of_turn>user\n", "white space around a message"),
    ],
    ids=[
        "smollm2",
        "chatml",
        "phi3",
        "phi3 without bos",
        "zephyr",
        "llama3",
        "tools",
        "turns",
        "answers only",
        "gemma3",
        "gemma",
    ],
)
def test_templates_that_put_text_around_messages(template: ChatTemplate, start: str, lost: str) -> None:
    render = template.renderer()
    frame = prompt.find_frame(render)
    for text in prompt.PLAIN:
        for conversation in prompt.conversations(text):
            assert frame.render(conversation, True) == render(conversation, True)
    assert frame.render([("user", "x")], True).startswith(start)
    go, found = carry_over(template)
    assert go == frame.go()
    assert (lost in found, bool(found)) == (True, bool(lost))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MISTRAL, "depends on those before"),
        (THINKING, "it changes messages"),
        (DATED, "it takes no conversation of user"),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] }}", "once, in order"),
        ("{% for", "it cannot be read"),
        ("{{ ''.__class__.__mro__ }}", ""),
        ("{{ messages.append(1) }}", "it takes no conversation"),
    ],
)
def test_templates_that_do_more_are_left_to_ollama_aloud(text: str, reason: str) -> None:
    go, lost = carry_over(ChatTemplate(text, "<s>", "</s>", adds_bos=True))
    assert go == ""
    assert lost.startswith("the chat template of its file cannot be carried over (")
    assert reason in lost


@pytest.mark.parametrize(("template", "between"), [(TURNS, "\n"), (ANSWERS_ONLY, "\n"), (GEMMA3, "\n\n")])
def test_a_system_message_may_be_a_part_of_the_first_question(template: str, between: str) -> None:
    """As llama-server does where the template has no place of its own for it."""
    frame = prompt.find_frame(ChatTemplate(template, "<s>", "</s>").renderer())
    assert frame.merged
    asked = frame.render([("system", "Be brief."), ("user", "Why?"), ("assistant", "So."), ("user", "How?")], True)
    assert f"{frame.before['user']}Be brief.{between}Why?{frame.after['user']}" in asked
    assert f"{frame.before['user']}How?" in asked
    assert f"{{{{ $system = print $message.Content {between!r} }}}}".replace("'", '"') in frame.go(), (
        "and so does Ollama"
    )


def test_the_template_of_go() -> None:
    frame = prompt.Frame(
        "<d>",
        {"system": "<s>", "user": "<u>", "assistant": "<a>"},
        {"system": "</s>", "user": "</u>", "assistant": "</a>{{"},
        "<a>",
    )
    assert frame.go() == (
        '{{ range $index, $message := .Messages }}{{ if eq $message.Role "system" }}<s>{{ $message.Content }}</s>'
        '{{ else }}{{ if eq $index 0 }}<d>{{ end }}{{ if eq $message.Role "user" }}<u>{{ $message.Content }}</u>'
        '{{ else if eq $message.Role "assistant" }}<a>{{ $message.Content }}</a>{{ "{{" }}{{ end }}{{ end }}{{ end }}'
        "<a>"
    )


def gguf(path: Path, **metadata: object) -> str:
    """Write a GGUF without tensors whose vocabulary is too long to be kept."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    words = [f"token {number}" for number in range(5000)]
    pairs = [text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(words)) + b"".join(map(text, words))]
    for key, value in metadata.items():
        name = key.replace("__", ".")
        if isinstance(value, bool):
            pairs.append(text(name) + struct.pack("<I?", 7, value))
        elif isinstance(value, int):
            pairs.append(text(name) + struct.pack("<II", 4, value))
        else:
            pairs.append(text(name) + struct.pack("<I", 8) + text(str(value)))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs))
    return str(path)


TOKENS = {"tokenizer__ggml__bos_token_id": 1, "tokenizer__ggml__eos_token_id": 4999}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (
            {**TOKENS, "tokenizer__chat_template": "T", "tokenizer__ggml__add_bos_token": True},
            ChatTemplate("T", "token 1", "token 4999", adds_bos=True),
        ),
        (
            {**TOKENS, "tokenizer__chat_template": "T", "tokenizer__ggml__model": "llama"},
            ChatTemplate("T", "token 1", "token 4999", adds_bos=True),
        ),
        ({"tokenizer__chat_template": "T", "tokenizer__ggml__model": "gpt2"}, ChatTemplate("T")),
        # A base model: llama-server has one of its own for these.
        ({}, ChatTemplate(prompt.CHATML)),
        ({"bert__pooling_type": 1}, None),
    ],
)
def test_the_template_of_a_file(tmp_path: Path, metadata: dict[str, object], expected: ChatTemplate | None) -> None:
    assert prompt.read_template(gguf(tmp_path / "m.gguf", **metadata)) == expected

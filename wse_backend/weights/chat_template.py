"""Conversations to prompts, by the chat template that a GGUF carries.

Templates are Jinja2, rendered in its immutable sandbox with what they expect from Hugging Face's
`transformers` (utils/chat_template_utils.py): trimmed blocks, loop controls, `raise_exception`,
`strftime_now`, `tojson`.

What a user types is text, never structure: `<|im_end|>` inside a message must not end its turn. Before
rendering, each control token's text in a message gets a mark that occurs nowhere else; after rendering, only
unmarked control texts, those of the template itself, become control tokens, and the marks are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from wse_backend.errors import BrokenTemplate, InvalidMessages
from wse_backend.weights.tokenizer import Tokenizer

if TYPE_CHECKING:
    from wse_backend.weights.gguf_file import GGUFFile

ROLES = ("system", "user", "assistant")
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_ALLOWED = 'a non-empty list of {"role": "system", "user" or "assistant", "content": text}'
_MARKS = range(
    0xFDD0, 0xFDF0
)  # Unicode's noncharacters: no text may carry them, so one of them is always free

# A template is a program from a file; these are what a wrong one can raise.
_TEMPLATE_ERRORS = (
    *(TemplateError, TypeError, ValueError, LookupError, AttributeError),
    *(ArithmeticError, RuntimeError, MemoryError),
)


class _Refused(Exception):
    """What a template says through `raise_exception`; Jinja2 lets it through unchanged."""


class ChatTemplate:
    """The chat template of one model, with the tokenizer its prompts are for. Immutable and thread-safe."""

    def __init__(self, tokenizer: Tokenizer, source: str = CHATML) -> None:
        """Parse `source`. Raises BrokenTemplate."""
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except (TemplateError, RecursionError) as exc:
            raise BrokenTemplate(str(exc)) from exc
        self._tokenizer = tokenizer

    @classmethod
    def from_gguf(cls, gguf: GGUFFile, tokenizer: Tokenizer) -> ChatTemplate:
        """The template of a GGUF file; ChatML when it has none. Raises BrokenTemplate."""
        source = gguf.metadata.get("tokenizer.chat_template")
        return cls(tokenizer, source if isinstance(source, str) and source.strip() else CHATML)

    def render(self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True) -> str:
        """The prompt as text, for people to read: user text and control tokens look alike in it.

        Raises InvalidMessages, BrokenTemplate.
        """
        text, mark = self._render(messages, add_generation_prompt)
        return text.replace(mark, "")

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool = True
    ) -> list[int]:
        """The prompt as token ids; no message can produce a control token.

        Raises InvalidMessages, BrokenTemplate.
        """
        text, mark = self._render(messages, add_generation_prompt)
        ids = self._tokenizer.encode_hiding(text, mark)
        bos_id = self._tokenizer.bos_id
        if self._tokenizer.adds_bos and bos_id is not None and ids[:1] != [bos_id]:
            return [bos_id, *ids]
        return ids

    def _render(self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool) -> tuple[str, str]:
        turns = check_messages(messages)
        mark = _free_mark(turns)
        for turn in turns:
            turn["content"] = self._marked(turn["content"], mark)
        tokens = self._tokenizer
        try:
            text = self._template.render(
                messages=turns,
                add_generation_prompt=add_generation_prompt,
                tools=None,
                documents=None,
                bos_token=tokens.token_text(tokens.bos_id),
                eos_token=tokens.token_text(tokens.eos_id),
            )
        except _Refused as exc:
            raise InvalidMessages(
                str(exc).replace(mark, ""), "what the model's chat template accepts"
            ) from exc
        except _TEMPLATE_ERRORS as exc:
            raise BrokenTemplate(f"{exc} ({type(exc).__name__})".replace(mark, "")) from exc
        return text, mark

    def _marked(self, content: str, mark: str) -> str:
        """`content` with the mark after the first character of each control text in it."""
        for text in self._tokenizer.control_texts:
            if text in content:
                content = content.replace(text, text[0] + mark + text[1:])
        return content


def check_messages(messages: object) -> list[dict[str, str]]:
    """A fresh list of the messages' roles and contents. Raises InvalidMessages with what is wrong."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidMessages(f"{type(messages).__name__} instead of a list", _ALLOWED)
    if not messages:
        raise InvalidMessages("an empty list", _ALLOWED)
    turns = []
    for position, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise InvalidMessages(f"message {position} is {type(message).__name__}", _ALLOWED)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise InvalidMessages(f"message {position} has the role {str(role)[:40]!r}", _ALLOWED)
        if not isinstance(content, str):
            raise InvalidMessages(f"the content of message {position} is {type(content).__name__}", _ALLOWED)
        turns.append({"role": role, "content": content})
    return turns


def _free_mark(turns: list[dict[str, str]]) -> str:
    """A short text that occurs in no message."""
    used = {char for turn in turns for char in turn["content"] if ord(char) in _MARKS}
    free = [chr(point) for point in _MARKS if chr(point) not in used]
    if free:
        return free[0]
    mark = chr(_MARKS[0])
    while any(mark in turn["content"] for turn in turns):
        mark += chr(_MARKS[0])
    return mark + chr(_MARKS[1])


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Jinja2's own filter escapes HTML; templates expect plain JSON."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: object) -> NoReturn:
    raise _Refused(str(message)[:300])


def _strftime_now(layout: str) -> str:
    return datetime.now().strftime(layout)

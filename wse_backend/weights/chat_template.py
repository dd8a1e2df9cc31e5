"""Conversations to prompts, by the chat template that a GGUF carries.

What a user types is text, never structure: `<|im_end|>` inside a message must not end its turn. Before
rendering, each control token's text in a message gets a mark that occurs nowhere else; after rendering, only
unmarked control texts, those of the template itself, become control tokens, and the marks are dropped.

Some templates refuse, or silently leave out, the role system; some refuse two messages of one role in a row.
What a template does is tried once when it is loaded, and conversations are changed accordingly; `changes`
says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from jinja2 import TemplateError, meta

from wse_backend.errors import BrokenTemplate, InvalidMessages
from wse_backend.weights.jinja_environment import RefusedByTemplate, chat_environment
from wse_backend.weights.messages import Turns, check_messages, fold_system, merge_turns
from wse_backend.weights.template_limits import start_work
from wse_backend.weights.tokenizer import Tokenizer

if TYPE_CHECKING:
    from wse_backend.weights.gguf_file import GGUFFile

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
PLAIN = (
    "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] + '\n\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
# For files without a template: the format whose words the vocabulary has.
_BY_WORD = {"<|im_start|>": CHATML, "<start_of_turn>": GEMMA, "<|start_header_id|>": LLAMA3}

# How templates call the effort to think with, and what they are given for it.
_THINKING: dict[str, Callable[[str], object]] = {
    "enable_thinking": lambda effort: effort != NO_EFFORT,  # Qwen3, SmolLM3, Granite 4
    "thinking": lambda effort: effort != NO_EFFORT,  # Granite 3.2, DeepSeek V3.1
    "reasoning_effort": lambda effort: "low" if effort == NO_EFFORT else effort,  # gpt-oss
}
NO_EFFORT = "none"
SOURCE_LIMIT = 200_000  # characters; published templates have up to 20,000
FOLDED = "the system prompt stands in front of the next user message: this model knows no system prompt"
MERGED = "neighbouring messages of one role are joined: this model takes turns strictly"

_MARKS = range(
    0xFDD0, 0xFDF0
)  # Unicode's noncharacters: no text may carry them, so one of them is always free

# A template is a program from a file; these are what a wrong one can raise.
_TEMPLATE_ERRORS = (
    *(TemplateError, TypeError, ValueError, LookupError, AttributeError),
    *(ArithmeticError, RuntimeError, MemoryError),
)


THINKING_MARKS = ("<think>", "<|channel|>")


class ChatTemplate:
    """The chat template of one model, with the tokenizer its prompts are for. Immutable and thread-safe.

    changes: sentences that say what conversations go through before this template takes them. can_think:
    whether the template can be told to let the model think, or not to. mentions_thinking: whether it knows of
    thinking at all; a model whose template does not has not learned to.
    """

    def __init__(self, tokenizer: Tokenizer, source: str = CHATML) -> None:
        """Parse `source` and try what it takes. Raises BrokenTemplate, also when it breaks on one message."""
        if len(source) > SOURCE_LIMIT:
            raise BrokenTemplate(f"it has {len(source):,} characters; at most {SOURCE_LIMIT:,} are read")
        environment = chat_environment()
        try:
            known = meta.find_undeclared_variables(environment.parse(source))
            self._template = environment.from_string(source)
        except (TemplateError, RecursionError) as exc:
            raise BrokenTemplate(str(exc)) from exc
        self._tokenizer = tokenizer
        self._thinking = {name: value for name, value in _THINKING.items() if name in known}
        self.can_think = bool(self._thinking)
        self.mentions_thinking = self.can_think or any(mark in source for mark in THINKING_MARKS)
        self._try_one_question()
        self._folds = not self._takes("system", "user")
        self._merges = not self._takes("user", "user")
        self.changes = (*((FOLDED,) if self._folds else ()), *((MERGED,) if self._merges else ()))

    @classmethod
    def from_gguf(cls, gguf: GGUFFile, tokenizer: Tokenizer) -> ChatTemplate:
        """The template of a GGUF file; without one, what suits its vocabulary. Raises BrokenTemplate."""
        source = gguf.metadata.get("tokenizer.chat_template")
        if isinstance(source, str) and source.strip():
            return cls(tokenizer, source)
        words = tokenizer.control_texts
        return cls(tokenizer, next((found for word, found in _BY_WORD.items() if word in words), PLAIN))

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = True,
        effort: str | None = None,
    ) -> str:
        """The prompt as text, for people to read: user text and control tokens look alike in it.

        effort: how much the model should think before it answers ("none", "low", "medium", "high"), where the
        template can say so; None leaves it to the template. Raises InvalidMessages, BrokenTemplate.
        """
        text, mark = self._render(messages, add_generation_prompt, effort)
        return text.replace(mark, "")

    def encode_chat(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = True,
        effort: str | None = None,
    ) -> list[int]:
        """The prompt as token ids; no message can produce a control token. effort: as in `render`.

        Raises InvalidMessages, BrokenTemplate.
        """
        text, mark = self._render(messages, add_generation_prompt, effort)
        ids = self._tokenizer.encode_hiding(text, mark)
        bos_id = self._tokenizer.bos_id
        if self._tokenizer.adds_bos and bos_id is not None and ids[:1] != [bos_id]:
            return [bos_id, *ids]
        return ids

    def _render(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool, effort: str | None
    ) -> tuple[str, str]:
        turns = check_messages(messages)
        mark = _free_mark(turns)
        for turn in turns:
            turn["content"] = self._marked(turn["content"], mark)
        try:
            try:
                text = self._fill(self._adapted(turns), add_generation_prompt, effort)
            except RefusedByTemplate:  # a system prompt in the middle, say: what every template takes
                text = self._fill(merge_turns(fold_system(turns)), add_generation_prompt, effort)
        except RefusedByTemplate as exc:
            raise InvalidMessages(
                str(exc).replace(mark, ""), "what the model's chat template accepts"
            ) from exc
        except _TEMPLATE_ERRORS as exc:
            raise BrokenTemplate(f"{exc} ({type(exc).__name__})".replace(mark, "")) from exc
        return text, mark

    def _adapted(self, turns: Turns) -> Turns:
        has_user = any(turn["role"] == "user" for turn in turns)
        folded = fold_system(turns) if self._folds or (self._merges and not has_user) else turns
        return merge_turns(folded) if self._merges else folded

    def _fill(self, turns: Turns, add_generation_prompt: bool, effort: str | None) -> str:
        """Render with the variables that `transformers` sets."""
        start_work(len(turns))
        tokens = self._tokenizer
        chosen = {} if effort is None else {name: value(effort) for name, value in self._thinking.items()}
        return self._template.render(
            messages=turns,
            add_generation_prompt=add_generation_prompt,
            tools=None,
            documents=None,
            bos_token=tokens.token_text(tokens.bos_id),
            eos_token=tokens.token_text(tokens.eos_id),
            **chosen,
        )

    def _try_one_question(self) -> None:
        """Raises BrokenTemplate when not even one message of a user can be rendered.

        One that it refuses in its own words is left to whoever asks: they are told those.
        """
        try:
            self._fill([{"role": "user", "content": "probe"}], True, None)
        except RefusedByTemplate:
            return
        except _TEMPLATE_ERRORS as exc:
            raise BrokenTemplate(f"{exc} ({type(exc).__name__})") from exc

    def _takes(self, first: str, second: str) -> bool:
        """Whether the template neither refuses nor leaves out a conversation of these two roles."""
        turns = [{"role": first, "content": "probe-one"}, {"role": second, "content": "probe-two"}]
        try:
            text = self._fill(turns, True, None)
        except RefusedByTemplate:
            return False
        except _TEMPLATE_ERRORS:  # broken in some way of its own, which rendering will say
            return True
        return "probe-one" in text or "probe-two" not in text

    def _marked(self, content: str, mark: str) -> str:
        """`content` with the mark after the first character of each control text in it."""
        for text in self._tokenizer.control_texts:
            if text in content:
                content = content.replace(text, text[0] + mark + text[1:])
        return content


def _free_mark(turns: Turns) -> str:
    """A short text that occurs in no message."""
    used = {char for turn in turns for char in turn["content"] if ord(char) in _MARKS}
    free = [chr(point) for point in _MARKS if chr(point) not in used]
    if free:
        return free[0]
    mark = chr(_MARKS[0])
    while any(mark in turn["content"] for turn in turns):
        mark += chr(_MARKS[0])
    return mark + chr(_MARKS[1])


__all__ = ["CHATML", "ChatTemplate", "check_messages"]

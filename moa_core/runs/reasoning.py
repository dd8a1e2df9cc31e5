"""Separates thinking from the answer while it streams, wherever the pieces are cut.

Models write both into one text between tags (`<think>...</think>`, and `TAGS`), or in gpt-oss' own format
("harmony"), which some servers pass on as it is: `<|channel|>analysis<|message|>...<|end|><|start|>assistant
<|channel|>final<|message|>...`, or without its marks: `analysis...assistantfinal...`. Which one it is, the
beginning of the text tells; elsewhere all marks but `<think>` are plain text.
"""

import re
from dataclasses import dataclass, field
from functools import cache

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"
# Other models' tags, each with its end. Where they are from: Gemma 4's template, SGLang's table of reasoning
# parsers (docs.sglang.io, Kimi), Mistral's (Magistral), ByteDance's (Seed-OSS) and LG's (EXAONE) model cards.
TAGS = {
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|channel>thought": "<channel|>",
}
CHANNEL, MESSAGE, START = "<|channel|>", "<|message|>", "<|start|>"
HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
HARMONY_MARKS = (CHANNEL, MESSAGE, START, *HARMONY_ENDS)
HARMONY_BEGINNINGS = (CHANNEL, START)
ANSWER_CHANNEL = "final"
BARE_THINKING, BARE_ANSWER = "analysis", "assistantfinal"  # harmony whose marks were lost on the way
BEGINNINGS = (*HARMONY_BEGINNINGS, *TAGS, BARE_THINKING)
_LONGEST = max(map(len, (CLOSE_TAG, BARE_ANSWER, *TAGS.values(), *HARMONY_MARKS)))


@dataclass(slots=True)
class ThinkSplitter:
    """Fed with pieces of a stream, it says what is answer and what is thinking; marks may be cut anywhere.

    `text` and `reasoning` hold what came so far. A closing tag without an opening one (chat templates that
    open it in the prompt) makes everything before it thinking: then `text` differs from what `feed` had
    called answer.
    """

    text: str = ""
    reasoning: str = ""
    is_thinking: bool = False
    _pending: str = field(default="", repr=False)
    _format: str = field(default="", repr=False)  # "tags" or "harmony", once the beginning has told
    _open: str = field(default=OPEN_TAG, repr=False)
    _close: str = field(default=CLOSE_TAG, repr=False)
    _header: str | None = field(default=None, repr=False)  # harmony: what stands between its marks

    def feed(self, piece: str) -> tuple[str, str]:
        """The new answer text and the new thinking in `piece`; a possible start of a mark is held back.

        Takes time in proportion to what came so far and the piece, however many marks are in it.
        """
        if not self._format:
            piece, self._pending = self._pending + piece, ""
            beginning = piece.lstrip()
            if any(mark != beginning and mark.startswith(beginning) for mark in BEGINNINGS):
                self._pending = piece  # nothing yet, or the first half of a mark
                return "", ""
            self._begin(beginning)
        parts = _Parts(self.text, self.reasoning)
        piece, self._pending = self._pending + piece, ""
        if self._format == "harmony":
            self._read_harmony(piece, parts)
        else:
            self._read_tags(piece, parts)
        return self._take(parts)

    def _begin(self, beginning: str) -> None:
        """Decide by its first characters how the text is written."""
        self._format = "harmony" if beginning.startswith(HARMONY_BEGINNINGS) else "tags"
        tag = next((tag for tag in TAGS if beginning.startswith(tag)), "")
        if tag:
            self._open, self._close = tag, TAGS[tag]
        elif beginning.startswith(BARE_THINKING):
            self._close = BARE_ANSWER

    def finish(self) -> tuple[str, str]:
        """What was held back, once the stream has ended."""
        rest, self._pending = self._pending, ""
        if self._format == "harmony" and self._header is not None:
            return "", ""  # a header without its message
        parts = _Parts(self.text, self.reasoning)
        parts.add(rest, self.is_thinking)
        return self._take(parts)

    def _read_tags(self, text: str, parts: "_Parts") -> None:
        position = 0
        while (found := _pattern(self._awaited()).search(text, position)) is not None:
            tag = found.group()
            parts.add(text[position : found.start()], self.is_thinking)
            position = found.end()
            if tag == self._close and not self.is_thinking:
                self._close_unopened(parts)
            self.is_thinking = tag == self._open
            if tag in TAGS.values():  # one section, at the beginning
                self._open, self._close = OPEN_TAG, CLOSE_TAG
            if self.is_thinking:
                parts.drop_blank_answer()
        parts.add(self._ready(text, position, self._awaited()), self.is_thinking)

    def _awaited(self) -> tuple[str, ...]:
        """The tags that mean something now."""
        is_closing = self.is_thinking or self._close == BARE_ANSWER
        return (self._close,) if is_closing else (self._open, self._close)

    def _close_unopened(self, parts: "_Parts") -> None:
        """An end without a beginning: everything before it was thinking."""
        if self._close == BARE_ANSWER:
            parts.text = ["".join(parts.text).removeprefix(BARE_THINKING)]
            self._close = CLOSE_TAG
        parts.turn_into_thinking()

    def _read_harmony(self, text: str, parts: "_Parts") -> None:
        """Marks change what the text after them is: a channel's name, or the message of that channel."""
        position = 0
        for found in _pattern(HARMONY_MARKS).finditer(text):
            self._add(text[position : found.start()], parts)
            position = found.end()
            if found.group() != MESSAGE:
                self._header = ""
                continue
            is_answer = (self._header or "").strip() in ("", ANSWER_CHANNEL)
            self.is_thinking, self._header = not is_answer, None
        self._add(self._ready(text, position, HARMONY_MARKS), parts)

    def _add(self, text: str, parts: "_Parts") -> None:
        """Text between two marks of harmony: a part of a header, or of a message."""
        if self._header is None:
            parts.add(text, self.is_thinking)
        else:
            self._header += text

    def _ready(self, text: str, start: int, marks: tuple[str, ...]) -> str:
        """What of the text from `start` on cannot be the start of a mark; the rest is held back."""
        stop = len(text) - _held_back(text[max(start, len(text) - _LONGEST) :], marks)
        self._pending = text[stop:]
        return text[start:stop]

    def _take(self, parts: "_Parts") -> tuple[str, str]:
        self.text, self.reasoning = "".join(parts.text), "".join(parts.reasoning)
        return "".join(parts.answer), "".join(parts.thinking)


class _Parts:
    """Answer and thinking in pieces that are joined once: all there is, and what is new."""

    def __init__(self, text: str, reasoning: str) -> None:
        self.text = [text] if text else []
        self.reasoning = [reasoning] if reasoning else []
        self.answer: list[str] = []
        self.thinking: list[str] = []
        self._is_blank = not text.strip()  # the answer

    def add(self, piece: str, is_thinking: bool) -> None:
        if not is_thinking and self.reasoning and not self.text:
            piece = piece.lstrip()  # the empty lines between thinking and answer
        if not piece:
            return
        (self.reasoning if is_thinking else self.text).append(piece)
        (self.thinking if is_thinking else self.answer).append(piece)
        self._is_blank = self._is_blank and (is_thinking or piece.isspace())

    def turn_into_thinking(self) -> None:
        """What was called answer turns out to be thinking."""
        self.reasoning += filter(None, self.text)
        self.text, self._is_blank = [], True

    def drop_blank_answer(self) -> None:
        """Empty lines before the thinking are no answer."""
        if self._is_blank:
            self.text = []


@cache
def _pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


def _held_back(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `text` could be the start of a mark."""
    longest = max(len(mark) for mark in marks) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0

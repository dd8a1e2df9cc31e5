"""Taking the code out of a reply: which part of it is the submission. The whole way is in this file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.replies.assembling import Others, assemble
from grader.replies.blocks import ReplyBlock, split_blocks
from grader.replies.packing import quoted_texts, unescaped, unpacked, unwrapped
from grader.replies.parsing import Parser
from grader.replies.snippets import Snippet, defines, read_snippet
from grader.replies.thinking import without_marks, without_thinking

MAX_REPLY_CHARS = 400_000
_NEAR = 40
"""Blocks on each side of the function's that are read for imports and helpers."""
_CODE_STARTS = ("def ", "async def ", "import ", "from ", "class ", "#", "@", '"""')


@dataclass(frozen=True)
class Extraction:
    """Code found in a reply. code: "" when there is none, then reason says why. dropped: what was left
    out."""

    code: str
    function_name: str
    dropped: tuple[str, ...] = ()
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether the reply held the function."""
        return bool(self.code)


@dataclass(frozen=True)
class _Found:
    code: str
    dropped: tuple[str, ...]
    is_complete: bool


def extract_code(reply: str, function_name: str) -> Extraction:
    """The code in `reply` that defines `function_name`, with the imports and helpers it needs.

    A reply that is Python as it stands is the submission, whole. So is source without fences that cannot be
    read: the grade names the line. Of several blocks that define it the last complete one that parses wins,
    else the longest definition that can be parsed. Sections of thinking are only looked at when nothing is
    found outside of them. Never raises on any text, and takes time in proportion to its length.
    """
    if len(reply) > MAX_REPLY_CHARS:
        reason = f"the reply has {len(reply):,} characters; at most {MAX_REPLY_CHARS:,} are read"
        return Extraction("", function_name, reason=reason)
    if not reply.strip():
        return Extraction("", function_name, reason="the reply is empty")
    text = _plain_characters(reply)
    parser = Parser()
    if defines(text, function_name, parser):
        return Extraction(text, function_name)
    best: _Found | None = None
    for view, note in _views(text, function_name):
        found = _search(view, function_name, parser)
        if found and (best is None or found.is_complete):
            best = _Found(found.code, (*note, *found.dropped), found.is_complete)
        if best and best.is_complete:
            break
    if best is None and _is_source(text, function_name):
        return Extraction(text, function_name)
    if best is None:
        return Extraction("", function_name, reason=_why_none(text, function_name, parser))
    return Extraction(best.code, function_name, tuple(dict.fromkeys(best.dropped)))


def _plain_characters(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return text.replace("\u00a0", " ").replace("\u200b", "").replace("\u2028", "\n")


def _views(text: str, function_name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Ways to look at the reply, the plainest first, each with what it leaves out.

    The answer as it stands; code that is a value of JSON; the answer without the marks of tools and markup;
    texts in quotation marks; escaped text; and last what was only thought.
    """
    outside, had_thinking = without_thinking(text)
    note = ("a section of thinking",) if had_thinking else ()
    data = unpacked(outside, function_name)
    if data:
        yield data, note
    yield outside, note
    bare = unwrapped(outside)
    if bare != outside:
        yield bare, (*note, "the marks of a tool or of markup around it")
    for value in quoted_texts(outside, function_name):
        yield _plain_characters(value), (*note, "the call or data around it")
    plain = unwrapped(unescaped(bare))
    if plain != bare:
        yield plain, (*note, "HTML escapes")
    if had_thinking:
        yield without_marks(text), ("text around the code in the section of thinking",)


def _search(text: str, function_name: str, parser: Parser) -> _Found | None:
    """The submission in one view of the reply."""
    if function_name not in text:
        return None
    reading = _Reading(list(split_blocks(text)), function_name, parser)
    chosen = reading.choose()
    if chosen is None:
        return None
    snippet = reading.snippet(chosen)
    code, dropped = assemble(snippet, function_name, *reading.around(chosen))
    return _Found(code, (*dropped, *reading.dropped_around(chosen)), snippet.is_complete)


class _Reading:
    """The blocks of one view, each taken apart when it is asked for."""

    def __init__(self, blocks: list[ReplyBlock], function_name: str, parser: Parser) -> None:
        self.blocks = blocks
        self.function_name = function_name
        self.parser = parser
        self._snippets: dict[int, Snippet] = {}
        self._name = re.compile(rf"\b{re.escape(function_name)}\b")
        self._definition = re.compile(rf"\bdef +{re.escape(function_name)}\b")

    def snippet(self, index: int) -> Snippet:
        if index not in self._snippets:
            block = self.blocks[index]
            self._snippets[index] = read_snippet(block.text, self.function_name, block.fenced, self.parser)
        return self._snippets[index]

    def choose(self) -> int | None:
        """Index of the last complete definition, else of the longest one."""
        having = []
        for index in reversed(range(len(self.blocks))):
            if self._name.search(self.blocks[index].text) and self.snippet(index).has_function:
                if self.snippet(index).is_complete:
                    return index
                having.append(index)
        return max(reversed(having), key=lambda index: len(self.snippet(index).text), default=None)

    def around(self, chosen: int) -> tuple[Others, Others]:
        """The blocks before and after one, as far as they are looked through for what it needs."""
        first, last = max(0, chosen - _NEAR), min(len(self.blocks), chosen + 1 + _NEAR)
        return (
            lambda: [self.snippet(index) for index in range(first, chosen)],
            lambda: [self.snippet(index) for index in range(chosen + 1, last)],
        )

    def dropped_around(self, chosen: int) -> Iterator[str]:
        blocks = self.blocks
        if any(block.text.strip() for block in blocks if not block.fenced) and blocks[chosen].fenced:
            yield "text around the code"
        others = [block for index, block in enumerate(blocks) if block.fenced and index != chosen]
        doubles = sum(bool(self._definition.search(block.text)) for block in others)
        if doubles:
            yield f"{doubles} other version{'s' if doubles > 1 else ''} of the function"
        if len(others) > doubles:
            yield f"{len(others) - doubles} other code block{'s' if len(others) - doubles > 1 else ''}"
        if blocks[chosen].fenced and not blocks[chosen].closed:
            yield "nothing after the code: its fence was never closed"


def _is_source(text: str, function_name: str) -> bool:
    """Whether a text without fences starts as code does and starts to define the function."""
    is_plain = "```" not in text and "~~~" not in text
    return is_plain and text.lstrip().startswith(_CODE_STARTS) and f"def {function_name}" in text


def _why_none(text: str, function_name: str, parser: Parser) -> str:
    if parser.has_refused:
        return f"the reply holds too much that looks like code to find `{function_name}` in it"
    if re.search(rf"\bdef[ \t]+{re.escape(function_name)}\b", text):
        return f"the reply starts to define `{function_name}`, but no part of it is valid Python"
    other = re.findall(r"^[ \t>]*def[ \t]+(\w+)", text, re.MULTILINE)
    if other:
        names = ", ".join(f"`{name}`" for name in other[:3])
        return f"the reply defines no function `{function_name}`; it defines {names}"
    if "```" in text or "def " in text:
        return f"the reply has code, but no function `{function_name}`"
    return f"the reply has no code, so no function `{function_name}`"

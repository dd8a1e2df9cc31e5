"""Taking the code out of a model's reply: which part of it is the submission."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.replies.source_text import Snippet, assemble, defines, read_snippet

MAX_REPLY_CHARS = 400_000

_THINK = re.compile(r"<(think|thinking|reasoning|thought)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OPEN_THINK = re.compile(r"<(think|thinking|reasoning|thought)>.*\Z", re.DOTALL | re.IGNORECASE)
_CLOSE_THINK = re.compile(r"\A.*</(think|thinking|reasoning|thought)>", re.DOTALL | re.IGNORECASE)
_CODE_STARTS = ("def ", "async def ", "import ", "from ", "class ", "#", "@", '"""')
_FENCE = re.compile(r"^([ \t>]*)(`{3,}|~{3,})[ \t]*([^\n`]*)$")


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
class _Block:
    text: str
    fenced: bool
    closed: bool = True


def extract_code(reply: str, function_name: str) -> Extraction:
    """The code in `reply` that defines `function_name`, with the imports and helpers it needs.

    A reply that is Python as it stands is the submission, whole. So is source without fences that cannot be
    read: the grade names the line. Of several blocks that define it the last complete one that parses wins,
    else the longest definition that can be parsed. Sections of thinking are only looked at when nothing is
    found outside of them. Never raises on any text.
    """
    if len(reply) > MAX_REPLY_CHARS:
        reason = f"the reply has {len(reply):,} characters; at most {MAX_REPLY_CHARS:,} are read"
        return Extraction("", function_name, reason=reason)
    if not reply.strip():
        return Extraction("", function_name, reason="the reply is empty")
    text = _unwrap_json(_plain_newlines(reply), function_name)
    if defines(text, function_name):
        return Extraction(text, function_name)
    outside, had_thinking = _without_thinking(text)
    notes = ["a section of thinking"] if had_thinking else []
    found = _search(outside, function_name)
    if found is None and had_thinking:
        found = _search(_THINK_TAGS.sub("\n", text), function_name)
        notes = ["text around the code in the section of thinking"]
    if found is None and _is_source(text, function_name):
        return Extraction(text, function_name)
    if found is None:
        return Extraction("", function_name, reason=_why_none(text, function_name))
    code, dropped = found
    return Extraction(code, function_name, tuple(dict.fromkeys([*notes, *dropped])))


def _is_source(text: str, function_name: str) -> bool:
    """Whether a text without fences starts as code does and starts to define the function."""
    is_plain = "```" not in text and "~~~" not in text
    return is_plain and text.lstrip().startswith(_CODE_STARTS) and f"def {function_name}" in text


_THINK_TAGS = re.compile(r"</?(think|thinking|reasoning|thought)>", re.IGNORECASE)


def _plain_newlines(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return text.replace("\u00a0", " ").replace("\u200b", "").replace("\u2028", "\n")


def _unwrap_json(text: str, function_name: str) -> str:
    """A reply that is one JSON object with the code as a value."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    values = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    return next((_plain_newlines(value) for value in values if f"def {function_name}" in value), text)


def _without_thinking(text: str) -> tuple[str, bool]:
    outside = _THINK.sub("\n", text)
    if _THINK_TAGS.search(outside):
        outside = _CLOSE_THINK.sub("\n", outside)
        outside = _OPEN_THINK.sub("\n", outside)
    return outside, outside != text


def _search(text: str, function_name: str) -> tuple[str, list[str]] | None:
    blocks = list(_blocks(text))
    snippets = [read_snippet(block.text, function_name, is_code=block.fenced) for block in blocks]
    chosen = _choose(snippets)
    if chosen is None:
        return None
    code, dropped = assemble(snippets, chosen, function_name)
    return code, [*dropped, *_dropped_around(blocks, snippets, chosen)]


def _choose(snippets: list[Snippet]) -> int | None:
    """Index of the last complete definition, else of the longest one."""
    having = [index for index, snippet in enumerate(snippets) if snippet.has_function]
    complete = [index for index in having if snippets[index].is_complete]
    if complete:
        return complete[-1]
    return max(having, key=lambda index: len(snippets[index].text), default=None)


def _dropped_around(blocks: list[_Block], snippets: list[Snippet], chosen: int) -> Iterator[str]:
    if any(block.text.strip() for block in blocks if not block.fenced) and blocks[chosen].fenced:
        yield "text around the code"
    others = [index for index, block in enumerate(blocks) if block.fenced and index != chosen]
    doubles = sum(snippets[index].has_function for index in others)
    if doubles:
        yield f"{doubles} other version{'s' if doubles > 1 else ''} of the function"
    if len(others) > doubles:
        yield f"{len(others) - doubles} other code block{'s' if len(others) - doubles > 1 else ''}"
    if blocks[chosen].fenced and not blocks[chosen].closed:
        yield "nothing after the code: its fence was never closed"


def _blocks(text: str) -> Iterator[_Block]:
    """Fenced blocks and the prose between them, in order; a fence that is never closed runs to the end."""
    prose: list[str] = []
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        fence = _FENCE.match(lines[position])
        if not fence:
            prose.append(lines[position])
            position += 1
            continue
        end = _closing(lines, position, fence.group(2))
        yield _Block("\n".join(prose), fenced=False)
        prose = []
        inside = lines[position + 1 : end]
        yield _Block("\n".join(_unquoted(inside, fence.group(1))), fenced=True, closed=end < len(lines))
        position = end + 1
    yield _Block("\n".join(prose), fenced=False)


def _closing(lines: list[str], start: int, mark: str) -> int:
    """Line of the closing fence; a fence with a language name opens a new block and so closes this one
    before it."""
    for index in range(start + 1, len(lines)):
        fence = _FENCE.match(lines[index])
        if fence and fence.group(2)[0] == mark[0] and len(fence.group(2)) >= len(mark):
            return index if not fence.group(3).strip() else index - 1
    return len(lines)


def _unquoted(lines: list[str], indent: str) -> list[str]:
    """Lines of a block inside a quotation or a list item, without the quotation marks."""
    if ">" in indent:
        return [re.sub(r"^[ \t]*>[ \t]?", "", line) for line in lines]
    return lines


def _why_none(text: str, function_name: str) -> str:
    match = re.search(rf"\bdef\s+{re.escape(function_name)}\b", text)
    if match:
        return f"the reply starts to define `{function_name}`, but no part of it is valid Python"
    other = re.findall(r"^\s*def\s+(\w+)", text, re.MULTILINE)
    if other:
        names = ", ".join(f"`{name}`" for name in other[:3])
        return f"the reply defines no function `{function_name}`; it defines {names}"
    if "```" in text or "def " in text:
        return f"the reply has code, but no function `{function_name}`"
    return f"the reply has no code, so no function `{function_name}`"

"""Fenced blocks of a reply and the prose between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_FENCED = 2_000
"""Fenced blocks that are told apart; what follows them is one block of prose. A reply has a handful."""


class ReplyBlock(NamedTuple):
    """A part of a reply. closed: whether a fenced block had its closing fence."""

    text: str
    fenced: bool
    closed: bool = True


class _Fence(NamedTuple):
    indent: str
    mark: str
    info: str


def split_blocks(text: str) -> Iterator[ReplyBlock]:
    """Fenced blocks and the prose between them, in order; a fence that is never closed runs to the end.

    At most MAX_FENCED fenced ones.
    """
    if "```" not in text and "~~~" not in text:
        yield ReplyBlock(text, fenced=False)
        return
    lines = text.split("\n")
    start = position = fenced = 0
    while position < len(lines) and fenced < MAX_FENCED:
        fence = _fence(lines[position])
        if fence is None:
            position += 1
            continue
        end = _closing(lines, position, fence)
        if start < position:
            yield ReplyBlock("\n".join(lines[start:position]), fenced=False)
        inside = lines[position + 1 : end]
        yield ReplyBlock("\n".join(_unquoted(inside, fence.indent)), fenced=True, closed=end < len(lines))
        start = position = end + 1
        fenced += 1
    yield ReplyBlock("\n".join(lines[start:]), fenced=False)


def _fence(line: str) -> _Fence | None:
    """The fence that a line is; taken apart by hand, a pattern would go back and forth over its blanks."""
    if "```" not in line and "~~~" not in line:
        return None
    bare = line.lstrip(" \t>")
    for mark in "`~":
        info = bare.lstrip(mark)
        if len(bare) - len(info) >= 3 and "`" not in info:
            return _Fence(line[: len(line) - len(bare)], bare[: len(bare) - len(info)], info.strip())
    return None


def _closing(lines: list[str], start: int, opening: _Fence) -> int:
    """Line of the closing fence; a fence with a language name opens a new block and so closes this one
    before it."""
    for index in range(start + 1, len(lines)):
        fence = _fence(lines[index])
        if fence and fence.mark[0] == opening.mark[0] and len(fence.mark) >= len(opening.mark):
            return index if not fence.info else index - 1
    return len(lines)


def _unquoted(lines: list[str], indent: str) -> list[str]:
    """Lines of a block inside a quotation or a list item, without the quotation marks."""
    if ">" in indent:
        return [re.sub(r"^[ \t]*>[ \t]?", "", line) for line in lines]
    return lines

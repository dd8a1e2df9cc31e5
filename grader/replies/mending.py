"""Undoing what happened to source text on its way into a reply."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator

_SMART = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "…": "..."}
)
_PROMPT = re.compile(r"^\s*(>>>|\.\.\.)( |$)")
_CELL = re.compile(r"^(?:In \[\d*\]: ?| +\.\.\.: ?)")
_NUMBERED = re.compile(r"^\s*\d+(?:\s?[|:])?( |$)")
_PATCH_MARKS = ("-", "@@", "***", "diff ", "index ", "+++")


def dedent(text: str) -> str:
    """Tabs as four blanks, the common indentation and outer empty lines taken off."""
    return textwrap.dedent(text.expandtabs(4)).strip("\n")


def undo_prompts(text: str) -> str:
    """Decorations of doctests, notebooks, patches, quotations or line numbers taken off, where they stand
    at every code line."""
    lines = _edited(text.split("\n"))
    if any(re.match(r"^\s*>>> *(def|import|from|class|@)", line) for line in lines):
        return "\n".join(_PROMPT.sub("", line, count=1) for line in lines if _PROMPT.match(line))
    if any(re.match(r"^In \[\d*\]: ", line) for line in lines):
        return "\n".join(_CELL.sub("", line, count=1) for line in lines if _CELL.match(line))
    if any(re.match(r"^\+\s*(async )?def |^@@ ", line) for line in lines):
        kept = (line for line in lines if not line.startswith(_PATCH_MARKS))
        return "\n".join(line[1:] if line[:1] in "+ " else line for line in kept)
    filled = [line for line in lines if line.strip()]
    if filled and all(_NUMBERED.match(line) for line in filled):
        return "\n".join(_NUMBERED.sub("", line, count=1) for line in lines)
    if filled and all(line.startswith(">") for line in filled):
        return "\n".join(line[2:] if line.startswith("> ") else line[1:] for line in lines)
    return "\n".join(lines)


def _edited(lines: list[str]) -> list[str]:
    """The new side of edit blocks (`<<<<<<<`, `=======`, `>>>>>>>`); other lines as they are."""
    kept: list[str] = []
    side = ""
    for line in lines:
        if line.startswith("<<<<<<<"):
            side = "old"
        elif line.startswith("=======") and side == "old":
            side = "new"
        elif line.startswith(">>>>>>>") and side == "new":
            side = ""
        elif side != "old":
            kept.append(line)
    return lines if side == "old" else kept


def straightened(text: str) -> str:
    """Without decorations, and with plain quotation marks and dashes."""
    return dedent(undo_prompts(text)).translate(_SMART)


def mended(text: str) -> Iterator[tuple[str, str]]:
    """The text as it is, then mended in more and more ways: each different text and what was mended."""
    yield text, ""
    dedented = dedent(text)
    if dedented != text:
        yield dedented, ""
    plain = dedent(undo_prompts(text))
    if plain != dedented:
        yield plain, "prompts or marks in front of the lines"
    straight = plain.translate(_SMART)
    if straight != plain:
        yield straight, "typographic quotes (replaced by plain ones)"
    if "&" in straight:
        yield html.unescape(straight), "HTML escapes"
    yield dedent(text.partition("\n")[2]), "a first line that is no code"

"""Parsing text that may be Python, within a budget: a reply of any content takes little time to read."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from grader import source

BUDGET = 12_000
"""Units of text that are parsed for one reply. A unit is a word, a mark or a line end.

`ast.parse` holds the interpreter, and so every visitor's page. It takes up to 15 us for a unit (dense calls,
on the machine of bench/grader.py), so a reply takes less than 0.2 s, whatever is in it; 12,000 units are
about 600 lines of code.
"""

MAX_CHARS = 200_000
"""A longer block is left alone; the sandbox takes no longer source either."""

_CALL = 8
"""Units that one call costs beside its text."""
_BLOCK = 3
"""Units that looking at one block costs, whatever is in it."""
_MARKS = "()[]{}:,.;=+-*/%<>!@&|^~\n'\"#"


class Parser:
    """Parses pieces of one reply until its budget is used up. Not thread-safe."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.left = budget
        self.has_refused = False
        self._known: dict[str, tuple[ast.Module | None, SyntaxError | None]] = {}

    @property
    def is_spent(self) -> bool:
        """Whether not even a short line could be parsed any more."""
        return self.left <= _CALL

    def begin_block(self, text: str) -> bool:
        """Whether a block of this size is still worth looking into, which itself costs a little."""
        self.left -= _BLOCK
        self.has_refused |= self.is_spent
        return not self.is_spent and self.can_take(text)

    def parse(self, text: str) -> ast.Module | None:
        """The tree, or None when the text is not valid Python or the budget does not suffice."""
        return self._read(text)[0]

    def can_take(self, text: str) -> bool:
        """Whether it is worth looking at the single statements of a text of this size."""
        is_small = len(text) <= MAX_CHARS and units(text) <= 2 * BUDGET
        self.has_refused |= not is_small
        return is_small

    def longest_start(self, lines: Sequence[str]) -> tuple[ast.Module, int] | None:
        """The most lines from the first one on that are valid Python, at least two and not all of them.

        Goes back to where each error lies instead of trying every length; a function that breaks off takes
        a handful of steps.
        """
        end = len(lines) - 1
        while end >= 2 and not self.is_spent:
            tree, error = self._read("\n".join(lines[:end]).rstrip())
            if tree is not None:
                return tree, end
            end = min(end - 1, _break(lines, end, error))
        return None

    def _read(self, text: str) -> tuple[ast.Module | None, SyntaxError | None]:
        if text not in self._known:
            cost = _CALL + units(text)
            if cost > self.left:
                self.has_refused = True
                return None, None
            self._known[text], cost = _parse(text, cost)
            self.left -= cost
        return self._known[text]


def _parse(text: str, cost: int) -> tuple[tuple[ast.Module | None, SyntaxError | None], int]:
    """What the text is, and what that took: an error ends the parsing early, and no tree is built."""
    try:
        return (source.parse(text), None), cost
    except SyntaxError as exc:
        lines = text.split("\n")
        read = "\n".join(lines[: exc.lineno or len(lines)])
        return (None, exc), _CALL + units(read) // 2
    except (ValueError, RecursionError, MemoryError):
        return (None, None), cost


def _break(lines: Sequence[str], end: int, error: SyntaxError | None) -> int:
    """How many lines lie before an error. A `try` without its `except` is only missed after its body."""
    if error is None:
        return end // 2
    place = min(end, error.lineno or end) - 1
    if "'except' or 'finally'" in (error.msg or ""):
        return next((i for i in range(place, 0, -1) if lines[i].strip().startswith("try:")), place)
    return place


def units(text: str) -> int:
    """How much there is to parse: words and marks, counted without looking at single characters."""
    return len(text.split()) + sum(map(text.count, _MARKS))

"""Limits for chat templates: a template is a program from a file, and may be one that never ends.

Jinja2's sandbox keeps a template away from Python, not from the machine: `'a' * 10**10` and two nested loops
are allowed. Here each loop step, call, filter and operation on texts costs work, by the size of what it
handles; a rendering that has spent its work, or that builds too long a text, ends with TooMuch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import Any

from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

WORK, WORK_PER_MESSAGE = 300_000, 2_000  # of one rendering; published templates take some 100 a message
CALL_UNITS = 20  # a call takes so many times longer than a step of a loop
TEXT_LIMIT = 1 << 24  # characters of any text that a template builds
NUMBER_LIMIT = 10_000  # widths, repetitions and other whole numbers that a method of a text is given
BITS_LIMIT = 4096  # of a whole number
CHARS_PER_UNIT = 1000
_WIDTH = re.compile(r"[%{][^%{}a-zA-Z]*?(\d{5,}|\*)")
_left: ContextVar[int] = ContextVar("work left of this rendering")


class TooMuch(RuntimeError):
    """A template that works, or writes, without end."""


def start_work(n_messages: int) -> None:
    """Begin a rendering in this thread."""
    _left.set(WORK + n_messages * WORK_PER_MESSAGE)


def spend(units: int = 1) -> None:
    """Take work off what is left. Raises TooMuch."""
    left = _left.get(WORK) - units
    if left < 0:
        raise TooMuch("it loops or calls without end")
    _left.set(left)


def bounded_concat(pieces: Iterable[str]) -> str:
    """The pieces as one text. Raises TooMuch."""
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        _check_length(size)
        kept.append(piece)
    return "".join(kept)


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox with these limits; call `start_work` before each rendering."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))
    concat = staticmethod(bounded_concat)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals.pop("lipsum", None)  # writes as much as it is told to
        for name, function in self.filters.items():
            self.filters[name] = _counted_filter(name, function)
        self.filters[_STEPS], self.filters[_JOINED] = _steps, bounded_concat

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Counting().visit(super()._parse(source, name, filename))
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator on values of which nobody knows how large they are."""
        spend(1 + (_size(left) + _size(right)) // CHARS_PER_UNIT)
        if operator == "+":
            _check_length(_size(left) + _size(right))
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**":
            if not isinstance(left, int) or not isinstance(right, int):
                raise TooMuch("it takes powers of numbers that are not whole")
            _check_bits(left.bit_length() * abs(right))
        elif isinstance(left, str):
            _check_format(left, (right,))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, *values: Any, **named: Any) -> Any:
        """A call: of a macro, a loop within itself, or a method of a text or a list."""
        spend(CALL_UNITS + sum(_size(value) for value in values) // CHARS_PER_UNIT)
        method = getattr(function, "__wrapped__", function)  # the sandbox puts its own around str.format
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            _check_method(method.__name__, owner, (*values, *named.values()))
        return super().call(context, function, *values, **named)


_SIZED_BY_THEIR_VALUES = ("replace", "center", "indent", "wordwrap", "batch", "slice")
_STEPS, _JOINED = "steps of a loop", "joined texts"  # no names that a template could write


class _Counting(NodeTransformer):
    """Lets every loop count its steps, and every `~` know how long its text gets."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        """for x in steps(values)."""
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, _STEPS, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        """joined([a | string, b | string])."""
        self.generic_visit(node)
        texts = [nodes.Filter(part, "string", [], [], None, None, lineno=node.lineno) for part in node.nodes]
        whole = nodes.List(texts, lineno=node.lineno)
        return nodes.Filter(whole, _JOINED, [], [], None, None, lineno=node.lineno)


class _Steps:
    """An iterable that counts; as long as the one that it counts, where that has a length."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        for value in self._values:
            spend()
            yield value

    def __len__(self) -> int:
        return len(self._values)


def _steps(values: Any) -> Any:
    return _Steps(values)


def _counted_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, at the price of what it is given."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def counted(*values: Any, **named: Any) -> Any:
        value, *others = values[first:] or (None,)
        others += named.values()
        spend(1 + (len(value) if isinstance(value, list) else _size(value) // CHARS_PER_UNIT))
        if name == "format" and isinstance(value, str):
            _check_format(value, others)
        elif name == "join":
            value = values[first] if isinstance(values[first], Sized) else list(values[first])
            texts = [str(item) for item in value]
            _check_length(sum(map(len, texts)) + len(texts) * max((_size(o) for o in others), default=0))
            values = (*values[:first], texts, *values[first + 1 :])
        elif name in _SIZED_BY_THEIR_VALUES:
            _check_method(name, value if isinstance(value, str) else "", others)
        return function(*values, **named)

    return counted


def _check_method(name: str, text: str, values: Iterable[Any]) -> None:
    """Whether a method of `text` may run, by the most that it could return."""
    values = list(values)
    numbers = [value for value in values if isinstance(value, int)]
    if any(abs(number) > NUMBER_LIMIT for number in numbers):
        raise TooMuch(f"it gives {name} a number beyond {NUMBER_LIMIT:,}")
    if name in ("format", "format_map"):
        _check_format(text, values)
    elif name == "replace":
        old, new = ([value for value in values if isinstance(value, str)] + ["", ""])[:2]
        n_times = text.count(old) if old else len(text) + 1
        _check_length(len(text) + n_times * len(new))
    elif name == "join":
        items = values[0] if values and isinstance(values[0], list | tuple) else ()
        _check_length(sum(map(_size, items)) + len(items) * len(text))
    elif name == "wordwrap":
        _check_length(len(text) * (1 + max((_size(value) for value in values), default=0)))
    elif name in ("expandtabs", "indent", "translate"):
        _check_length(len(text) + (text.count("\t") + text.count("\n") + 1) * max([8, *numbers]))


def _check_format(layout: str, values: Iterable[Any]) -> None:
    if _WIDTH.search(layout):
        raise TooMuch("it formats with a width beyond 9,999")
    longest = 0
    for value in values:
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        longest = max(longest, *(_size(part) for part in parts), 20)
    _check_length(len(layout) + (layout.count("%") + layout.count("{")) * longest)


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    elif isinstance(left, int):
        _check_length(max(0, left) * _size(right))
    elif isinstance(right, int):
        _check_length(max(0, right) * _size(left))


def _check_bits(n_bits: int) -> None:
    if n_bits > BITS_LIMIT:
        raise TooMuch("it computes numbers without end")


def _check_length(n_chars: int) -> None:
    if n_chars > TEXT_LIMIT:
        raise TooMuch(f"it builds a text of more than {TEXT_LIMIT:,} characters")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0

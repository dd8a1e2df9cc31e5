"""Values as short text for a student's screen, the same on every Python version."""

from __future__ import annotations

from typing import Any

LIMIT = 400
"""Characters an input, a result or an expectation may take in a message."""


def show(value: Any, limit: int = LIMIT) -> str:
    """The value as Python would write it, floats to 6 significant digits, the middle cut out when too
    long."""
    return shorten(_text(value, limit), limit)


def shorten(text: str, limit: int = LIMIT) -> str:
    """Cut the middle out of a text that is too long."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head - 5
    return f"{text[:head]} ... {text[-tail:]}"


def number(value: float) -> str:
    """A float to 6 significant digits; whole ones keep their `.0`."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    text = f"{value:.6g}"
    return text if any(mark in text for mark in ".en") else f"{text}.0"


def _text(value: Any, limit: int) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return "{" + _join((f"{_text(k, limit)}: {_text(v, limit)}" for k, v in value.items()), limit) + "}"
    if isinstance(value, list):
        return "[" + _join((_text(item, limit) for item in value), limit) + "]"
    if isinstance(value, str) and len(value) > limit:
        return repr(value[:limit])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


def _join(parts: Any, limit: int) -> str:
    kept: list[str] = []
    length = 0
    for part in parts:
        kept.append(part)
        length += len(part) + 2
        if length > 4 * limit:
            kept.append("...")
            break
    return ", ".join(kept)

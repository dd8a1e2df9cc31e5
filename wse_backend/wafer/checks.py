"""The two kinds of input that the wafer's functions check: whole numbers, and real ones."""

from __future__ import annotations

import math
import operator

from wse_backend.errors import InvalidParams

TOKENS_LIMIT = 100_000_000  # of a prompt, a context, a cache
STREAMS_LIMIT = 10**12  # of sequences at once
SEED_LIMIT = (1 << 63) - 1


def whole(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number of any kind as int. Raises InvalidParams (another type, NaN, out of range)."""
    try:
        found = None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        found = None
    if found is None or not least <= found <= most:
        raise InvalidParams(name, value, f"a whole number from {least:,} to {most:,}")
    return found


def real(name: str, value: object, least: float, most: float = math.inf, *, above: bool = False) -> float:
    """Return a finite number as float; above: `least` itself is refused too.

    Raises InvalidParams (another type, NaN, infinite, out of range).
    """
    try:
        found = math.nan if isinstance(value, bool | str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and least <= found <= most) or (above and found == least):
        allowed = f"{least:g} to {most:g}"
        if math.isinf(most):
            allowed = f"a number above {least:g}" if above else f"a number of at least {least:g}"
        raise InvalidParams(name, value, allowed)
    return found

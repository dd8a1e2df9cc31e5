"""An async run whose consumer hears from it often, so that the script thread is never stuck waiting.

Streamlit can only stop a script inside an `st` call. A prefill, a compilation or a slow server may take
seconds without an event; the `None` ticks let the page draw something (and thereby be stopped) meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from moa_core.runs.background import in_background

T = TypeVar("T")

TICK_S = 0.1
JOIN_S = 5.0


def ticking(
    make: Callable[[], AsyncGenerator[T, None]], tick_s: float = TICK_S
) -> AbstractContextManager[Iterator[T | None]]:
    """The items of `make()`, and a None whenever none came for `tick_s` seconds; see `in_background`."""
    return in_background(make, tick_s, JOIN_S)

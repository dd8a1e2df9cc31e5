"""Runs that belong to the server: each on a thread of its own, whoever looks at it.

A page starts a run and draws its turn while it likes; leaving the page, a reload or a second tab change
nothing. Only `Turn.stop` ends a run early.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Callable

from moa_core import Event
from moa_core.runs.background import in_background
from pages.state.advice import Shown
from pages.state.turn import Turn

STOP_POLL_S = 0.05
JOIN_S = 5.0

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The run was asked to end before its first event."""


def start(
    turn: Turn,
    make_events: Callable[[], AsyncGenerator[Event, None]],
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
    at_end: Callable[[], None] = lambda: None,
) -> threading.Thread:
    """Run `make_events()` into `turn`. before: what must be there first (raises when it is not, or Stopped);
    after: what follows an answer; at_end: called once the turn says how it ended, whatever happened.
    """

    def work() -> None:
        try:
            before()
            _play(turn, make_events)
            if turn.state == "done":
                after()
        except Stopped:
            pass
        except Exception as exc:  # the thread's outer edge: the turn says it on every page
            if not isinstance(exc, Shown):
                _log.exception("a run failed unexpectedly")
            turn.finish_early(exc)
        finally:
            turn.finish_early()
            turn.activity, turn.elapsed_s = "", turn.clock()
            try:
                at_end()
            finally:
                turn.ended.set()

    thread = threading.Thread(target=work, name="moa-run", daemon=True)
    thread.start()
    return thread


def _play(turn: Turn, make_events: Callable[[], AsyncGenerator[Event, None]]) -> None:
    """Apply every event; returns, with every call cancelled, soon after a stop is wanted."""
    with in_background(make_events, STOP_POLL_S, JOIN_S) as stream:
        for event in stream:
            if event is not None:
                turn.apply(event)
            if turn.stop_wanted.is_set():
                return

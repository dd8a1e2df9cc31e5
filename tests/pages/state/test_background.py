"""A run on a thread of its own: it says how it ended, whatever happened, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

from moa_core import Event
from moa_core.errors import NoProvider
from moa_core.runs import events
from moa_core.runs.trace import Trace
from pages.state.background import Stopped, start
from pages.state.turn import Turn


async def answered() -> AsyncGenerator[Event, None]:
    yield events.RunStarted("layered", 0)
    yield events.RunFinished("because", Trace((), 1.0))


def play(turn: Turn, make: object = answered, **steps: object) -> Turn:
    thread = start(turn, make, **steps)  # type: ignore[arg-type]
    thread.join(20)
    assert not thread.is_alive()
    return turn


def test_the_steps_come_in_order_and_ended_comes_last() -> None:
    said: list[str] = []
    turn = Turn("Why?")
    play(
        turn,
        before=lambda: said.append("before"),
        after=lambda: said.append(f"after {turn.answer}"),
        at_end=lambda: said.append(f"end, running: {turn.is_running}"),
    )
    assert said == ["before", "after because", "end, running: True"]
    assert (turn.state, turn.is_running) == ("done", False)


def test_a_stop_closes_the_stream_and_keeps_what_was_written() -> None:
    turn, closed = Turn("Why?"), threading.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            yield events.RunStarted("layered", 0)
            yield events.SummaryDelta("half")
            await asyncio.sleep(0.2)  # what was written has arrived
            turn.stop()
            await asyncio.Event().wait()
        finally:
            closed.set()

    play(turn, endless, after=lambda: closed.clear())
    assert (turn.state, turn.answer, closed.is_set()) == ("stopped", "half", True)


def test_what_fails_before_the_run_is_the_turns_error() -> None:
    def refuse() -> None:
        raise NoProvider("nobody serves it")

    turn = play(Turn("Why?"), before=refuse)
    assert (turn.state, str(turn.error)) == ("failed", "nobody serves it")


def test_a_stop_while_a_model_loads_is_no_failure() -> None:
    def stopped() -> None:
        raise Stopped

    assert play(Turn("Why?"), before=stopped).state == "stopped"


def test_a_failing_last_step_still_ends_the_run() -> None:
    def fail() -> None:
        raise LookupError("the grader's own fault")

    turn = play(Turn("Why?"), after=fail)
    assert not turn.is_running
    assert turn.answer == "because"

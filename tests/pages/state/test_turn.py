"""A turn's record, built from a run's events."""

from __future__ import annotations

from moa_core.errors import WrongKey
from moa_core.runs import events
from moa_core.runs.trace import CallRecord, Trace
from pages.state.turn import Turn, conversation


def call(layer: int, index: int, role: str = "agent") -> CallRecord:
    return CallRecord(layer, f"A{index}", index, role, "wafer", "tiny", 0.0, 1.0)


def started() -> Turn:
    turn = Turn("Why?")
    turn.apply(events.RunStarted("layered", 2))
    turn.apply(events.LayerStarted(1, ("A0", "A1")))
    turn.apply(events.AgentStarted(1, "A0", 0, "tiny", "wafer"))
    return turn


def test_deltas_of_agents_of_one_layer_do_not_mix() -> None:
    turn = started()
    for index, text in ((0, "red "), (1, "green "), (0, "apple")):
        turn.apply(events.AgentDelta(1, f"A{index}", index, text))
    assert [view.text for view in turn.layers[0].calls] == ["red apple", "green "]


def test_the_finished_text_replaces_the_deltas() -> None:
    turn = started()
    turn.apply(events.AgentDelta(1, "A0", 0, "first try"))
    turn.apply(events.AgentFinished(1, "A0", 0, "second try", call(1, 0)))
    assert (turn.layers[0].calls[0].text, turn.layers[0].calls[0].state) == ("second try", "done")


def test_a_failed_agent_keeps_its_partial_text_and_reason() -> None:
    turn = started()
    turn.apply(events.AgentFailed(1, "A1", 1, "no key", WrongKey("no key"), call(1, 1), "half"))
    view = turn.layers[0].calls[1]
    assert (view.state, view.text, view.note) == ("failed", "half", "no key")


def test_a_stopped_run_keeps_what_was_written_and_measured() -> None:
    turn = started()
    turn.apply(events.AgentFinished(1, "A0", 0, "whole", call(1, 0)))
    turn.apply(events.AgentDelta(1, "A1", 1, "ha"))
    turn.finish_early()
    assert turn.state == "stopped"
    assert [view.state for view in turn.layers[0].calls] == ["done", "stopped"]
    assert [record.agent for record in turn.records] == ["A0"]


def test_a_run_that_ended_cannot_be_ended_early() -> None:
    turn = started()
    turn.apply(events.RunFinished("because", Trace((), 1.0)))
    turn.finish_early(ValueError("late"))
    assert (turn.state, turn.answer, turn.error) == ("done", "because", None)


def test_progress_names_the_layer_and_then_the_summarizer() -> None:
    turn = started()
    assert turn.progress == "Agent layer 1 of 2: 2 agents at work"
    turn.apply(events.LayerStarted(2, ("A0",)))
    turn.apply(events.AgentFinished(2, "A0", 0, "x", call(2, 0)))
    assert turn.progress == "The summarizer is reading"
    turn.apply(events.SummaryDelta("So"))
    assert turn.progress == "The summarizer is writing"


def test_only_answered_turns_are_part_of_the_conversation() -> None:
    done, stopped = Turn("One?", answer="1", state="done"), Turn("Two?", answer="2, bu", state="stopped")
    messages = conversation([done, stopped], "Three?")
    assert [message["content"] for message in messages] == ["One?", "1", "Three?"]

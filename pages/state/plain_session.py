"""A session as JSON text and back. What cannot be read back (a provider's own objects) is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from moa_core.runs.trace import CallRecord, Trace
from pages.state.advice import ToldBefore, advice, words
from pages.state.attempts import Attempt
from pages.state.session import Session
from pages.state.turn import CallView, LayerView, Turn

VERSION = 1
MAX_BYTES = 5_000_000  # of one session's text; beyond it the oldest turns lose their agents' texts
RESTARTED = "The server was restarted while this ran."


def to_json(session: Session) -> str:
    """The session as text of at most about MAX_BYTES: the newest in full, older ones without their texts."""
    turns = [plain_turn(turn) for turn in session.turns]
    attempts = [plain_attempt(attempt) for attempt in session.attempts]
    every = [*turns, *(attempt["turn"] for attempt in attempts)]
    sizes = [len(json.dumps(turn)) for turn in every]
    excess = sum(sizes) - MAX_BYTES
    for turn, size in zip(every, sizes, strict=True):
        if excess <= 0:
            break
        without_texts(turn)
        excess -= size - len(json.dumps(turn))
    own = [*session.turns, *(attempt.turn for attempt in session.attempts)]
    place = next((n for n, turn in enumerate(own) if turn is session.last_run), None)
    if place is not None and session.last_run is not None:
        add_timings(every[place], session.last_run)
    data = {
        "version": VERSION,
        "draft": session.draft.to_plain(),
        "turns": turns,
        "attempts": attempts,
        "last_run": place,
        "seats": session.seats,
        "kept": session.kept,
    }
    return json.dumps(data, ensure_ascii=False)


def from_json(text: str) -> Session:
    """The session that `to_json` wrote. Raises ValueError when it is none, or of another version."""
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']!r} instead of {VERSION}")
        session = Session()
        session.draft.restore(data["draft"])
        session.turns = [read_turn(item) for item in data["turns"]]
        session.attempts = [read_attempt(item) for item in data["attempts"]]
        own = [*session.turns, *(attempt.turn for attempt in session.attempts)]
        session.last_run = None if data["last_run"] is None else own[data["last_run"]]
        session.seats = {str(uid): int(number) for uid, number in data["seats"].items()}
        session.kept = dict(data["kept"])
    except Exception as exc:  # whatever is wrong with a file: it is no session, and that is all to say
        raise ValueError(f"this is no session: {type(exc).__name__}: {exc}") from exc
    return session


def plain_turn(turn: Turn) -> dict[str, Any]:
    """A turn as JSON data; one that still runs is written as it stands."""
    trace = None
    if turn.records:
        full = turn.trace or Trace(turn.records, turn.total_s, turn.notes)
        trace = full.to_dict()
    return {
        "question": turn.question,
        "title": turn.title,
        "state": turn.state,
        "layers": [asdict(layer) for layer in turn.layers],
        "summarizer": None if turn.summarizer is None else asdict(turn.summarizer),
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "notes": list(turn.notes),
        "n_layers": turn.n_layers,
        "elapsed_s": turn.elapsed_s,
        "error": None if turn.error is None else [words(turn.error), *advice(turn.error)],
        "trace": trace,
        "single": None if turn.single is None else plain_turn(turn.single),
    }


def read_turn(data: Mapping[str, Any]) -> Turn:
    """The turn that `plain_turn` wrote; it has ended."""
    turn = Turn(
        question=str(data["question"]),
        title=str(data["title"]),
        layers=[
            LayerView(item["number"], item["title"], [CallView(**call) for call in item["calls"]])
            for item in data["layers"]
        ],
        answer=str(data["answer"]),
        reasoning=str(data["reasoning"]),
        summarizer=None if data["summarizer"] is None else CallView(**data["summarizer"]),
        state=data["state"],
        notes=tuple(data["notes"]),
        n_layers=int(data["n_layers"]),
        elapsed_s=float(data["elapsed_s"]),
        error=None if data["error"] is None else read_error(*data["error"]),
        single=None if data["single"] is None else read_turn(data["single"]),
    )
    if data["trace"] is not None:
        records = tuple(read_record(call) for call in data["trace"]["calls"])
        if turn.state == "running":
            turn.finished_calls = list(records)
        else:
            kept = data["trace"]
            turn.trace = Trace(records, kept["total_s"], tuple(kept["notes"]), kept["seed"])
    if turn.state == "running":
        turn.finish_early()
        turn.notes = (*turn.notes, RESTARTED)
    turn.ended.set()
    return turn


def read_error(said: str, title: str, step: str) -> ToldBefore:
    """What was said about an error of an earlier run."""
    return ToldBefore(said, title, step)


def plain_attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt as JSON data."""
    values = {item.name: getattr(attempt, item.name) for item in fields(Attempt) if item.name != "turn"}
    return values | {"turn": plain_turn(attempt.turn)}


def read_attempt(data: Mapping[str, Any]) -> Attempt:
    """The attempt that `plain_attempt` wrote."""
    values = dict(data) | {
        "turn": read_turn(data["turn"]),
        "messages": tuple(data["messages"]),
    }
    return Attempt(**values)


def read_record(data: Mapping[str, Any]) -> CallRecord:
    """One call of a trace, with its times per transformer layer when they were kept."""
    values = dict(data) | {"notes": tuple(data["notes"]), "messages": tuple(data["messages"])}
    timing = values.pop("timing", None)
    record = CallRecord(**values)
    return record if timing is None else replace(record, timing=read_timing(timing))


def without_texts(turn: dict[str, Any]) -> None:
    """Take the agents' texts and messages out of a turn's data, in place; question and answer stay."""
    for layer in turn["layers"]:
        for call in layer["calls"]:
            call["text"], call["reasoning"] = "", ""
            call["note"] = call["note"] or "The text was left out to save space."
    for call in (turn["trace"] or {}).get("calls", ()):
        call.update(text="", reasoning="", messages=[], raw={})


def add_timings(plain: dict[str, Any], turn: Turn) -> None:
    """Keep the times per transformer layer of a run in its data: they are large, so only of the last run."""
    for call, record in zip((plain["trace"] or {}).get("calls", ()), _as_written(turn), strict=False):
        if getattr(record.timing, "decode", None) is not None:
            call["timing"] = plain_timing(record.timing)


def _as_written(turn: Turn) -> Sequence[CallRecord]:
    return turn.trace.calls if turn.trace else turn.records


def plain_timing(timing: Any) -> dict[str, Any]:
    """An engine's `Timing` as JSON data; milliseconds to four digits."""
    phases = {}
    for name in ("prefill", "decode"):
        phase = getattr(timing, name)
        layers = np.round(phase.layers_ms, 4).tolist()
        phases[name] = {key: value for key, value in vars(phase).items() if key != "layers_ms"} | {
            "layers_ms": layers
        }
    return {key: getattr(timing, key) for key in ("queue_s", "first_token_s", "total_s")} | phases


def read_timing(data: Mapping[str, Any]) -> Any:
    """The `Timing` that `plain_timing` wrote."""
    from wse_backend import PhaseMeasure, Timing  # loads a compiler: only for whoever has measured times

    phases = {
        name: PhaseMeasure(**data[name] | {"layers_ms": np.array(data[name]["layers_ms"], dtype=np.float64)})
        for name in ("prefill", "decode")
    }
    return Timing(data["queue_s"], data["first_token_s"], data["total_s"], **phases)

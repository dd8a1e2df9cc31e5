"""When each call of a run waited and wrote: one lane per agent; plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from pages.state.turn import CallView, Turn

FAILED = ("failed", "stopped")


@dataclass(frozen=True)
class Stretch:
    """One call in its agent's lane. Seconds since the run began; end_s is now for a call that goes on."""

    lane: str
    layer: str
    start_s: float
    first_s: float
    end_s: float
    tokens: int | None
    is_failed: bool

    @property
    def waited_s(self) -> float:
        """Until the first token."""
        return self.first_s - self.start_s

    @property
    def wrote_s(self) -> float:
        """From the first token to the last."""
        return self.end_s - self.first_s


def lanes_of(turn: Turn) -> list[Stretch]:
    """Every call that has begun, in the order of the layers; a finished run's from its trace."""
    records = {(record.layer, record.index): record for record in turn.records}
    now_s = turn.clock()
    stretches = []
    for call in turn.calls:
        record = records.get((call.layer, call.index))
        if record is not None:
            start_s, first_s, end_s = record.start_s, record.first_token_s, record.end_s
        elif call.start_s is not None:
            start_s, first_s, end_s = call.start_s, call.first_s, _end(call, now_s)
        else:
            continue
        tokens = record.completion_tokens if record is not None else None
        first_s = end_s if first_s is None else first_s
        stretches.append(
            Stretch(call.agent, _layer(call), start_s, first_s, end_s, tokens, call.state in FAILED)
        )
    return stretches


def lane_names(stretches: list[Stretch]) -> list[str]:
    """The agents in order of their first call; an agent that is in several layers has one lane."""
    return list(dict.fromkeys(stretch.lane for stretch in stretches))


def _end(call: CallView, now_s: float) -> float:
    return now_s if call.end_s is None else call.end_s


def _layer(call: CallView) -> str:
    return "Summarizer" if call.role == "summarizer" else f"Agent layer {call.layer}"

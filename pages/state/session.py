"""What one browser keeps: its agents, its conversation, its attempts, its seats in rounds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moa_core import MoAConfig
from pages.state.attempts import Attempt
from pages.state.draft import Draft
from pages.state.turn import Turn


def _nothing() -> None:
    """Nobody keeps it."""


@dataclass
class Session:
    """Everything of one browser that outlives a rerun, a page change, a reload and a second tab.

    seats: round uid -> participant id. kept: more JSON data, by the name of who keeps it (the Lab's
    experiments ...). `save` writes it down; runs call it when they end.
    """

    draft: Draft = field(default_factory=lambda: Draft(MoAConfig.default()))
    turns: list[Turn] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    last_run: Turn | None = None
    seats: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    save: Callable[[], None] = _nothing

    @property
    def running(self) -> Turn | None:
        """The run that is going on, if one is."""
        return self.last_run if self.last_run is not None and self.last_run.is_running else None

    def mark(self) -> str:
        """Changes when something was done that is worth writing down (`kept` aside: who changes it saves)."""
        runs = [(turn.question, turn.state) for turn in self.turns]
        graded = [(attempt.key, attempt.turn.state, attempt.report is None) for attempt in self.attempts]
        return hashlib.sha256(repr((self.draft.to_plain(), runs, graded, self.seats)).encode()).hexdigest()

    def forget(self) -> None:
        """Be as new; a run that is going on is stopped."""
        if self.running is not None:
            self.running.stop()
        self.draft.load(MoAConfig.default())
        self.turns.clear()
        self.attempts.clear()
        self.last_run = None
        self.seats.clear()
        self.kept.clear()

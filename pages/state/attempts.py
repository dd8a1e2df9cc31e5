"""An attempt at a challenge from its configuration to its report, as plain data; knows nothing of Streamlit.

The steps are those of a trial in the Lab (moa_core/experiments/trial.py) and of a final; here the run in
between is one that people watch.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grader import extract_code, read_and_grade
from grader.competition import Generation
from grader.errors import GraderError
from grader.grading.challenge import Challenge
from moa_core import MoAConfig, Trace
from moa_core.runs.finished import FinishedRun, with_seed
from pages.state.turn import Turn


@dataclass
class Attempt:
    """One generation of a challenge: the run that wrote the code, the code, and the report on it."""

    number: int
    challenge: str
    turn: Turn
    code: str = ""
    reason: str = ""  # why there is no code, or no report
    report: dict[str, Any] | None = None
    config: str = ""  # with messages and seed: all it takes to make the generation again
    messages: tuple[dict[str, str], ...] = ()
    seed: int | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def seeded(self, config: MoAConfig, messages: Sequence[dict[str, str]]) -> MoAConfig:
        """`config` with the seed of this attempt, which remembers what its run is made from."""
        made_with = with_seed(config)
        self.config, self.seed = config.to_json(), made_with.seed
        self.messages = tuple(dict(message) for message in messages)
        return made_with

    def grade(self, challenge: Challenge) -> None:
        """Take the code out of the answer and grade it; a failing grader is a `reason`, not an exception."""
        self.turn.activity = "Grading"
        try:
            graded = read_and_grade(self.turn.answer, challenge)
        except GraderError as exc:
            self.code = extract_code(self.turn.answer, challenge.function_name).code
            self.reason = f"The grader itself failed: {exc}"
            return
        self.code, self.reason = graded.extraction.code, graded.extraction.reason
        if graded.extraction.found:
            self.report = graded.report.to_dict()

    def generation(self) -> Generation:
        """The graded attempt as the competition stores it."""
        turn = self.turn
        config = replace(MoAConfig.from_json(self.config), seed=self.seed)
        trace = Trace(turn.records, turn.total_s, turn.notes)
        made = FinishedRun(config, self.messages, turn.answer, trace, turn.total_s)
        known = made.provenance() | {"config": self.config}  # as the editor had it
        return Generation(attempt_key=self.key, code=self.code, **known)

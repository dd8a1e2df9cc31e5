"""How much a competition takes, in one place."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG_BYTES = 200_000
MESSAGES_BYTES = 400_000
REPLY_BYTES = 1_000_000
CODE_BYTES = 400_000
REASON_CHARS = 300
TITLE_CHARS = 80
ANNOUNCEMENT_CHARS = 300
MAX_TEAM_SIZE = 5
MAX_PRIZES = 10
KEY_CHARS = 64
PICKS = 2
"""Submissions that a participant may pick for the final."""
FINAL_RUNS, MAX_FINAL_RUNS = 5, 20
"""Seeds of a final: usually, and at most."""


@dataclass(frozen=True)
class Limits:
    """Rates and sizes that no round can exceed, whatever its own rules are.

    Rates hold for any window of 60 s, over all processes that share a database.
    """

    submissions_per_participant_per_minute: int = 6
    submissions_per_round_per_minute: int = 600
    joins_per_round_per_minute: int = 240
    participants_per_round: int = 1_000

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1:
            raise ValueError(f"every limit must be at least 1: {self}")

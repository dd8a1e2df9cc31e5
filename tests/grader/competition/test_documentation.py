"""The limits in docs/competition.md are those of the code, and the package exports what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

import grader.competition
from grader.competition import Limits
from grader.competition.limits import CODE_BYTES, CONFIG_BYTES, MESSAGES_BYTES, REPLY_BYTES
from grader.competition.nicknames import NICKNAME_CHARS
from grader.competition.password import FIRST_WAIT_S, FREE_TRIES, FREE_TRIES_PER_ADDRESS, LONGEST_WAIT_S

TEXT = (Path(__file__).parents[3] / "docs" / "competition.md").read_text("utf-8")
LIMITS = Limits()


@pytest.mark.parametrize(
    "claim",
    [
        f"| configuration | {CONFIG_BYTES:,} bytes of JSON |",
        f"| prompt, reply, code | {MESSAGES_BYTES:,}, {REPLY_BYTES:,}, {CODE_BYTES:,} bytes |",
        f"| nickname | 1 to {NICKNAME_CHARS} visible characters",
        f"| submissions | {LIMITS.submissions_per_participant_per_minute} a minute per participant, "
        f"{LIMITS.submissions_per_round_per_minute} a minute per round",
        f"| joining | {LIMITS.joins_per_round_per_minute} a minute and "
        f"{LIMITS.participants_per_round:,} people per round |",
        f"the same after {FREE_TRIES_PER_ADDRESS}:",
        f"after {FREE_TRIES}, wait {FIRST_WAIT_S:.0f} s, then twice as long each time, at most "
        f"{LONGEST_WAIT_S / 60:.0f} min",
    ],
    ids=["configuration", "texts", "nickname", "submissions", "joining", "address", "tries"],
)
def test_a_documented_limit_is_the_real_one(claim: str) -> None:
    assert claim in TEXT


def test_every_exported_name_exists() -> None:
    assert len(grader.competition.__all__) > 30
    assert [name for name in grader.competition.__all__ if not hasattr(grader.competition, name)] == []

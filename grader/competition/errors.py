"""What can go wrong in a competition.

CompetitionError            its text may be shown to a participant
├── Refused                 the rules say no; nothing was stored
│   ├── BadNickname         empty, too long, invisible, or not text (also a ValueError)
│   ├── NicknameTaken       somebody in the round has it, or one that looks like it
│   ├── WrongCode           nickname and code do not belong together
│   ├── NotOpen             the round has not begun, or is over
│   ├── RoundFull           no more participants, or too many joined within a minute
│   ├── TooMany             the submission limit is used up
│   ├── TooSoon             cooldown or rate limit; says how long to wait
│   ├── OverBudget          the attempt used more than the round allows
│   ├── TooLarge            a part of the submission is over its limit (also a ValueError)
│   ├── NotASubmission      a part is missing or malformed (also a ValueError)
│   └── Disqualified        the participant may not submit any more
├── NotFound                no such round, participant or submission (any more)
├── BadBackup               a file that is no backup of a round (also a ValueError)
├── AlreadyThere            the round of a backup exists in this database
└── StoreError              the database; what was being stored can be sent again
    ├── StoreUnavailable    cannot be reached or used at the moment
    └── StoreFull           its disk is full
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.errors import GraderError


class CompetitionError(GraderError):
    """Base of everything this package raises."""


class Refused(CompetitionError):
    """The rules say no; nothing was stored."""


class BadNickname(Refused, ValueError):
    """A nickname that cannot be shown safely or fairly."""


class NicknameTaken(Refused):
    """The nickname, or one that looks the same, is in use in this round."""

    def __init__(self, nickname: str, holder: str) -> None:
        self.nickname, self.holder = nickname, holder
        same = "is taken" if nickname == holder else f"looks too much like {holder}, which is taken"
        super().__init__(f"the nickname {nickname} {same}; add something that tells you apart")


class WrongCode(Refused):
    """Nickname and code do not belong together; which of them is wrong is not said."""

    def __init__(self) -> None:
        super().__init__("this nickname and code do not belong together in this round")


class NotOpen(Refused):
    """The round has not begun, or is over."""


class RoundFull(Refused):
    """The round takes no more participants, or not so many within a minute."""


class TooMany(Refused):
    """The participant has used up the round's submissions."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            "the one submission of this round is used up"
            if limit == 1
            else f"all {limit} submissions of this round are used up"
        )


class TooSoon(Refused):
    """wait_s: seconds after which the same submission may be sent again."""

    def __init__(self, wait_s: float, reason: str) -> None:
        self.wait_s = max(1, round(wait_s + 0.5))
        super().__init__(f"{reason}; send it again in {self.wait_s} s")


class OverBudget(Refused):
    """The attempt used more than the round allows. problems: each in words."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"this attempt is over the round's budget: {'; '.join(problems)}")


class TooLarge(Refused, ValueError):
    """A part of a submission is larger than allowed."""

    def __init__(self, part: str, size_bytes: int, limit_bytes: int) -> None:
        self.part, self.size_bytes, self.limit_bytes = part, size_bytes, limit_bytes
        super().__init__(f"the {part} has {size_bytes:,} bytes; at most {limit_bytes:,} are stored")


class NotASubmission(Refused, ValueError):
    """A part of a submission is missing or malformed."""


class Disqualified(Refused):
    """reason: what the host wrote."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the host has disqualified you: {reason}")


class NotFound(CompetitionError):
    """No such row; it may have been deleted meanwhile."""

    def __init__(self, what: str, key: object) -> None:
        self.what, self.key = what, key
        super().__init__(f"there is no {what} {key} (any more)")


class BadBackup(CompetitionError, ValueError):
    """A file that is no backup of a round, or was damaged."""


class AlreadyThere(CompetitionError):
    """The round of a backup exists in this database."""

    def __init__(self, title: str) -> None:
        self.title = title
        super().__init__(f"the round {title} is already in this database; delete it first to restore it")


class StoreError(CompetitionError):
    """The database failed; nothing was acknowledged, so the same thing can be sent again."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or used at the moment."""


class StoreFull(StoreError):
    """The database's disk is full."""

"""The classroom competition: rounds, participants, submissions, grades, boards."""

from grader.competition.archive import backup, restore, to_csv, to_json
from grader.competition.boards import KINDS, BoardRow, Boards, Kind
from grader.competition.database import Database
from grader.competition.errors import (
    AlreadyThere,
    BadBackup,
    BadNickname,
    CompetitionError,
    Disqualified,
    NicknameTaken,
    NotASubmission,
    NotFound,
    NotOpen,
    Refused,
    RoundFull,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TooLarge,
    TooMany,
    TooSoon,
    WrongCode,
)
from grader.competition.grading_queue import GradingQueue, grade_text
from grader.competition.limits import Limits
from grader.competition.nicknames import clean_nickname, skeleton
from grader.competition.password import AttemptLimiter, Source, browser_token, is_same_password, sources
from grader.competition.records import (
    VISIBILITIES,
    Generation,
    GradingJob,
    Participant,
    Provenance,
    Round,
    Submission,
    Visibility,
    now_ms,
)
from grader.competition.rounds import why_unplayable
from grader.competition.store import Store

__all__ = [
    "KINDS",
    "VISIBILITIES",
    "AlreadyThere",
    "AttemptLimiter",
    "BadBackup",
    "BadNickname",
    "BoardRow",
    "Boards",
    "CompetitionError",
    "Database",
    "Disqualified",
    "Generation",
    "GradingJob",
    "GradingQueue",
    "Kind",
    "Limits",
    "NicknameTaken",
    "NotASubmission",
    "NotFound",
    "NotOpen",
    "Participant",
    "Provenance",
    "Refused",
    "Round",
    "RoundFull",
    "Source",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "Submission",
    "TooLarge",
    "TooMany",
    "TooSoon",
    "Visibility",
    "WrongCode",
    "backup",
    "browser_token",
    "clean_nickname",
    "grade_text",
    "is_same_password",
    "now_ms",
    "restore",
    "skeleton",
    "sources",
    "to_csv",
    "to_json",
    "why_unplayable",
]

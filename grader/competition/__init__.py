"""The classroom competition: rounds, participants, submissions, grades, boards."""

from grader.competition.accounts import Account
from grader.competition.archive import backup, restore, to_csv, to_json
from grader.competition.boards import KINDS, BoardRow, Boards, Kind
from grader.competition.budgets import RoundBudget, Use
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
    OverBudget,
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
from grader.competition.final_board import FinalBoards, Standing, mean_interval
from grader.competition.final_export import final_to_json
from grader.competition.final_runner import FinalRunner, RunSetup
from grader.competition.finals import Estimate, Finals, Progress
from grader.competition.grading_queue import GradingQueue, grade_text
from grader.competition.limits import Limits
from grader.competition.nicknames import clean_nickname, skeleton
from grader.competition.password import (
    AttemptLimiter,
    Source,
    browser_token,
    host_key_problem,
    is_host_key,
    is_same_password,
    sources,
)
from grader.competition.records import (
    VISIBILITIES,
    Final,
    FinalJob,
    FinalState,
    Generation,
    GradingJob,
    Participant,
    Provenance,
    Round,
    SetupRun,
    Submission,
    Visibility,
    now_ms,
)
from grader.competition.rounds import why_unplayable
from grader.competition.seats import Seat
from grader.competition.store import Store

__all__ = [
    "KINDS",
    "VISIBILITIES",
    "Account",
    "AlreadyThere",
    "AttemptLimiter",
    "BadBackup",
    "BadNickname",
    "BoardRow",
    "Boards",
    "CompetitionError",
    "Database",
    "Disqualified",
    "Estimate",
    "Final",
    "FinalBoards",
    "FinalJob",
    "FinalRunner",
    "FinalState",
    "Finals",
    "Generation",
    "GradingJob",
    "GradingQueue",
    "Kind",
    "Limits",
    "NicknameTaken",
    "NotASubmission",
    "NotFound",
    "NotOpen",
    "OverBudget",
    "Participant",
    "Progress",
    "Provenance",
    "Refused",
    "Round",
    "RoundBudget",
    "RoundFull",
    "RunSetup",
    "Seat",
    "SetupRun",
    "Source",
    "Standing",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "Submission",
    "TooLarge",
    "TooMany",
    "TooSoon",
    "Use",
    "Visibility",
    "WrongCode",
    "backup",
    "browser_token",
    "clean_nickname",
    "final_to_json",
    "grade_text",
    "host_key_problem",
    "is_host_key",
    "is_same_password",
    "mean_interval",
    "now_ms",
    "restore",
    "skeleton",
    "sources",
    "to_csv",
    "to_json",
    "why_unplayable",
]

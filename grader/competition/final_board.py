"""The standings of a final: the mean over the seeds with its interval, ties by fewer tokens."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from grader.competition.database import Database
from grader.competition.models import FinalEntryRow, FinalRunRow, ParticipantRow

# Student's t, 97.5 %, for 1, 2, 3 ... degrees of freedom: NIST/SEMATECH e-Handbook of Statistical Methods,
# 1.3.6.7.2. A final has at most 20 seeds.
_T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)


@dataclass(frozen=True)
class Standing:
    """One line of a final's board: a participant with the better of their setups.

    place: the same for two who tie in mean and tokens. mean, low, high: points, and the 95 % interval of the
    mean (None for fewer than two runs). tokens: written on average. scores: of the runs so far, seed by seed.
    """

    place: int
    participant_id: int
    number: int
    nickname: str
    submission_id: int
    mean: float
    low: float | None
    high: float | None
    tokens: float
    scores: tuple[float, ...]
    n_failed: int


def mean_interval(scores: Sequence[float], max_score: float) -> tuple[float, float] | None:
    """The 95 % interval of the mean by Student's t, within 0 and the maximum; None for fewer than two.

    Textbook: mean +- t(n - 1) * s / sqrt(n).
    """
    n = len(scores)
    if n < 2:
        return None
    half = _T_975[min(n - 1, len(_T_975)) - 1] * statistics.stdev(scores) / math.sqrt(n)
    mean = statistics.fmean(scores)
    return max(0.0, mean - half), min(max_score, mean + half)


class FinalBoards:
    """The standings of all finals. Thread-safe. Raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self, final_id: int) -> list[Standing]:
        """Best mean first; of equal means, fewer tokens. Each participant stands there once.

        Before all runs are done it is what is known so far. The disqualified are left out.
        """
        columns: tuple[Any, ...] = (
            FinalEntryRow.id,
            FinalEntryRow.participant_id,
            FinalEntryRow.submission_id,
            ParticipantRow.number.label("player"),
            ParticipantRow.nickname,
            FinalRunRow.score,
            FinalRunRow.max_score,
            FinalRunRow.tokens,
            FinalRunRow.problem,
        )
        query = (
            sa.select(*columns)
            .join(ParticipantRow, ParticipantRow.id == FinalEntryRow.participant_id)
            .join(FinalRunRow, FinalRunRow.entry_id == FinalEntryRow.id)
            .where(FinalEntryRow.final_id == final_id, ParticipantRow.disqualified_ms.is_(None))
            .order_by(FinalEntryRow.id, FinalRunRow.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        entries: dict[int, list[sa.Row[Any]]] = {}
        for row in rows:
            entries.setdefault(row.id, []).append(row)
        best: dict[int, Standing] = {}
        for standing in map(_standing, entries.values()):
            known = best.get(standing.participant_id)
            if known is None or _order(standing) < _order(known):
                best[standing.participant_id] = standing
        return _placed(sorted(best.values(), key=lambda each: (*_order(each), each.number)))


def _standing(runs: Sequence[sa.Row[Any]]) -> Standing:
    first, scores = runs[0], tuple(float(run.score) for run in runs)
    low, high = mean_interval(scores, max(run.max_score for run in runs)) or (None, None)
    return Standing(
        0,
        first.participant_id,
        first.player,
        first.nickname,
        first.submission_id,
        statistics.fmean(scores),
        low,
        high,
        statistics.fmean(run.tokens for run in runs),
        scores,
        sum(run.problem != "" for run in runs),
    )


def _order(standing: Standing) -> tuple[float, float]:
    """What decides: points to two decimals, as the grader gives them, then tokens."""
    return -round(standing.mean, 2), standing.tokens


def _placed(standings: Sequence[Standing]) -> list[Standing]:
    placed: list[Standing] = []
    for index, each in enumerate(standings):
        ties = bool(placed) and _order(placed[-1]) == _order(each)
        place = placed[-1].place if ties else index + 1
        placed.append(Standing(**{**vars(each), "place": place}))
    return placed

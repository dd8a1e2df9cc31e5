"""A round's results for a learning platform: one line per person, one column per check of what counts."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import sqlalchemy as sa

from grader.competition.archive import no_formula
from grader.competition.models import GradeRow
from grader.competition.store import Store
from grader.grading.registry import challenge as find_challenge

FIXED = ("name", "team", "score", "max_score", "percentage", "submissions", "final_mean", "disqualified")


def to_gradebook(store: Store, round_id: int) -> str:
    """CSV with a line for everybody, members of teams too; who submitted nothing has empty columns.

    What counts is the submission on the best board; final_mean is that of the newest final. Raises NotFound,
    StoreError, UnknownChallenge for a round whose challenge is gone.
    """
    found = store.rounds.get(round_id)
    checks = [check.name for check in find_challenge(found.challenge).checks]
    best = {row.participant_id: row for row in store.boards.board(round_id)}
    reports = _reports(store, [row.submission_id for row in best.values()])
    finals = store.finals.of_round(round_id)
    standings = store.final_boards.standings(finals[0].id) if finals else []
    means = {line.participant_id: round(line.mean, 2) for line in standings}
    members = store.participants.members(round_id)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*FIXED, *checks])
    writer.writeheader()
    for who in store.participants.of_round(round_id):
        row = best.get(who.id)
        report = reports.get(row.submission_id, {}) if row is not None else {}
        line: dict[str, Any] = {
            "score": report.get("score", ""),
            "max_score": report.get("max_score", ""),
            "percentage": report.get("percentage", ""),
            "submissions": row.n_submissions if row is not None else 0,
            "final_mean": means.get(who.id, ""),
            "disqualified": who.disqualified_reason or "",
            **{each["name"]: each["score"] for each in report.get("checks", ()) if each["name"] in checks},
        }
        team = who.nickname if found.team_size > 1 else ""
        for name in (who.person or who.nickname, *members.get(who.id, ())):
            cells = {**line, "name": name, "team": team}
            writer.writerow({column: no_formula(value) for column, value in cells.items()})
    return text.getvalue()


def _reports(store: Store, ids: list[int]) -> dict[int, dict[str, Any]]:
    """The newest report of each submission."""
    query = sa.select(GradeRow.submission_id, GradeRow.report).where(GradeRow.submission_id.in_(ids))
    with store.database.reading() as connection:
        rows = connection.execute(query.order_by(GradeRow.id)).all()
    return {row.submission_id: json.loads(row.report) for row in rows}

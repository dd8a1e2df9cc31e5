"""A final as a file with all that is needed to check it: who ran what on which seed, and what came out."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from grader.competition.models import FinalEntryRow, FinalRunRow, ParticipantRow, SubmissionRow
from grader.competition.store import Store


def final_to_json(store: Store, final_id: int) -> str:
    """The standings and every run: setup, prompt, seed, reply, code, report. Raises NotFound."""
    final = store.finals.get(final_id)
    found = store.rounds.get(final.round_id)
    columns: tuple[Any, ...] = (
        ParticipantRow.nickname,
        FinalEntryRow.submission_id,
        SubmissionRow.config,
        SubmissionRow.messages,
        *(FinalRunRow.__table__.c[name] for name in _OF_RUN),
        FinalRunRow.report,
    )
    query = (
        sa.select(*columns)
        .join(FinalEntryRow, FinalEntryRow.id == FinalRunRow.entry_id)
        .join(ParticipantRow, ParticipantRow.id == FinalEntryRow.participant_id)
        .join(SubmissionRow, SubmissionRow.id == FinalEntryRow.submission_id)
        .where(FinalEntryRow.final_id == final_id)
        .order_by(FinalEntryRow.id, FinalRunRow.number)
    )
    with store.database.reading() as connection:
        rows = connection.execute(query).all()
    runs = [
        {
            "nickname": row.nickname,
            "submission": row.submission_id,
            "config": json.loads(row.config),
            "messages": json.loads(row.messages),
            **{name: getattr(row, name) for name in _OF_RUN},
            "report": json.loads(row.report),
        }
        for row in rows
    ]
    about = {"round": found.title, "challenge": found.challenge, **vars(final)}
    standings = [vars(each) for each in store.final_boards.standings(final_id)]
    return json.dumps({**about, "standings": standings, "runs": runs}, ensure_ascii=False, indent=1)


_OF_RUN = (
    *("number", "seed", "created_ms", "score", "max_score", "problem"),
    *("prompt_tokens", "tokens", "duration_ms", "reply", "code"),
)

"""The tables of the competition, the same on SQLite and on PostgreSQL.

Times are whole milliseconds since 1970 in UTC (`_ms`), so that both databases keep and compare them alike.
Submissions and grades are only ever added: a trigger of the first migration refuses to change one.
Migrations make the tables (see `migrations/`); a test compares what they make with these classes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every constraint has a name, so that a migration can find it on both databases."""

    metadata = MetaData(naming_convention=NAMES)


class RoundRow(Base):
    """A round. uid: the same in a backup and wherever it is restored. seed: draws the hidden cases.

    opens_ms: None until it is set. closes_ms: None for open end. submission_limit: per participant, None for
    none. frozen_ms: submissions after it do not move the board that participants see. budget: JSON, see
    `budgets.RoundBudget`. team_size: how many people an entry may have. has_practice: submissions before it
    opens are taken and graded, and count on no board once it has. announcement: shown on every page of
    the app. prizes: JSON list of [name, board]. has_paused_runs: the app starts no new runs for now.
    """

    __tablename__ = "rounds"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    title: Mapped[str] = mapped_column(String(80))
    challenge: Mapped[str] = mapped_column(String(80))
    seed: Mapped[int] = mapped_column(BigInteger)
    opens_ms: Mapped[int | None] = mapped_column(BigInteger)
    closes_ms: Mapped[int | None] = mapped_column(BigInteger)
    submission_limit: Mapped[int | None] = mapped_column(Integer)
    cooldown_s: Mapped[int] = mapped_column(Integer)
    visibility: Mapped[str] = mapped_column(String(10))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    frozen_ms: Mapped[int | None] = mapped_column(BigInteger)
    has_hidden_names: Mapped[bool] = mapped_column(Boolean, server_default=false())
    budget: Mapped[str] = mapped_column(Text, server_default="{}")
    team_size: Mapped[int] = mapped_column(Integer, server_default="1")
    has_practice: Mapped[bool] = mapped_column(Boolean, server_default=false())
    announcement: Mapped[str] = mapped_column(String(300), server_default="")
    announced_ms: Mapped[int | None] = mapped_column(BigInteger)
    prizes: Mapped[str] = mapped_column(Text, server_default="[]")
    has_paused_runs: Mapped[bool] = mapped_column(Boolean, server_default=false())


class ParticipantRow(Base):
    """Somebody in a round. number: 1, 2, 3 ... within the round, what is shown while names are hidden.

    skeleton: what the nickname looks like, unique in the round. code_hash: see `codes.hash_code`. account: of
    whoever joined by a sign-in, see `accounts.Account.key`. person: their name where the nickname is not.
    """

    __tablename__ = "participants"
    __table_args__ = (
        Index("uq_participants_round_id_skeleton", "round_id", "skeleton", unique=True),
        Index("uq_participants_round_id_account", "round_id", "account", unique=True),
        Index("uq_participants_round_id_number", "round_id", "number", unique=True),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    nickname: Mapped[str] = mapped_column(String(80))
    skeleton: Mapped[str] = mapped_column(String(200))
    code_hash: Mapped[str] = mapped_column(String(120))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    disqualified_ms: Mapped[int | None] = mapped_column(BigInteger)
    disqualified_reason: Mapped[str | None] = mapped_column(String(300))
    account: Mapped[str | None] = mapped_column(String(64))
    person: Mapped[str | None] = mapped_column(String(80))


class MemberRow(Base):
    """Somebody else in a participant's team; the team has one entry and one code. account: by a sign-in."""

    __tablename__ = "members"
    __table_args__ = (
        Index("uq_members_participant_id_skeleton", "participant_id", "skeleton", unique=True),
        Index("ix_members_account", "account"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id", ondelete="CASCADE"))
    nickname: Mapped[str] = mapped_column(String(80))
    skeleton: Mapped[str] = mapped_column(String(200))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    account: Mapped[str | None] = mapped_column(String(64))


class SubmissionRow(Base):
    """A generation that was submitted, with all that is needed to make it again. Never changed.

    attempt_key: made with the generation; sending it twice stores it once. config, messages, models: JSON.
    generation_seed: the seed the run was made with. tokens: generated in all calls of the run. prompt_tokens,
    n_calls, strategy: None for what was submitted before they were kept. cost_usd: US dollars of the
    run's calls whose price was known; None where none was.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        Index("uq_submissions_participant_id_attempt_key", "participant_id", "attempt_key", unique=True),
        Index("ix_submissions_participant_id_created_ms", "participant_id", "created_ms"),
        Index("ix_submissions_round_id_created_ms", "round_id", "created_ms"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id", ondelete="CASCADE"))
    attempt_key: Mapped[str] = mapped_column(String(64))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    config: Mapped[str] = mapped_column(Text)
    messages: Mapped[str] = mapped_column(Text)
    generation_seed: Mapped[int | None] = mapped_column(BigInteger)
    backend: Mapped[str] = mapped_column(String(200))
    models: Mapped[str] = mapped_column(Text)
    reply: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    tokens: Mapped[int] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer)
    prompt_tokens: Mapped[int | None] = mapped_column(Integer)
    n_calls: Mapped[int | None] = mapped_column(Integer)
    strategy: Mapped[str | None] = mapped_column(String(80))
    cost_usd: Mapped[float | None] = mapped_column(Double)


class GradeRow(Base):
    """What a submission scored. A regrade is another row that names the one it supersedes. Never changed."""

    __tablename__ = "grades"
    __table_args__ = (
        Index("uq_grades_supersedes_id", "supersedes_id", unique=True),
        Index(
            "uq_grades_first",
            "submission_id",
            unique=True,
            sqlite_where=text("supersedes_id IS NULL"),
            postgresql_where=text("supersedes_id IS NULL"),
        ),
        Index("ix_grades_submission_id", "submission_id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id", ondelete="CASCADE"))
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("grades.id", ondelete="CASCADE"))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    seed: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float] = mapped_column(Double)
    max_score: Mapped[float] = mapped_column(Double)
    report: Mapped[str] = mapped_column(Text)
    duration_ms: Mapped[int] = mapped_column(Integer)


class PickRow(Base):
    """A submission that its participant wants in the final, instead of their best one."""

    __tablename__ = "picks"
    __table_args__ = (
        Index("uq_picks_submission_id", "submission_id", unique=True),
        Index("ix_picks_participant_id", "participant_id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id", ondelete="CASCADE"))
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id", ondelete="CASCADE"))


class FinalRow(Base):
    """A final: every entry runs on every seed. seeds: JSON list. state: see `records.FinalState`.

    prompt_price, completion_price: dollars per million tokens; None: they cost nothing. cost_cap: dollars.
    released_ms: since when everybody sees it. lease_owner: the process that runs it, until lease_until_ms.
    """

    __tablename__ = "finals"
    __table_args__ = (Index("ix_finals_round_id", "round_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    round_id: Mapped[int] = mapped_column(ForeignKey("rounds.id", ondelete="CASCADE"))
    seeds: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    prompt_price: Mapped[float | None] = mapped_column(Double)
    completion_price: Mapped[float | None] = mapped_column(Double)
    cost_cap: Mapped[float | None] = mapped_column(Double)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    released_ms: Mapped[int | None] = mapped_column(BigInteger)
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    lease_until_ms: Mapped[int | None] = mapped_column(BigInteger)


class FinalEntryRow(Base):
    """A setup in a final, fixed when the final was started."""

    __tablename__ = "final_entries"
    __table_args__ = (
        Index("uq_final_entries_final_id_submission_id", "final_id", "submission_id", unique=True),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    final_id: Mapped[int] = mapped_column(ForeignKey("finals.id", ondelete="CASCADE"))
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id", ondelete="CASCADE"))
    submission_id: Mapped[int] = mapped_column(ForeignKey("submissions.id", ondelete="CASCADE"))


class FinalRunRow(Base):
    """An entry's run on the seed with this number (from 0), and its grade. Never changed.

    problem: why there is no answer to grade; "" when there is one. A run with a problem has 0 points.
    """

    __tablename__ = "final_runs"
    __table_args__ = (Index("uq_final_runs_entry_id_number", "entry_id", "number", unique=True),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("final_entries.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Integer)
    seed: Mapped[int] = mapped_column(BigInteger)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    reply: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Double)
    max_score: Mapped[float] = mapped_column(Double)
    report: Mapped[str] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(String(500))
    prompt_tokens: Mapped[int] = mapped_column(Integer)
    tokens: Mapped[int] = mapped_column(Integer)
    duration_ms: Mapped[int] = mapped_column(Integer)

"""Finals: what participants pick for them, what is run on which seeds, and what came of every run.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTS = ("prompt_tokens", "n_calls")


def upgrade() -> None:
    """Add the tables, and what a submission's run cost beside the tokens it wrote."""
    for name in COUNTS:
        op.add_column("submissions", sa.Column(name, sa.Integer()))
    op.add_column("submissions", sa.Column("strategy", sa.String(80)))
    op.create_table(
        "picks",
        sa.Column("id", sa.Integer(), nullable=False),
        _reference("picks", "participant_id", "participants"),
        _reference("picks", "submission_id", "submissions"),
        sa.PrimaryKeyConstraint("id", name="pk_picks"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_picks_submission_id", "picks", ["submission_id"], unique=True)
    op.create_index("ix_picks_participant_id", "picks", ["participant_id"])
    op.create_table(
        "finals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("seeds", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("prompt_price", sa.Double()),
        sa.Column("completion_price", sa.Double()),
        sa.Column("cost_cap", sa.Double()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger()),
        sa.Column("released_ms", sa.BigInteger()),
        sa.Column("lease_owner", sa.String(32)),
        sa.Column("lease_until_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_finals"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_finals_round_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_finals_round_id", "finals", ["round_id"])
    op.create_table(
        "final_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        _reference("final_entries", "final_id", "finals"),
        _reference("final_entries", "participant_id", "participants"),
        _reference("final_entries", "submission_id", "submissions"),
        sa.PrimaryKeyConstraint("id", name="pk_final_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_final_entries_final_id_submission_id", "final_entries", ["final_id", "submission_id"], unique=True
    )
    _create_runs()


def _reference(table: str, column: str, target: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{target}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Integer(), key, nullable=False)


def _create_runs() -> None:
    op.create_table(
        "final_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        _reference("final_runs", "entry_id", "final_entries"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("max_score", sa.Double(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_final_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_final_runs_entry_id_number", "final_runs", ["entry_id", "number"], unique=True)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER final_runs_append_only BEFORE UPDATE ON final_runs "
            "FOR EACH ROW EXECUTE FUNCTION refuse_update()"
        )
        return
    op.execute(
        "CREATE TRIGGER final_runs_append_only BEFORE UPDATE ON final_runs "
        "BEGIN SELECT RAISE(ABORT, 'final_runs is append-only'); END"
    )


def downgrade() -> None:
    """Remove them again."""
    for table in ("final_runs", "final_entries", "finals", "picks"):
        op.drop_table(table)
    for name in (*COUNTS, "strategy"):
        op.drop_column("submissions", name)

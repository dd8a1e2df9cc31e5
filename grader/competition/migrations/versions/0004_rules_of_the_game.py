"""Budgets, teams, practice, announcements, prizes, and pausing new runs.

Revision ID: 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; rounds that exist have none of it."""
    for column in _columns():
        op.add_column("rounds", column)
    owner = sa.ForeignKey("participants.id", name="fk_members_participant_id", ondelete="CASCADE")
    op.create_table(
        "members",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("participant_id", sa.Integer(), owner, nullable=False),
        sa.Column("nickname", sa.String(80), nullable=False),
        sa.Column("skeleton", sa.String(200), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_members"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_members_participant_id_skeleton", "members", ["participant_id", "skeleton"], unique=True
    )


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("budget", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("team_size", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("has_practice", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("announcement", sa.String(300), nullable=False, server_default=""),
        sa.Column("announced_ms", sa.BigInteger()),
        sa.Column("prizes", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("has_paused_runs", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("members")
    for column in _columns():
        op.drop_column("rounds", column.name)

"""The board can be frozen, and names can be hidden.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two options; rounds that exist are neither frozen nor anonymous."""
    op.add_column("rounds", sa.Column("frozen_ms", sa.BigInteger()))
    op.add_column(
        "rounds", sa.Column("has_hidden_names", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_column("rounds", "has_hidden_names")
    op.drop_column("rounds", "frozen_ms")

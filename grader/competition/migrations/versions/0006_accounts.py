"""Who takes part by a sign-in, and the name of whoever made a team.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; whoever is there came with a nickname and a code."""
    op.add_column("participants", sa.Column("account", sa.String(64)))
    op.add_column("participants", sa.Column("person", sa.String(80)))
    op.add_column("members", sa.Column("account", sa.String(64)))
    op.create_index("uq_participants_round_id_account", "participants", ["round_id", "account"], unique=True)
    op.create_index("ix_members_account", "members", ["account"])


def downgrade() -> None:
    """Remove them again."""
    op.drop_index("ix_members_account", "members")
    op.drop_index("uq_participants_round_id_account", "participants")
    op.drop_column("members", "account")
    op.drop_column("participants", "person")
    op.drop_column("participants", "account")

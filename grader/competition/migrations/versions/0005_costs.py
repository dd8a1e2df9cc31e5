"""What the run of a submission cost.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; nobody knows it of the submissions that are there."""
    op.add_column("submissions", sa.Column("cost_usd", sa.Double()))


def downgrade() -> None:
    """Remove it again."""
    op.drop_column("submissions", "cost_usd")

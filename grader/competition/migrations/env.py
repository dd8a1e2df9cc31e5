"""What Alembic runs: the steps, on the connection and in the transaction that `database.migrate` opened."""

from __future__ import annotations

from alembic import context

from grader.competition.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
context.run_migrations()

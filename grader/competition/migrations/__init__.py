"""The steps from an empty database to today's tables; Alembic applies and records them."""

"""From the oldest tables to today's, empty and with rows."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from grader.competition import Database, Store
from grader.competition.database import _MIGRATIONS
from grader.competition.models import Base
from tests.grader.competition.samples import generation

OLD_ROWS = (
    "INSERT INTO rounds (uid, title, challenge, seed, opens_ms, cooldown_s, visibility, created_ms) "
    "VALUES ('u1', 'Old round', 'user_metrics', 5, 1, 0, 'everyone', 1)",
    "INSERT INTO participants (round_id, number, nickname, skeleton, code_hash, created_ms) "
    "VALUES (1, 1, 'Ada', 'ada', 'x:y', 1)",
    "INSERT INTO submissions (round_id, participant_id, attempt_key, created_ms, config, messages, backend, "
    "models, reply, code, tokens, duration_ms) "
    "VALUES (1, 1, 'k', 1, '{}', '[]', 'wafer', '[]', 'r', 'c', 9, 5)",
    "INSERT INTO grades (submission_id, created_ms, seed, score, max_score, report, duration_ms) "
    "VALUES (1, 1, 5, 42, 120, '{}', 7)",
)


def migrate_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def oldest(empty_url: str) -> Database:
    """A database as the first version made it."""
    database = Database(empty_url)
    migrate_to(database, "0001")
    return database


def test_empty_oldest_tables_become_todays(oldest: Database) -> None:
    oldest.migrate()
    with oldest.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0006"
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    oldest.close()


def test_rows_of_the_oldest_tables_are_kept_and_go_on(oldest: Database) -> None:
    with oldest.writing() as connection:
        for statement in OLD_ROWS:
            connection.exec_driver_sql(statement)
    oldest.migrate()
    store = Store(oldest)
    found = store.rounds.all()[0]
    assert (found.title, found.frozen_ms, found.has_hidden_names) == ("Old round", None, False)
    assert [(row.nickname, row.value) for row in store.boards.board(found.id)] == [("Ada", 42)]
    ada = store.participants.of_round(found.id)[0]
    assert store.submissions.add(ada.id, generation("new")).id == 2
    store.close()


def test_migrating_twice_changes_nothing(oldest: Database) -> None:
    oldest.migrate()
    with oldest.writing() as connection:
        connection.exec_driver_sql(OLD_ROWS[0])
    oldest.migrate()
    assert len(Store(oldest).rounds.all()) == 1
    oldest.close()


def test_new_tables_can_be_taken_back(oldest: Database) -> None:
    oldest.migrate()
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with oldest.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    oldest.close()

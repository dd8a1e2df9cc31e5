"""Every test of the store runs on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from grader.competition import Database, Limits, Store
from grader.competition.models import Base
from tests.grader.competition.postgres import Postgres

DATABASES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables, to be copied."""
    file = tmp_path_factory.mktemp("template") / "competition.sqlite3"
    Store.open(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres) -> str:
    """The URL of a PostgreSQL database with all tables, to be emptied before each test."""
    postgres.query("CREATE DATABASE migrated")
    Store.open(postgres.url_of("migrated")).close()
    return postgres.url_of("migrated")


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    server: Postgres = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    server.query(f"CREATE DATABASE {name}")
    return server.url_of(name)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and no row."""
    if request.param == "sqlite":
        file = tmp_path / "competition.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        return f"sqlite:///{file}"
    shared: str = request.getfixturevalue("migrated_url")
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with psycopg.connect(shared) as connection:
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    return shared


class Clock:
    """Milliseconds that go by only when a test says so."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.ms += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """The store's clock."""
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    """An empty store."""
    made = Store(Database(url), Limits(), clock)
    yield made
    made.close()

"""The connection to the database: SQLite as it must be set up here, PostgreSQL by URL, errors translated.

SQLite: write-ahead log, so that the board is read while somebody writes; `synchronous=FULL`, so that what was
acknowledged is on the disk; a busy timeout; and one writer at a time: a fair lock within the process, and
`BEGIN IMMEDIATE` between processes, so that no transaction fails half-way for want of the write lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from grader.competition.errors import StoreError, StoreFull, StoreUnavailable
from grader.competition.fair_lock import FairLock

BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 10
POOL_SIZE = 20
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 770_001  # any number that nothing else in the database uses
_FULL_SQLSTATES = ("53100",)  # disk_full
_FULL_WORDS = ("database or disk is full", "no space left on device")


class Database:
    """An engine and its write discipline. Thread-safe; one per process and URL."""

    def __init__(self, url: str) -> None:
        """url: `sqlite:///path/to/file`, or `postgresql://user:password@host:port/name`.

        Nothing is opened yet. Raises StoreUnavailable for a URL that no driver takes.
        """
        try:
            self.url = _driver_url(url)
            self.engine = _make_engine(self.url)
        except (ArgumentError, NoSuchModuleError) as exc:
            raise StoreUnavailable(
                "the database URL is not usable; it looks like sqlite:///file or "
                "postgresql://user:password@host:port/name"
            ) from exc
        self._write_lock = FairLock()

    @property
    def is_sqlite(self) -> bool:
        """Whether the data is one file on this machine."""
        return self.engine.dialect.name == "sqlite"

    @property
    def place(self) -> str:
        """Where the data is, without any password: a file's name, or host and database."""
        if self.is_sqlite:
            return Path(self.url.database or "").name
        return f"{self.url.database} on {self.url.host}"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in one read transaction: everything in it is of one moment. Raises StoreError."""
        with translated("read from"), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in one write transaction, on the disk when the block ends. Raises StoreError.

        IntegrityError passes through: what it means is known to whoever wrote the statement.
        """
        with ExitStack() as stack:
            if self.is_sqlite:
                stack.enter_context(self._write_lock)
            stack.enter_context(translated("write to"))
            connection = stack.enter_context(self.engine.connect())
            connection = connection.execution_options(is_writer=True)
            stack.enter_context(connection.begin())
            yield connection

    def migrate(self) -> None:
        """Bring the tables up to date; several processes may try at once. Raises StoreError."""
        from alembic import command
        from alembic.config import Config

        if self.is_sqlite and self.url.database:
            _make_folder(Path(self.url.database).parent)
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Close all pooled connections; the next use opens new ones."""
        self.engine.dispose()


def _driver_url(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _make_engine(url: sa.URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            pool_recycle=1800,
            hide_parameters=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
    engine = sa.create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """The driver starts no transactions of its own, so that `_begin_sqlite` decides which kind it is."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailable(
            f"cannot make the folder of the competition's database: {exc.strerror}"
        ) from exc


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Foreign errors as ours, cause chained; their texts may name hosts and users, so ours do not."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as exc:
        raise _translate(exc, action) from exc


def _translate(error: SQLAlchemyError, action: str) -> StoreError:
    original = error.orig if isinstance(error, DBAPIError) else None
    text = str(original or error).lower()
    if getattr(original, "sqlstate", None) in _FULL_SQLSTATES or any(word in text for word in _FULL_WORDS):
        return StoreFull(f"cannot {action} the competition's database: its disk is full; nothing was stored")
    kind = type(original or error).__name__
    return StoreUnavailable(
        f"cannot {action} the competition's database at the moment ({kind}); nothing was stored"
    )

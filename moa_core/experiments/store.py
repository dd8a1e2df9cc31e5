"""Keeps every experiment and every trial of it, in a SQLite file or a PostgreSQL database.

A trial is written when it ends, so whatever stops an experiment, its finished trials are there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from moa_core.errors import ExperimentError, OtherStudy
from moa_core.experiments.trial import Trial

FORMAT = 1  # of the tables and of what is stored in them; another format is another store
RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"

_METADATA = sa.MetaData()
_FORMATS = sa.Table("lab_format", _METADATA, sa.Column("version", sa.Integer, primary_key=True))
_EXPERIMENTS = sa.Table(
    "lab_experiments",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("planned", sa.Integer, nullable=False),
    sa.Column("started_at_s", sa.Float, nullable=False),
    sa.Column("ended_at_s", sa.Float),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("result", sa.Text),
)
_TRIALS = sa.Table(
    "lab_trials",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("experiment_id", sa.ForeignKey("lab_experiments.id"), nullable=False, index=True),
    sa.Column("data", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Record:
    """An experiment as it is stored. request: what was asked for; result: None until it has ended.

    state: running, done, stopped or failed (`message` says why). planned: trials that were expected.
    """

    id: int
    kind: str
    title: str
    owner: str
    state: str
    message: str
    planned: int
    started_at_s: float
    ended_at_s: float | None
    request: Mapping[str, Any]
    result: Mapping[str, Any] | None


class ExperimentStore:
    """Experiments and trials in one database. Thread-safe."""

    def __init__(self, place: str | Path) -> None:
        """place: a file's path, or a database URL (`postgresql://user:password@host/name`).

        Raises ExperimentError when it cannot be opened, OtherStudy when another version wrote it.
        """
        self.url = database_url(place)
        with _translated("open"):
            self._engine = sa.create_engine(self.url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _set_up_sqlite)
            _METADATA.create_all(self._engine)
        self._check_format()

    def begin(
        self, kind: str, title: str, request: Mapping[str, Any], planned: int = 0, owner: str = ""
    ) -> int:
        """Write that an experiment has begun; returns its id."""
        row = {
            "kind": kind, "title": title, "owner": owner, "state": RUNNING, "message": "", "planned": planned,
            "started_at_s": time.time(), "request": _text(request),
        }  # fmt: skip
        with self._writing() as connection:
            key = connection.execute(_EXPERIMENTS.insert().values(**row)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def add(self, experiment_id: int, trial: Trial) -> None:
        """Keep a trial that has ended."""
        with self._writing() as connection:
            row = {"experiment_id": experiment_id, "data": _text(trial.to_dict())}
            connection.execute(_TRIALS.insert().values(**row))

    def end(
        self, experiment_id: int, state: str, message: str = "", result: Mapping[str, Any] | None = None
    ) -> None:
        """Write how an experiment ended."""
        values = {"state": state, "message": message, "ended_at_s": time.time()}
        values["result"] = None if result is None else _text(result)
        with self._writing() as connection:
            where = _EXPERIMENTS.c.id == experiment_id
            connection.execute(_EXPERIMENTS.update().where(where).values(**values))

    def experiments(self, owner: str | None = None, limit: int = 200) -> list[Record]:
        """The newest experiments first, of one owner or of everybody."""
        query = sa.select(_EXPERIMENTS).order_by(_EXPERIMENTS.c.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(_EXPERIMENTS.c.owner == owner)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def experiment(self, experiment_id: int) -> Record:
        """One experiment. Raises ExperimentError when there is none by that id."""
        query = sa.select(_EXPERIMENTS).where(_EXPERIMENTS.c.id == experiment_id)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ExperimentError(f"there is no experiment {experiment_id} here")
        return _record(row)

    def trials(self, experiment_id: int) -> list[Trial]:
        """The trials of an experiment that have ended, in that order."""
        query = sa.select(_TRIALS.c.data).where(_TRIALS.c.experiment_id == experiment_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(_TRIALS.c.id)).scalars().all()
        return [Trial.from_dict(json.loads(row)) for row in rows]

    def count(self, experiment_id: int) -> int:
        """How many trials of an experiment have ended."""
        query = sa.select(sa.func.count()).where(_TRIALS.c.experiment_id == experiment_id)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def delete(self, experiment_id: int) -> None:
        """Take an experiment and its trials off; harmless when there is none by that id."""
        with self._writing() as connection:
            connection.execute(_TRIALS.delete().where(_TRIALS.c.experiment_id == experiment_id))
            connection.execute(_EXPERIMENTS.delete().where(_EXPERIMENTS.c.id == experiment_id))

    def close(self) -> None:
        """Close the connections; harmless when repeated."""
        self._engine.dispose()

    def _check_format(self) -> None:
        with self._writing() as connection:
            found = connection.execute(sa.select(_FORMATS.c.version)).scalars().all()
            if not found:
                connection.execute(_FORMATS.insert().values(version=FORMAT))
        if found and FORMAT not in found:
            raise OtherStudy(
                f"these experiments were stored in format {found[0]}, this version reads format {FORMAT}; "
                "use another file, or the version that wrote it"
            )

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _translated("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _translated("write"), self._engine.begin() as connection:
            yield connection


def database_url(place: str | Path) -> str:
    """The URL that SQLAlchemy and Optuna take: a path becomes a SQLite file, PostgreSQL gets our driver."""
    text = str(place)
    if "://" not in text:
        return f"sqlite:///{text}"
    return text.replace("postgresql://", "postgresql+psycopg://", 1)


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=10000")


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """SQLAlchemy's errors as ours, without the URL, which may hold a password."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as exc:
        raise ExperimentError(
            "the place for experiments is not usable; give a file, or postgresql://user:password@host/name"
        ) from exc
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or type(exc).__name__).splitlines()[0]
        raise ExperimentError(f"cannot {what} the stored experiments: {reason}") from exc


def _text(data: Mapping[str, Any]) -> str:
    """JSON that every database takes: no lone surrogates, no NUL characters."""
    text = json.dumps(data, ensure_ascii=True, default=str)
    return text.replace("\\u0000", "\\ufffd")


def _record(row: Any) -> Record:
    values = dict(row._mapping)
    values["request"] = json.loads(values["request"])
    values["result"] = None if values["result"] is None else json.loads(values["result"])
    return Record(**values)

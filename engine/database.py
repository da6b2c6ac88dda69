"""The workspace's database: one SQLite file, or another by URL; its schema, versioned.

What is written in one `write` block is there whole or not at all, and safe on the disk when the block ends.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from engine.errors import WorkspaceError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Dialect, Engine

__all__ = [
    "SCHEMA",
    "Database",
    "avatars",
    "claims",
    "documents",
    "events",
    "expressions",
    "insert_new",
    "insert_rows",
    "items",
    "lately",
    "rendered",
    "renders",
    "runs",
    "tiles",
]

SCHEMA = 3
"""The version of the schema that this code reads and writes. 2: `tiles`, `lately`, `claims`. 3: `avatars`."""

FILE = "tessera.db"
_BUSY_S = 30

_metadata = sql.MetaData()
_Id = sql.String(64)

_meta = sql.Table("meta", _metadata, sql.Column("schema", sql.Integer, nullable=False))

runs = sql.Table(
    "runs",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("run_id", _Id, nullable=False, unique=True),
    sql.Column("cancel", sql.Boolean, nullable=False, default=False),
)
"""All runs, in the order in which they were begun. `cancel`: somebody asked for that."""

events = sql.Table(
    "events",
    _metadata,
    sql.Column("run_id", _Id, primary_key=True),
    sql.Column("seq", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("body", sql.Text, nullable=False),
)

documents = sql.Table(
    "documents",
    _metadata,
    sql.Column("run_id", _Id, primary_key=True),
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("body", sql.Text, nullable=False),
)
"""What a run was begun with and came to: its plan, its agent, its facts, its record."""

items = sql.Table(
    "items",
    _metadata,
    sql.Column("run_id", _Id, primary_key=True),
    sql.Column("node", _Id, primary_key=True),
    sql.Column("place", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("body", sql.Text, nullable=False),
)
"""The items of a run as values: their expressions by place."""

expressions = sql.Table(
    "expressions",
    _metadata,
    sql.Column("run_id", _Id, primary_key=True),
    sql.Column("place", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("body", sql.Text, nullable=False),
)
"""The media expressions of a run, a node each: what one is made from stands before it, in it by place."""

renders = sql.Table(
    "renders",
    _metadata,
    sql.Column("render_id", _Id, primary_key=True),
    sql.Column("asset", _Id, nullable=False),
    sql.Column("run_id", _Id, nullable=False),
)
"""The outputs of runs, as inputs of other runs name them."""

rendered = sql.Table(
    "rendered",
    _metadata,
    sql.Column("key", _Id, primary_key=True),
    sql.Column("asset", _Id, nullable=False),
    sql.Column("facts", sql.Text, nullable=False),
)
"""What was rendered, by what it is made of and how."""


tiles = sql.Table(
    "tiles",
    _metadata,
    sql.Column("key", _Id, primary_key=True),
    sql.Column("run_id", _Id, nullable=False, index=True),
    sql.Column("node", _Id, nullable=False),
    sql.Column("body", sql.Text, nullable=False),
)
"""The work of tiles, by what it stands on: whose items it is."""

lately = sql.Table(
    "lately",
    _metadata,
    sql.Column("agent_id", _Id, primary_key=True),
    sql.Column("node", _Id, primary_key=True),
    sql.Column("body", sql.Text, nullable=False),
)
"""What the work of each tile stood on when it was last done."""

claims = sql.Table(
    "claims",
    _metadata,
    sql.Column("key", _Id, primary_key=True),
    sql.Column("run_id", _Id, nullable=False, index=True),
)
"""The work that a run is at, so that no other run does the same."""

avatars = sql.Table(
    "avatars",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("profile_id", _Id, nullable=False, unique=True),
    sql.Column("body", sql.Text, nullable=False),
)
"""Avatar profiles, in the order in which they were made."""


def insert_new(connection: Connection, table: sql.Table) -> sql.Insert:
    """An insert that leaves out rows whose key is there already, in the words of the database at hand."""
    from sqlalchemy.dialects import postgresql, sqlite

    made: sqlite.Insert | postgresql.Insert = (
        sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    )
    return made.on_conflict_do_nothing()


class Database:
    """A database of one workspace. Safe to use from several threads, and beside other processes.

    Parameters
    ----------
    workspace
        The folder of the SQLite file, unless `TESSERA_DATABASE_URL` names another database.

    Raises
    ------
    WorkspaceError
        It cannot be opened, or a newer version of Tessera has made it.
    """

    def __init__(self, workspace: Path) -> None:
        given = os.environ.get("TESSERA_DATABASE_URL")
        try:
            url = sql.make_url(given or f"sqlite:///{(workspace / FILE).absolute()}")
            self.name = url.render_as_string(hide_password=True)
            if not given:
                workspace.mkdir(parents=True, exist_ok=True)
                _private(workspace / FILE)
            self._url, local = url, url.get_backend_name() == "sqlite"
            if local:
                self._engine = sql.create_engine(url, connect_args={"timeout": _BUSY_S})
                _tune(self._engine)
            else:
                self._engine = _shared_engine(url.render_as_string(hide_password=False), os.getpid())
            self._prepare()
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise WorkspaceError(
                f"cannot open the database {'' if given else workspace / FILE}: {_reason(error)}"
            ) from None

    @staticmethod
    def exists(workspace: Path) -> bool:
        """Whether a workspace has one: reading needs not make it."""
        return bool(os.environ.get("TESSERA_DATABASE_URL")) or (workspace / FILE).is_file()

    def _prepare(self) -> None:
        """Make the tables where there are none; refuse those of a newer version."""
        with self._writing() as connection:
            _metadata.create_all(connection)
            found = connection.scalar(sql.select(_meta.c.schema))
            if found is None:
                connection.execute(_meta.insert().values(schema=SCHEMA))
            elif found > SCHEMA:
                raise WorkspaceError(
                    f"{self.name} has schema {found}; this version knows {SCHEMA}: use a newer Tessera"
                )
            elif found < SCHEMA:  # all that came since version 1 are tables
                connection.execute(_meta.update().values(schema=SCHEMA))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read with.

        Raises
        ------
        WorkspaceError
            It cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot read {self.name}: {_reason(error)}") from None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: what is written in it is there, safely, once the block has ended without an error.

        Raises
        ------
        WorkspaceError
            It cannot be written; nothing of it is.
        """
        try:
            with self._writing() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot write {self.name}: {_reason(error)}") from None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            marked = connection.execution_options(writes=True)
            with marked.begin():
                yield marked

    @cached_property
    def sessions(self) -> Engine | None:
        """Sessions that may hold locks for long, each a connection of its own; None of a database of files.

        A machine that is gone without a word is noticed after a minute.
        """
        if self._url.get_backend_name() != "postgresql":
            return None
        options: dict[str, Any] = {}
        if self._url.get_driver_name().startswith("psycopg"):
            options = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        return sql.create_engine(
            self._url, poolclass=sql.NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )

    def close(self) -> None:
        self._engine.dispose()


@lru_cache(maxsize=8)
def _shared_engine(url: str, _process: int) -> Engine:
    """One pool of connections for all that this process keeps on a server; a forked one has its own."""
    engine = sql.create_engine(url, pool_pre_ping=True)
    atexit.register(engine.dispose)
    return engine


def insert_rows(connection: Connection, table: sql.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows, their values in the order of the table's columns: by the driver itself, which takes a
    third of the time.
    """
    statement = _insertion(connection.dialect, table)
    if statement.positional:
        connection.exec_driver_sql(str(statement), list(rows))
    else:
        names = [column.name for column in table.columns]
        connection.exec_driver_sql(str(statement), [dict(zip(names, row, strict=True)) for row in rows])


@lru_cache(maxsize=32)
def _insertion(dialect: Dialect, table: sql.Table) -> SQLCompiler:
    compiled = table.insert().compile(dialect=dialect, column_keys=[column.name for column in table.columns])
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _private(file: Path) -> None:
    """Make a file for its owner alone: plans may hold signed URLs. What SQLite puts beside it follows it."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))


def _tune(engine: Engine) -> None:
    """SQLite as a durable store that many may use: a write-ahead log, synced at every commit.

    The driver leaves transactions to us, so that one that writes takes its lock when it begins and waits for
    it, in place of failing half-way.
    """

    @sql.event.listens_for(engine, "connect")
    def _connected(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sql.event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)

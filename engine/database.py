"""The workspace's database: one SQLite file, or another by URL; its schema, versioned.

Statements are SQL that SQLite and PostgreSQL both read, with values by name (`:run_id`). A workspace of files
speaks to SQLite by Python's own driver, which is there in a millisecond; only a server needs SQLAlchemy.
What is written in one `write` block is there whole or not at all, and safe on the disk when the block ends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote

from pydantic import ValidationError

from engine.errors import Fault, RequestError, WorkspaceError

__all__ = [
    "SCHEMA",
    "Conflict",
    "Connection",
    "Database",
    "Held",
    "Sessions",
    "among",
    "check_schema",
    "database_exists",
    "insertion",
    "make_tables",
    "open_database",
    "understood",
]

SCHEMA = 3
"""The version of the schema that this code reads and writes. 2: `tiles`, `lately`, `claims`. 3: `avatars`."""

FILE = "tessera.db"

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (schema INTEGER NOT NULL);

-- all runs, in the order in which they were begun; cancel: somebody asked for that
CREATE TABLE IF NOT EXISTS runs (number {numbered}, run_id {id} UNIQUE, cancel BOOLEAN NOT NULL);

CREATE TABLE IF NOT EXISTS events
(run_id {id}, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, seq));

-- what a run was begun with and came to: its plan, its agent, its facts, its record
CREATE TABLE IF NOT EXISTS documents
(run_id {id}, name {id}, body TEXT NOT NULL, PRIMARY KEY (run_id, name));

-- the items of a run as values: their expressions by place
CREATE TABLE IF NOT EXISTS items
(run_id {id}, node {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, node, place));

-- the media expressions of a run, a node each: what one is made from stands before it, in it by place
CREATE TABLE IF NOT EXISTS expressions
(run_id {id}, place INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run_id, place));

-- the outputs of runs, as inputs of other runs name them
CREATE TABLE IF NOT EXISTS renders (render_id {id} PRIMARY KEY, asset {id}, run_id {id});

-- what was rendered, by what it is made of and how
CREATE TABLE IF NOT EXISTS rendered (key {id} PRIMARY KEY, asset {id}, facts TEXT NOT NULL);

-- the work of tiles, by what it stands on: whose items it is
CREATE TABLE IF NOT EXISTS tiles (key {id} PRIMARY KEY, run_id {id}, node {id}, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ix_tiles_run_id ON tiles (run_id);

-- what the work of each tile stood on when it was last wanted
CREATE TABLE IF NOT EXISTS lately
(agent_id {id}, node {id}, body TEXT NOT NULL, PRIMARY KEY (agent_id, node));

-- the work that a run is at, so that no other run does the same
CREATE TABLE IF NOT EXISTS claims (key {id} PRIMARY KEY, run_id {id});
CREATE INDEX IF NOT EXISTS ix_claims_run_id ON claims (run_id);

-- avatar profiles, in the order in which they were made
CREATE TABLE IF NOT EXISTS avatars (number {numbered}, profile_id {id} UNIQUE, body TEXT NOT NULL);
"""


Conflict = Literal["fail", "skip", "replace"]
"""What becomes of a row whose key is there already: an error, nothing, or it takes the other's place."""


class Connection(Protocol):
    """A connection in a transaction. Values are text, integers and booleans."""

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""

    def execute(self, statement: str, **values: Any) -> int:
        """Change something; gives how many rows."""

    def execute_each(self, statement: str, each: Sequence[Mapping[str, Any]]) -> None:
        """Change something with each of these values."""

    def insert(
        self,
        table: str,
        columns: tuple[str, ...],
        rows: Iterable[tuple[Any, ...]],
        conflict: Conflict = "fail",
        *,
        key: tuple[str, ...] = (),
    ) -> None:
        """Insert rows, their values in the order of `columns`. To replace rows, their `key` must be told."""


class Held(Protocol):
    """A name that is held until it is released."""

    def release(self) -> None: ...

    def renew(self) -> bool:
        """Hold it on: again, where it was lost. False where another holds it by now."""


class Sessions(Protocol):
    """Names that processes hold in a database, each by a connection of its own, and lose when that ends."""

    def acquire(self, name: str, timeout_s: float) -> Held | None:
        """Hold a name; None where another holds it for all that time.

        Raises
        ------
        WorkspaceError
            The database cannot be reached.
        """

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a name."""


class Database(Protocol):
    """A database of one workspace. Safe to use from several threads, and beside other processes.

    Attributes
    ----------
    name
        Its file, or its URL without a password.
    """

    name: str

    def read(self) -> AbstractContextManager[Connection]:
        """A connection to read with.

        Raises
        ------
        WorkspaceError
            It cannot be read.
        """

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction: what is written in it is there, safely, once the block has ended without an error.

        Raises
        ------
        TakenError
            A row's key is there already, which may be neither left out nor replaced; nothing is written.
        WorkspaceError
            It cannot be written; nothing of it is.
        """

    @property
    def sessions(self) -> Sessions | None:
        """Who holds names in it; None where files are locked."""

    def faults(self) -> list[str]:
        """What is broken in the file itself; nothing of one whose server sees to that."""

    def compact(self) -> None:
        """Give back the space of what was removed, where nobody else is at it just now."""

    def close(self) -> None:
        """Close what is open of it."""


def open_database(workspace: Path) -> Database:
    """The database of a workspace, made where it is not there.

    Parameters
    ----------
    workspace
        The folder of the SQLite file, unless `TESSERA_DATABASE_URL` names another database.

    Raises
    ------
    WorkspaceError
        It cannot be opened, or a newer version of Tessera has made it.
    RequestError
        `TESSERA_DATABASE_URL` names none.
    """
    given = os.environ.get("TESSERA_DATABASE_URL")
    if not given:
        return _of_file(workspace / FILE, make_folder=True)
    found = _SQLITE.fullmatch(given)
    if found is not None:
        return _of_file(Path(unquote(found["file"])))
    if _SERVER.match(given):
        return _server(given)
    what = "TESSERA_DATABASE_URL: must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    raise RequestError([Fault("", "request", what)])


_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<file>(?!:memory:)[^?]+)")
_SERVER = re.compile(r"postgres(?:ql)?(?=[:+])")


def _of_file(file: Path, *, make_folder: bool = False) -> Database:
    """The file is its owner's alone: plans may hold signed URLs. What SQLite puts beside it follows it."""
    from engine.sqlite import SqliteDatabase

    try:
        if make_folder:
            file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise WorkspaceError(f"cannot open the database {file}: {error.strerror or error}") from None
    return SqliteDatabase(file)


def _server(given: str) -> Database:
    try:
        from engine.postgresql import PostgresDatabase
    except ImportError as error:
        raise WorkspaceError(
            f"TESSERA_DATABASE_URL names a server, and {error.name} is not installed: "
            "pip install 'tessera-runtime[postgres]'"
        ) from None
    return PostgresDatabase(_SERVER.sub("postgresql", given, count=1))


def database_exists(workspace: Path) -> bool:
    """Whether a workspace has one: reading needs not make it."""
    return bool(os.environ.get("TESSERA_DATABASE_URL")) or (workspace / FILE).is_file()


@lru_cache(maxsize=64)
def insertion(
    table: str, columns: tuple[str, ...], marks: tuple[str, ...], conflict: Conflict, key: tuple[str, ...]
) -> str:
    """The statement that inserts a row, its values marked so."""
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(marks)})"
    if conflict == "skip":
        return f"{statement} ON CONFLICT DO NOTHING"
    if conflict == "replace":
        new = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        return f"{statement} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {new}"
    return statement


def among(column: str, values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A condition that a column has one of these values, and what it names them."""
    named = {f"{column}_{place}": value for place, value in enumerate(values)}
    return f"{column} IN ({', '.join(f':{name}' for name in named)})", named


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Make sense of what a database holds, which somebody else may have written.

    Raises
    ------
    WorkspaceError
        There is none to be made: `what` cannot be read.
    """
    try:
        yield
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        RecursionError,
    ) as error:
        why = str(error) if isinstance(error, (ValueError, RecursionError)) else repr(error)
        if isinstance(error, ValidationError):
            why = error.errors()[0]["msg"]
        raise WorkspaceError(f"{what} cannot be read: {why}") from None


def check_schema(found: int | None, name: str) -> bool:
    """Whether tables must be made.

    Parameters
    ----------
    found
        The version that the database says, if it does.

    Raises
    ------
    WorkspaceError
        A newer version has made it.
    """
    if found is not None and found > SCHEMA:
        raise WorkspaceError(f"{name} has schema {found}; this version knows {SCHEMA}: use a newer Tessera")
    return found != SCHEMA


def make_tables(connection: Connection, numbered: str, name: str) -> None:
    """Make the tables that are not there, and say their version: all that came since version 1 are tables.

    Parameters
    ----------
    numbered
        What the database calls a key that counts up by itself.
    name
        The database's, for messages.

    Raises
    ------
    WorkspaceError
        A newer version has made it.
    """
    script = re.sub("(?m)^--.*", "", _TABLES).format(id="VARCHAR(64) NOT NULL", numbered=numbered)
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
    rows = connection.rows("SELECT schema FROM meta")
    found = rows[0][0] if rows else None
    if check_schema(found, name):
        say = "INSERT INTO meta (schema) VALUES (:now)" if found is None else "UPDATE meta SET schema = :now"
        connection.execute(say, now=SCHEMA)

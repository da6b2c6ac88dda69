"""A database in one SQLite file, shared durably by threads and processes.

It uses a write-ahead log (WAL) that is synced at every commit.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from tessera.database.interface import Conflict
from tessera.database.schema import check_schema, make_tables
from tessera.database.statements import insertion
from tessera.errors import TakenError, WorkspaceError

__all__ = ["SqliteDatabase"]

_BUSY_S = 30
"""Seconds that a statement waits for the lock of another process."""
_COMPACT_BUSY_S = 1
_BUSY_SLICE_S = 0.2
"""Seconds that SQLite itself waits for a lock; Python handles no signal, such as Ctrl-C, meanwhile."""
_databases: WeakSet[SqliteDatabase] = WeakSet()


@atexit.register
def _close_databases() -> None:
    """Close all databases at exit.

    The last process that closes a file writes the log into it. The file is then complete by itself: it can be
    copied, and read from a read-only folder.
    """
    for database in list(_databases):
        database.close()


def _abandon_inherited_connections() -> None:
    """Keep the connections of the parent open but unused in a forked process.

    A forked process must neither use nor close a connection of its parent (SQLite, "How To Corrupt An SQLite
    Database File", section 2.6).
    """
    for database in list(_databases):
        _inherited.append(database._idle)
        database._idle = []


_inherited: list[list[sqlite3.Connection]] = []
if sys.platform != "win32":  # Windows cannot fork
    os.register_at_fork(after_in_child=_abandon_inherited_connections)


class _Connection:
    """See `tessera.database.interface.Connection`."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._driver.execute(statement, values).fetchall()

    def execute(self, statement: str, **values: Any) -> int:
        return self._driver.execute(statement, values).rowcount

    def execute_each(self, statement: str, each: Sequence[Mapping[str, Any]]) -> None:
        self._driver.executemany(statement, each)

    def insert(
        self,
        table: str,
        columns: tuple[str, ...],
        rows: Iterable[tuple[Any, ...]],
        conflict: Conflict = "fail",
        *,
        key: tuple[str, ...] = (),
    ) -> None:
        self._driver.executemany(insertion(table, columns, ("?",) * len(columns), conflict, key), rows)


class SqliteDatabase:
    """See `tessera.database.interface.Database`.

    Raises
    ------
    WorkspaceError
        If the file cannot be opened, or was created by a newer version of Tessera.
    """

    advisory_locks = None

    def __init__(self, file: Path) -> None:
        self._file, self.name = file.absolute(), str(file)
        # The append and pop of a list are atomic, so this pool needs no lock.
        self._idle: list[sqlite3.Connection] = []
        try:
            with self._transaction() as connection:
                lacks_tables = check_schema(_schema_version(connection), self.name)
            if lacks_tables:
                with self._transaction(writes=True) as connection:
                    make_tables(connection, "INTEGER NOT NULL PRIMARY KEY", self.name)
        except sqlite3.Error as error:
            raise WorkspaceError(f"cannot open the database {self.name}: {error}") from None
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        try:
            with self._transaction() as connection:
                yield connection
        except sqlite3.Error as error:
            raise WorkspaceError(f"cannot read {self.name}: {error}") from None

    @contextmanager
    def write(self) -> Iterator[_Connection]:
        try:
            with self._transaction(writes=True) as connection:
                yield connection
        except sqlite3.IntegrityError as error:
            raise TakenError(f"cannot write {self.name}: {error}") from None
        except sqlite3.Error as error:
            raise WorkspaceError(f"cannot write {self.name}: {error}") from None

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[_Connection]:
        """Run a transaction on a connection that no other thread uses.

        A write transaction takes the write lock at its beginning. With a deferred lock, a transaction that
        has already read could fail at its first write.
        """
        driver = self._idle_connection()
        try:
            if writes:
                _begin_write(driver)
            else:
                driver.execute("BEGIN")
            yield _Connection(driver)
            driver.execute("COMMIT")
        except BaseException:
            # Closing rolls back.
            driver.close()
            raise
        self._idle.append(driver)

    def _idle_connection(self) -> sqlite3.Connection:
        """Return an unused connection, a new one if all are in use."""
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect(_BUSY_S)

    def _connect(self, busy_s: float) -> sqlite3.Connection:
        driver = _open_connection(str(self._file), busy_s)
        try:
            # With WAL only FULL syncs the log at every commit.
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                driver.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            driver.close()
            if not self._file.is_file() or os.access(self._file.parent, os.W_OK):
                raise
            return self._connect_read_only(busy_s)
        except BaseException:
            driver.close()
            raise
        return driver

    def _connect_read_only(self, busy_s: float) -> sqlite3.Connection:
        """Connect to a file in a read-only folder, where SQLite cannot create a log.

        The file is opened as immutable, since no other process can write it either. That is only correct if
        the log is empty: otherwise the file lacks the last commits.
        """
        log = self._file.with_name(f"{self._file.name}-wal")
        with suppress(FileNotFoundError):
            if log.stat().st_size:
                where = f"its last changes are in {log.name}; copy the workspace to a writable folder"
                raise WorkspaceError(f"cannot read {self.name} in a read-only folder: {where}")
        return _open_connection(f"{self._file.as_uri()}?mode=ro&immutable=1", busy_s)

    def integrity_errors(self) -> list[str]:
        with self.read() as connection:
            lines = [str(line) for (line,) in connection.rows("PRAGMA integrity_check")]
        return [line for line in lines if line != "ok"]

    def compact(self) -> None:
        with suppress(sqlite3.Error), closing(self._connect(_COMPACT_BUSY_S)) as driver:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with suppress(IndexError, sqlite3.Error):
            while True:
                self._idle.pop().close()

    def __del__(self) -> None:
        self.close()


def _open_connection(location: str, busy_s: float) -> sqlite3.Connection:
    """Open a connection to a file, given as a path or a `file:` URI."""
    # No isolation level: this module begins and commits transactions itself. One thread at a time uses a
    # connection, but not always the same thread.
    return sqlite3.connect(
        location,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
        uri=location.startswith("file:"),
    )


def _begin_write(driver: sqlite3.Connection) -> None:
    """Begin a write transaction, waiting up to `_BUSY_S` for other writers.

    SQLite waits in short slices: Python handles signals only between them.
    """
    deadline = time.monotonic() + _BUSY_S
    driver.execute(f"PRAGMA busy_timeout={int(_BUSY_SLICE_S * 1000)}")
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            # The low byte is the primary result code; the rest distinguishes kinds of SQLITE_BUSY.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
    driver.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000}")


def _schema_version(connection: _Connection) -> int | None:
    """Return the schema version that the database stores, or None if it is new."""
    try:
        rows = connection.rows("SELECT schema FROM meta")
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    if rows and not isinstance(rows[0][0], int):
        raise sqlite3.DatabaseError(f"its schema is {rows[0][0]!r}")
    return rows[0][0] if rows else None

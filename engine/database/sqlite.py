"""A database in one SQLite file, as a durable store that many threads and processes may use: with a
write-ahead log that is synced at every commit.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
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
_BRIEFLY_S = 1
_DEAF_S = 0.2
_open: WeakSet[SqliteDatabase] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Whoever closes a file last puts what its log holds into it: then the file alone is whole, to be copied,
    or to be read where nothing can be written.
    """
    for database in list(_open):
        database.close()


def _leave_to_parent() -> None:
    """A connection must not be used, nor closed, in a forked process (SQLite, "How To Corrupt", 2.6)."""
    for database in list(_open):
        _inherited.append(database._idle)
        database._idle = []


_inherited: list[list[sqlite3.Connection]] = []
os.register_at_fork(after_in_child=_leave_to_parent)


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
        The file cannot be opened, or a newer version of Tessera has made it.
    """

    sessions = None

    def __init__(self, file: Path) -> None:
        self._file, self.name = file.absolute(), str(file)
        self._idle: list[sqlite3.Connection] = []
        try:
            with self._transaction() as connection:
                needed = check_schema(_schema(connection), self.name)
            if needed:
                with self._transaction(writes=True) as connection:
                    make_tables(connection, "INTEGER NOT NULL PRIMARY KEY", self.name)
        except sqlite3.Error as error:
            raise WorkspaceError(f"cannot open the database {self.name}: {error}") from None
        _open.add(self)

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
        """A transaction on a connection that nobody else uses meanwhile. One that writes takes its lock when
        it begins, and waits for it, in place of failing half-way.
        """
        driver = self._free()
        try:
            if writes:
                _lock(driver)
            else:
                driver.execute("BEGIN")
            yield _Connection(driver)
            driver.execute("COMMIT")
        except BaseException:
            driver.close()  # which rolls back
            raise
        self._idle.append(driver)

    def _free(self) -> sqlite3.Connection:
        """A connection that nobody uses."""
        with suppress(IndexError):
            return self._idle.pop()
        return self._connected(_BUSY_S)

    def _connected(self, patience_s: float) -> sqlite3.Connection:
        driver = _opened(str(self._file), patience_s)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                driver.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError:
            driver.close()
            if not self._file.is_file() or os.access(self._file.parent, os.W_OK):
                raise
            return self._connected_to_read(patience_s)
        except BaseException:
            driver.close()
            raise
        return driver

    def _connected_to_read(self, patience_s: float) -> sqlite3.Connection:
        """Where nothing can be written SQLite cannot keep a log; nor can others then, so that the file stays
        what it is, if it is whole.
        """
        log = self._file.with_name(f"{self._file.name}-wal")
        with suppress(FileNotFoundError):
            if log.stat().st_size:
                what = f"its last changes stand in {log.name}: copy the workspace to where it can be written"
                raise WorkspaceError(f"cannot read {self.name} where nothing can be written: {what}")
        return _opened(f"{self._file.as_uri()}?mode=ro&immutable=1", patience_s)

    def faults(self) -> list[str]:
        with self.read() as connection:
            told = [str(line) for (line,) in connection.rows("PRAGMA integrity_check")]
        return [line for line in told if line != "ok"]

    def compact(self) -> None:
        with suppress(sqlite3.Error), closing(self._connected(_BRIEFLY_S)) as driver:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with suppress(IndexError, sqlite3.Error):
            while True:
                self._idle.pop().close()

    def __del__(self) -> None:
        self.close()


def _opened(place: str, patience_s: float) -> sqlite3.Connection:
    """A connection to a file, by its path or its URI."""
    return sqlite3.connect(
        place,
        timeout=patience_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
        uri=place.startswith("file:"),
    )


def _lock(driver: sqlite3.Connection) -> None:
    """Begin to write, once nobody else does. SQLite waits for short times only, since no signal, such as
    Ctrl-C's, is heard while it does.
    """
    until = time.monotonic() + _BUSY_S
    driver.execute(f"PRAGMA busy_timeout={int(_DEAF_S * 1000)}")
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
    driver.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000}")


def _schema(connection: _Connection) -> int | None:
    """The version that the database says; None of a new one."""
    try:
        found = connection.rows("SELECT schema FROM meta")
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    if found and not isinstance(found[0][0], int):
        raise sqlite3.DatabaseError(f"its schema is {found[0][0]!r}")
    return found[0][0] if found else None

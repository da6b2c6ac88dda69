"""A database on a PostgreSQL server that several machines share.

It uses SQLAlchemy; the URL selects the driver.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from tessera.database.interface import Conflict
from tessera.database.schema import check_schema, make_tables
from tessera.database.statements import insertion
from tessera.errors import TakenError, WorkspaceError

__all__ = ["PostgresDatabase"]

_DRIVER = "postgresql+psycopg"
"""The driver of a URL that names none."""
_SETUP_LOCK = 0x7E55E3A
"""The advisory lock that serialises the creation of tables: two concurrent CREATE TABLE can conflict."""

_POLL_S = 0.05
"""Seconds between two attempts to acquire an advisory lock."""

_text = lru_cache(maxsize=256)(sql.text)


class _Connection:
    """See `tessera.database.interface.Connection`."""

    def __init__(self, driver: Connection) -> None:
        self._driver = driver

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._driver.execute(_text(statement), values)]

    def execute(self, statement: str, **values: Any) -> int:
        return self._driver.execute(_text(statement), values).rowcount

    def execute_each(self, statement: str, each: Sequence[Mapping[str, Any]]) -> None:
        if each:
            self._driver.execute(_text(statement), each)

    def insert(
        self,
        table: str,
        columns: tuple[str, ...],
        rows: Iterable[tuple[Any, ...]],
        conflict: Conflict = "fail",
        *,
        key: tuple[str, ...] = (),
    ) -> None:
        marks = tuple(f":{name}" for name in columns)
        named_rows = [dict(zip(columns, row, strict=True)) for row in rows]
        self.execute_each(insertion(table, columns, marks, conflict, key), named_rows)


class PostgresDatabase:
    """See `tessera.database.interface.Database`.

    Raises
    ------
    WorkspaceError
        If the server cannot be reached, or a newer version of Tessera created the tables.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sql.make_url(url)
            self._url = parsed.set(drivername=_DRIVER) if parsed.drivername == "postgresql" else parsed
            self.name = self._url.render_as_string(hide_password=True)
            self._engine = _shared_engine(self._url.render_as_string(hide_password=False), os.getpid())
            self._make_tables()
        except (SQLAlchemyError, OSError, ImportError, ValueError) as error:
            raise WorkspaceError(f"cannot open the database: {_reason(error)}") from None

    def _make_tables(self) -> None:
        with self._engine.connect() as driver:
            has_tables = bool(driver.scalar(_text("SELECT to_regclass('meta') IS NOT NULL")))
            if has_tables and not check_schema(driver.scalar(_text("SELECT schema FROM meta")), self.name):
                return
        with self._engine.begin() as driver:
            driver.execute(_text("SELECT pg_advisory_xact_lock(:number)"), {"number": _SETUP_LOCK})
            make_tables(_Connection(driver), "SERIAL PRIMARY KEY", self.name)

    @contextmanager
    def read(self) -> Iterator[_Connection]:
        try:
            with self._engine.connect() as driver:
                yield _Connection(driver)
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot read {self.name}: {_reason(error)}") from None

    @contextmanager
    def write(self) -> Iterator[_Connection]:
        try:
            with self._engine.begin() as driver:
                yield _Connection(driver)
        except IntegrityError as error:
            raise TakenError(f"cannot write {self.name}: {_reason(error)}") from None
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot write {self.name}: {_reason(error)}") from None

    @cached_property
    def advisory_locks(self) -> _SessionLocks:
        # 30 s idle plus three probes at 10 s: the server drops the locks of an unreachable
        # machine after a minute.
        options: dict[str, Any] = {}
        if self._url.get_driver_name().startswith("psycopg"):
            options = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        # A lock may be held for hours. Without AUTOCOMMIT its transaction would stay open as long.
        engine = sql.create_engine(
            self._url, poolclass=sql.NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )
        return _SessionLocks(engine, self)

    def integrity_errors(self) -> list[str]:
        return []

    def compact(self) -> None:
        """Do nothing: the server vacuums by itself."""

    def close(self) -> None:
        self._engine.dispose()


@lru_cache(maxsize=8)
def _shared_engine(url: str, _process: int) -> Engine:
    """Return the connection pool of this process for a server.

    The process id is part of the cache key, so that a forked process gets a pool of its own.
    """
    engine = sql.create_engine(url, pool_pre_ping=True)
    atexit.register(engine.dispose)
    return engine


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)


@dataclass(slots=True)
class _SessionLock:
    """An advisory lock with a database session of its own.

    A restart of the server or a network failure ends the session, and with it the lock.
    """

    locks: _SessionLocks
    name: str
    connection: Connection

    def release(self) -> None:
        # The server ends a closed session with a delay, so unlock first.
        with suppress(SQLAlchemyError):
            self.connection.scalar(_text("SELECT pg_advisory_unlock(:number)"), _lock_key(self.name))
        self.connection.close()

    def renew(self) -> bool:
        try:
            self.connection.scalar(_text("SELECT 1"))
        except SQLAlchemyError:
            if not self.connection.closed:
                self.connection.invalidate()
                self.connection.close()
            new = self.locks.acquire(self.name, 0)
            if new is None:
                return False
            self.connection = new.connection
        return True


@dataclass(frozen=True, slots=True)
class _SessionLocks:
    """Session-level advisory locks (PostgreSQL manual, 13.3.5)."""

    engine: Engine
    database: PostgresDatabase

    def acquire(self, name: str, timeout_s: float) -> _SessionLock | None:
        deadline = time.monotonic() + timeout_s
        try:
            connection = self.engine.connect()
            try:
                while not connection.scalar(_text("SELECT pg_try_advisory_lock(:number)"), _lock_key(name)):
                    if time.monotonic() >= deadline:
                        connection.close()
                        return None
                    time.sleep(_POLL_S)
            except BaseException:
                connection.close()
                raise
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot lock {name} in the database: {_reason(error)}") from None
        return _SessionLock(self, name, connection)

    def is_held(self, name: str) -> bool:
        # Query the lock table: an attempt to lock could make another process's attempt fail.
        query = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32 | objid::bigint) = :number"
        )
        with self.database.read() as connection:
            return bool(connection.rows(query, **_lock_key(name))[0][0])


def _lock_key(name: str) -> dict[str, int]:
    """Return the 64-bit key of the advisory lock with this name, as a query parameter."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"tessera").digest()
    return {"number": int.from_bytes(digest, "big", signed=True)}

"""A database on a PostgreSQL server, which machines share; through SQLAlchemy, whose URL names the driver."""

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
"""What a URL means that names no driver."""
_PREPARING = 0x7E55E3A
"""The advisory lock of whoever makes the tables: two that make one at once would be in each other's way."""

_TRY_S = 0.05

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
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        self.execute_each(insertion(table, columns, marks, conflict, key), told)


class PostgresDatabase:
    """See `tessera.database.interface.Database`.

    Raises
    ------
    WorkspaceError
        The server cannot be reached, or a newer version of Tessera has made the tables.
    """

    def __init__(self, given: str) -> None:
        try:
            url = sql.make_url(given)
            self._url = url.set(drivername=_DRIVER) if url.drivername == "postgresql" else url
            self.name = self._url.render_as_string(hide_password=True)
            self._engine = _shared_engine(self._url.render_as_string(hide_password=False), os.getpid())
            self._prepare()
        except (SQLAlchemyError, OSError, ImportError, ValueError) as error:
            raise WorkspaceError(f"cannot open the database: {_reason(error)}") from None

    def _prepare(self) -> None:
        with self._engine.connect() as driver:
            known = bool(driver.scalar(_text("SELECT to_regclass('meta') IS NOT NULL")))
            if known and not check_schema(driver.scalar(_text("SELECT schema FROM meta")), self.name):
                return
        with self._engine.begin() as driver:
            driver.execute(_text("SELECT pg_advisory_xact_lock(:number)"), {"number": _PREPARING})
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
    def sessions(self) -> _Sessions:
        """A machine that is gone without a word is noticed after a minute."""
        options: dict[str, Any] = {}
        if self._url.get_driver_name().startswith("psycopg"):
            options = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        engine = sql.create_engine(
            self._url, poolclass=sql.NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )
        return _Sessions(engine, self)

    def faults(self) -> list[str]:
        return []

    def compact(self) -> None:
        """Its server sees to that."""

    def close(self) -> None:
        self._engine.dispose()


@lru_cache(maxsize=8)
def _shared_engine(url: str, _process: int) -> Engine:
    """One pool of connections for all that this process keeps on a server; a forked one has its own."""
    engine = sql.create_engine(url, pool_pre_ping=True)
    atexit.register(engine.dispose)
    return engine


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)


@dataclass(slots=True)
class _Held:
    """A session of a database that holds one name, and nothing besides. A server that starts anew, or a
    network that breaks, ends it.
    """

    sessions: _Sessions
    name: str
    connection: Connection

    def release(self) -> None:
        """The server takes its time to end a session, so the name is let go of first."""
        with suppress(SQLAlchemyError):
            self.connection.scalar(_text("SELECT pg_advisory_unlock(:number)"), _numbered(self.name))
        self.connection.close()

    def renew(self) -> bool:
        try:
            self.connection.scalar(_text("SELECT 1"))
        except SQLAlchemyError:
            if not self.connection.closed:
                self.connection.invalidate()
                self.connection.close()
            again = self.sessions.acquire(self.name, 0)
            if again is None:
                return False
            self.connection = again.connection
        return True


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Names held by advisory locks of sessions (PostgreSQL manual, 13.3.5)."""

    engine: Engine
    database: PostgresDatabase

    def acquire(self, name: str, timeout_s: float) -> _Held | None:
        until = time.monotonic() + timeout_s
        try:
            connection = self.engine.connect()
            try:
                while not connection.scalar(_text("SELECT pg_try_advisory_lock(:number)"), _numbered(name)):
                    if time.monotonic() >= until:
                        connection.close()
                        return None
                    time.sleep(_TRY_S)
            except BaseException:
                connection.close()
                raise
        except SQLAlchemyError as error:
            raise WorkspaceError(f"cannot lock {name} in the database: {_reason(error)}") from None
        return _Held(self, name, connection)

    def is_held(self, name: str) -> bool:
        """Looked up, not tried: a try would be in the way of whoever wants to hold it."""
        asked = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32 | objid::bigint) = :number"
        )
        with self.database.read() as connection:
            return bool(connection.rows(asked, **_numbered(name))[0][0])


def _numbered(name: str) -> dict[str, int]:
    """A name as the number of an advisory lock."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"tessera").digest()
    return {"number": int.from_bytes(digest, "big", signed=True)}

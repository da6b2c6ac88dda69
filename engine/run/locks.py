"""Names that a living process holds: the system, or the database, lets go of them when the process dies.

Machines that share a PostgreSQL database hold names in it, by advisory locks of a session (PostgreSQL manual,
13.3.5); otherwise they are locked files in the workspace, which all who share the folder see.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.errors import WorkspaceError

if TYPE_CHECKING:
    from filelock import FileLock
    from sqlalchemy.engine import Connection, Engine

    from engine.database import Database

__all__ = ["Held", "Locks"]

_TRY_S = 0.05


class Held(Protocol):
    """A name that is held until it is released."""

    def release(self) -> None: ...

    def renew(self) -> bool:
        """Hold it on: again, where it was lost. False where another holds it by now."""


class Locks:
    """The names of one workspace.

    Parameters
    ----------
    folder
        Where the files are, if it is files.
    database
        The workspace's.
    """

    def __init__(self, folder: Path, database: Callable[[], Database]) -> None:
        self.folder, self._database = folder, database

    def acquire(self, name: str, timeout_s: float = 0.0) -> Held | None:
        """Hold a name; None where another, of this process or not, holds it for all that time.

        Raises
        ------
        WorkspaceError
            The workspace, or the database, cannot be written.
        """
        engine = self._database().sessions
        return self._of_file(name, timeout_s) if engine is None else _of_session(engine, name, timeout_s)

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a name."""
        database = self._database()
        if database.sessions is not None:
            return _is_in_session(database, name)
        if not (self.folder / f"{name}.lock").exists():
            return False
        with suppress(WorkspaceError):
            held = self._of_file(name, 0)
            if held is not None:
                held.release()
                return False
        return True

    def forget(self, name: str) -> None:
        """Remove what is left of a name that nobody will hold again."""
        (self.folder / f"{name}.lock").unlink(missing_ok=True)

    def _of_file(self, name: str, timeout_s: float) -> Held | None:
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f"{name}.lock", thread_local=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout_s)
        except Timeout:
            return None
        except OSError as error:
            raise WorkspaceError(f"cannot write {lock.lock_file}: {error.strerror or error}") from None
        return _File(lock)


@dataclass(frozen=True, slots=True)
class _File:
    """A locked file: the system alone takes it away, from a process that ends."""

    lock: FileLock

    def release(self) -> None:
        self.lock.release()

    def renew(self) -> bool:
        return True


@dataclass(slots=True)
class _Session:
    """A session of a database that holds one name, and nothing besides. A server that starts anew, or a
    network that breaks, ends it.
    """

    engine: Engine
    name: str
    connection: Connection

    def release(self) -> None:
        self.connection.close()

    def renew(self) -> bool:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self.connection.scalar(text("SELECT 1"))
        except SQLAlchemyError:
            if not self.connection.closed:
                self.connection.invalidate()
                self.connection.close()
            again = _of_session(self.engine, self.name, 0)
            if again is None:
                return False
            self.connection = again.connection
        return True


def _number(name: str) -> int:
    """A name as the number of an advisory lock."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, person=b"tessera").digest()
    return int.from_bytes(digest, "big", signed=True)


def _of_session(engine: Engine, name: str, timeout_s: float) -> _Session | None:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    until = time.monotonic() + timeout_s
    try:
        connection = engine.connect()
        try:
            wanted = text("SELECT pg_try_advisory_lock(:number)")
            while not connection.scalar(wanted, {"number": _number(name)}):
                if time.monotonic() >= until:
                    connection.close()
                    return None
                time.sleep(_TRY_S)
        except BaseException:
            connection.close()
            raise
    except SQLAlchemyError as error:
        raise WorkspaceError(f"cannot lock {name} in the database: {error}") from None
    return _Session(engine, name, connection)


def _is_in_session(database: Database, name: str) -> bool:
    """Looked up, not tried: a try would be in the way of whoever wants to hold it."""
    asked = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (classid::bigint << 32 | objid::bigint) = :number"
    )
    with database.read() as connection:
        return bool(connection.rows(asked, number=_number(name))[0][0])

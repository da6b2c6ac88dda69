"""The interface of a workspace database, implemented for SQLite and PostgreSQL.

Statements use the SQL that both dialects share, with named parameters (`:run_id`). One `write` block is one
transaction: it is stored completely or not at all, and it is durable on disk when the block ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

__all__ = ["AdvisoryLocks", "Conflict", "Connection", "Database", "HeldLock"]

Conflict = Literal["fail", "skip", "replace"]
"""The handling of a row whose key already exists: raise an error, keep the old row, or overwrite it."""


class Connection(Protocol):
    """A connection inside a transaction. Values are text, integers and booleans."""

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""

    def execute(self, statement: str, **values: Any) -> int:
        """Execute a statement and return the number of changed rows."""

    def execute_each(self, statement: str, each: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement once for each set of values."""

    def insert(
        self,
        table: str,
        columns: tuple[str, ...],
        rows: Iterable[tuple[Any, ...]],
        conflict: Conflict = "fail",
        *,
        key: tuple[str, ...] = (),
    ) -> None:
        """Insert rows whose values are in the order of `columns`.

        Parameters
        ----------
        key
            The columns of the primary key. Required for the conflict handling `replace`.
        """


class HeldLock(Protocol):
    """A named advisory lock that the caller holds until it releases it."""

    def release(self) -> None: ...

    def renew(self) -> bool:
        """Acquire the lock again if its connection was lost. Return False if another process holds it now."""


class AdvisoryLocks(Protocol):
    """Named advisory locks in a database. Each lock has its own connection and ends with it."""

    def acquire(self, name: str, timeout_s: float) -> HeldLock | None:
        """Acquire a lock, or return None if another holder keeps it for `timeout_s` seconds.

        Raises
        ------
        WorkspaceError
            If the database cannot be reached.
        """

    def is_held(self, name: str) -> bool:
        """Return True if any process holds the lock."""


class Database(Protocol):
    """The database of one workspace. It is safe to use from several threads and processes at a time.

    Attributes
    ----------
    name
        The file, or the URL without its password.
    """

    name: str

    def read(self) -> AbstractContextManager[Connection]:
        """Open a connection for reading.

        Raises
        ------
        WorkspaceError
            If the database cannot be read.
        """

    def write(self) -> AbstractContextManager[Connection]:
        """Open a write transaction. It is committed when the block ends without an error.

        Raises
        ------
        TakenError
            If the key of an inserted row already exists and the conflict handling is `fail`. Nothing is
            written.
        WorkspaceError
            If the database cannot be written. Nothing is written.
        """

    @property
    def advisory_locks(self) -> AdvisoryLocks | None:
        """The advisory locks of the database, or None if the workspace uses lock files."""

    def integrity_errors(self) -> list[str]:
        """Return the damage found in the database file. A server checks its own files: always empty."""

    def compact(self) -> None:
        """Return the space of deleted rows to the system, unless another process uses the database."""

    def close(self) -> None:
        """Close all open connections."""

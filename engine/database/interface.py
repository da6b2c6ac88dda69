"""The interface of a workspace's database: what SQLite and PostgreSQL both offer.

Statements are SQL that both read, with values by name (`:run_id`). What is written in one `write` block is
stored whole or not at all, and is safe on the disk when the block ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

__all__ = ["Conflict", "Connection", "Database", "Held", "Sessions"]

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

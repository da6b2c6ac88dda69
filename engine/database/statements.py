"""Pieces of SQL that several statements share, and reading back what a row holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from pydantic import ValidationError

from tessera.database.interface import Conflict
from tessera.errors import WorkspaceError

__all__ = ["among", "decoding", "insertion"]


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
def decoding(what: str) -> Iterator[None]:
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

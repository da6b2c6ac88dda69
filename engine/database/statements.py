"""SQL fragments that several statements share, and the decoding of stored rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from pydantic import ValidationError

from tessera.database.interface import Conflict
from tessera.errors import WorkspaceError
from tessera.validation import problem_of

__all__ = ["decoding", "in_condition", "insertion"]


@lru_cache(maxsize=64)
def insertion(
    table: str, columns: tuple[str, ...], marks: tuple[str, ...], conflict: Conflict, key: tuple[str, ...]
) -> str:
    """Return the statement that inserts one row.

    Parameters
    ----------
    marks
        The placeholder of each value, in the style of the driver.
    """
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(marks)})"
    if conflict == "skip":
        return f"{statement} ON CONFLICT DO NOTHING"
    if conflict == "replace":
        new = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        return f"{statement} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {new}"
    return statement


def in_condition(column: str, values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the condition `column IN (…)`, and its named parameters."""
    parameters = {f"{column}_{index}": value for index, value in enumerate(values)}
    return f"{column} IN ({', '.join(f':{name}' for name in parameters)})", parameters


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Convert the errors of decoding stored data into one `WorkspaceError`.

    Another program may have changed the database, so a stored text can have any content.

    Parameters
    ----------
    what
        The name of the stored data, for the message.

    Raises
    ------
    WorkspaceError
        If the block fails because the data is not in the expected form.
    """
    try:
        yield
    # Any of these can result from using valid JSON of an unexpected shape.
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        RecursionError,
        ArithmeticError,
    ) as error:
        reason = str(error) if isinstance(error, (ValueError, RecursionError)) else repr(error)
        if isinstance(error, ValidationError):
            reason = problem_of(error)
        raise WorkspaceError(f"{what} cannot be read: {reason}") from None

"""Find the rows of a workspace database that cannot be read. `store check` reports them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from tessera.database.statements import decoding
from tessera.errors import RequestError, WorkspaceError
from tessera.graph.plan_json import check_plan
from tessera.runner.cache.cache_key import read_cache_key
from tessera.runner.cache.cached_work import read_cached_work
from tessera.store.run_store import RunStore
from tessera.text.checked import json_object

__all__ = ["check_stored_plan", "unreadable_rows"]

_PLAIN_TEXT = ("out", "quality")
"""The documents that are not JSON."""


def unreadable_rows(store: RunStore, run_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the table and key of each row that cannot be read, with the reason.

    Parameters
    ----------
    run_ids
        The runs whose events and items are read.
    """
    for run_id in run_ids:
        # `events` is a generator: it finds all errors only when read to its end.
        yield from _read_error(f"events/{run_id}", lambda run: [*store.events(run)], run_id)
        yield from _read_error(f"items/{run_id}", store.items, run_id)
    for where, read, body in _rows(store):
        yield from _read_error(where, read, body)


def check_stored_plan(document: Any, run_id: str) -> None:
    """Check the stored plan of a run.

    Raises
    ------
    WorkspaceError
        If the document is not a valid plan.
    """
    try:
        check_plan(document)
    except RequestError as error:
        raise WorkspaceError(f"the plan of run {run_id} cannot be read: {error.errors[0].message}") from None


def _read_error(where: str, read: Callable[[str], Any], argument: str) -> Iterator[tuple[str, str]]:
    try:
        read(argument)
    except WorkspaceError as error:
        yield where, str(error)


def _rows(store: RunStore) -> Iterator[tuple[str, Callable[[str], Any], str]]:
    """Yield the table and key of each row, the function that reads it, and its text."""
    with store.database.read() as connection:
        for run_id, name, body in connection.rows("SELECT run_id, name, body FROM documents"):
            if name == "plan.json":
                yield f"documents/{run_id}/{name}", partial(_read_plan, run_id), body
            elif name not in _PLAIN_TEXT:
                yield f"documents/{run_id}/{name}", _read_object, body
        for key, run_id, node, body in connection.rows("SELECT key, run_id, node, body FROM tiles"):
            yield f"tiles/{key}", partial(read_cached_work, run_id, node), body
        for agent, node, body in connection.rows("SELECT agent_id, node, body FROM lately"):
            yield f"lately/{agent}/{node}", read_cache_key, body
        for key, body in connection.rows("SELECT key, facts FROM rendered"):
            yield f"rendered/{key}", _read_object, body


def _read_plan(run_id: str, text: str) -> None:
    check_stored_plan(_read_object(text), run_id)


def _read_object(text: str) -> dict[str, Any]:
    with decoding("the stored JSON"):
        return json_object(text)

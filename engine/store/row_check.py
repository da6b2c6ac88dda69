"""Whether what a workspace's database holds can be read: a part of what `store check` tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from tessera.database.statements import decoding
from tessera.errors import RequestError, WorkspaceError
from tessera.graph.plan_json import check_plan
from tessera.runner.cache.cache_key import read_cache_key
from tessera.runner.cache.tile_cache import read_cached_work
from tessera.store.run_store import RunStore
from tessera.text.wording import json_object

__all__ = ["check_kept_plan", "unreadable_rows"]

_TEXTS = ("out", "quality")
"""Documents that are no JSON."""


def unreadable_rows(store: RunStore, run_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Where each thing stands that cannot be read, as its table and key, and what is wrong with it.

    Parameters
    ----------
    run_ids
        The runs to read, whole.
    """
    for run_id in run_ids:
        yield from _tried(f"events/{run_id}", lambda run: [*store.events(run)], run_id)
        yield from _tried(f"items/{run_id}", store.items, run_id)
    for where, read, body in _rows(store):
        yield from _tried(where, read, body)


def check_kept_plan(kept: Any, run_id: str) -> None:
    """Whether what is kept as the plan of a run is one.

    Raises
    ------
    WorkspaceError
        It is none.
    """
    try:
        check_plan(kept)
    except RequestError as error:
        raise WorkspaceError(f"the plan of run {run_id} cannot be read: {error.errors[0].message}") from None


def _tried(where: str, read: Callable[[str], Any], what: str) -> Iterator[tuple[str, str]]:
    try:
        read(what)
    except WorkspaceError as error:
        yield where, str(error)


def _rows(store: RunStore) -> Iterator[tuple[str, Callable[[str], Any], str]]:
    with store.database.read() as connection:
        for run_id, name, body in connection.rows("SELECT run_id, name, body FROM documents"):
            if name == "plan.json":
                yield f"documents/{run_id}/{name}", partial(_a_plan, run_id), body
            elif name not in _TEXTS:
                yield f"documents/{run_id}/{name}", _an_object, body
        for key, run_id, node, body in connection.rows("SELECT key, run_id, node, body FROM tiles"):
            yield f"tiles/{key}", partial(read_cached_work, run_id, node), body
        for agent, node, body in connection.rows("SELECT agent_id, node, body FROM lately"):
            yield f"lately/{agent}/{node}", read_cache_key, body
        for key, body in connection.rows("SELECT key, facts FROM rendered"):
            yield f"rendered/{key}", _an_object, body


def _a_plan(run_id: str, text: str) -> None:
    check_kept_plan(_an_object(text), run_id)


def _an_object(text: str) -> dict[str, Any]:
    with decoding("what stands there"):
        return json_object(text)

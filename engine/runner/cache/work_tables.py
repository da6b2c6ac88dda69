"""The tables of the tile cache: finished work, claims, and the last cache key of each tile of an agent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from tessera.database.statements import in_condition
from tessera.errors import WorkspaceError
from tessera.runner.cache.cache_key import CacheKey, read_cache_key
from tessera.runner.cache.cached_work import CachedWork, read_cached_work
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.database.interface import Connection

__all__ = ["WorkTables"]

_KEYS_PER_QUERY = 500
"""The number of keys in one query."""


class WorkTables:
    """Reads and writes the rows of the tile cache. An unreadable row only costs a rerun, so it is skipped.

    Reads open a transaction of their own unless they get a `connection`. Writes are part of the transaction
    of their `connection`.
    """

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._database, self._run_id = store.database, run_id

    # reads

    def work(self, keys: Sequence[str], connection: Connection | None = None) -> dict[str, CachedWork]:
        """Return the finished work with these keys."""
        found = {}
        for key, run_id, node, text in self._rows("key, run_id, node, body", "tiles", keys, connection):
            with suppress(WorkspaceError):
                found[key] = read_cached_work(run_id, node, text)
        return found

    def claims(self, keys: Sequence[str], connection: Connection | None = None) -> dict[str, str]:
        """Return the run that has claimed each of these keys."""
        return dict(self._rows("key, run_id", "claims", keys, connection))

    def last_keys(self, agent_id: str, nodes: Mapping[str, Any]) -> dict[str, CacheKey]:
        """Return the last cache key of each of these tiles of an agent."""
        found = {}
        query = "SELECT node, body FROM lately WHERE agent_id = :agent_id"
        with self._database.read() as connection:
            for node, body in connection.rows(query, agent_id=agent_id):
                if node in nodes:
                    with suppress(WorkspaceError):
                        found[node] = read_cache_key(body)
        return found

    def _rows(
        self, columns: str, table: str, keys: Sequence[str], connection: Connection | None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the columns of the rows with these keys."""
        with self._database.read() if connection is None else nullcontext(connection) as reader:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                condition, named = in_condition("key", keys[start : start + _KEYS_PER_QUERY])
                yield from reader.rows(f"SELECT {columns} FROM {table} WHERE {condition}", **named)

    # writes

    def save_work(self, work: Mapping[str, CachedWork], connection: Connection) -> None:
        """Save finished work by key, in place of older work."""
        rows = [(key, done.run_id, done.node, done.to_json()) for key, done in work.items()]
        connection.insert("tiles", ("key", "run_id", "node", "body"), rows, "replace", key=("key",))

    def save_last_keys(self, agent_id: str, keys: Mapping[str, CacheKey], connection: Connection) -> None:
        """Save the last cache key of each of these tiles of an agent."""
        rows = [(agent_id, node, cache_key.to_json()) for node, cache_key in keys.items()]
        columns = ("agent_id", "node", "body")
        connection.insert("lately", columns, rows, "replace", key=("agent_id", "node"))

    def claim(self, keys: Iterable[str], connection: Connection) -> None:
        """Claim these keys for this run, except those that any run has claimed already."""
        connection.insert("claims", ("key", "run_id"), [(key, self._run_id) for key in keys], "skip")

    def delete_claims(self, claims: Iterable[tuple[str, str]], connection: Connection) -> None:
        """Delete claims, each given as (key, run)."""
        rows = [{"key": key, "run_id": owner} for key, owner in claims]
        connection.execute_each("DELETE FROM claims WHERE key = :key AND run_id = :run_id", rows)

    def delete_all_claims(self) -> None:
        """Delete all claims of this run, if there are any."""
        own_claims = "FROM claims WHERE run_id = :run_id"
        with self._database.read() as connection:
            if not connection.rows(f"SELECT key {own_claims} LIMIT 1", run_id=self._run_id):
                return
        with self._database.write() as connection:
            connection.execute(f"DELETE {own_claims}", run_id=self._run_id)

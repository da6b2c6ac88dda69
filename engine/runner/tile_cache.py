"""The cache of tile work: equal work is done once per workspace, even by runs at the same time.

An entry points to the run and the tile that hold the items. It is written in one transaction with the events
of that work. A tile that must run claims its key in the transaction that queues it. Another run that needs
the same work waits until the claim is released, and then finds the items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tessera.analysis.speech import ANALYSER
from tessera.context import InputMedia
from tessera.database.statements import decoding, in_condition
from tessera.errors import WorkspaceError
from tessera.graph.plan import Plan
from tessera.media.algebra.item import Item
from tessera.runner.cache_key import CacheKey, cache_key_of, read_cache_key, rerun_reason
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.database.interface import Connection

__all__ = ["Hit", "Lookup", "TileCache", "read_cached_work"]

_ANSWERERS: Mapping[str, str] = {"speech": ANALYSER, "levels": ANALYSER}
"""The current analyser by question. Other questions are answered by assets that the parameters name."""
_KEYS_PER_QUERY = 500
"""The number of keys in one query."""


@dataclass(frozen=True, slots=True)
class CachedWork:
    """Finished work: its run and tile, the number of items, the items that it used, its answers and logs."""

    run_id: str
    node: str
    count: int
    refs: tuple[tuple[str, int], ...]
    answers: tuple[tuple[str, str, str], ...]
    logs: tuple[str, ...]

    def stale(self, now: Callable[[str, str], str]) -> str | None:
        """Return the reason why the tile would now make other items, or None if it would make the same."""
        for question, about, answerer in self.answers:
            if answerer != now(question, about):
                return f"analyser of {question} {answerer} → {now(question, about) or 'none'}"
        return None


def read_cached_work(run_id: str, node: str, text: str) -> CachedWork:
    """Read finished work from its JSON.

    Raises
    ------
    WorkspaceError
        If the text is not such work.
    """
    with decoding(f"the work of {node} in run {run_id}"):
        body = json.loads(text)
        refs = tuple((str(parent), int(index)) for parent, index in body["refs"])
        answers = tuple((str(question), str(about), str(by)) for question, about, by in body["answers"])
        return CachedWork(run_id, node, int(body["count"]), refs, answers, tuple(map(str, body["logs"])))


@dataclass(frozen=True, slots=True)
class Hit:
    """A cache hit: the origin of the work, the items as if this run's tile had made them, its answers and
    logs.
    """

    by: str
    items: tuple[Item, ...]
    answers: tuple[tuple[str, str], ...]
    logs: tuple[str, ...]


@dataclass(slots=True)
class Lookup:
    """A tile that must run, and the reason. A tile that is not cacheable has no key."""

    node: str
    inputs: Sequence[Item]
    cache_key: CacheKey | None
    why: str
    key: str = ""
    answers: set[tuple[str, str, str]] = field(default_factory=set)
    logs: list[str] = field(default_factory=list)


class TileCache:
    """The tile cache of a workspace, as one run uses it. Not thread-safe: only the coordinator's thread
    uses it.

    Parameters
    ----------
    sources
        The media of each Video Input, by node.
    fresh
        Ignore existing entries; new work is cached all the same.
    analysed_by
        Returns the analyser of an asset's sound if it differs from the current one.
    """

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        plan: Plan,
        sources: Mapping[str, Sequence[InputMedia]],
        *,
        fresh: bool = False,
        analysed_by: Callable[[str], str | None] = lambda _asset: None,
    ) -> None:
        self._analysed_by = analysed_by
        self._store, self._run_id, self._plan, self._sources = store, run_id, plan, sources
        self._fresh = fresh
        self._agent = plan.agent_id or ""
        self._tiles = dict(plan.graph.nodes(data="node"))
        self._names = {node: tile.name for node, tile in self._tiles.items()}
        self._items_by_run: dict[str, Mapping[str, tuple[Item, ...]]] = {}
        self._unreadable: set[str] = set()
        self._own_items: dict[str, tuple[Item, ...]] = {}
        self._running: dict[str, Lookup] = {}
        self._to_claim: list[Lookup] = []
        self._claimed: list[Lookup] = []
        self._waiting: list[Lookup] = []
        self._found: list[tuple[Lookup, Hit]] = []
        self._done: list[Lookup] = []
        self._to_save: list[Lookup] = []
        self._released: list[str] = []
        self._orphaned: list[tuple[str, str]] = []
        self._last_keys, self._last_work = self._load_last_work()

    def _answerer(self, question: str, about: str) -> str:
        """Return the analyser that answers a question about an asset."""
        now = _ANSWERERS.get(question, "")
        return (self._analysed_by(about) or now) if now else ""

    # lookups

    def look_up(self, node: str, inputs: Sequence[Item]) -> Hit | None:
        """Return cached work for a tile. Without any, queue the tile for a claim; `take_claimed` returns
        it later.
        """
        tile = self._tiles[node]
        if not tile.type.cacheable:
            self._claimed.append(Lookup(node, inputs, None, "not cacheable"))
            return None
        cache_key, why = cache_key_of(tile, inputs, self._sources.get(node, ())), None
        lookup = Lookup(node, inputs, cache_key, "", cache_key.key)
        if self._fresh:
            why = "cache off"
        else:
            cached = self._last_work.get(lookup.key)
            if cached is not None:
                why = cached.stale(self._answerer)
                hit = self._hit(lookup, cached) if why is None else None
                if hit is not None:
                    return hit
        lookup.why = why or self._rerun_reason(node, cache_key)
        self._to_claim.append(lookup)
        return None

    def _rerun_reason(self, node: str, cache_key: CacheKey) -> str:
        before = self._last_keys.get(node)
        return rerun_reason(before, cache_key, self._names) if before is not None else "the first time"

    def take_claimed(self) -> list[Lookup]:
        """Return the tiles whose claim is committed, so that they may run. Each is returned once."""
        claimed, self._claimed = self._claimed, []
        self._running.update((lookup.node, lookup) for lookup in claimed)
        return claimed

    def take_arrived(self) -> Iterator[tuple[Lookup, Hit]]:
        """Yield cached work that has appeared since a tile asked for it.

        A tile that waits for a run which has ended without that work is queued for a claim of its own.
        """
        found, self._found = self._found, []
        yield from found
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        keys = [lookup.key for lookup in waiting]
        rows, claims = self._read_work(keys), self._claims(keys)
        dead = {run_id for run_id in set(claims.values()) if not self._store.is_held(run_id)}
        for lookup in waiting:
            cached = rows.get(lookup.key)
            hit = self._hit(lookup, cached) if cached and not cached.stale(self._answerer) else None
            owner = claims.get(lookup.key)
            if hit is not None:
                self._to_save.append(lookup)
                yield lookup, hit
            elif owner is None or owner in dead:
                self._orphaned += [(lookup.key, owner)] if owner else []
                self._to_claim.append(lookup)
            else:
                self._waiting.append(lookup)

    def abandon_waiting(self) -> list[Lookup]:
        """Stop waiting, since the run ends, and return the tiles that were waiting."""
        left = [*self._waiting, *self._to_claim]
        self._waiting, self._to_claim = [], []
        return left

    def is_urgent(self) -> bool:
        """Return True if a tile waits for the next commit, or may start at once."""
        return bool(self._to_claim or self._claimed or self._found)

    # running tiles

    def note_answer(self, node: str, question: str, about: str) -> None:
        """Record an answer that a running tile got."""
        if node in self._running:
            self._running[node].answers.add((question, about, self._answerer(question, about)))

    def note_log(self, node: str, message: str) -> None:
        """Record a log line of a running tile."""
        if node in self._running:
            self._running[node].logs.append(message)

    def finish(self, node: str, items: tuple[Item, ...]) -> None:
        """Queue the finished work of a tile for the cache."""
        lookup = self._running.pop(node, None)
        if lookup is not None and lookup.key:
            self._own_items[node] = items
            self._done.append(lookup)

    def release(self, node: str) -> None:
        """Release the claim of a tile that failed or was cancelled, so that other runs may try."""
        lookup = self._running.pop(node, None)
        if lookup is not None and lookup.key:
            self._released.append(lookup.key)

    # inside the transaction that commits events

    def is_due(self) -> bool:
        """Return True if there is anything to write."""
        return bool(self._to_claim or self._done or self._released or self._orphaned or self._to_save)

    def write(self, connection: Connection) -> None:
        """Write finished work, release its claims, and claim the queued tiles."""
        ended = [*self._released, *(lookup.key for lookup in self._done)]
        over = [*self._orphaned, *((key, self._run_id) for key in ended)]
        delete_claim = "DELETE FROM claims WHERE key = :key AND run_id = :run_id"
        connection.execute_each(delete_claim, [{"key": key, "run_id": owner} for key, owner in over])
        self._orphaned = []
        if self._done:
            self._write_done(connection)
        self._released, self._done = [], []
        if self._to_claim:
            self._claim(connection)
        if self._to_save:
            self._write_keys(connection)

    def _write_done(self, connection: Connection) -> None:
        rows = {}
        for lookup in self._done:
            body = {
                "count": len(self._own_items[lookup.node]),
                "refs": [item.ref for item in lookup.inputs],
                "answers": sorted(lookup.answers),
                "logs": lookup.logs,
            }
            rows[lookup.key] = (lookup.key, self._run_id, lookup.node, json.dumps(body))
        connection.insert("tiles", ("key", "run_id", "node", "body"), rows.values(), "replace", key=("key",))
        self._to_save += self._done

    def _write_keys(self, connection: Connection) -> None:
        """Save the cache keys of finished tiles, cached or not. The next run compares itself with them."""
        rows = {
            lookup.node: (self._agent, lookup.node, lookup.cache_key.to_json())
            for lookup in self._to_save
            if lookup.cache_key is not None
        }
        connection.insert(
            "lately", ("agent_id", "node", "body"), rows.values(), "replace", key=("agent_id", "node")
        )
        self._to_save = []

    def _claim(self, connection: Connection) -> None:
        """Claim the queued keys that no other run has claimed or finished meanwhile."""
        first: dict[str, Lookup] = {}
        wanted, self._to_claim = self._to_claim, []
        # Of several tiles of this run with equal work, the first one claims it and the others wait.
        for lookup in wanted:
            first.setdefault(lookup.key, lookup)
        connection.insert("claims", ("key", "run_id"), [(key, self._run_id) for key in first], "skip")
        owners = self._claims([*first], connection)
        made = {} if self._fresh else self._read_work([*first], connection)
        for lookup in wanted:
            taken = lookup is first[lookup.key] and owners.get(lookup.key) == self._run_id
            cached = made.get(lookup.key)
            hit = self._hit(lookup, cached) if cached and not cached.stale(self._answerer) else None
            if hit is not None:
                self._found.append((lookup, hit))
                self._to_save.append(lookup)
                self._released += [lookup.key] if taken else []
            else:
                (self._claimed if taken else self._waiting).append(lookup)

    def close(self) -> None:
        """Release all claims of this run, however it ended."""
        own_claims = "FROM claims WHERE run_id = :run_id"
        with self._store.database.read() as connection:
            if not connection.rows(f"SELECT key {own_claims} LIMIT 1", run_id=self._run_id):
                return
        with self._store.database.write() as connection:
            connection.execute(f"DELETE {own_claims}", run_id=self._run_id)

    # queries

    def _load_last_work(self) -> tuple[dict[str, CacheKey], dict[str, CachedWork]]:
        """Return the last cache key of each tile of this agent, and the work that belongs to it."""
        query = "SELECT node, body FROM lately WHERE agent_id = :agent_id"
        with self._store.database.read() as connection:
            seen = {}
            for node, body in connection.rows(query, agent_id=self._agent):
                # An unreadable entry only costs a rerun.
                with suppress(WorkspaceError):
                    seen[node] = read_cache_key(body)
            before = {node: cache_key for node, cache_key in seen.items() if node in self._tiles}
            rows = self._read_work([cache_key.key for cache_key in before.values()], connection)
        return before, rows

    def _read_work(self, keys: Sequence[str], connection: Connection | None = None) -> dict[str, CachedWork]:
        found = {}
        columns = "key, run_id, node, body"
        for key, run_id, maker, text in self._rows_of(f"SELECT {columns} FROM tiles", keys, connection):
            with suppress(WorkspaceError):
                found[key] = read_cached_work(run_id, maker, text)
        return found

    def _claims(self, keys: Sequence[str], connection: Connection | None = None) -> dict[str, str]:
        return dict(self._rows_of("SELECT key, run_id FROM claims", keys, connection))

    def _rows_of(
        self, query: str, keys: Sequence[str], connection: Connection | None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of these keys."""
        if connection is None:
            with self._store.database.read() as opened:
                yield from self._rows_of(query, keys, opened)
            return
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            condition, named = in_condition("key", keys[start : start + _KEYS_PER_QUERY])
            yield from connection.rows(f"{query} WHERE {condition}", **named)

    def _hit(self, lookup: Lookup, cached: CachedWork) -> Hit | None:
        """Return cached work as if this run's tile had made it, or None if its items are gone."""
        made = self._items_of(cached)
        if made is None or len(cached.refs) != len(lookup.inputs):
            return None
        now = {ref: item.ref for ref, item in zip(cached.refs, lookup.inputs, strict=True)}
        if any(parent not in now for item in made for parent in item.parents):
            return None
        items = tuple(
            replace(item, node=lookup.node, parents=tuple(now[parent] for parent in item.parents))
            for item in made
        )
        answers = tuple((question, about) for question, about, _by in cached.answers)
        by = "this run, before it was resumed" if cached.run_id == self._run_id else f"run {cached.run_id}"
        return Hit(by, items, answers, cached.logs)

    def _items_of(self, cached: CachedWork) -> tuple[Item, ...] | None:
        if cached.run_id == self._run_id and cached.node in self._own_items:
            return self._own_items[cached.node]
        made = self._items_by_run.get(cached.run_id, {}).get(cached.node, ())
        if len(made) != cached.count and cached.run_id not in self._unreadable:
            # That run is not loaded yet, or was loaded while it was still in progress.
            try:
                self._items_by_run[cached.run_id] = self._store.items(cached.run_id)
            except WorkspaceError:
                self._unreadable.add(cached.run_id)
            made = self._items_by_run.get(cached.run_id, {}).get(cached.node, ())
        return made if len(made) == cached.count else None

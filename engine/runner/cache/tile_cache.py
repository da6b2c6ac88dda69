"""The cache of tile work: equal work is done once per workspace, even by runs at the same time.

An entry points to the run and the tile that hold the items. It is written in one transaction with the events
of that work. A tile that must run claims its key in the transaction that queues it. Another run that needs
the same work waits until the claim is released, and then finds the items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tessera.analysis.speech import ANALYSER
from tessera.context import InputMedia
from tessera.deviation import Deviation
from tessera.graph.plan import Plan
from tessera.media.algebra.item import Item
from tessera.runner.cache.cache_key import CacheKey, cache_key_of, rerun_reason
from tessera.runner.cache.cached_work import CachedItems, CachedWork, Hit
from tessera.runner.cache.lookups import Lookup, Lookups, LookupState
from tessera.runner.cache.work_tables import WorkTables
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.database.interface import Connection

__all__ = ["TileCache"]

_ANALYSERS: Mapping[str, str] = {"speech": ANALYSER, "levels": ANALYSER}
"""The current analyser by question. Other questions are answered by assets that the parameters name."""


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
        self._store, self._run_id, self._sources = store, run_id, sources
        self._fresh, self._analysed_by = fresh, analysed_by
        self._agent = plan.agent_id or ""
        self._tiles = dict(plan.graph.nodes(data="node"))
        self._names = {node: tile.name for node, tile in self._tiles.items()}
        self._tables, self._items = WorkTables(store, run_id), CachedItems(store, run_id)
        self._lookups = Lookups()
        self._keys_to_save: dict[str, CacheKey] = {}
        self._claims_to_delete: list[tuple[str, str]] = []
        self._last_keys = self._tables.last_keys(self._agent, self._tiles)
        self._last_work = self._tables.work([cache_key.key for cache_key in self._last_keys.values()])

    def _analyser_of(self, question: str, about: str) -> str:
        """Return the analyser that answers a question about an asset."""
        current = _ANALYSERS.get(question, "")
        return (self._analysed_by(about) or current) if current else ""

    def _hit(self, lookup: Lookup, cached: CachedWork | None) -> Hit | None:
        """Return cached work for a lookup, or None if there is none, or it would now be different."""
        if cached is None or cached.stale(self._analyser_of) is not None:
            return None
        return self._items.hit(cached, lookup.node, lookup.inputs)

    # lookups

    def look_up(self, node: str, inputs: Sequence[Item]) -> Hit | None:
        """Return cached work for a tile. Without any, queue the tile for a claim; `start_claimed` returns
        it later.
        """
        tile = self._tiles[node]
        if not tile.type.cacheable:
            self._lookups.add(Lookup(node, inputs, None, "not cacheable", LookupState.CLAIMED))
            return None
        cache_key = cache_key_of(tile, inputs, self._sources.get(node, ()))
        lookup = Lookup(node, inputs, cache_key, "cache off")
        if not self._fresh:
            cached = self._last_work.get(lookup.key)
            hit = self._hit(lookup, cached)
            if hit is not None:
                return hit
            stale = cached.stale(self._analyser_of) if cached is not None else None
            lookup.why = stale or self._rerun_reason(node, cache_key)
        self._lookups.add(lookup)
        return None

    def _rerun_reason(self, node: str, cache_key: CacheKey) -> str:
        before = self._last_keys.get(node)
        return rerun_reason(before, cache_key, self._names) if before is not None else "the first time"

    def start_claimed(self) -> list[Lookup]:
        """Return the tiles whose claim is committed, so that they may run. Each is returned once."""
        claimed = self._lookups.all(LookupState.CLAIMED)
        for lookup in claimed:
            self._lookups.move(lookup, LookupState.RUNNING)
        return claimed

    def take_arrived(self) -> list[tuple[str, Hit]]:
        """Return cached work that has appeared since a tile asked for it, each with its tile.

        A tile that waits for a run which has ended without that work is queued for a claim of its own.
        """
        self._check_waiting()
        arrived = self._lookups.take(LookupState.ARRIVED)
        for lookup in arrived:
            if lookup.cache_key is not None:
                self._keys_to_save[lookup.node] = lookup.cache_key
        return [(lookup.node, lookup.hit) for lookup in arrived if lookup.hit is not None]

    def _check_waiting(self) -> None:
        """Move each waiting lookup on if its work has arrived, or if nobody does that work any more."""
        waiting = self._lookups.all(LookupState.WAITING)
        if not waiting:
            return
        keys = [lookup.key for lookup in waiting]
        work, claims = self._tables.work(keys), self._tables.claims(keys)
        dead = {run_id for run_id in set(claims.values()) if not self._store.is_held(run_id)}
        for lookup in waiting:
            owner = claims.get(lookup.key)
            lookup.hit = self._hit(lookup, work.get(lookup.key))
            if lookup.hit is not None:
                self._lookups.move(lookup, LookupState.ARRIVED)
            elif owner is None or owner in dead:
                if owner is not None:
                    self._claims_to_delete.append((lookup.key, owner))
                self._lookups.move(lookup, LookupState.UNCLAIMED)

    def cancel_waiting(self) -> list[Lookup]:
        """Stop waiting, since the run ends, and return the tiles that were waiting."""
        return [*self._lookups.take(LookupState.WAITING), *self._lookups.take(LookupState.UNCLAIMED)]

    def is_urgent(self) -> bool:
        """Return True if a tile waits for the next commit, or may start at once."""
        return self._lookups.any(LookupState.UNCLAIMED, LookupState.CLAIMED, LookupState.ARRIVED)

    # running tiles

    def note_answer(self, node: str, question: str, about: str) -> None:
        """Record an answer that a running tile got."""
        lookup = self._lookups.find(LookupState.RUNNING, node)
        if lookup is not None:
            lookup.answers.add((question, about, self._analyser_of(question, about)))

    def note_log(self, node: str, message: str) -> None:
        """Record a log line of a running tile."""
        lookup = self._lookups.find(LookupState.RUNNING, node)
        if lookup is not None:
            lookup.logs.append(message)

    def finish(self, node: str, items: tuple[Item, ...], deviations: tuple[Deviation, ...] = ()) -> None:
        """Queue the finished work of a tile for the cache."""
        lookup = self._lookups.find(LookupState.RUNNING, node)
        if lookup is not None:
            self._items.add_own(node, items)
            lookup.deviations = deviations
            self._end(lookup, LookupState.DONE)

    def release(self, node: str) -> None:
        """Release the claim of a tile that failed or was cancelled, so that other runs may try."""
        lookup = self._lookups.find(LookupState.RUNNING, node)
        if lookup is not None:
            self._end(lookup, LookupState.FAILED)

    def _end(self, lookup: Lookup, state: LookupState) -> None:
        """End a running tile. One that is not cacheable has neither a claim nor work to save."""
        if lookup.cache_key is None:
            self._lookups.remove(lookup)
        else:
            self._lookups.move(lookup, state)

    # inside the transaction that commits events

    def is_due(self) -> bool:
        """Return True if there is anything to write."""
        ended = self._lookups.any(LookupState.UNCLAIMED, LookupState.DONE, LookupState.FAILED)
        return ended or bool(self._keys_to_save or self._claims_to_delete)

    def write(self, connection: Connection) -> None:
        """Write finished work, release its claims, and claim the queued tiles."""
        done, failed = self._lookups.take(LookupState.DONE), self._lookups.take(LookupState.FAILED)
        self._claims_to_delete += [(lookup.key, self._run_id) for lookup in (*failed, *done)]
        self._tables.delete_claims(self._claims_to_delete, connection)
        self._claims_to_delete = []
        if done:
            self._write_done(done, connection)
        if self._lookups.any(LookupState.UNCLAIMED):
            self._claim(connection)
        if self._keys_to_save:
            # The next run compares its tiles with these keys, whether their work was cached or not.
            self._tables.save_last_keys(self._agent, self._keys_to_save, connection)
            self._keys_to_save = {}

    def _write_done(self, done: Sequence[Lookup], connection: Connection) -> None:
        work = {}
        for lookup in done:
            refs = tuple(item.ref for item in lookup.inputs)
            count = self._items.own_count(lookup.node)
            answers, logs = tuple(lookup.answers), tuple(lookup.logs)
            work[lookup.key] = CachedWork(
                self._run_id, lookup.node, count, refs, answers, logs, lookup.deviations
            )
            if lookup.cache_key is not None:
                self._keys_to_save[lookup.node] = lookup.cache_key
        self._tables.save_work(work, connection)

    def _claim(self, connection: Connection) -> None:
        """Claim the queued keys that no other run has claimed or finished meanwhile."""
        unclaimed = self._lookups.all(LookupState.UNCLAIMED)
        first: dict[str, Lookup] = {}
        # Of several tiles of this run with equal work, the first one claims it and the others wait.
        for lookup in unclaimed:
            first.setdefault(lookup.key, lookup)
        self._tables.claim(first, connection)
        owners = self._tables.claims([*first], connection)
        work = {} if self._fresh else self._tables.work([*first], connection)
        for lookup in unclaimed:
            claimed = lookup is first[lookup.key] and owners.get(lookup.key) == self._run_id
            lookup.hit = self._hit(lookup, work.get(lookup.key))
            if lookup.hit is not None:
                self._lookups.move(lookup, LookupState.ARRIVED)
                if claimed:
                    self._claims_to_delete.append((lookup.key, self._run_id))
            else:
                self._lookups.move(lookup, LookupState.CLAIMED if claimed else LookupState.WAITING)

    def close(self) -> None:
        """Release all claims of this run, however it ended."""
        self._tables.delete_all_claims()

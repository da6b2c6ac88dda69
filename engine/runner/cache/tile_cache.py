"""The work of tiles that is kept: equal work is done once, whoever asks, and when.

What is kept is where the items stand: the run and the tile that made them. It is written in one transaction
with the events that tell of it. A tile that is to work claims its key in the transaction that says that it is
queued; another run that wants the same waits until the claim is gone, and then finds what was made.
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
from tessera.runner.cache.cache_key import CacheKey, cache_key_of, read_cache_key, rerun_reason
from tessera.store.run_store import RunStore

if TYPE_CHECKING:
    from tessera.database.interface import Connection

__all__ = ["Hit", "Lookup", "TileCache", "read_cached_work"]

_ANSWERERS: Mapping[str, str] = {"speech": ANALYSER, "levels": ANALYSER}
"""Who answers a question now. A question that is not here is answered by what the parameters name."""
_MANY = 500
"""Keys in one query."""


@dataclass(frozen=True, slots=True)
class CachedWork:
    """Work that was done: by which tile of which run, of what, and what it asked and said meanwhile."""

    run_id: str
    node: str
    count: int
    refs: tuple[tuple[str, int], ...]
    answers: tuple[tuple[str, str, str], ...]
    logs: tuple[str, ...]

    def stale(self, now: Callable[[str, str], str]) -> str | None:
        """Why it is no longer what the tile would make; None where it is."""
        for question, about, answerer in self.answers:
            if answerer != now(question, about):
                return f"analyser of {question} {answerer} → {now(question, about) or 'none'}"
        return None


def read_cached_work(run_id: str, node: str, text: str) -> CachedWork:
    """Work that was done, from its JSON.

    Raises
    ------
    WorkspaceError
        It is something else.
    """
    with decoding(f"the work of {node} in run {run_id}"):
        body = json.loads(text)
        refs = tuple((str(parent), int(index)) for parent, index in body["refs"])
        answers = tuple((str(question), str(about), str(by)) for question, about, by in body["answers"])
        return CachedWork(run_id, node, int(body["count"]), refs, answers, tuple(map(str, body["logs"])))


@dataclass(frozen=True, slots=True)
class Hit:
    """Work that need not be done: who did it, the items, as if this run's tile had made them; what it asked,
    and said.
    """

    by: str
    items: tuple[Item, ...]
    answers: tuple[tuple[str, str], ...]
    logs: tuple[str, ...]


@dataclass(slots=True)
class Lookup:
    """A tile that wants to work, and why it must. What is not kept has neither traits nor a key."""

    node: str
    inputs: Sequence[Item]
    traits: CacheKey | None
    why: str
    key: str = ""
    answers: set[tuple[str, str, str]] = field(default_factory=set)
    logs: list[str] = field(default_factory=list)


class TileCache:
    """The kept work of a workspace, as one run uses it. For the coordinator's thread alone.

    Parameters
    ----------
    sources
        What each Video Input was given.
    fresh
        Take nothing that was made before; what is made is kept all the same.
    heard_by
        Who analysed the sound of an asset, where that is not who would now.
    """

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        plan: Plan,
        sources: Mapping[str, Sequence[InputMedia]],
        *,
        fresh: bool = False,
        heard_by: Callable[[str], str | None] = lambda _asset: None,
    ) -> None:
        self._heard_by = heard_by
        self._store, self._run_id, self._plan, self._sources = store, run_id, plan, sources
        self._fresh = fresh
        self._agent = plan.agent_id or ""
        self._tiles = dict(plan.graph.nodes(data="node"))
        self._names = {node: tile.name for node, tile in self._tiles.items()}
        self._shelves: dict[str, Mapping[str, tuple[Item, ...]]] = {}
        self._unreadable: set[str] = set()
        self._mine: dict[str, tuple[Item, ...]] = {}
        self._working: dict[str, Lookup] = {}
        self._wanted: list[Lookup] = []
        self._claimed: list[Lookup] = []
        self._waiting: list[Lookup] = []
        self._found: list[tuple[Lookup, Hit]] = []
        self._done: list[Lookup] = []
        self._seen: list[Lookup] = []
        self._given_up: list[str] = []
        self._gone: list[tuple[str, str]] = []
        self._before, self._rows = self._known()

    def _answerer(self, question: str, about: str) -> str:
        """Who answers a question about an asset."""
        now = _ANSWERERS.get(question, "")
        return (self._heard_by(about) or now) if now else ""

    # asking

    def ask(self, node: str, inputs: Sequence[Item]) -> Hit | None:
        """What a tile makes, where that is known; else it wants to work, which `claimed` lets it."""
        tile = self._tiles[node]
        if not tile.type.cacheable:
            self._claimed.append(Lookup(node, inputs, None, "it always does"))
            return None
        traits, why = cache_key_of(tile, inputs, self._sources.get(node, ())), None
        asked = Lookup(node, inputs, traits, "", traits.key)
        if self._fresh:
            why = "asked to"
        else:
            kept = self._rows.get(asked.key)
            if kept is not None:
                why = kept.stale(self._answerer)
                hit = self._hit(asked, kept) if why is None else None
                if hit is not None:
                    return hit
        asked.why = why or self._why(node, traits)
        self._wanted.append(asked)
        return None

    def _why(self, node: str, traits: CacheKey) -> str:
        before = self._before.get(node)
        return rerun_reason(before, traits, self._names) if before is not None else "the first time"

    def claimed(self) -> list[Lookup]:
        """The tiles that may work now, since what they claim is safe. Each once."""
        claimed, self._claimed = self._claimed, []
        self._working.update((asked.node, asked) for asked in claimed)
        return claimed

    def arrived(self) -> Iterator[tuple[Lookup, Hit]]:
        """What is there by now of the work that tiles wanted or waited for. Where the run that was at it is
        gone, the tile wants to work itself.
        """
        found, self._found = self._found, []
        yield from found
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        rows, claims = self._find([one.key for one in waiting]), self._claims([one.key for one in waiting])
        dead = {run_id for run_id in set(claims.values()) if not self._store.is_held(run_id)}
        for asked in waiting:
            kept = rows.get(asked.key)
            hit = self._hit(asked, kept) if kept is not None and not kept.stale(self._answerer) else None
            owner = claims.get(asked.key)
            if hit is not None:
                self._seen.append(asked)
                yield asked, hit
            elif owner is None or owner in dead:
                self._gone += [(asked.key, owner)] if owner else []
                self._wanted.append(asked)
            else:
                self._waiting.append(asked)

    def leave(self) -> list[Lookup]:
        """Wait no longer, since the run ends: the tiles that did."""
        left = [*self._waiting, *self._wanted]
        self._waiting, self._wanted = [], []
        return left

    def is_urgent(self) -> bool:
        """Whether a tile waits for what is to be written, or may work at once."""
        return bool(self._wanted or self._claimed or self._found)

    # what a tile at work says

    def note_answer(self, node: str, question: str, about: str) -> None:
        """A tile at work was told something."""
        if node in self._working:
            self._working[node].answers.add((question, about, self._answerer(question, about)))

    def note_log(self, node: str, message: str) -> None:
        """A tile at work said something."""
        if node in self._working:
            self._working[node].logs.append(message)

    def keep(self, node: str, items: tuple[Item, ...]) -> None:
        """A tile has worked: what it made is in this run."""
        asked = self._working.pop(node, None)
        if asked is not None and asked.key:
            self._mine[node] = items
            self._done.append(asked)

    def drop(self, node: str) -> None:
        """A tile has failed, or was cancelled: others may try."""
        asked = self._working.pop(node, None)
        if asked is not None and asked.key:
            self._given_up.append(asked.key)

    # in the transaction that makes events safe

    def is_due(self) -> bool:
        """Whether there is something to write."""
        return bool(self._wanted or self._done or self._given_up or self._gone or self._seen)

    def write(self, connection: Connection) -> None:
        """Write what was made, and claim what is wanted."""
        ended = [*self._given_up, *(asked.key for asked in self._done)]
        over = [*self._gone, *((key, self._run_id) for key in ended)]
        drop = "DELETE FROM claims WHERE key = :key AND run_id = :run_id"
        connection.execute_each(drop, [{"key": key, "run_id": owner} for key, owner in over])
        self._gone = []
        if self._done:
            self._write_done(connection)
        self._given_up, self._done = [], []
        if self._wanted:
            self._claim(connection)
        if self._seen:
            self._write_seen(connection)

    def _write_done(self, connection: Connection) -> None:
        rows = {}
        for asked in self._done:
            body = {
                "count": len(self._mine[asked.node]),
                "refs": [one.ref for one in asked.inputs],
                "answers": sorted(asked.answers),
                "logs": asked.logs,
            }
            rows[asked.key] = (asked.key, self._run_id, asked.node, json.dumps(body))
        connection.insert("tiles", ("key", "run_id", "node", "body"), rows.values(), "replace", key=("key",))
        self._seen += self._done

    def _write_seen(self, connection: Connection) -> None:
        """Keep what the work of tiles stood on, whoever did it: that is what a next run is compared with."""
        rows = {
            asked.node: (self._agent, asked.node, asked.traits.to_json())
            for asked in self._seen
            if asked.traits is not None
        }
        connection.insert(
            "lately", ("agent_id", "node", "body"), rows.values(), "replace", key=("agent_id", "node")
        )
        self._seen = []

    def _claim(self, connection: Connection) -> None:
        """Take what nobody else has claimed, or made meanwhile."""
        first: dict[str, Lookup] = {}
        wanted, self._wanted = self._wanted, []
        for asked in wanted:
            first.setdefault(asked.key, asked)
        connection.insert("claims", ("key", "run_id"), [(key, self._run_id) for key in first], "skip")
        owners = self._claims([*first], connection)
        made = {} if self._fresh else self._find([*first], connection)
        for asked in wanted:
            taken = asked is first[asked.key] and owners.get(asked.key) == self._run_id
            kept = made.get(asked.key)
            hit = self._hit(asked, kept) if kept is not None and not kept.stale(self._answerer) else None
            if hit is not None:
                self._found.append((asked, hit))
                self._seen.append(asked)
                self._given_up += [asked.key] if taken else []
            else:
                (self._claimed if taken else self._waiting).append(asked)

    def close(self) -> None:
        """Let go of all that this run has claimed: it has ended, however."""
        mine = "FROM claims WHERE run_id = :run_id"
        with self._store.database.read() as connection:
            if not connection.rows(f"SELECT key {mine} LIMIT 1", run_id=self._run_id):
                return
        with self._store.database.write() as connection:
            connection.execute(f"DELETE {mine}", run_id=self._run_id)

    # reading

    def _known(self) -> tuple[dict[str, CacheKey], dict[str, CachedWork]]:
        """What the tiles of this agent stood on when they last worked, and what they made then."""
        mine = "SELECT node, body FROM lately WHERE agent_id = :agent_id"
        with self._store.database.read() as connection:
            seen = {}
            for node, body in connection.rows(mine, agent_id=self._agent):
                with suppress(WorkspaceError):  # what cannot be read is as if it were not there
                    seen[node] = read_cache_key(body)
            before = {node: traits for node, traits in seen.items() if node in self._tiles}
            rows = self._find([traits.key for traits in before.values()], connection)
        return before, rows

    def _find(self, keys: Sequence[str], connection: Connection | None = None) -> dict[str, CachedWork]:
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
        """The rows of these keys."""
        if connection is None:
            with self._store.database.read() as opened:
                yield from self._rows_of(query, keys, opened)
            return
        for start in range(0, len(keys), _MANY):
            condition, named = in_condition("key", keys[start : start + _MANY])
            yield from connection.rows(f"{query} WHERE {condition}", **named)

    def _hit(self, asked: Lookup, kept: CachedWork) -> Hit | None:
        """What was made then, as if this run's tile had made it now; None where it is no longer there."""
        made = self._made(kept)
        if made is None or len(kept.refs) != len(asked.inputs):
            return None
        now = {ref: item.ref for ref, item in zip(kept.refs, asked.inputs, strict=True)}
        if any(parent not in now for one in made for parent in one.parents):
            return None
        items = tuple(
            replace(one, node=asked.node, parents=tuple(now[parent] for parent in one.parents))
            for one in made
        )
        told = tuple((question, about) for question, about, _by in kept.answers)
        by = "this run, before it went on" if kept.run_id == self._run_id else f"run {kept.run_id}"
        return Hit(by, items, told, kept.logs)

    def _made(self, kept: CachedWork) -> tuple[Item, ...] | None:
        if kept.run_id == self._run_id and kept.node in self._mine:
            return self._mine[kept.node]
        made = self._shelves.get(kept.run_id, {}).get(kept.node, ())
        if len(made) != kept.count and kept.run_id not in self._unreadable:
            # not read yet, or read when that run had not come so far
            try:
                self._shelves[kept.run_id] = self._store.items(kept.run_id)
            except WorkspaceError:
                self._unreadable.add(kept.run_id)
            made = self._shelves.get(kept.run_id, {}).get(kept.node, ())
        return made if len(made) == kept.count else None

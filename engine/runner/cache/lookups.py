"""The tiles of a run that the tile cache could not answer at once, each in one explicit state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tessera.deviation import Deviation
from tessera.media.algebra.item import Item
from tessera.runner.cache.cache_key import CacheKey
from tessera.runner.cache.cached_work import Hit

__all__ = ["Lookup", "LookupState", "Lookups"]


class LookupState(StrEnum):
    """The state of a lookup. The comment of each says what moves it on.

    A tile without a cache key enters as CLAIMED; every other one enters as UNCLAIMED.
    """

    UNCLAIMED = "unclaimed"  # the next commit claims the key, if nobody else has
    CLAIMED = "claimed"  # the claim is committed: the coordinator starts the tile
    WAITING = "waiting"  # another run, or another tile of this run, does the same work
    ARRIVED = "arrived"  # that work is finished: the coordinator takes its items
    RUNNING = "running"  # a worker has the tile
    DONE = "done"  # the next commit saves the work and deletes the claim
    FAILED = "failed"  # the next commit deletes the claim, so that other runs may try


_NEXT: Mapping[LookupState, frozenset[LookupState]] = {
    LookupState.UNCLAIMED: frozenset({LookupState.CLAIMED, LookupState.WAITING, LookupState.ARRIVED}),
    LookupState.CLAIMED: frozenset({LookupState.RUNNING}),
    LookupState.WAITING: frozenset({LookupState.UNCLAIMED, LookupState.ARRIVED}),
    LookupState.ARRIVED: frozenset(),
    LookupState.RUNNING: frozenset({LookupState.DONE, LookupState.FAILED}),
    LookupState.DONE: frozenset(),
    LookupState.FAILED: frozenset(),
}


@dataclass(eq=False, slots=True)
class Lookup:
    """A tile that asked the cache.

    Attributes
    ----------
    inputs
        The items that reach it.
    cache_key
        The key of its work; None if the tile is not cacheable.
    why
        The reason why it must run, for the record.
    hit
        The work that has arrived for it.
    answers, logs, deviations
        What it was answered, what it logged, and where it did not follow its parameters while it ran.
    """

    node: str
    inputs: Sequence[Item]
    cache_key: CacheKey | None
    why: str
    state: LookupState = LookupState.UNCLAIMED
    hit: Hit | None = None
    answers: set[tuple[str, str, str]] = field(default_factory=set)
    logs: list[str] = field(default_factory=list)
    deviations: tuple[Deviation, ...] = ()

    @property
    def key(self) -> str:
        """The cache key as text, or "" if the tile is not cacheable."""
        return self.cache_key.key if self.cache_key is not None else ""


class Lookups:
    """The lookups of a run by state, each in the order in which they entered it."""

    def __init__(self) -> None:
        self._by_state: dict[LookupState, dict[str, Lookup]] = {state: {} for state in LookupState}

    def add(self, lookup: Lookup) -> None:
        """Add a new lookup in its state."""
        self._by_state[lookup.state][lookup.node] = lookup

    def move(self, lookup: Lookup, state: LookupState) -> None:
        """Move a lookup to another state.

        Raises
        ------
        ValueError
            If that state does not follow from the current one.
        """
        if state not in _NEXT[lookup.state]:
            raise ValueError(f"{lookup.node} cannot become {state.value}: it is {lookup.state.value}")
        del self._by_state[lookup.state][lookup.node]
        lookup.state = state
        self._by_state[state][lookup.node] = lookup

    def remove(self, lookup: Lookup) -> None:
        """Remove a lookup that needs nothing more."""
        del self._by_state[lookup.state][lookup.node]

    def find(self, state: LookupState, node: str) -> Lookup | None:
        """Return the lookup of a tile if it is in this state."""
        return self._by_state[state].get(node)

    def all(self, state: LookupState) -> list[Lookup]:
        """Return the lookups in a state, the earliest first."""
        return list(self._by_state[state].values())

    def take(self, state: LookupState) -> list[Lookup]:
        """Remove all lookups in a state from the table, and return them, the earliest first."""
        taken = self.all(state)
        self._by_state[state].clear()
        return taken

    def any(self, *states: LookupState) -> bool:
        """Return True if any lookup is in one of these states."""
        return any(self._by_state[state] for state in states)

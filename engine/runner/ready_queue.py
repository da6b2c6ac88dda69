"""Who waits for whom: the tiles of a plan, given out as what they wait for ends."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tessera.graph.plan import Plan

__all__ = ["ReadyQueue"]


class ReadyQueue:
    """Gives each tile out once, after all that feed it are done.

    Attributes
    ----------
    before
        By tile: those that feed it, in the template's order.
    left
        How many tiles are not done.
    """

    def __init__(self, plan: Plan) -> None:
        self.graph = plan.graph
        tiles = dict(plan.graph.nodes(data="node"))
        self.place = {node: tile.index for node, tile in tiles.items()}
        self.before = {
            node: sorted(plan.graph.predecessors(node), key=self.place.__getitem__) for node in plan.order
        }
        self.left = len(plan.order)
        self._waits_for = {node: len(before) for node, before in self.before.items()}
        self._claims_next = self._claiming(
            node for node in plan.order if tiles[node].type.is_output() and self.before[node]
        )
        self._ready = [node for node, count in self._waits_for.items() if not count]

    def _claiming(self, outputs: Iterable[str]) -> dict[str, list[str]]:
        """By output tile: those that may claim the same items for delivery, and do so after it. They wait for
        it, so that who delivers an item does not depend on who comes first.
        """
        fed: dict[str, list[str]] = {}
        for node in sorted(outputs, key=self.place.__getitem__):
            for before in self.before[node]:
                fed.setdefault(before, []).append(node)
        pairs = {pair for ones in fed.values() for pair in pairwise(ones)}
        found: dict[str, list[str]] = {}
        for node, later in sorted(pairs, key=lambda pair: self.place[pair[1]]):
            found.setdefault(node, []).append(later)
            self._waits_for[later] += 1
        return found

    def ready(self) -> list[str]:
        """The tiles that wait for nothing any more and were not given out yet, in the template's order."""
        ready, self._ready = self._ready, []
        ready.sort(key=self.place.__getitem__)
        return ready

    def done(self, node: str) -> None:
        """A tile has ended, however it did."""
        self.left -= 1
        self._release(self.graph.successors(node))
        self.claimed(node)

    def claimed(self, node: str) -> None:
        """An output tile has claimed what it delivers, or never will."""
        if self._claims_next:
            self._release(self._claims_next.pop(node, ()))

    def _release(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._waits_for[node] -= 1
            if not self._waits_for[node]:
                self._ready.append(node)

    def skip(self, done: Iterable[str]) -> None:
        """Take tiles as done before anything is given out."""
        ended = set(done)
        for node in ended:
            self.done(node)
        self._ready = [node for node in self._ready if node not in ended]

"""The ready queue: yields the tiles of a plan as their predecessors end."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tessera.graph.plan import Plan

__all__ = ["ReadyQueue"]


class ReadyQueue:
    """Yields each tile once, after all its predecessors are done.

    Attributes
    ----------
    predecessors
        By tile: the tiles that feed it, in the template's order.
    position
        By tile: its position in the template.
    remaining
        The number of tiles that are not done.
    """

    def __init__(self, plan: Plan) -> None:
        self.graph = plan.graph
        tiles = dict(plan.graph.nodes(data="node"))
        self.position = {node: tile.index for node, tile in tiles.items()}
        self.predecessors = {
            node: sorted(plan.graph.predecessors(node), key=self.position.__getitem__) for node in plan.order
        }
        self.remaining = len(plan.order)
        self._pending = {node: len(before) for node, before in self.predecessors.items()}
        self._claim_successors = self._claim_order(
            node for node in plan.order if tiles[node].type.is_output() and self.predecessors[node]
        )
        self._ready = [node for node, count in self._pending.items() if not count]

    def _claim_order(self, outputs: Iterable[str]) -> dict[str, list[str]]:
        """Return, by output tile, the tiles that may claim the same items for delivery after it.

        Those tiles wait for it, so that the delivering tile of an item does not depend on timing.
        """
        fed: dict[str, list[str]] = {}
        for node in sorted(outputs, key=self.position.__getitem__):
            for before in self.predecessors[node]:
                fed.setdefault(before, []).append(node)
        pairs = {pair for ones in fed.values() for pair in pairwise(ones)}
        found: dict[str, list[str]] = {}
        for node, later in sorted(pairs, key=lambda pair: self.position[pair[1]]):
            found.setdefault(node, []).append(later)
            self._pending[later] += 1
        return found

    def ready(self) -> list[str]:
        """Return the tiles that have become ready since the last call, in the template's order."""
        ready, self._ready = self._ready, []
        ready.sort(key=self.position.__getitem__)
        return ready

    def done(self, node: str) -> None:
        """Mark a tile as ended, with any status."""
        self.remaining -= 1
        self._release(self.graph.successors(node))
        self.release_claims(node)

    def release_claims(self, node: str) -> None:
        """Let other output tiles claim items, once this one has claimed its own or never will."""
        if self._claim_successors:
            self._release(self._claim_successors.pop(node, ()))

    def _release(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._pending[node] -= 1
            if not self._pending[node]:
                self._ready.append(node)

    def skip(self, done: Iterable[str]) -> None:
        """Mark tiles as done before the first call of `ready`."""
        ended = set(done)
        for node in ended:
            self.done(node)
        self._ready = [node for node in self._ready if node not in ended]

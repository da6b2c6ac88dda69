"""The rewrites of a run's graph: `ignore_nodes` and `update_params`, pure functions from graph to graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from tessera.graph.model import Tile, copy_graph

if TYPE_CHECKING:
    import networkx as nx
    from pydantic import BaseModel

__all__ = [
    "MAX_REWIRED",
    "TooManyEdges",
    "ignore_nodes",
    "reachable",
    "runnable_nodes",
    "sources",
    "update_params",
]

MAX_REWIRED = 1_000_000
"""The greatest number of edges that removing tiles may make."""

_EXITS_AT_ONCE = 8_192
"""Exits counted in one pass over a component: bounds the memory of its bit sets at 1 KiB a tile."""


MAX_VIA = 10_000_000
"""The greatest length of all their `via` together: what keeps a long chain between many tiles in memory."""


class TooManyEdges(ValueError):
    """Removing the tiles would make `count` new edges (or steps of their `via`), more than `limit`."""

    def __init__(self, count: int, limit: int, what: str = "new connections") -> None:
        super().__init__(f"removing these tiles would make {count:,} {what}; at most {limit:,} are allowed")
        self.count, self.limit = count, limit


def ignore_nodes(graph: nx.DiGraph, ignored: Collection[str], *, limit: int = MAX_REWIRED) -> nx.DiGraph:
    """The graph without `ignored`; every connection into a removed tile is led on to each tile that it fed.

    Two kept tiles are connected afterwards exactly when a path led from one to the other all of whose inner
    nodes were removed (law 5). Edge attribute `via`: the ids along one shortest such path, `()` where the
    template has the edge itself. The input is not changed. The order of `ignored` has no effect, and applying
    it twice neither.

    Time is linear in the edges of the input and of the output, but for components of removed tiles that have
    many entries and many exits at once; there it is at most the smaller number of the two times the
    component's edges.

    An id that is not in the graph is one that was removed before.

    Raises
    ------
    TooManyEdges
        More than `limit` edges would be made (known before any is), or their `via` would fill the memory.
    """
    gone = {node for node in ignored if node in graph}
    kept = copy_graph(graph, (node for node in graph if node not in gone))
    components = [_Component.of(graph, members, gone) for members in _components(graph, gone)]
    if sum(len(part.entries) * len(part.exits) for part in components) > limit:
        members = [member for part in components for member in part.members]
        count = _Component.of(graph, members, gone).count(graph)
        if count > limit:
            raise TooManyEdges(count, limit)
    steps = 0
    for part in components:
        for source, target, via in part.rewired(graph):
            steps += len(via)
            if steps > MAX_VIA:
                raise TooManyEdges(steps, MAX_VIA, "or more tiles to be led past")
            known = kept.edges.get((source, target))
            if known is None or len(via) < len(known["via"]):
                kept.add_edge(source, target, via=via)
    return kept


def _components(graph: nx.DiGraph, gone: set[str]) -> Iterator[list[str]]:
    """The weakly connected components of the removed part, members in the graph's order."""
    place = {node: index for index, node in enumerate(graph) if node in gone}
    left = set(place)
    for start in place:
        if start not in left:
            continue
        left.discard(start)
        members, stack = [start], [start]
        while stack:
            node = stack.pop()
            for near in (*graph.pred[node], *graph.succ[node]):
                if near in left:
                    left.discard(near)
                    members.append(near)
                    stack.append(near)
        yield sorted(members, key=place.__getitem__)


class _Component:
    """Removed tiles, the kept tiles that feed them (entries) and that they feed (exits)."""

    def __init__(
        self, members: list[str], entries: dict[str, list[str]], exits: dict[str, list[str]]
    ) -> None:
        self.members, self.entries, self.exits = members, entries, exits
        self.inside = set(members)

    @classmethod
    def of(cls, graph: nx.DiGraph, members: list[str], gone: set[str]) -> _Component:
        entries: dict[str, list[str]] = {}
        exits: dict[str, list[str]] = {}
        for member in members:
            for node in graph.predecessors(member):
                if node not in gone:
                    entries.setdefault(node, []).append(member)
            for node in graph.successors(member):
                if node not in gone:
                    exits.setdefault(node, []).append(member)
        return cls(members, entries, exits)

    def count(self, graph: nx.DiGraph) -> int:
        """How many pairs (entry, exit) it connects that have no edge yet; by bit sets of exits."""
        total = 0
        backwards = self._backwards(graph)
        for at in range(0, len(self.exits), _EXITS_AT_ONCE):
            bit = {node: 1 << index for index, node in enumerate(list(self.exits)[at : at + _EXITS_AT_ONCE])}
            reach: dict[str, int] = {}
            for member in backwards:
                bits = 0
                for after in graph.succ[member]:
                    bits |= reach[after] if after in self.inside else bit.get(after, 0)
                reach[member] = bits
            for entry in self.entries:
                bits = known = 0
                for after in graph.succ[entry]:
                    bits |= reach.get(after, 0)
                    known |= bit.get(after, 0)
                total += (bits & ~known).bit_count()
        return total

    def _backwards(self, graph: nx.DiGraph) -> list[str]:
        """The members in reverse topological order."""
        waiting = {
            member: sum(after in self.inside for after in graph.succ[member]) for member in self.members
        }
        ready = [member for member, count in waiting.items() if not count]
        for member in ready:
            for before in graph.pred[member]:
                if before in self.inside:
                    waiting[before] -= 1
                    if not waiting[before]:
                        ready.append(before)
        return ready

    def rewired(self, graph: nx.DiGraph) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Every (entry, exit, via) with a shortest via, searched from the side that has fewer tiles."""
        if len(self.entries) <= len(self.exits):
            for entry in self.entries:
                for target, steps in self._search(entry, self.entries[entry], graph.succ):
                    yield (
                        entry,
                        target,
                        _via([(before, after, via) for after, before, via in reversed(steps)]),
                    )
        else:
            for target in self.exits:
                for entry, steps in self._search(target, self.exits[target], graph.pred):
                    yield entry, target, _via(steps)

    def _search(
        self, start: str, first: Sequence[str], onward: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[tuple[str, list[_Step]]]:
        """Shortest paths from a kept tile through this component to each kept tile that it meets (Dijkstra).

        A path's length is the number of removed tiles on it, those that its edges skip already included.
        Yields the kept tile met and the steps (from, to, via) that lead back from it to `start`.
        """
        best: dict[str, tuple[int, str]] = {start: (0, "")}
        met: dict[str, tuple[int, str]] = {}
        done: set[str] = set()
        queue: list[tuple[int, int, str]] = [(0, 0, start)]
        pushed = 0
        while queue:
            length, _order, node = heappop(queue)
            if node in done:
                continue
            done.add(node)
            edges = onward[node]
            for after in first if node == start else edges:
                edge = edges[after]
                inside = after in self.inside
                reached = length + len(edge["via"]) + inside
                known = best if inside else met
                if after not in known or reached < known[after][0]:
                    known[after] = (reached, node)
                    if inside:
                        pushed += 1
                        heappush(queue, (reached, pushed, after))
        for kept, (_length, last) in met.items():
            steps: list[_Step] = [(kept, last, onward[last][kept]["via"])]
            while last != start:
                before = best[last][1]
                steps.append((last, before, onward[before][last]["via"]))
                last = before
            yield kept, steps


_Step = tuple[str, str, tuple[str, ...]]


def _via(steps: Sequence[_Step]) -> tuple[str, ...]:
    """The removed tiles along a path, in its order: those that edges skip, and each between two edges."""
    via: list[str] = []
    for index, (tile, _next, skipped) in enumerate(steps):
        if index:
            via.append(tile)
        via.extend(skipped)
    return tuple(via)


def update_params(
    graph: nx.DiGraph, overrides: Mapping[str, tuple[Mapping[str, Any], BaseModel, Mapping[str, Any]]]
) -> nx.DiGraph:
    """The graph with some tiles' parameters overridden.

    Parameters
    ----------
    overrides
        Node id → (the values set by the request, all parameters of the tile checked, those of unknown name).

    The input is not changed. Values replace what they override as a whole.
    """
    copy = copy_graph(graph)
    for node, (values, params, unknown) in overrides.items():
        tile: Tile = copy.nodes[node]["node"]
        merged = {**tile.overrides, **values}
        copy.nodes[node]["node"] = replace(tile, overrides=merged, params=params, unknown=unknown)
    return copy


def sources(graph: nx.DiGraph) -> list[str]:
    """What a run starts from: Video Inputs (triggers where there is none), and unconnected generators."""
    starts: dict[str, list[str]] = {"input": [], "trigger": [], "generator": []}
    for node, tile in graph.nodes(data="node"):
        kind = tile.type.category
        if kind in starts:
            starts[kind].append(node)
        elif tile.type.is_generator() and not graph.in_degree(node):
            starts["generator"].append(node)
    return (starts["input"] or starts["trigger"]) + starts["generator"]


def reachable(graph: nx.DiGraph, starts: Iterable[str]) -> set[str]:
    """`starts` and everything downstream of them."""
    seen = set(starts)
    stack = list(seen)
    while stack:
        for after in graph.successors(stack.pop()):
            if after not in seen:
                seen.add(after)
                stack.append(after)
    return seen


def runnable_nodes(graph: nx.DiGraph) -> set[str]:
    """The nodes that a run executes: all that is reachable from its sources."""
    return reachable(graph, sources(graph))

"""The rewrites of a run's graph: `ignore_nodes` and `update_params`, pure functions from graph to graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import pairwise
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
"""The largest number of edges that removing tiles may create."""

_EXITS_PER_PASS = 8_192
"""Exits counted in one pass over a component: limits the memory of its bit sets to 1 KiB per tile."""


MAX_VIA = 10_000_000
"""The largest total length of the `via` of new edges: limits memory when a long chain joins many tiles."""


class TooManyEdges(ValueError):
    """Raised if removing the tiles would create `count` edges (or `via` steps), more than `limit`."""

    def __init__(self, count: int, limit: int, unit: str = "new connections") -> None:
        super().__init__(f"removing these tiles would create {count:,} {unit}; at most {limit:,} are allowed")
        self.count, self.limit = count, limit


def ignore_nodes(graph: nx.DiGraph, ignored: Collection[str], *, limit: int = MAX_REWIRED) -> nx.DiGraph:
    """Return the graph without `ignored`; the feeders of a removed tile feed its targets instead.

    Two kept tiles are connected in the result if and only if the input has a path between them on which
    every inner node is removed (law 5). Edge attribute `via`: the ids along one shortest such path, `()` if
    the template has the edge itself. The input does not change. The order of `ignored` has no effect, and
    the function is idempotent: it skips ids that are not in the graph, since an earlier call removed them.

    Time is linear in the edges of the input and of the output, except for components of removed tiles with
    both many entries and many exits. For these it is at most the smaller of the two numbers times the
    component's edges.

    Raises
    ------
    TooManyEdges
        If more than `limit` edges would be created (checked before any is), or if the total length of their
        `via` exceeds `MAX_VIA`.
    """
    # Entries × exits is an upper bound of the new edges; the exact count is costly, so it comes second.
    removed = {node for node in ignored if node in graph}
    kept = copy_graph(graph, (node for node in graph if node not in removed))
    components = [_Component.build(graph, members, removed) for members in _components(graph, removed)]
    if sum(len(part.entries) * len(part.exits) for part in components) > limit:
        members = [member for part in components for member in part.members]
        count = _Component.build(graph, members, removed).count(graph)
        if count > limit:
            raise TooManyEdges(count, limit)
    steps = 0
    for part in components:
        for source, target, via in part.rewired(graph):
            steps += len(via)
            if steps > MAX_VIA:
                raise TooManyEdges(steps, MAX_VIA, "or more steps past removed tiles")
            known = kept.get_edge_data(source, target)
            if known is None or len(via) < len(known["via"]):
                kept.add_edge(source, target, via=via)
    return kept


def _components(graph: nx.DiGraph, removed: set[str]) -> Iterator[list[str]]:
    """Yield the weakly connected components of the removed nodes, each in the graph's order."""
    place = {node: index for index, node in enumerate(graph) if node in removed}
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
    """Connected removed tiles, the kept tiles that feed them (entries) and those that they feed (exits)."""

    def __init__(
        self, members: list[str], entries: dict[str, list[str]], exits: dict[str, list[str]]
    ) -> None:
        self.members, self.entries, self.exits = members, entries, exits
        self.inside = set(members)

    @classmethod
    def build(cls, graph: nx.DiGraph, members: list[str], removed: set[str]) -> _Component:
        entries: dict[str, list[str]] = {}
        exits: dict[str, list[str]] = {}
        for member in members:
            for node in graph.predecessors(member):
                if node not in removed:
                    entries.setdefault(node, []).append(member)
            for node in graph.successors(member):
                if node not in removed:
                    exits.setdefault(node, []).append(member)
        return cls(members, entries, exits)

    def count(self, graph: nx.DiGraph) -> int:
        """Count the connected pairs (entry, exit) that have no edge yet, with bit sets of exits."""
        total = 0
        members = self._reverse_order(graph)
        for at in range(0, len(self.exits), _EXITS_PER_PASS):
            bit = {node: 1 << index for index, node in enumerate(list(self.exits)[at : at + _EXITS_PER_PASS])}
            reach: dict[str, int] = {}
            for member in members:
                exit_bits = 0
                for after in graph.succ[member]:
                    exit_bits |= reach[after] if after in self.inside else bit.get(after, 0)
                reach[member] = exit_bits
            for entry in self.entries:
                exit_bits = known = 0
                for after in graph.succ[entry]:
                    exit_bits |= reach.get(after, 0)
                    known |= bit.get(after, 0)
                total += (exit_bits & ~known).bit_count()
        return total

    def _reverse_order(self, graph: nx.DiGraph) -> list[str]:
        """Return the members in reverse topological order."""
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
        """Yield every (entry, exit, via) with a shortest `via`, searched from the side with fewer tiles."""
        if len(self.entries) <= len(self.exits):
            for entry in self.entries:
                for target, via in self._search(entry, self.entries[entry], graph.succ, forwards=True):
                    yield entry, target, via
        else:
            for target in self.exits:
                for entry, via in self._search(target, self.exits[target], graph.pred, forwards=False):
                    yield entry, target, via

    def _search(
        self, start: str, first: Sequence[str], onward: Mapping[str, Mapping[str, Any]], *, forwards: bool
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Find the shortest path from a kept tile through this component to each kept tile (Dijkstra).

        The length of a path is the number of removed tiles on it, including those in the `via` of its edges.
        Yields each kept tile and the removed tiles between it and `start`, in the graph's direction. Ends
        behind the same removed tile share one tuple: a hub with many neighbours needs no path for each pair.
        """
        best: dict[str, tuple[int, str]] = {start: (0, "")}
        kept_ends: dict[str, tuple[int, str]] = {}
        done: set[str] = set()
        # The second member makes ties deterministic: of equal lengths, the first pushed comes first.
        queue: list[tuple[int, int, str]] = [(0, 0, start)]
        pushed = 0
        while queue:
            length, _order, node = heappop(queue)
            if node in done:
                continue
            done.add(node)
            edges = onward[node]
            for after in first if node == start else edges:
                inside = after in self.inside
                reached = length + len(edges[after]["via"]) + inside
                known = best if inside else kept_ends
                if after not in known or reached < known[after][0]:
                    known[after] = (reached, node)
                    if inside:
                        pushed += 1
                        heappush(queue, (reached, pushed, after))
        paths: dict[str, tuple[str, ...]] = {}
        for end, (_length, last) in kept_ends.items():
            path = paths.get(last)
            if path is None:
                steps = [last]
                while steps[-1] != start:
                    steps.append(best[steps[-1]][1])
                path = paths[last] = _path(steps, onward, forwards=forwards)
            skipped = onward[last][end]["via"]
            if skipped:
                yield end, path + skipped if forwards else skipped + path
            else:
                yield end, path


def _path(
    steps: Sequence[str], onward: Mapping[str, Mapping[str, Any]], *, forwards: bool
) -> tuple[str, ...]:
    """Return the removed tiles of a search in the graph's direction: its steps and the `via` of their edges.

    `steps` leads from the last removed tile back to the start of the search, which is left out.
    """
    path: list[str] = []
    for tile, before in pairwise(steps):
        skipped = onward[before][tile]["via"]
        path += (tile, *(skipped[::-1] if forwards else skipped))
    return tuple(path[::-1] if forwards else path)


def update_params(
    graph: nx.DiGraph, overrides: Mapping[str, tuple[Mapping[str, Any], BaseModel, Mapping[str, Any]]]
) -> nx.DiGraph:
    """Return the graph with the parameters of some tiles overridden. The input does not change.

    Parameters
    ----------
    overrides
        Node id → (the values set by the request, all parameters of the tile as a checked model, those of
        unknown name). A value replaces the old one as a whole; nested objects are not merged.
    """
    copy = copy_graph(graph)
    for node, (values, params, unknown) in overrides.items():
        tile: Tile = copy.nodes[node]["node"]
        merged = {**tile.overrides, **values}
        copy.nodes[node]["node"] = replace(tile, overrides=merged, params=params, unknown=unknown)
    return copy


def sources(graph: nx.DiGraph) -> list[str]:
    """Return the tiles that start a run: Video Inputs (or else triggers) and unconnected generators."""
    starts: dict[str, list[str]] = {"input": [], "trigger": [], "generator": []}
    for node, tile in graph.nodes(data="node"):
        kind = tile.type.category
        if kind in starts:
            starts[kind].append(node)
        elif tile.type.is_generator() and not graph.in_degree(node):
            starts["generator"].append(node)
    return (starts["input"] or starts["trigger"]) + starts["generator"]


def reachable(graph: nx.DiGraph, starts: Iterable[str]) -> set[str]:
    """Return `starts` and every node downstream of them."""
    seen = set(starts)
    stack = list(seen)
    while stack:
        for after in graph.successors(stack.pop()):
            if after not in seen:
                seen.add(after)
                stack.append(after)
    return seen


def runnable_nodes(graph: nx.DiGraph) -> set[str]:
    """Return the nodes that a run executes: all nodes that are reachable from its sources."""
    return reachable(graph, sources(graph))

"""Edges in the notation of tests (`a > b via c`), compared with the edges of a plan, with causes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import networkx as nx

from tessera.graph.plan import Plan
from tessera.testing.notation.names import Names, NotationError
from tessera.testing.notation.parser import parse

__all__ = ["Edge", "EdgeDiff", "Via", "edge_text", "edges_of", "read_edges"]

Edge = tuple[str, str]
Via = tuple[str, ...]


def read_edges(specs: Iterable[str], names: Names) -> dict[Edge, Via]:
    """Read edges from texts: chains and groups of the notation, each line with its own `via`.

    Raises
    ------
    NotationError
        If a text cannot be parsed, or a name matches no tile.
    """
    found: dict[Edge, Via] = {}
    for spec in specs:
        for line in re.split(r"[;\n]", spec):
            if not line.strip():
                continue
            text, *via_texts = re.split(r"\svia\s", line)
            if len(via_texts) > 1:
                raise NotationError("an edge has only one 'via'", line, line.rindex("via"))
            chains = parse(text)
            if not chains.edges:
                raise NotationError("write an edge as 'a > b' or 'a > b via c'", line, 0)
            ids = [names.id(mention.name) for mention in chains.mentions]
            via = tuple(names.id(name) for text in via_texts for name in re.split(r"[>,]", text))
            found.update(((ids[source], ids[target]), via) for source, target in chains.edges)
    return found


def edges_of(plan: Plan) -> dict[Edge, Via]:
    """Return the edges of a plan with their `via`, in the order of its tiles."""
    place = {node: index for index, node in enumerate(plan.order)}
    edges = sorted(plan.graph.edges(data="via"), key=lambda edge: (place[edge[0]], place[edge[1]]))
    return {(source, target): tuple(via) for source, target, via in edges}


def edge_text(edge: Edge, via: Via, name_of: Mapping[str, str]) -> str:
    """Return an edge in the notation of tests."""
    text = f"{name_of[edge[0]]} > {name_of[edge[1]]}"
    return f"{text} via {' > '.join(name_of[node] for node in via)}" if via else text


class EdgeDiff:
    """The difference between expected and actual edges of a plan; `str()` gives a readable text.

    Parameters
    ----------
    names
        The names of the agent's tiles.
    plan
        The plan with the actual edges.
    expected
        The edges that a test names.
    required
        The edges of the plan that `expected` must include; other edges of the plan are optional.
    """

    def __init__(
        self, names: Names, plan: Plan, expected: Mapping[Edge, Via], required: Iterable[Edge]
    ) -> None:
        self.names, self.plan, self.expected = names, plan, expected
        self.actual = edges_of(plan)
        self.extra = [edge for edge in required if edge not in expected]

    def __bool__(self) -> bool:
        """Return True if the edges differ."""
        return bool(self.extra) or any(self.actual.get(edge) != via for edge, via in self.expected.items())

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        name_of = self.names.name_of
        for edge, via in self.expected.items():
            if self.actual.get(edge) == via:
                yield f"    {edge_text(edge, via, name_of)}"
                continue
            yield f"  - {edge_text(edge, via, name_of)}"
            if edge in self.actual:
                yield f"  + {edge_text(edge, self.actual[edge], name_of)}"
            for cause in self._causes(edge, via):
                yield f"      {cause}"
        for edge in self.extra:
            yield f"  + {edge_text(edge, self.actual[edge], name_of)}"
            yield f"      {self._extra_cause(edge)}"

    def _extra_cause(self, edge: Edge) -> str:
        name_of, via = self.names.name_of, self.actual[edge]
        if not via:
            return "not expected; the template has this edge"
        bypassed = ", ".join(name_of[node] for node in via)
        return f"not expected; {bypassed} {'is' if len(via) == 1 else 'are'} ignored"

    def _causes(self, edge: Edge, via: Via) -> Iterator[str]:
        """Yield the causes of a mismatch, from the first group of causes that applies."""
        causes = [cause for node in dict.fromkeys(edge) for cause in self._absence_causes(node)]
        causes += [f"{self.names.name_of[node]} is not ignored" for node in via if node not in self._removed]
        if causes:
            yield from causes
            return
        if edge in self.actual:
            yield self._via_cause(edge, via)
            return
        yield from self._missing_edge_causes(edge)

    def _via_cause(self, edge: Edge, via: Via) -> str:
        name_of = self.names.name_of
        if edge in self._template_edges:
            return "the template has this edge itself, so its via is empty"
        if not via:
            return "no such edge in the template: it replaces ignored tiles, so its via is not empty"
        for source, target in zip((edge[0], *via), (*via, edge[1]), strict=True):
            if (source, target) not in self._template_edges:
                return f"{name_of[source]} does not feed {name_of[target]} in the template"
        return "the plan uses another path, which is at most as long"

    def _missing_edge_causes(self, edge: Edge) -> Iterator[str]:
        name_of = self.names.name_of
        source, target = edge
        feeds = [name_of[after] for before, after in self.actual if before == source]
        feeders = [name_of[before] for before, after in self.actual if after == target]
        yield f"no such edge; {name_of[source]} feeds: {', '.join(feeds) or 'nothing'}"
        yield f"{name_of[target]} is fed by: {', '.join(feeders) or 'nothing'}"
        between = self._inner_tiles(source, target)
        if between:
            yield f"the path between them goes through {', '.join(name_of[node] for node in between)}"

    def _absence_causes(self, node: str) -> Iterator[str]:
        if node in self._removed:
            yield f"{self.names.name_of[node]} is ignored"
        elif node not in self.plan.graph:
            yield f"{self.names.name_of[node]} does not run: nothing that runs leads to it"

    def _inner_tiles(self, source: str, target: str) -> Sequence[str]:
        """Return the tiles on one shortest path through the run's graph, without its ends."""
        try:
            path: list[str] = nx.shortest_path(self.plan.graph, source, target)
        except nx.NetworkXNoPath:
            return ()
        return path[1:-1]

    @cached_property
    def _removed(self) -> frozenset[str]:
        return frozenset(self.plan.changes.removed)

    @cached_property
    def _template_edges(self) -> frozenset[Edge]:
        return frozenset((edge.source, edge.target) for edge in self.names.template.connections)

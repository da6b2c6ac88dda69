"""Edges as tests write them (`a > b via c`), compared with a plan's; each difference with its cause."""

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
    """The edges that texts mean: chains and groups of the notation, each line with its `via`.

    Raises
    ------
    NotationError
        A text cannot be read, or names a tile that is not there.
    """
    found: dict[Edge, Via] = {}
    for spec in specs:
        for line in re.split(r"[;\n]", spec):
            if not line.strip():
                continue
            text, *past = re.split(r"\svia\s", line)
            if len(past) > 1:
                raise NotationError("an edge has one 'via'", line, line.rindex("via"))
            chains = parse(text)
            if not chains.edges:
                raise NotationError("an edge is written 'a > b', or 'a > b via c'", line, 0)
            ids = [names.id(mention.name) for mention in chains.mentions]
            via = tuple(names.id(name) for name in re.split(r"[>,]", past[0])) if past else ()
            found.update(((ids[source], ids[target]), via) for source, target in chains.edges)
    return found


def edges_of(plan: Plan) -> dict[Edge, Via]:
    """The edges of a plan with their `via`, in the order of its tiles."""
    place = {node: index for index, node in enumerate(plan.order)}
    edges = sorted(plan.graph.edges(data="via"), key=lambda edge: (place[edge[0]], place[edge[1]]))
    return {(source, target): tuple(via) for source, target, via in edges}


def edge_text(edge: Edge, via: Via, of: Mapping[str, str]) -> str:
    """An edge as a test writes it."""
    text = f"{of[edge[0]]} > {of[edge[1]]}"
    return f"{text} via {' > '.join(of[node] for node in via)}" if via else text


class EdgeDiff:
    """Expected and actual edges of a plan, as a text a person can read.

    Parameters
    ----------
    expected
        The edges that a test names.
    counted
        The edges of the plan that must be named; others may be there.
    """

    def __init__(
        self, names: Names, plan: Plan, expected: Mapping[Edge, Via], counted: Iterable[Edge]
    ) -> None:
        self.names, self.plan, self.expected = names, plan, expected
        self.actual = edges_of(plan)
        self.extra = [edge for edge in counted if edge not in expected]

    def __bool__(self) -> bool:
        """Whether there is a difference."""
        return bool(self.extra) or any(self.actual.get(edge) != via for edge, via in self.expected.items())

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        of = self.names.of
        for edge, via in self.expected.items():
            if self.actual.get(edge) == via:
                yield f"    {edge_text(edge, via, of)}"
                continue
            yield f"  - {edge_text(edge, via, of)}"
            if edge in self.actual:
                yield f"  + {edge_text(edge, self.actual[edge], of)}"
            for cause in self._causes(edge, via):
                yield f"      {cause}"
        for edge in self.extra:
            yield f"  + {edge_text(edge, self.actual[edge], of)}"
            yield f"      {self._why_there(edge)}"

    def _why_there(self, edge: Edge) -> str:
        of, via = self.names.of, self.actual[edge]
        if not via:
            return "not named; the template has it"
        past = ", ".join(of[node] for node in via)
        return f"not named; {past} {'is' if len(via) == 1 else 'are'} ignored"

    def _causes(self, edge: Edge, via: Via) -> Iterator[str]:
        """Why an edge is not as it is expected: the first of the causes that explain it."""
        gone = [cause for node in dict.fromkeys(edge) for cause in self._absent(node)]
        kept = [f"{self.names.of[node]} is not ignored" for node in via if node not in self._removed]
        if gone or kept:
            yield from gone
            yield from kept
            return
        if edge in self.actual:
            yield self._other_via(edge, via)
            return
        yield from self._no_edge(edge)

    def _other_via(self, edge: Edge, via: Via) -> str:
        of = self.names.of
        if edge in self._template:
            return "the template has this edge itself, so it leads past nothing"
        if not via:
            return "the template has no such edge: it leads past what is ignored"
        for source, target in zip((edge[0], *via), (*via, edge[1]), strict=True):
            if (source, target) not in self._template:
                return f"{of[source]} does not feed {of[target]} in the template"
        return "another path is as short or shorter, and was found first"

    def _no_edge(self, edge: Edge) -> Iterator[str]:
        of = self.names.of
        source, target = edge
        feeds = [of[after] for before, after in self.actual if before == source]
        fed_by = [of[before] for before, after in self.actual if after == target]
        yield f"no such edge; {of[source]} feeds: {', '.join(feeds) or 'nothing'}"
        yield f"{of[target]} is fed by: {', '.join(fed_by) or 'nothing'}"
        between = self._between(source, target)
        if between:
            yield f"the way from one to the other leads through {', '.join(of[node] for node in between)}"

    def _absent(self, node: str) -> Iterator[str]:
        if node in self._removed:
            yield f"{self.names.of[node]} is ignored"
        elif node not in self.plan.graph:
            yield f"{self.names.of[node]} does not run: nothing that runs leads to it"

    def _between(self, source: str, target: str) -> Sequence[str]:
        """The tiles on one shortest way through the run's graph, ends not included."""
        try:
            path: list[str] = nx.shortest_path(self.plan.graph, source, target)
        except nx.NetworkXNoPath:
            return ()
        return path[1:-1]

    @cached_property
    def _removed(self) -> frozenset[str]:
        return frozenset(self.plan.changes.removed)

    @cached_property
    def _template(self) -> frozenset[Edge]:
        return frozenset((edge.source, edge.target) for edge in self.names.template.connections)

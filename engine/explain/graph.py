"""Why a run's graph is as it is: of a tile, a connection, a value. Pure functions of template and plan.

What the tiles of a run receive and make, and where its outputs come from, is told by
`tessera.explain.output`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from tessera.agent import AgentTemplate, Tile
from tessera.errors import Fault, RequestError, pointer
from tessera.explain.stories import (
    Cause,
    EdgeStory,
    Layer,
    Link,
    ParameterStory,
    TileRef,
    TileState,
    TileStory,
)
from tessera.graph.plan import Plan
from tessera.graph.preview import STAND_IN
from tessera.graph.rewrite import sources
from tessera.notice import Notice
from tessera.text.nearest import listed, suggestion
from tessera.text.wording import count, short_ids, span_of

__all__ = ["explain_edge", "explain_parameter", "explain_tile"]


def explain_tile(template: AgentTemplate, plan: Plan, node: str) -> TileStory:
    """Why the tile with this id runs or does not.

    Raises
    ------
    RequestError
        The template has no such tile; the message names the nearest.
    """
    return _GraphReader(template, plan).tile_story(node)


def explain_edge(template: AgentTemplate, plan: Plan, source: str, target: str) -> EdgeStory:
    """Why the tile `source` feeds the tile `target`, or does not.

    Raises
    ------
    RequestError
        The template lacks one of them; the message names the nearest.
    """
    return _GraphReader(template, plan).edge_story(source, target)


def explain_parameter(template: AgentTemplate, plan: Plan, node: str, name: str) -> ParameterStory:
    """Where the value of a tile's parameter came from.

    Raises
    ------
    RequestError
        There is no such tile, or it has no such parameter; the message names the nearest.
    """
    return _GraphReader(template, plan).parameter_story(node, name)


class _GraphReader:
    """Reads one plan beside its template."""

    def __init__(self, template: AgentTemplate, plan: Plan) -> None:
        self.template, self.plan, self.graph = template, plan, plan.graph
        self.removed = frozenset(plan.changes.removed)
        self.short = short_ids(tile.id for tile in template)
        request = plan.request
        self.ignored_at = {
            node.lower(): pointer("ignore_nodes", at) for at, node in enumerate(request.ignore_nodes or ())
        }
        self.override_at = {node.lower(): node for node in request.update_params or ()}
        self.connections = {(edge.source, edge.target): edge for edge in template.connections}

    @cached_property
    def place(self) -> Mapping[str, int]:
        return {tile.id: index for index, tile in enumerate(self.template)}

    @cached_property
    def before(self) -> Mapping[str, list[str]]:
        """What feeds each tile in the template."""
        found: dict[str, list[str]] = {tile.id: [] for tile in self.template}
        for source, target in self.connections:
            found[target].append(source)
        return found

    @cached_property
    def after(self) -> Mapping[str, list[str]]:
        """What each tile feeds in the template."""
        found: dict[str, list[str]] = {tile.id: [] for tile in self.template}
        for source, target in self.connections:
            found[source].append(target)
        return found

    def find(self, node: str) -> Tile:
        tile = self.template.get(node)
        if tile is None:
            known = [tile.id for tile in self.template]
            near = suggestion(node, known) or f"; it has {listed(known)}"
            raise RequestError([Fault("", "request", f"no tile {node} in this agent{near}")])
        return tile

    def ref(self, node: str) -> TileRef:
        tile = self.template.by_id[node.lower()]
        return TileRef(tile.id, tile.name)

    def said(self, node: str) -> str:
        """A tile as a sentence names it."""
        tile = self.template.by_id[node.lower()]
        return f"{tile.name} {self.short[tile.id]}"

    def several(self, nodes: Iterable[str]) -> str:
        return listed([self.said(node) for node in nodes], limit=4)

    def link(self, node: str, via: Iterable[str]) -> Link:
        return Link(self.ref(node), tuple(map(self.ref, via)))

    def links(self, near: Mapping[str, Any]) -> tuple[Link, ...]:
        ranked = sorted(near, key=self.place.__getitem__)
        return tuple(self.link(node, near[node]["via"]) for node in ranked)

    # tiles

    def tile_story(self, node: str) -> TileStory:
        tile = self.find(node)
        runs = tile.id in self.graph
        causes: tuple[Cause, ...] = ()
        starts, path = self.way_to(tile.id) if runs else ((), ())
        if runs:
            state: TileState = "runs"
            reason = self.start_reason(tile) if len(path) == 1 else self.reached(starts, path)
        elif tile.id in self.removed:
            state, reason = "ignored", "the request leaves it out of this run"
            causes = (self.ignoring(tile.id),)
        else:
            state, reason = "skipped", self.skip_reason(tile)
            causes = tuple(self.missing_starts(tile))
        return TileStory(
            tile=self.ref(tile.id),
            category=tile.type.category,
            loc=tile.loc,
            state=state,
            reason=reason,
            causes=causes,
            reached_from=tuple(map(self.ref, starts)),
            path=path,
            fed_by=self.links(self.graph.pred[tile.id]) if runs else (),
            feeds=self.links(self.graph.succ[tile.id]) if runs else (),
            instead=tuple(self.past(tile.id)),
            inputs=tuple(self.given_to(tile.id)),
            parameters=tuple(self.parameter(tile, name) for name in self.current(tile).values()),
            notices=tuple(self.about(tile)),
        )

    def current(self, tile: Tile) -> Tile:
        """The tile as it runs, overrides and all; as the template has it where it does not run."""
        return self.plan.tile(tile.id) if tile.id in self.graph else tile

    def ignoring(self, node: str) -> Cause:
        at = self.ignored_at.get(node.lower(), "")
        return Cause(f"ignore_nodes names {self.said(node)}", at, "request")

    def way_to(self, node: str) -> tuple[tuple[str, ...], tuple[Link, ...]]:
        """The sources that lead to a tile that runs, and a shortest way from one of them."""
        starts = set(sources(self.graph))
        onward = _search(node, self.graph.pred.__getitem__)
        found = sorted(starts & onward.keys(), key=self.place.__getitem__)
        nearest = next((one for one in onward if one in starts), node)
        path = [self.link(nearest, ())]
        while nearest != node:
            step = onward[nearest]
            path.append(self.link(step, self.graph.edges[nearest, step]["via"]))
            nearest = step
        return tuple(found), tuple(path)

    def start_reason(self, tile: Tile) -> str:
        if tile.type.is_input():
            return "a run starts from it: it is a Video Input"
        if tile.type.is_trigger():
            return "a run starts from it: it is a trigger, and no Video Input runs"
        return "a run starts from it: it makes media of its own, and nothing that runs is connected into it"

    def reached(self, starts: Collection[str], path: tuple[Link, ...]) -> str:
        more = f" (and from {count(len(starts) - 1, 'more source')})" if len(starts) > 1 else ""
        steps = count(len(path) - 1, "connection")
        return f"reached from {self.said(path[0].tile.id)} by {steps}{more}"

    def skip_reason(self, tile: Tile) -> str:
        if tile.type.is_trigger():
            return "a trigger does not run beside a Video Input"
        return "nothing that runs leads to it"

    def missing_starts(self, tile: Tile) -> Iterator[Cause]:
        """Why none of the tiles that the way to a skipped tile begins with starts it."""
        if tile.type.is_trigger():
            running = [node for node in sources(self.graph) if self.plan.tile(node).type.is_input()]
            if running:
                yield Cause(f"{self.several(running)} runs")
            return
        upstream = _search(tile.id, self.before.__getitem__)
        roots = sorted((node for node in upstream if not self.before[node]), key=self.place.__getitem__)
        for node in roots:
            yield self.no_start(node, tile.id)

    def no_start(self, node: str, skipped: str) -> Cause:
        root = self.template.by_id[node.lower()]
        if node in self.removed:
            what = f"{self.said(node)} leads to it, and is ignored"
            return Cause(what, self.ignored_at.get(node.lower(), ""), "request")
        if root.type.is_trigger():
            what = f"{self.said(node)} leads to it, and does not run: a trigger does not beside a Video Input"
            return Cause(what, root.loc, "template")
        if node == skipped:
            return Cause(
                f"nothing is connected into it, and a {root.name} is no source", root.loc, "template"
            )
        what = f"its way begins with {self.said(node)}, which is no source and has nothing connected into it"
        return Cause(what, root.loc, "template")

    def past(self, node: str) -> Iterator[tuple[TileRef, Link]]:
        for edge in self.plan.changes.rewired:
            if node in edge.via:
                yield self.ref(edge.source), self.link(edge.target, edge.via)

    def given_to(self, node: str) -> Iterator[Cause]:
        for binding in self.plan.inputs:
            for source in binding.sources if binding.node == node else ():
                if source.key == STAND_IN:
                    yield Cause("no input is given")
                    continue
                whole = source.start_ms is None and source.end_ms is None
                span = "" if whole else f", {span_of(source.start_ms, source.end_ms)}"
                yield Cause(f"{source.form} {source.key}{span}", source.loc, "request")

    def about(self, tile: Tile) -> Iterator[Notice]:
        key = self.override_at.get(tile.id.lower())
        for notice in self.plan.warnings:
            base = tile.loc if notice.document == "template" else pointer("update_params", key or tile.id)
            if notice.loc == base or notice.loc.startswith(f"{base}/"):
                yield notice

    # parameters

    def parameter_story(self, node: str, name: str) -> ParameterStory:
        tile = self.find(node)
        known = self.current(tile).values()
        if name not in known and name not in tile.type.Params.model_fields:
            names = [*known, *tile.type.Params.model_fields]
            near = suggestion(name, names) or (
                f"; it has {listed(list(names))}" if names else "; it has none"
            )
            what = f"{tile.name} {tile.id} has no parameter {name!r}{near}"
            raise RequestError([Fault("", "request", what)])
        return self.parameter(tile, name)

    def parameter(self, tile: Tile, name: str) -> ParameterStory:
        now = self.current(tile)
        layers = []
        if name in tile.type.defaults():
            layers.append(Layer("default", tile.type.defaults()[name]))
        if name in tile.explicit:
            at = f"{tile.loc}/params_used{pointer(name)}"
            layers.append(Layer("template", tile.explicit[name], at, "template"))
        if name in now.overrides:
            key = self.override_at.get(tile.id.lower(), tile.id)
            at = pointer("update_params", key, name)
            layers.append(Layer("override", now.overrides[name], at, "request"))
        return ParameterStory(
            self.ref(tile.id),
            name,
            tuple(layers),
            tile.id in self.graph,
            name in tile.type.Params.model_fields,
        )

    # connections

    def edge_story(self, source: str, target: str) -> EdgeStory:
        one, other = self.find(source).id, self.find(target).id
        if self.graph.has_edge(one, other):
            via: tuple[str, ...] = self.graph.edges[one, other]["via"]
            return self.rewired(one, other, via) if via else self.kept(one, other)
        reason, *causes = self.absence(one, other)
        return EdgeStory(
            self.ref(one),
            self.ref(other),
            "absent",
            reason.message,
            tuple(causes),
            feeds=self.links(self.graph.succ[one]) if one in self.graph else (),
            fed_by=self.links(self.graph.pred[other]) if other in self.graph else (),
        )

    def kept(self, source: str, target: str) -> EdgeStory:
        at = Cause("the template has this connection", self.connections[source, target].loc, "template")
        return EdgeStory(self.ref(source), self.ref(target), "template", at.message, (at,))

    def rewired(self, source: str, target: str, via: tuple[str, ...]) -> EdgeStory:
        ends = (source, *via, target)
        path = tuple(self.step(ends[at], ends[at + 1]) for at in range(len(ends) - 1))
        reason = f"rewired past {self.several(via)}, which {'is' if len(via) == 1 else 'are'} ignored"
        causes = tuple(self.ignoring(node) for node in via)
        passed = tuple(map(self.ref, via))
        return EdgeStory(self.ref(source), self.ref(target), "rewired", reason, causes, passed, path)

    def step(self, source: str, target: str) -> Cause:
        edge = self.connections[source, target]
        return Cause(f"{self.said(source)} → {self.said(target)}", edge.loc, "template")

    def absence(self, source: str, target: str) -> Iterator[Cause]:
        """Why there is no such connection: the reason itself first, then what it follows from."""
        if source == target:
            yield Cause("a tile is never connected to itself")
            return
        off = [node for node in (source, target) if node not in self.graph]
        if off:
            yield from self.ends_off(source, target, off)
            return
        way = _path(source, target, self.graph.succ.__getitem__)
        if way:
            between = self.several(way[1:-1])
            yield Cause(
                f"the way from one to the other leads through {between}, which this run does not ignore"
            )
            for one, other in pairwise(way):
                via: tuple[str, ...] = self.graph.edges[one, other]["via"]
                past = f", past {self.several(via)}" if via else ""
                connection = self.connections.get((one, other))
                what = f"{self.said(one)} → {self.said(other)}{past}"
                yield Cause(what, connection.loc if connection and not via else "", "template")
        elif _path(target, source, self.graph.succ.__getitem__):
            yield Cause(f"it is the other way round: {self.said(target)} leads to {self.said(source)}")
        else:
            yield Cause(f"no path leads from {self.said(source)} to {self.said(target)} in the template")

    def ends_off(self, source: str, target: str, off: list[str]) -> Iterator[Cause]:
        told = [f"{self.said(node)} {'is ignored' if node in self.removed else 'is skipped'}" for node in off]
        yield Cause(" and ".join(told))
        for node in off:
            if node in self.removed:
                yield self.ignoring(node)
            else:
                tile = self.template.by_id[node.lower()]
                yield Cause(f"{self.said(node)}: {self.skip_reason(tile)}", tile.loc, "template")
        edge = self.connections.get((source, target))
        if edge is not None:
            yield Cause("the template has this connection", edge.loc, "template")
        elif not _path(source, target, self.after.__getitem__):
            yield Cause("nor does a path lead from one to the other in the template")
        for rewired in self.plan.changes.rewired:
            if set(off) & self.removed & set(rewired.via) and {source, target} & {
                rewired.source,
                rewired.target,
            }:
                past = self.several(rewired.via)
                what = f"instead {self.said(rewired.source)} → {self.said(rewired.target)}, past {past}"
                yield Cause(what)


def _search(start: str, near: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """Everything that `near` leads to from `start`, nearest first → the next step back towards `start`."""
    step = {start: start}
    found = [start]
    for node in found:
        for other in near(node):
            if other not in step:
                step[other] = node
                found.append(other)
    return step


def _path(source: str, target: str, near: Callable[[str], Iterable[str]]) -> list[str]:
    """A shortest path, both ends included; empty where there is none."""
    steps = _search(source, near)
    if target not in steps:
        return []
    path = [target]
    while path[-1] != source:
        path.append(steps[path[-1]])
    return path[::-1]

"""Explanations of a run's graph: of a tile, a connection, a parameter's value.

Pure functions of a template and a plan. `tessera.explain.output` explains what the tiles of a run receive and
make, and where its outputs come from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from tessera.agent import AgentTemplate, Tile
from tessera.errors import Fault, RequestError, pointer
from tessera.explain.option_places import NO_OPTIONS, OptionPlaces
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
from tessera.text.nearest import comma_list, suggestion
from tessera.text.wording import count, short_ids, span_of

__all__ = ["explain_edge", "explain_parameter", "explain_tile"]


def explain_tile(
    template: AgentTemplate, plan: Plan, node: str, options: OptionPlaces = NO_OPTIONS
) -> TileStory:
    """Explain why the tile with this id runs or does not run.

    `options` are those of a command line that changed the request.

    Raises
    ------
    RequestError
        If the template has no such tile; the message names the nearest.
    """
    return _GraphExplainer(template, plan, options).tile_story(node)


def explain_edge(
    template: AgentTemplate, plan: Plan, source: str, target: str, options: OptionPlaces = NO_OPTIONS
) -> EdgeStory:
    """Explain why the tile `source` feeds the tile `target`, or does not feed it.

    `options` are those of a command line that changed the request.

    Raises
    ------
    RequestError
        If the template lacks one of them; the message names the nearest.
    """
    return _GraphExplainer(template, plan, options).edge_story(source, target)


def explain_parameter(
    template: AgentTemplate, plan: Plan, node: str, name: str, options: OptionPlaces = NO_OPTIONS
) -> ParameterStory:
    """Explain the origin of a parameter's value: every layer, in order, with the one that counts marked.

    `options` are those of a command line that changed the request.

    Raises
    ------
    RequestError
        If the template has no such tile, or the tile no such parameter; the message names the nearest.
    """
    return _GraphExplainer(template, plan, options).parameter_story(node, name)


class _GraphExplainer:
    """Explains one plan by comparing it with its template."""

    def __init__(self, template: AgentTemplate, plan: Plan, options: OptionPlaces) -> None:
        self.template, self.plan, self.graph, self.options = template, plan, plan.graph, options
        self.removed = frozenset(plan.changes.removed)
        self.short = short_ids(tile.id for tile in template)
        request = plan.request
        # A request may write ids in upper case, so all look-ups of its ids use lower case.
        self.ignored_at = {
            node.lower(): pointer("ignore_nodes", at) for at, node in enumerate(request.ignore_nodes or ())
        }
        self.override_at = {node.lower(): node for node in request.update_params or ()}
        self.connections = {(edge.source, edge.target): edge for edge in template.connections}

    @cached_property
    def position(self) -> Mapping[str, int]:
        """The index of each tile in the template."""
        return {tile.id: index for index, tile in enumerate(self.template)}

    @cached_property
    def before(self) -> Mapping[str, list[str]]:
        """The tiles that feed each tile in the template."""
        feeding: dict[str, list[str]] = {tile.id: [] for tile in self.template}
        for source, target in self.connections:
            feeding[target].append(source)
        return feeding

    @cached_property
    def after(self) -> Mapping[str, list[str]]:
        """The tiles that each tile feeds in the template."""
        fed: dict[str, list[str]] = {tile.id: [] for tile in self.template}
        for source, target in self.connections:
            fed[source].append(target)
        return fed

    def find_tile(self, node: str) -> Tile:
        """Return the tile with this id; raise a `RequestError` that names the nearest if there is none."""
        tile = self.template.get(node)
        if tile is None:
            known = [tile.id for tile in self.template]
            near = suggestion(node, known) or f"; it has {comma_list(known)}"
            raise RequestError([Fault("", "request", f"this agent has no tile {node}{near}")])
        return tile

    def tile_ref(self, node: str) -> TileRef:
        tile = self.template.by_id[node.lower()]
        return TileRef(tile.id, tile.name)

    def label(self, node: str) -> str:
        """Return a tile's name and short id, for a sentence."""
        tile = self.template.by_id[node.lower()]
        return f"{tile.name} {self.short[tile.id]}"

    def labels(self, nodes: Iterable[str]) -> str:
        return comma_list([self.label(node) for node in nodes], limit=4)

    def link(self, node: str, via: Iterable[str]) -> Link:
        return Link(self.tile_ref(node), tuple(map(self.tile_ref, via)))

    def links(self, neighbours: Mapping[str, Any]) -> tuple[Link, ...]:
        ordered = sorted(neighbours, key=self.position.__getitem__)
        return tuple(self.link(node, neighbours[node]["via"]) for node in ordered)

    # tiles

    def tile_story(self, node: str) -> TileStory:
        """Explain a tile: its state with the causes, its connections, inputs, parameters and warnings."""
        tile = self.find_tile(node)
        runs = tile.id in self.graph
        causes: tuple[Cause, ...] = ()
        starts, path = self.path_to(tile.id) if runs else ((), ())
        if runs:
            state: TileState = "runs"
            reason = self.start_reason(tile) if len(path) == 1 else self.path_reason(starts, path)
        elif tile.id in self.removed:
            state, reason = "ignored", "the request leaves it out of this run"
            causes = (self.ignore_cause(tile.id),)
        else:
            state, reason = "skipped", self.skip_reason(tile)
            causes = tuple(self.skip_causes(tile))
        return TileStory(
            tile=self.tile_ref(tile.id),
            category=tile.type.category,
            loc=tile.loc,
            state=state,
            reason=reason,
            causes=causes,
            reached_from=tuple(map(self.tile_ref, starts)),
            path=path,
            fed_by=self.links(self.graph.pred[tile.id]) if runs else (),
            feeds=self.links(self.graph.succ[tile.id]) if runs else (),
            instead=tuple(self.bypasses(tile.id)),
            inputs=tuple(self.inputs_of(tile.id)),
            parameters=tuple(self.parameter(tile, name) for name in self.effective(tile).values()),
            notices=tuple(self.notices_of(tile)),
        )

    def effective(self, tile: Tile) -> Tile:
        """Return the tile as the run uses it, with its overrides; if it does not run, as in the template."""
        return self.plan.tile(tile.id) if tile.id in self.graph else tile

    def ignore_cause(self, node: str) -> Cause:
        at = self.ignored_at.get(node.lower(), "")
        return self.request_cause(f"ignore_nodes names {self.label(node)}", at)

    def request_cause(self, message: str, loc: str) -> Cause:
        """Return a cause in the request, or the option that stands for it."""
        option = self.options.option_at(loc) if loc else None
        return Cause(message, option=option) if option else Cause(message, loc, "request")

    def path_to(self, node: str) -> tuple[tuple[str, ...], tuple[Link, ...]]:
        """Return the sources that lead to a running tile, and a shortest path from one of them."""
        starts = set(sources(self.graph))
        # The search runs upstream, so the recorded steps lead downstream, back to the tile.
        steps = _search(node, self.graph.pred.__getitem__)
        leading = sorted(starts & steps.keys(), key=self.position.__getitem__)
        current = next((upstream for upstream in steps if upstream in starts), node)
        path = [self.link(current, ())]
        while current != node:
            following = steps[current]
            path.append(self.link(following, self.graph.edges[current, following]["via"]))
            current = following
        return tuple(leading), tuple(path)

    def start_reason(self, tile: Tile) -> str:
        if tile.type.is_input():
            return "the run starts from it: it is a Video Input"
        if tile.type.is_trigger():
            return "the run starts from it: it is a trigger, and no Video Input runs"
        return "the run starts from it: it generates its own media, and no running tile feeds it"

    def path_reason(self, starts: Collection[str], path: tuple[Link, ...]) -> str:
        more = f" (and from {count(len(starts) - 1, 'more source')})" if len(starts) > 1 else ""
        steps = count(len(path) - 1, "connection")
        return f"reached from {self.label(path[0].tile.id)} through {steps}{more}"

    def skip_reason(self, tile: Tile) -> str:
        if tile.type.is_trigger():
            return "a trigger does not run if a Video Input runs"
        return "no running tile leads to it"

    def skip_causes(self, tile: Tile) -> Iterator[Cause]:
        """Yield the reason why each tile at the beginning of a path to a skipped tile does not start it."""
        if tile.type.is_trigger():
            running = [node for node in sources(self.graph) if self.plan.tile(node).type.is_input()]
            if running:
                yield Cause(f"{self.labels(running)} runs")
            return
        upstream = _search(tile.id, self.before.__getitem__)
        # Every path to the tile begins at a tile that no other tile feeds.
        roots = sorted((node for node in upstream if not self.before[node]), key=self.position.__getitem__)
        for node in roots:
            yield self.root_cause(node, tile.id)

    def root_cause(self, node: str, skipped: str) -> Cause:
        """Return the reason why a tile without predecessors does not start a skipped tile."""
        root = self.template.by_id[node.lower()]
        label = self.label(node)
        if node in self.removed:
            message = f"{label} leads to it but is ignored"
            return self.request_cause(message, self.ignored_at.get(node.lower(), ""))
        if root.type.is_trigger():
            message = f"{label} leads to it but does not run: {self.skip_reason(root)}"
        elif node == skipped:
            message = f"no tile feeds it, and a {root.name} is not a source"
        else:
            message = f"a path to it begins at {label}, which is not a source and which no tile feeds"
        return Cause(message, root.loc, "template")

    def bypasses(self, node: str) -> Iterator[tuple[TileRef, Link]]:
        """Yield the rewired connections that skip an ignored tile."""
        for edge in self.plan.changes.rewired:
            if node in edge.via:
                yield self.tile_ref(edge.source), self.link(edge.target, edge.via)

    def inputs_of(self, node: str) -> Iterator[Cause]:
        """Yield the inputs that are bound to a Video Input, with their ranges."""
        # A preview binds a stand-in where the request gives no input.
        for binding in self.plan.inputs:
            for source in binding.sources if binding.node == node else ():
                if source.key == STAND_IN:
                    yield Cause("no input is given")
                    continue
                whole = source.start_ms is None and source.end_ms is None
                span = "" if whole else f", {span_of(source.start_ms, source.end_ms)}"
                yield self.request_cause(f"{source.form} {source.key}{span}", source.loc)

    def notices_of(self, tile: Tile) -> Iterator[Notice]:
        """Yield the plan's warnings about a tile or its overrides."""
        key = self.override_at.get(tile.id.lower())
        for notice in self.plan.warnings:
            base = tile.loc if notice.document == "template" else pointer("update_params", key or tile.id)
            if notice.loc == base or notice.loc.startswith(f"{base}/"):
                yield self.options.place(notice)

    # parameters

    def parameter_story(self, node: str, name: str) -> ParameterStory:
        tile = self.find_tile(node)
        known = self.effective(tile).values()
        if name not in known and name not in tile.type.Params.model_fields:
            names = [*known, *tile.type.Params.model_fields]
            near = suggestion(name, names) or (
                f"; it has {comma_list(list(names))}" if names else "; it has none"
            )
            message = f"{tile.name} {tile.id} has no parameter {name!r}{near}"
            raise RequestError([Fault("", "request", message)])
        return self.parameter(tile, name)

    def parameter(self, tile: Tile, name: str) -> ParameterStory:
        effective = self.effective(tile)
        layers = []  # in the order of precedence: the last one is in force
        if name in tile.type.defaults():
            layers.append(Layer("default", tile.type.defaults()[name]))
        if name in tile.explicit:
            at = f"{tile.loc}/params_used{pointer(name)}"
            layers.append(Layer("template", tile.explicit[name], at, "template"))
        if name in effective.overrides:
            key = self.override_at.get(tile.id.lower(), tile.id)
            # The pointer repeats the key exactly as the request writes it.
            at = pointer("update_params", key, name)
            layers += self.override_layers(at, effective.overrides[name])
        if layers:
            layers[-1] = replace(layers[-1], in_force=True)
        return ParameterStory(
            self.tile_ref(tile.id),
            name,
            tuple(layers),
            tile.id in self.graph,
            name in tile.type.Params.model_fields,
        )

    def override_layers(self, at: str, value: Any) -> Iterator[Layer]:
        """Yield the layers of an override: the request itself, then each option, in the order typed."""
        typed = self.options.filled.get(at, ())
        if not typed:
            yield Layer("override", value, at, "request")
            return
        if self.options.holds(at):
            yield Layer("override", self.options.given_at(at), at, "request")
        for one in typed:
            yield Layer("override", one.value, option=one.option)

    # connections

    def edge_story(self, source: str, target: str) -> EdgeStory:
        source, target = self.find_tile(source).id, self.find_tile(target).id
        if self.graph.has_edge(source, target):
            via: tuple[str, ...] = self.graph.edges[source, target]["via"]
            return self.rewired_edge(source, target, via) if via else self.template_edge(source, target)
        reason, *causes = self.absence_causes(source, target)
        return EdgeStory(
            self.tile_ref(source),
            self.tile_ref(target),
            "absent",
            reason.message,
            tuple(causes),
            feeds=self.links(self.graph.succ[source]) if source in self.graph else (),
            fed_by=self.links(self.graph.pred[target]) if target in self.graph else (),
        )

    def template_edge(self, source: str, target: str) -> EdgeStory:
        cause = Cause("the template has this connection", self.connections[source, target].loc, "template")
        return EdgeStory(self.tile_ref(source), self.tile_ref(target), "template", cause.message, (cause,))

    def rewired_edge(self, source: str, target: str, via: tuple[str, ...]) -> EdgeStory:
        path = tuple(self.connection_cause(*pair) for pair in pairwise((source, *via, target)))
        reason = f"rewired past {self.labels(via)}, which {'is' if len(via) == 1 else 'are'} ignored"
        causes = tuple(self.ignore_cause(node) for node in via)
        ends = self.tile_ref(source), self.tile_ref(target)
        return EdgeStory(*ends, "rewired", reason, causes, tuple(map(self.tile_ref, via)), path)

    def connection_cause(self, source: str, target: str) -> Cause:
        edge = self.connections[source, target]
        return Cause(f"{self.label(source)} → {self.label(target)}", edge.loc, "template")

    def absence_causes(self, source: str, target: str) -> Iterator[Cause]:
        """Yield the reason why the run has no such connection, and then the causes of that reason."""
        if source == target:
            yield Cause("a tile is never connected to itself")
            return
        off = [node for node in (source, target) if node not in self.graph]
        if off:
            yield from self.inactive_end_causes(source, target, off)
            return
        path = _path(source, target, self.graph.succ.__getitem__)
        if path:
            between = self.labels(path[1:-1])
            yield Cause(f"the path between them leads through {between}, which this run does not ignore")
            for start, end in pairwise(path):
                via: tuple[str, ...] = self.graph.edges[start, end]["via"]
                past = f", past {self.labels(via)}" if via else ""
                # A rewired connection has no location in the template.
                connection = self.connections.get((start, end))
                message = f"{self.label(start)} → {self.label(end)}{past}"
                yield Cause(message, connection.loc if connection and not via else "", "template")
        elif _path(target, source, self.graph.succ.__getitem__):
            yield Cause(f"it is the other way round: {self.label(target)} leads to {self.label(source)}")
        else:
            yield Cause(f"no path leads from {self.label(source)} to {self.label(target)} in the template")

    def inactive_end_causes(self, source: str, target: str, off: list[str]) -> Iterator[Cause]:
        """Yield the reason why a connection is absent if the tiles `off`, one or both ends, do not run."""
        state = {node: "ignored" if node in self.removed else "skipped" for node in off}
        yield Cause(" and ".join(f"{self.label(node)} is {state[node]}" for node in off))
        for node in off:
            if node in self.removed:
                yield self.ignore_cause(node)
            else:
                tile = self.template.by_id[node.lower()]
                yield Cause(f"{self.label(node)}: {self.skip_reason(tile)}", tile.loc, "template")
        edge = self.connections.get((source, target))
        if edge is not None:
            yield Cause("the template has this connection", edge.loc, "template")
        elif not _path(source, target, self.after.__getitem__):
            yield Cause("the template has no path from one to the other either")
        for rewired in self.plan.changes.rewired:
            if set(off) & self.removed & set(rewired.via) and {source, target} & {
                rewired.source,
                rewired.target,
            }:
                pair = f"{self.label(rewired.source)} → {self.label(rewired.target)}"
                yield Cause(f"instead {pair}, past {self.labels(rewired.via)}")


def _search(start: str, neighbours: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """Search breadth-first; return each reachable node, nearest first, with its next step back to `start`."""
    step = {start: start}
    # The loop also visits the nodes that it appends; recursion would fail on long chains.
    queue = [start]
    for node in queue:
        for other in neighbours(node):
            if other not in step:
                step[other] = node
                queue.append(other)
    return step


def _path(source: str, target: str, neighbours: Callable[[str], Iterable[str]]) -> list[str]:
    """Return a shortest path including both ends, or an empty list if no path exists."""
    steps = _search(source, neighbours)
    if target not in steps:
        return []
    path = [target]
    while path[-1] != source:
        path.append(steps[path[-1]])
    return path[::-1]

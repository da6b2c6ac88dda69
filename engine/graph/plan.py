"""`plan`: a pure function from template and request to a run's graph, order, inputs and changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from tessera.agent import AgentTemplate
from tessera.errors import Fault, RequestError, pointer
from tessera.graph.changes import Change, Changes, Rewire
from tessera.graph.input_binding import ALIKE, SUGGESTIONS, InputBinding, bind_inputs, input_faults
from tessera.graph.lint import lint
from tessera.graph.load import UnknownTiles, check_params, edge_problem, load_agent
from tessera.graph.model import Tile, build_graph, copy_graph, is_opaque
from tessera.graph.rewrite import TooManyEdges, ignore_nodes, runnable_nodes, sources, update_params
from tessera.node import Catalogue, NodeType
from tessera.notice import Notice
from tessera.request import Outline, RunRequest, read_request
from tessera.text.json_text import json_text
from tessera.text.nearest import suggestion

if TYPE_CHECKING:
    import networkx as nx
    from pydantic import BaseModel

__all__ = ["Change", "Changes", "Plan", "Rewire", "plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a run does, decided before it starts.

    Attributes
    ----------
    graph
        A `networkx.DiGraph` of exactly the tiles that run. Node attribute `node`: a `Tile`; edge attribute
        `via`.
    order
        The topological order of `graph` that keeps to the template's order where it can.
    inputs
        The sources of each Video Input.
    changes
        The differences from the template.
    warnings
        Advice and skipped tiles.
    request
        The original request.
    template
        The agent of the plan; None if the plan was read from JSON. Equality ignores it.
    """

    graph: nx.DiGraph[str]
    order: tuple[str, ...]
    inputs: tuple[InputBinding, ...]
    changes: Changes
    warnings: tuple[Notice, ...]
    request: RunRequest = field(default_factory=RunRequest)
    agent_id: str | None = None
    agent_name: str | None = None
    template: AgentTemplate | None = None

    def tile(self, node: str) -> Tile:
        """Return the tile with this id.

        Raises
        ------
        KeyError
            If no tile with this id runs.
        """
        tile: Tile = self.graph.nodes[node]["node"]
        return tile

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.order, self.inputs))

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values; `Plan.from_dict` reads it back without loss."""
        tiles = []
        for node in self.order:
            tile = self.tile(node)
            tiles.append(
                {
                    "agent_node_id": node,
                    "node_type_id": tile.type.type_id,
                    "node_type_name": tile.type.name,
                    "opaque": is_opaque(tile.type),
                    "parameters": tile.parameters(),
                    "index": tile.index,
                    "loc": tile.loc,
                }
            )
        place = {node: index for index, node in enumerate(self.order)}
        edges = sorted(self.graph.edges(data="via"), key=lambda edge: (place[edge[0]], place[edge[1]]))
        return {
            "agent": {"id": self.agent_id, "name": self.agent_name},
            "tiles": tiles,
            "edges": [
                {"source": source, "target": target, "via": list(via)} for source, target, via in edges
            ],
            "order": list(self.order),
            "inputs": [binding.to_dict() for binding in self.inputs],
            "changes": self.changes.to_dict(),
            "warnings": [notice.to_dict() for notice in self.warnings],
            "request": self.request.to_dict(),
        }

    def to_json(self) -> str:
        return json_text(self.to_dict(), 1) + "\n"

    def _repr_html_(self) -> str:
        """Return the display of the plan in a notebook."""
        # Imported here, because only notebooks need it, and drawing is slow to import.
        from tessera.reports.notebook import plan_html

        return plan_html(self)

    @classmethod
    def from_dict(cls, value: Any, *, catalogue: Catalogue | None = None) -> Plan:
        """Read a plan from a path, JSON text or the result of `to_dict`.

        Raises
        ------
        RequestError
            If the document is not a valid plan.
        """
        from tessera.graph.plan_json import read_members

        return cls(**read_members(value, catalogue))


def plan(
    agent: Any,
    request: Any = None,
    *,
    catalogue: Catalogue | None = None,
    unknown_tiles: UnknownTiles = "error",
) -> Plan:
    """Plan a run of `agent` with `request`, without network, media or clock.

    Parameters
    ----------
    agent
        Any form of agent that `load_agent` accepts.
    request
        A `RunRequest`, a dict, JSON text or a path; None is an empty request.

    Raises
    ------
    RequestError
        If the template or the request has faults. The error holds every fault of the template, or every
        fault of the request: of its shape and against the graph.
    """
    model, outline, faults = read_request(request)
    try:
        template = load_agent(agent, catalogue=catalogue, unknown_tiles=unknown_tiles)
    except RequestError as error:
        raise RequestError([*error.errors, *faults]) from None
    if outline is None:
        raise RequestError(faults)
    planner = _Planner(template, outline, faults)
    planner.rewrite()
    if faults or model is None:
        raise RequestError(faults)
    return planner.plan(model)


class _Planner:
    """Applies one request to one template and collects the request's faults."""

    def __init__(self, template: AgentTemplate, outline: Outline, faults: list[Fault]) -> None:
        self.template, self.outline, self.faults = template, outline, faults
        self.full_graph = build_graph(template)
        self.notices: list[Notice] = list(template.warnings)
        self.by_id = template.by_id
        self.suggestions = 0
        self.overridden: list[Change] = []
        self.graph = self.full_graph
        self.kept: set[str] = set()

    def _fault(self, code: str, message: str, *at: str | int) -> None:
        self.faults.append(Fault(pointer(*at), "request", message, code))

    def rewrite(self) -> None:
        ignored = self._ignored()
        if ignored:
            try:
                self.graph = ignore_nodes(self.full_graph, ignored)
            except TooManyEdges as error:
                self._fault("too_many_connections", str(error), "ignore_nodes")
                return
        self._prune(ignored)
        self._overrides(ignored)
        self.faults.extend(input_faults(self.outline, self.graph, self.by_id))
        self._check_rewired_kinds()

    def _ignored(self) -> set[str]:
        ignored = set()
        for index, node in self.outline.ignored:
            tile = self.by_id.get(node.lower())
            if tile is None:
                message = f"unknown node {node}{self._suggestion(node)}"
                self._fault("unknown_node", message, "ignore_nodes", index)
            else:
                ignored.add(tile.id)
        return ignored

    def _suggestion(self, node: str) -> str:
        """Return the nearest id as a suggestion, for the first few only: each is compared with every tile."""
        self.suggestions += 1
        return suggestion(node, self.full_graph, least=ALIKE) if self.suggestions <= SUGGESTIONS else ""

    def _prune(self, ignored: set[str]) -> None:
        """Reduce the graph to the tiles that run and warn about the others."""
        rewritten = self.graph
        self.kept = runnable_nodes(rewritten)
        if not self.kept:
            if ignored:
                message = "no tile is left to run: every tile that could run is ignored"
                self._fault("nothing_runs", message, "ignore_nodes")
            else:
                message = (
                    "no tile of this agent can run: it has no Video Input, trigger or unconnected generator"
                )
                self.faults.append(Fault("", "template", message, "nothing_runs"))
        if len(self.kept) < len(rewritten):
            starts = set(sources(rewritten))
            for node, tile in rewritten.nodes(data="node"):
                if node not in self.kept:
                    beside = tile.type.is_trigger() and node not in starts
                    why = (
                        "a trigger does not run beside a Video Input"
                        if beside
                        else "nothing that runs leads to it"
                    )
                    message = f"{tile.name} {node} is skipped: {why}"
                    self.notices.append(Notice("skipped_tile", message, tile.loc))
            self.graph = copy_graph(rewritten, self.kept)

    def _overrides(self, ignored: set[str]) -> None:
        checked: dict[str, tuple[dict[str, Any], BaseModel, Mapping[str, Any]]] = {}
        spellings: dict[str, str] = {}
        for node, values in self.outline.overrides.items():
            at = ("update_params", node)
            # Ids are case-insensitive, so two keys of the object can name one tile.
            first = spellings.setdefault(node.lower(), node)
            if first != node:
                self._fault("duplicate_entry", f"node {node} appears twice, first as {first}", *at)
                continue
            tile = self.by_id.get(node.lower())
            if tile is None:
                self._fault("unknown_node", f"unknown node {node}{self._suggestion(node)}", *at)
                continue
            refusal = self._override_refusal(tile, ignored)
            if refusal:
                message = f"{tile.name} {tile.id} {refusal}: its parameters cannot be overridden"
                self._fault("fixed_parameters", message, *at)
                continue
            merged = {**tile.explicit, **values}
            params, unknown, found, notices = check_params(tile.type, merged, "request", at, tile.id)
            for path, fault in found:
                # A fault of the template's own value has no place in the request but the tile's entry.
                within = path and path[0] in values
                self.faults.append(fault if within else replace(fault, loc=pointer(*at)))
            # The template's own parameters were warned about when it was loaded.
            overridden = {pointer(*at, name) for name in values}
            self.notices += [notice for notice in notices if notice.loc in overridden]
            if params is not None and values:
                checked[tile.id] = (dict(values), params, unknown)
                self._record(tile, values, at)
        if checked:
            self.graph = update_params(self.graph, checked)

    def _override_refusal(self, tile: Tile, ignored: set[str]) -> str | None:
        """Return the reason why a tile's parameters may not be overridden, or None if they may."""
        if tile.type.protected():
            return "is protected"
        if tile.id in ignored:
            return "is ignored in this run"
        return None if tile.id in self.kept else "does not run"

    def _record(self, tile: Tile, values: Mapping[str, Any], at: tuple[str, str]) -> None:
        before = tile.values()
        for name, new in values.items():
            old = before.get(name)
            if name in before and type(old) is type(new) and old == new:
                message = f"{tile.name} {tile.id}: {name!r} is overridden with its present value"
                self.notices.append(Notice("needless_override", message, pointer(*at, name), "request"))
            self.overridden.append(Change(tile.id, name, old, new))

    def _check_rewired_kinds(self) -> None:
        """Report new connections between incompatible tiles, at the first ignored tile of each."""
        # Reversed, so that an id that is listed twice keeps its first index.
        place = {node.lower(): index for index, node in reversed(self.outline.ignored)}
        problems: dict[tuple[type[NodeType], type[NodeType]], tuple[str, bool] | None] = {}
        tiles = self.graph.nodes(data="node")
        for source, target, via in self.graph.edges(data="via") if place else ():
            types = (tiles[source].type, tiles[target].type)
            if types not in problems:
                problems[types] = edge_problem(*types)
            problem = problems[types]
            if not via or problem is None:
                continue
            text = f"{source} → {target} via {', '.join(via)}: {problem[0]}"
            at = place[via[0].lower()]
            if problem[1]:
                self._fault("kinds_do_not_fit", text, "ignore_nodes", at)
            else:
                self.notices.append(Notice("kinds_do_not_fit", text, pointer("ignore_nodes", at), "request"))

    def plan(self, request: RunRequest) -> Plan:
        order = topological_order(self.graph)
        removed = [node for node in self.full_graph if node not in self.graph]
        ignored = {self.by_id[node.lower()].id for _index, node in self.outline.ignored}
        place = {node: index for index, node in enumerate(self.full_graph)}
        rewired = sorted(
            (Rewire(*edge) for edge in self.graph.edges(data="via") if edge[2]),
            key=lambda edge: (place[edge.source], place[edge.target]),
        )
        return Plan(
            graph=self.graph,
            order=order,
            inputs=bind_inputs(request, self.graph),
            changes=Changes(
                removed=tuple(node for node in removed if node in ignored),
                rewired=tuple(rewired),
                overridden=tuple(self.overridden),
                skipped=tuple(node for node in removed if node not in ignored),
            ),
            warnings=(*self.notices, *lint(self.graph, order)),
            request=request,
            agent_id=self.template.id,
            agent_name=self.template.name,
            template=self.template,
        )


def topological_order(graph: nx.DiGraph) -> tuple[str, ...]:
    """Return a stable topological order: of all ready tiles, the first in the template's order comes next."""
    nodes = list(graph)
    place = {node: index for index, node in enumerate(nodes)}
    waiting = [0] * len(nodes)
    for _node, following in graph.adjacency():
        for after in following:
            waiting[place[after]] += 1
    ready = [index for index, count in enumerate(waiting) if not count]
    heapify(ready)
    order = []
    while ready:
        node = nodes[heappop(ready)]
        order.append(node)
        for after in graph.successors(node):
            index = place[after]
            waiting[index] -= 1
            if not waiting[index]:
                heappush(ready, index)
    return tuple(order)


def static_items(plan: Plan) -> Iterable[tuple[str, int]]:
    """Yield (tile id, the least number of items that reach it) in topological order."""
    made: dict[str, int] = {}
    bound = {binding.node: len(binding.sources) for binding in plan.inputs}
    tiles = dict(plan.graph.nodes(data="node"))
    for node in plan.order:
        tile = tiles[node]
        incoming = sum(made[before] for before in plan.graph.predecessors(node))
        yield node, incoming
        made[node] = bound[node] if node in bound else tile.type.least_made(incoming)

"""Reads a plan from its JSON and checks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tessera.agent import Origin, read_json
from tessera.errors import Document, Fault, RequestError, pointer
from tessera.graph.changes import Change, Changes, Rewire
from tessera.graph.input_binding import InputBinding, input_nodes
from tessera.graph.load import check_params
from tessera.graph.model import Tile
from tessera.node import Catalogue, NodeType, opaque
from tessera.notice import Notice
from tessera.request import SourceForm, SourceRef, read_request
from tessera.validation import faults_of

__all__ = ["check_plan", "read_members"]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)


class _Parameter(_Wire):
    value: Any
    origin: Origin


class _Tile(_Wire):
    agent_node_id: str
    node_type_id: str
    node_type_name: str
    opaque: bool
    parameters: dict[str, _Parameter]
    index: int
    loc: str

    def values(self, origin: Origin) -> dict[str, Any]:
        return {name: item.value for name, item in self.parameters.items() if item.origin == origin}


class _Edge(_Wire):
    source: str
    target: str
    via: list[str]


class _Source(_Wire):
    form: SourceForm
    key: str
    start_ms: int | None = Field(alias="input_clip_start_ms", ge=0)
    end_ms: int | None = Field(alias="input_clip_end_ms", gt=0)
    artifact: Literal["highres", "proxy", "auto"] | None
    loc: str
    name: str | None = None


class _Input(_Wire):
    agent_node_id: str
    sources: list[_Source] = Field(min_length=1)


class _Change(_Wire):
    agent_node_id: str
    parameter: str
    old: Any
    new: Any


class _Changes(_Wire):
    removed: list[str]
    rewired: list[_Edge]
    overridden: list[_Change]
    skipped: list[str]


class _Notice(_Wire):
    code: str
    message: str
    loc: str
    document: Document


class _Agent(_Wire):
    id: str | None
    name: str | None


class _Plan(_Wire):
    agent: _Agent
    tiles: list[_Tile]
    edges: list[_Edge]
    order: list[str]
    inputs: list[_Input]
    changes: _Changes
    warnings: list[_Notice]
    request: dict[str, Any]


def read_members(source: Any, catalogue: Catalogue | None = None) -> dict[str, Any]:
    """Read the members of a plan, by name, from a path, JSON text or a dict; see `Plan.from_dict`."""
    if catalogue is None:
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    return _PlanReader(_parse_shape(source), catalogue).read()


def check_plan(source: Any) -> None:
    """Check that a document has the shape of a plan. The types of its tiles need not be known.

    Raises
    ------
    RequestError
        If the document does not have the shape of a plan.
    """
    _parse_shape(source)


def _parse_shape(source: Any) -> _Plan:
    raw = read_json(source, "request")
    try:
        return _Plan.model_validate(raw)
    except ValidationError as error:
        found = faults_of(error, raw, "request")
        raise RequestError(
            [Fault(f.loc, f.document, f"not a plan: {f.message}") for _path, f in found]
        ) from None


class _PlanReader:
    """Reads one plan of the right shape and collects its faults."""

    def __init__(self, wire: _Plan, catalogue: Catalogue) -> None:
        self.wire, self.catalogue = wire, catalogue
        self.faults: list[Fault] = []
        self.opaque: dict[tuple[str, str], type[NodeType]] = {}

    def _fault(self, message: str, *at: str | int) -> None:
        self.faults.append(Fault(pointer(*at), "request", message))

    def read(self) -> dict[str, Any]:
        import networkx as nx

        wire = self.wire
        request, _outline, faults = read_request(wire.request)
        self.faults += [Fault(pointer("request") + fault.loc, "request", fault.message) for fault in faults]
        graph = nx.DiGraph()
        for tile in sorted(self._tiles(), key=lambda tile: tile.index):
            graph.add_node(tile.id, node=tile)
        self._raise_if_faulty()
        self._order(graph)
        if self._bound_ids() != set(input_nodes(graph)):
            tiles = ", ".join(input_nodes(graph)) or "no tile"
            self._fault(f"'inputs' needs exactly one entry for each of: {tiles}", "inputs")
        self._raise_if_faulty()
        assert request is not None
        return {
            "graph": graph,
            "order": tuple(wire.order),
            "inputs": tuple(
                InputBinding(entry.agent_node_id, tuple(SourceRef(**dict(ref)) for ref in entry.sources))
                for entry in wire.inputs
            ),
            "changes": Changes(
                removed=tuple(wire.changes.removed),
                rewired=tuple(
                    Rewire(edge.source, edge.target, tuple(edge.via)) for edge in wire.changes.rewired
                ),
                overridden=tuple(
                    Change(change.agent_node_id, change.parameter, change.old, change.new)
                    for change in wire.changes.overridden
                ),
                skipped=tuple(wire.changes.skipped),
            ),
            "warnings": tuple(Notice(**dict(notice)) for notice in wire.warnings),
            "request": request,
            "agent_id": wire.agent.id,
            "agent_name": wire.agent.name,
        }

    def _raise_if_faulty(self) -> None:
        if self.faults:
            raise RequestError(self.faults)

    def _bound_ids(self) -> set[str]:
        return {entry.agent_node_id for entry in self.wire.inputs}

    def _tiles(self) -> Iterator[Tile]:
        seen = set()
        for index, wire in enumerate(self.wire.tiles):
            if wire.agent_node_id in seen:
                self._fault(f"duplicate tile {wire.agent_node_id}", "tiles", index, "agent_node_id")
            seen.add(wire.agent_node_id)
            tile = self._tile(index, wire)
            if tile is not None:
                yield tile

    def _tile(self, index: int, wire: _Tile) -> Tile | None:
        node_type = self._type(wire)
        if node_type is None:
            lost = self.catalogue.unknown(wire.node_type_id, wire.node_type_name)
            message = f"unknown node type {wire.node_type_name!r} {wire.node_type_id}{lost and f'; {lost}'}"
            self._fault(message, "tiles", index, "node_type_id")
            return None
        # A plan must mean the same in every version: a default that has changed since is a fault.
        for name, value in wire.values("default").items():
            if name not in node_type.defaults() or node_type.defaults()[name] != value:
                message = "differs from this version's default: plan again, or set its origin to 'template'"
                self._fault(f"{wire.node_type_name}: {name!r} {message}", "tiles", index, "parameters", name)
        explicit, overrides = wire.values("template"), wire.values("override")
        base = ("tiles", index, "parameters")
        params, unknown, found, _notices = check_params(
            node_type, {**explicit, **overrides}, "request", base, wire.agent_node_id
        )
        self.faults += [fault for _path, fault in found]
        if params is None:
            return None
        return Tile(wire.agent_node_id, node_type, params, explicit, overrides, unknown, wire.index, wire.loc)

    def _type(self, wire: _Tile) -> type[NodeType] | None:
        if not wire.opaque:
            return self.catalogue.find(wire.node_type_id, wire.node_type_name)
        type_key = (wire.node_type_id, wire.node_type_name)
        if type_key not in self.opaque:
            self.opaque[type_key] = opaque(*type_key)
        return self.opaque[type_key]

    def _order(self, graph: Any) -> None:
        """Add the edges; each must lead forwards in `order`, which rules out cycles."""
        place = {node: index for index, node in enumerate(self.wire.order)}
        if place.keys() != set(graph) or len(place) < len(self.wire.order):
            self._fault("'order' must list every tile exactly once", "order")
            return
        for index, edge in enumerate(self.wire.edges):
            if edge.source not in place or edge.target not in place:
                self._fault(f"{edge.source} → {edge.target} names an unknown tile", "edges", index)
            elif place[edge.source] >= place[edge.target]:
                self._fault(f"{edge.source} → {edge.target} leads backwards in 'order'", "edges", index)
            else:
                graph.add_edge(edge.source, edge.target, via=tuple(edge.via))

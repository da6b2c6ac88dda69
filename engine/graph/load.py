"""`load_agent`: a template read, resolved against the catalogue, and checked, with every fault found at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from engine.agent import (
    AgentTemplate,
    Connection,
    TemplateNode,
    WireAgent,
    WireConnection,
    WireMeta,
    WireNode,
    is_placeholder,
    read_json,
    read_wire,
)
from engine.errors import Document, Fault, RequestError, pointer
from engine.node import Catalogue, NodeType, opaque
from engine.notice import Notice
from engine.shape import Path, faults_of

__all__ = ["UnknownTiles", "check_params", "edge_problem", "load_agent"]

UnknownTiles = Literal["error", "opaque"]


def load_agent(
    agent: Any, *, catalogue: Catalogue | None = None, unknown_tiles: UnknownTiles = "error"
) -> AgentTemplate:
    """Load an agent of any export generation and check it against the catalogue.

    Parameters
    ----------
    agent
        A path, JSON text, bytes, a dict, or an `AgentTemplate` (returned as it is).
    catalogue
        The node types to know; by default all that are installed, with the mapping of `tessera.toml`.
    unknown_tiles
        `"opaque"` lets types that nobody knows pass through; they can be planned and simulated, not run.

    Raises
    ------
    RequestError
        Every fault of the template, each with a JSON pointer into it.

    Examples
    --------
    >>> load_agent({"agent_nodes": [], "connections": []}).nodes
    ()
    """
    if isinstance(agent, AgentTemplate):
        return agent
    if catalogue is None:
        from engine.settings import default_catalogue

        catalogue = default_catalogue()
    wire, faults = read_wire(read_json(agent, "template"))
    if wire is None:
        raise RequestError(faults)
    reader = _Reader(wire, catalogue, unknown_tiles, faults)
    template = reader.read()
    if faults:
        raise RequestError(sorted(faults, key=lambda fault: _natural(fault.loc)))
    return template


def _natural(loc: str) -> list[tuple[int, int | str]]:
    """Pointers in the order of the document: numbers as numbers."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in loc.split("/")[1:]]


def check_params(
    node_type: type[NodeType], values: Mapping[str, Any], document: Document, base: Path, node_id: str
) -> tuple[BaseModel | None, dict[str, Any], list[tuple[Path, Fault]], list[Notice]]:
    """Check a tile's parameters against its type.

    Returns the parameters as a model (None where they are wrong), those of unknown name that were kept because the
    type's own names may differ, the faults with their paths below `base`, and the warnings.
    """
    fields = node_type.Params.model_fields
    unknown: dict[str, Any] = {}
    notices: list[Notice] = []
    if not values.keys() <= fields.keys() and node_type.lenient():
        unknown = {name: value for name, value in values.items() if name not in fields}
        values = {name: value for name, value in values.items() if name in fields}
        for name in unknown:
            what = f"{node_type.name} {node_id}: parameter {name!r} is not known here; kept, and without effect"
            notices.append(Notice("unknown_parameter", what, pointer(*base, name), document))
    try:
        return node_type.Params.model_validate(values), unknown, [], notices
    except ValidationError as error:
        found = faults_of(error, values, document, base=base, known=tuple(fields))
        named = [
            (path, Fault(fault.loc, document, f"{node_type.name} {node_id}: {_of(path)}{fault.message}"))
            for path, fault in found
        ]
        return None, unknown, named, notices


def _of(path: Path) -> str:
    return f"parameter {path[0]!r} " if path else ""


def edge_problem(source: type[NodeType], target: type[NodeType]) -> tuple[str, bool] | None:
    """Why `source` may not feed `target` and whether that is certain (no type of ours has a part in it), or None."""
    if target.category in ("input", "trigger"):
        return f"nothing connects into {target.name}: it is {_a(target.category)} tile", True
    if source.produces is None:
        return f"nothing leaves {source.name}: it is an output tile", True
    if source.produces in target.accepts:
        return None
    takes = " or ".join(sorted(target.accepts)) or "nothing"
    certain = "ours" not in (source.source, target.source)
    return f"{source.name} makes {source.produces}, but {target.name} takes {takes}", certain


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


class _Reader:
    """Reads one wire document; collects faults and warnings as it goes."""

    def __init__(
        self, wire: WireAgent, catalogue: Catalogue, unknown_tiles: UnknownTiles, faults: list[Fault]
    ) -> None:
        self.wire, self.catalogue, self.unknown_tiles, self.faults = wire, catalogue, unknown_tiles, faults
        self.notices: list[Notice] = []
        self.faulty_at = {fault.loc for fault in faults}
        self.section = "agent_nodes" if wire.agent_nodes is not None else "nodes"
        self.by_id: dict[str, TemplateNode | None] = {}
        self.opaque: dict[str, type[NodeType]] = {}
        self.unreadable = False

    def read(self) -> AgentTemplate:
        nodes: list[TemplateNode] = []
        for index, wire in enumerate(self.wire.agent_nodes or self.wire.nodes or ()):
            node = self._node(index, wire)
            if node is not None:
                nodes.append(node)
        connections, pairs = self._connections()
        self._cycles(pairs)
        return AgentTemplate(
            nodes=tuple(nodes),
            connections=tuple(connections),
            meta=self.wire.agent or WireMeta(),
            extra=self.wire.model_extra or {},
            warnings=tuple(self.notices),
        )

    def _fault(self, message: str, *at: str | int) -> None:
        self.faults.append(Fault(pointer(*at), "template", message))

    def _node(self, index: int, wire: WireNode) -> TemplateNode | None:
        base = f"/{self.section}/{index}"
        faulty = any(loc == base or loc.startswith(base + "/") for loc in self.faulty_at)
        node_id = wire.agent_node_id or wire.id
        if node_id is None:
            self.unreadable = True
            if not faulty:
                self._fault("a node needs an 'agent_node_id' (or 'id', in older exports)", self.section, index)
            return None
        key = node_id.lower()
        if key in self.by_id:
            first = self.by_id[key]
            named = "agent_node_id" if wire.agent_node_id else "id"
            where = f" (first at {first.loc})" if first else ""
            self._fault(f"duplicate node id {node_id}{where}", self.section, index, named)
            return None
        self.by_id[key] = None
        if faulty:
            return None
        node_type = self._type(index, wire, node_id)
        if node_type is None:
            return None
        explicit = wire.params_used or {}
        params, unknown, found, notices = check_params(
            node_type, explicit, "template", (self.section, index, "params_used"), node_id
        )
        self.notices += notices
        self.faults += [fault for _path, fault in found]
        node = TemplateNode(
            id=node_id,
            type=node_type,
            explicit=explicit,
            params=params if params is not None else BaseModel(),
            unknown=unknown,
            index=index,
            loc=base,
            wire=wire,
        )
        self.by_id[key] = node
        return node

    def _type(self, index: int, wire: WireNode, node_id: str) -> type[NodeType] | None:
        called = wire.type_names()
        found = self.catalogue.find(*called)
        if found is not None:
            return found
        given = [text for text in called if text]
        if not given:
            self._fault(f"node {node_id} has no type: give 'node_type' with an id or a name", self.section, index)
            return None
        label = wire.type_names()[4] or wire.type_names()[5] or wire.type_names()[6]
        if self.unknown_tiles == "opaque":
            what = f"node {node_id}: type {label or given[0]!r} is not known; taken as opaque, it hands its inputs on"
            self.notices.append(Notice("opaque_tile", what, pointer(self.section, index)))
            return self.opaque.setdefault(given[0], opaque(given[0], label))
        near = self.catalogue.nearest(label) if label else []
        hint = f"; nearest: {', '.join(near)}" if near else f"; known: {', '.join(self.catalogue.names())}"
        what = f"node {node_id}: unknown node type {label or given[0]!r}{hint}"
        self._fault(what, self.section, index, *_type_at(wire))
        return None

    def _connections(self) -> tuple[list[Connection], dict[tuple[str, str], str]]:
        """The connections between nodes that are right, and every pair of ids that is connected with its place."""
        pairs: dict[tuple[str, str], str] = {}
        kept: list[Connection] = []
        for index, wire in enumerate(self.wire.connections):
            if is_placeholder(wire) or not self._ends_known(index, wire):
                continue
            loc = f"/connections/{index}"
            pair = (wire.source_agent_node_id.lower(), wire.target_agent_node_id.lower())
            if pair in pairs:
                what = f"connection {pair[0]} → {pair[1]} is given more than once; taken as one"
                self.notices.append(Notice("duplicate_connection", what, loc))
                continue
            pairs[pair] = loc
            source, target = (self.by_id[node_id] for node_id in pair)
            if source is None or target is None:
                continue
            kept.append(Connection(source.id, target.id, loc))
            problem = edge_problem(source.type, target.type)
            if problem:
                what = f"connection {source.id} → {target.id}: {problem[0]}"
                if problem[1]:
                    self._fault(what, "connections", index)
                else:
                    self.notices.append(Notice("kinds_do_not_fit", what, loc))
        return kept, pairs

    def _ends_known(self, index: int, wire: WireConnection) -> bool:
        """Whether both ends of a connection are nodes of the template, and not the same one."""
        known = True
        for member in ("source_agent_node_id", "target_agent_node_id"):
            node_id = getattr(wire, member)
            if node_id.lower() not in self.by_id:
                known = False
                if not self.unreadable:
                    self._fault(f"connection to an unknown node {node_id}", "connections", index, member)
        if wire.source_agent_node_id.lower() == wire.target_agent_node_id.lower():
            self._fault(f"node {wire.source_agent_node_id} is connected to itself", "connections", index)
            known = False
        return known

    def _cycles(self, pairs: Mapping[tuple[str, str], str]) -> None:
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_edges_from(pairs)
        if nx.is_directed_acyclic_graph(graph):
            return
        for component in nx.strongly_connected_components(graph):
            if len(component) > 1:
                cycle = nx.find_cycle(graph.subgraph(component))
                start = min(range(len(cycle)), key=lambda at: cycle[at][0])
                cycle = cycle[start:] + cycle[:start]
                path = " → ".join([edge[0] for edge in cycle] + [cycle[0][0]])
                self.faults.append(Fault(pairs[cycle[-1]], "template", f"the connections form a cycle: {path}"))


def _type_at(wire: WireNode) -> tuple[str, ...]:
    """The member that says what type a node has."""
    if wire.node_type is not None:
        return ("node_type",)
    for name in ("node_type_id", "node_type_name", "node_id", "node"):
        if getattr(wire, name):
            return (name,)
    return ()

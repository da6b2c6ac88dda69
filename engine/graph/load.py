"""`load_agent`: a template read, resolved against the catalogue and checked, all its faults found at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from tessera.agent import (
    AgentTemplate,
    Connection,
    Reading,
    Tile,
    WireConnection,
    WireMeta,
    WireNode,
    read_json,
    read_wire,
    type_names,
)
from tessera.errors import Document, Fault, RequestError, pointer
from tessera.node import Catalogue, NodeType, opaque
from tessera.notice import Notice
from tessera.validation import Path, faults_of, not_json

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
        from tessera.settings import default_catalogue

        catalogue = default_catalogue()
    reading = read_wire(read_json(agent, "template"))
    if reading.wire is None:
        raise RequestError(reading.faults)
    reader = _TemplateReader(reading, catalogue, unknown_tiles)
    template = reader.read()
    if reader.faults:
        raise RequestError(sorted(reader.faults, key=lambda fault: _natural(fault.loc)))
    return template


def _natural(loc: str) -> list[tuple[int, str]]:
    """Pointers in the order of the document: numbers as numbers."""
    return [(len(part) if part.isdecimal() else sys.maxsize, part) for part in loc.split("/")[1:]]


def check_params(
    node_type: type[NodeType], values: Mapping[str, Any], document: Document, base: Path, node_id: str
) -> tuple[BaseModel | None, dict[str, Any], list[tuple[Path, Fault]], list[Notice]]:
    """Check a tile's parameters against its type.

    Returns the parameters as a model (None where they are wrong), those of unknown name that were kept
    because the type's own names may differ, the faults with their paths below `base`, and the warnings.
    """
    fields = node_type.Params.model_fields
    label = f"{node_type.name} {node_id}"
    unknown: dict[str, Any] = {}
    notices: list[Notice] = []
    if not values.keys() <= fields.keys() and node_type.lenient():
        unknown = {name: value for name, value in values.items() if name not in fields}
        values = {name: value for name, value in values.items() if name in fields}
        for name in unknown:
            what = f"{label}: parameter {name!r} is not known here; kept, and without effect"
            notices.append(Notice("unknown_parameter", what, pointer(*base, name), document))
    for name in values:
        if name in fields and fields[name].deprecated:
            what = f"{label}: parameter {name!r} is deprecated: {fields[name].deprecation_message}"
            notices.append(Notice("deprecated_parameter", what, pointer(*base, name), document))
    found: list[tuple[Path, str]] = []
    params: BaseModel | None = None
    odd = not_json({**values, **unknown})
    if odd is not None:
        found.append(odd)
    try:
        params = node_type.Params.model_validate(values)
    except ValidationError as error:
        odd_at = odd[0] if odd else None
        faults = faults_of(error, values, document, known=fields)
        found += [(path, fault.message) for path, fault in faults if path != odd_at]
    named = [
        (path, Fault(pointer(*base, *path), document, f"{label}: {_of(path)}{message}"))
        for path, message in found
    ]
    return (None if named else params), unknown, named, notices


def _of(path: Path) -> str:
    return f"parameter {path[0]!r} " if path else ""


def edge_problem(source: type[NodeType], target: type[NodeType]) -> tuple[str, bool] | None:
    """Why `source` may not feed `target`, and whether that is certain (not where a type is ours)."""
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


class _TemplateReader:
    """Reads one wire document; collects faults and warnings as it goes.

    What depends on a tile's type and parameters alone (which type a name means, whether parameters are right,
    what may feed what) is worked out once.
    """

    def __init__(self, reading: Reading, catalogue: Catalogue, unknown_tiles: UnknownTiles) -> None:
        assert reading.wire is not None
        self.wire, self.faulty = reading.wire, reading.faulty
        self.catalogue, self.unknown_tiles = catalogue, unknown_tiles
        self.faults = list(reading.faults)
        self.notices: list[Notice] = []
        self.section = reading.wire.section()
        self.by_id: dict[str, Tile | None] = {}
        self.unreadable = any(fault.loc in ("", "/agent_nodes", "/nodes") for fault in reading.faults)
        self.types: dict[tuple[tuple[str | None, ...], ...], type[NodeType] | None] = {}
        self.opaque: dict[str, type[NodeType]] = {}
        self.checked: dict[tuple[type[NodeType], str], BaseModel] = {}
        self.problems: dict[tuple[type[NodeType], type[NodeType]], tuple[str, bool] | None] = {}

    def read(self) -> AgentTemplate:
        nodes: list[Tile] = []
        wires: list[WireNode] = []
        for index, wire in enumerate(getattr(self.wire, self.section) or ()):
            node = self._node(index, wire)
            if node is not None:
                nodes.append(node)
                wires.append(wire)
        connections, pairs = self._connections()
        self._cycles(pairs)
        meta = self.wire.agent or WireMeta()
        self._sayable(meta.model_dump(), "agent")
        extra = dict(self.wire.model_extra or {})
        if self.wire.update_params_template is not None:
            extra["update_params_template"] = self.wire.update_params_template
        return AgentTemplate(
            nodes=tuple(nodes),
            connections=tuple(connections),
            wires=tuple(wires),
            meta=meta,
            extra=extra,
            warnings=tuple(self.notices),
        )

    def _fault(self, message: str, *at: str | int) -> None:
        self.faults.append(Fault(pointer(*at), "template", message))

    def _sayable(self, value: Any, *at: str | int) -> bool:
        """Whether JSON can say a value that goes into plans as it is; a fault where it cannot."""
        odd = not_json(value)
        if odd is not None:
            self._fault(odd[1], *at, *odd[0])
        return odd is None

    def _node(self, index: int, wire: WireNode) -> Tile | None:
        faulty = (self.section, index) in self.faulty
        named = "agent_node_id" if wire.get("agent_node_id") else "id"
        node_id = wire.get("agent_node_id") or wire.get("id")
        if node_id is None:
            self.unreadable = True
            if not faulty:
                self._fault(
                    "a node needs an 'agent_node_id' (or 'id', in older exports)", self.section, index
                )
            return None
        key = node_id.lower()
        if key in self.by_id:
            first = self.by_id[key]
            where = f" (first at {first.loc})" if first else ""
            self._fault(f"duplicate node id {node_id}{where}", self.section, index, named)
            return None
        self.by_id[key] = None
        node_type = None if faulty else self._type(index, wire, node_id)
        if node_type is None:
            return None
        self.by_id[key] = node = self._tile(index, node_id, node_type, wire.get("params_used"))
        return node

    def _tile(
        self, index: int, node_id: str, node_type: type[NodeType], explicit: Mapping[str, Any] | None
    ) -> Tile:
        loc = f"/{self.section}/{index}"
        own = explicit or {}
        alike = (node_type, repr(own))
        params, unknown = self.checked.get(alike), dict[str, Any]()
        if params is None:
            at = (self.section, index, "params_used")
            params, unknown, found, notices = check_params(node_type, own, "template", at, node_id)
            self.notices += notices
            self.faults += [fault for _path, fault in found]
            if params is not None and not notices:
                self.checked[alike] = params
        if any(isinstance(value, dict | list) for value in own.values()):
            own = deepcopy(own)
        checked = params or node_type.Params.model_construct()
        return Tile(node_id, node_type, checked, own, unknown=unknown, index=index, loc=loc)

    def _type(self, index: int, wire: WireNode, node_id: str) -> type[NodeType] | None:
        ids, names = called = type_names(wire)
        if called not in self.types:
            self.types[called] = self.catalogue.find(*ids, *names)
        found = self.types[called]
        if found is not None:
            return found
        given = next((text for text in (*ids, *names) if text), None)
        if given is None:
            self._fault(
                f"node {node_id} has no type: give 'node_type' with an id or a name", self.section, index
            )
            return None
        name = next((text for text in names if text), None)
        label = name or given
        if not self._sayable(label, self.section, index, *_type_at(wire)):
            return None
        if self.unknown_tiles == "opaque":
            what = f"node {node_id}: type {label!r} is not known; taken as opaque, it hands its inputs on"
            self.notices.append(Notice("opaque_tile", what, pointer(self.section, index)))
            if given not in self.opaque:
                self.opaque[given] = opaque(given, name)
            return self.opaque[given]
        near = self.catalogue.nearest(name) if name else []
        hint = f"; nearest: {', '.join(near)}" if near else f"; known: {', '.join(self.catalogue.names())}"
        self._fault(
            f"node {node_id}: unknown node type {label!r}{hint}", self.section, index, *_type_at(wire)
        )
        return None

    def _connections(self) -> tuple[list[Connection], dict[tuple[str, str], int]]:
        """The connections between nodes that are right, and every connected pair of ids with its place."""
        pairs: dict[tuple[str, str], int] = {}
        kept: list[Connection] = []
        by_id, faulty = self.by_id, self.faulty
        for index, wire in enumerate(self.wire.connections):
            pair = (wire["source_agent_node_id"].lower(), wire["target_agent_node_id"].lower())
            if pair[0] not in by_id or pair[1] not in by_id or pair[0] == pair[1]:
                if ("connections", index) not in faulty:
                    self._misconnected(index, wire, pair)
                continue
            if pair in pairs:
                ends = f"{wire['source_agent_node_id']} → {wire['target_agent_node_id']}"
                what = f"connection {ends} is given more than once; taken as one"
                self.notices.append(Notice("duplicate_connection", what, pointer("connections", index)))
                continue
            pairs[pair] = index
            source, target = by_id[pair[0]], by_id[pair[1]]
            if source is not None and target is not None:
                kept.append(Connection(source.id, target.id, index, wire))
                self._kinds(source, target, index)
        return kept, pairs

    def _misconnected(self, index: int, wire: WireConnection, pair: tuple[str, str]) -> None:
        """Say which end of a connection is no node of the template, and that both are one."""
        if pair[0] == pair[1]:
            what = f"node {wire['source_agent_node_id']} is connected to itself"
            self._fault(what, "connections", index)
        if self.unreadable:
            return
        ends = (wire["source_agent_node_id"], wire["target_agent_node_id"])
        for member, end in zip(("source_agent_node_id", "target_agent_node_id"), ends, strict=True):
            if end.lower() not in self.by_id:
                self._fault(f"connection to an unknown node {end}", "connections", index, member)

    def _kinds(self, source: Tile, target: Tile, index: int) -> None:
        types = (source.type, target.type)
        if types not in self.problems:
            self.problems[types] = edge_problem(*types)
        problem = self.problems[types]
        if problem is None:
            return
        what = f"connection {source.id} → {target.id}: {problem[0]}"
        if problem[1]:
            self._fault(what, "connections", index)
        else:
            self.notices.append(Notice("kinds_do_not_fit", what, pointer("connections", index)))

    def _cycles(self, pairs: Mapping[tuple[str, str], int]) -> None:
        """Say of every group of nodes that lead to each other what one cycle through it is."""
        left = _cyclic(self.by_id, pairs)
        if not left:
            return
        import networkx as nx

        place = {node: index for index, node in enumerate(self.by_id)}
        graph = nx.DiGraph(pair for pair in pairs if pair[0] in left and pair[1] in left)
        groups = [group for group in nx.strongly_connected_components(graph) if len(group) > 1]
        for group in groups:
            start = min(group, key=place.__getitem__)
            within = nx.DiGraph(
                pair for pair in graph.edges(sorted(group, key=place.__getitem__)) if pair[1] in group
            )
            cycle = [source for source, _target in nx.find_cycle(within, start)]
            first = cycle.index(min(cycle, key=place.__getitem__))
            cycle = cycle[first:] + cycle[:first]
            shown = [self._written(node) for node in cycle]
            if len(shown) > _LONGEST_CYCLE:
                shown[_LONGEST_CYCLE - 1 : -1] = [f"({len(shown) - _LONGEST_CYCLE:,} more)"]
            what = f"the connections form a cycle: {' → '.join([*shown, shown[0]])}"
            self._fault(what, "connections", pairs[cycle[-1], cycle[0]])

    def _written(self, key: str) -> str:
        """A node's id as the template writes it, where the node could be read."""
        node = self.by_id[key]
        return node.id if node else key


_LONGEST_CYCLE = 50
"""The most tiles of a cycle that a message lists."""


def _cyclic(nodes: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The nodes on cycles and downstream of them: what no topological order can reach."""
    targets: dict[str, list[str]] = {node: [] for node in nodes}
    waiting = dict.fromkeys(targets, 0)
    for source, target in pairs:
        targets[source].append(target)
        waiting[target] += 1
    ready = [node for node, count in waiting.items() if not count]
    for node in ready:
        for target in targets[node]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return waiting.keys() - ready if len(ready) < len(waiting) else set()


def _type_at(wire: WireNode) -> tuple[str, ...]:
    """The member that says what type a node has."""
    if wire.get("node_type"):
        return ("node_type",)
    for name in ("node_type_id", "node_type_name", "node_id", "node"):
        if wire.get(name):
            return (name,)
    return ()

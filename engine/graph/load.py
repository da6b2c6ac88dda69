"""`load_agent`: reads a template, resolves it against the catalogue and reports all its faults at once."""

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
from tessera.graph.type_members import contradicting_member, empty_id_member, type_member
from tessera.node import Catalogue, NodeType, OldNames, opaque
from tessera.notice import Notice
from tessera.validation import UNKNOWN_FIELD, Path, faults_of, not_json

__all__ = ["UnknownTiles", "check_params", "edge_problem", "load_agent"]

UnknownTiles = Literal["error", "opaque"]


def load_agent(
    agent: Any, *, catalogue: Catalogue | None = None, unknown_tiles: UnknownTiles = "error"
) -> AgentTemplate:
    """Load an agent of any export generation and check it against the catalogue.

    Parameters
    ----------
    agent
        A path, JSON text, bytes, a dict, or an `AgentTemplate` (returned unchanged).
    catalogue
        The known node types; by default all installed ones, with the mapping of `tessera.toml`.
    unknown_tiles
        `"opaque"` accepts types that the catalogue does not know; such tiles can be planned and simulated,
        but not run.

    Raises
    ------
    RequestError
        If the template has faults. The error holds every fault, each with a JSON pointer into the template.

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
        raise RequestError(sorted(reader.faults, key=lambda fault: _pointer_sort_key(fault.loc)))
    return template


def _pointer_sort_key(loc: str) -> list[tuple[int, str]]:
    """Return a sort key that orders pointers as in the document: `/nodes/2` before `/nodes/10`."""
    # Of two decimal numbers without leading zeros, the shorter one is the smaller one.
    return [(len(part) if part.isdecimal() else sys.maxsize, part) for part in loc.split("/")[1:]]


def check_params(
    node_type: type[NodeType], values: Mapping[str, Any], document: Document, base: Path, node_id: str
) -> tuple[BaseModel | None, dict[str, Any], list[tuple[Path, Fault]], list[Notice]]:
    """Check a tile's parameters against its type.

    Parameters
    ----------
    base
        The path of the parameters in `document`.

    Returns
    -------
    params
        The parameters as a model, or None if any of them is invalid.
    unknown
        The parameters of unknown name that a lenient type keeps without using them.
    faults
        Each fault with its path below `base`.
    notices
        The warnings.
    """
    fields = node_type.Params.model_fields
    label = f"{node_type.name} {node_id}"
    unknown: dict[str, Any] = {}
    notices: list[Notice] = []
    if not values.keys() <= fields.keys() and node_type.lenient():
        unknown = {name: value for name, value in values.items() if name not in fields}
        values = {name: value for name, value in values.items() if name in fields}
        for name in unknown:
            message = f"{label}: unknown parameter {name!r} is kept but has no effect"
            notices.append(Notice("unknown_parameter", message, pointer(*base, name), document))
    for name in values:
        if name in fields and fields[name].deprecated:
            message = f"{label}: parameter {name!r} is deprecated: {fields[name].deprecation_message}"
            notices.append(Notice("deprecated_parameter", message, pointer(*base, name), document))
        for old in fields[name].metadata if name in fields else ():
            if isinstance(old, OldNames) and old.replace(values[name]) != values[name]:
                now = old.replace(values[name])
                message = f"{label}: parameter {name!r} is {values[name]!r}, an old name of {now!r}"
                notices.append(Notice("old_value", message, pointer(*base, name), document))
    found: list[tuple[Path, str, str]] = []
    params: BaseModel | None = None
    # Pydantic accepts NaN and infinity, which the JSON of a plan cannot hold.
    non_json = not_json({**values, **unknown})
    if non_json is not None:
        found.append((*non_json, "wrong_value"))
    try:
        params = node_type.Params.model_validate(values)
    except ValidationError as error:
        reported = non_json[0] if non_json else None
        faults = faults_of(error, values, document, known=fields)
        found += [(path, fault.message, fault.code) for path, fault in faults if path != reported]
    labelled = [
        (path, Fault(pointer(*base, *path), document, f"{label}{_after_tile(path, message)}", code))
        for path, message, code in found
    ]
    return (None if labelled else params), unknown, labelled, notices


def _after_tile(path: Path, message: str) -> str:
    """Return a message with the name of its parameter, to follow the name of the tile."""
    if len(path) == 1 and message.startswith(UNKNOWN_FIELD):
        return f" has no parameter {message.removeprefix(UNKNOWN_FIELD)}"
    return f": parameter {path[0]!r} {message}" if path else f": {message}"


def edge_problem(source: type[NodeType], target: type[NodeType]) -> tuple[str, bool] | None:
    """Return the reason why `source` may not feed `target` and whether it is certain, or None if it may.

    The reason is uncertain if either type is `ours`: the hosted type may differ from our declaration.
    """
    if target.category in ("input", "trigger"):
        return (
            f"{target.name} is {_with_article(target.category)} tile and takes no incoming connection",
            True,
        )
    if source.produces is None:
        return f"{source.name} is an output tile and feeds no other tile", True
    if source.produces in target.accepts:
        return None
    accepted = " or ".join(sorted(target.accepts)) or "nothing"
    certain = "ours" not in (source.source, target.source)
    return f"{source.name} produces {source.produces}, but {target.name} accepts {accepted}", certain


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


class _TemplateReader:
    """Reads one wire document and collects its faults and warnings.

    Results that depend only on a tile's type and parameters are cached: the type of a name, checked
    parameters, and which type may feed which. Large agents repeat a few types many times.
    """

    def __init__(self, reading: Reading, catalogue: Catalogue, unknown_tiles: UnknownTiles) -> None:
        assert reading.wire is not None
        self.wire, self.faulty = reading.wire, reading.faulty
        self.catalogue, self.unknown_tiles = catalogue, unknown_tiles
        self.faults = list(reading.faults)
        self.notices: list[Notice] = []
        self.section = reading.wire.section()
        self.by_id: dict[str, Tile | None] = {}
        # With an unreadable node, an unknown id in a connection may be that node's: report no second fault.
        self.unreadable = any(fault.loc in ("", "/agent_nodes", "/nodes") for fault in reading.faults)
        self.types: dict[tuple[tuple[str | None, ...], ...], type[NodeType] | None] = {}
        self.empty_ids: dict[Any, tuple[str, ...]] = {}
        self.contradictions: dict[Any, tuple[tuple[str, ...], str]] = {}
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
        self._report_cycles(pairs)
        meta = self.wire.agent or WireMeta()
        self._check_json(meta.model_dump(), "agent")
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

    def _fault(self, code: str, message: str, *path: str | int) -> None:
        self.faults.append(Fault(pointer(*path), "template", message, code))

    def _check_json(self, value: Any, *path: str | int) -> bool:
        """Return True if JSON can hold a value; add a fault if not. Plans repeat such values unchanged."""
        problem = not_json(value)
        if problem is not None:
            self._fault("wrong_value", problem[1], *path, *problem[0])
        return problem is None

    def _node(self, index: int, wire: WireNode) -> Tile | None:
        faulty = (self.section, index) in self.faulty
        id_member = "agent_node_id" if wire.get("agent_node_id") else "id"
        node_id = wire.get("agent_node_id") or wire.get("id")
        if node_id is None:
            self.unreadable = True
            if not faulty:
                message = "a node needs an 'agent_node_id' ('id' in older exports)"
                self._fault("missing_field", message, self.section, index)
            return None
        key = node_id.lower()
        if key in self.by_id:
            first = self.by_id[key]
            where = f" (first used at {first.loc})" if first else ""
            message = f"duplicate node id {node_id}{where}"
            self._fault("duplicate_node", message, self.section, index, id_member)
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
        check_key = (node_type, repr(own))
        params, unknown = self.checked.get(check_key), dict[str, Any]()
        if params is None:
            path = (self.section, index, "params_used")
            params, unknown, found, notices = check_params(node_type, own, "template", path, node_id)
            self.notices += notices
            self.faults += [fault for _path, fault in found]
            if params is not None and not notices:
                self.checked[check_key] = params
        # The template must not change if the caller later edits the document that it came from.
        if any(isinstance(value, dict | list) for value in own.values()):
            own = deepcopy(own)
        checked = params or node_type.Params.model_construct()
        return Tile(node_id, node_type, checked, own, unknown=unknown, index=index, loc=loc)

    def _type(self, index: int, wire: WireNode, node_id: str) -> type[NodeType] | None:
        ids, names = type_key = type_names(wire)
        if type_key not in self.types:
            found = self.types[type_key] = self.catalogue.find(*ids, *names)
            empty = empty_id_member(wire)
            if empty is not None:
                self.empty_ids[type_key] = empty
            other = contradicting_member(wire, found, self.catalogue) if found is not None else None
            if other is not None:
                self.contradictions[type_key] = other
        found = self.types[type_key]
        if self.empty_ids and type_key in self.empty_ids:
            message = f"node {node_id}: the id of its type is empty; give the id, or leave the member out"
            self._fault("wrong_value", message, self.section, index, *self.empty_ids[type_key])
            return None
        if found is not None:
            if self.contradictions and type_key in self.contradictions:
                path, text = self.contradictions[type_key]
                kind = f"{found.name} ({found.type_id})"
                message = f"node {node_id}: {path[-1]} {text!r} contradicts the type that counts, {kind}"
                notice = Notice("type_contradiction", message, pointer(self.section, index, *path))
                self.notices.append(notice)
            return found
        first_name = next((text for text in (*ids, *names) if text), None)
        if first_name is None:
            message = f"node {node_id} has no type: add 'node_type' with an id or a name"
            self._fault("missing_field", message, self.section, index)
            return None
        name = next((text for text in names if text), None)
        label = name or first_name
        if not self._check_json(label, self.section, index, *type_member(wire)):
            return None
        lost = self.catalogue.unknown(*ids, *names)
        if self.unknown_tiles == "opaque":
            message = f"node {node_id}: unknown node type {label!r} is opaque here: it passes its inputs on"
            message += f"; {lost}" if lost else ""
            self.notices.append(Notice("opaque_tile", message, pointer(self.section, index)))
            if first_name not in self.opaque:
                self.opaque[first_name] = opaque(first_name, name)
            return self.opaque[first_name]
        near = self.catalogue.nearest(name) if name else []
        known = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(self.catalogue.names())}"
        hint = f"; {lost or known}"
        message = f"node {node_id}: unknown node type {label!r}{hint}"
        self._fault("unknown_node_type", message, self.section, index, *type_member(wire))
        return None

    def _connections(self) -> tuple[list[Connection], dict[tuple[str, str], int]]:
        """Return the connections between valid nodes, and the index of every connected pair of ids.

        The pairs include nodes with faults, so that a cycle through such a node is found too.
        """
        pairs: dict[tuple[str, str], int] = {}
        kept: list[Connection] = []
        by_id, faulty = self.by_id, self.faulty
        for index, wire in enumerate(self.wire.connections):
            pair = (wire["source_agent_node_id"].lower(), wire["target_agent_node_id"].lower())
            if pair[0] not in by_id or pair[1] not in by_id or pair[0] == pair[1]:
                if ("connections", index) not in faulty:
                    self._report_bad_ends(index, wire, pair)
                continue
            if pair in pairs:
                ends = f"{wire['source_agent_node_id']} → {wire['target_agent_node_id']}"
                message = f"duplicate connection {ends} counts once"
                self.notices.append(Notice("duplicate_connection", message, pointer("connections", index)))
                continue
            pairs[pair] = index
            source, target = by_id[pair[0]], by_id[pair[1]]
            if source is not None and target is not None:
                kept.append(Connection(source.id, target.id, index, wire))
                self._check_media_kinds(source, target, index)
        return kept, pairs

    def _report_bad_ends(self, index: int, wire: WireConnection, pair: tuple[str, str]) -> None:
        """Report each end of a connection that is not a node of the template, and a self-loop."""
        if pair[0] == pair[1]:
            message = f"node {wire['source_agent_node_id']} is connected to itself"
            self._fault("cycle", message, "connections", index)
        if self.unreadable:
            return
        ends = (wire["source_agent_node_id"], wire["target_agent_node_id"])
        for member, end in zip(("source_agent_node_id", "target_agent_node_id"), ends, strict=True):
            if end.lower() not in self.by_id:
                message = f"connection to unknown node {end}"
                self._fault("unknown_node", message, "connections", index, member)

    def _check_media_kinds(self, source: Tile, target: Tile, index: int) -> None:
        types = (source.type, target.type)
        if types not in self.problems:
            self.problems[types] = edge_problem(*types)
        problem = self.problems[types]
        if problem is None:
            return
        message = f"connection {source.id} → {target.id}: {problem[0]}"
        # A mismatch that may come from our own declarations is only a warning.
        if problem[1]:
            self._fault("kinds_do_not_fit", message, "connections", index)
        else:
            self.notices.append(Notice("kinds_do_not_fit", message, pointer("connections", index)))

    def _report_cycles(self, pairs: Mapping[tuple[str, str], int]) -> None:
        """Report one cycle of every strongly connected group of nodes."""
        left = _unordered_nodes(self.by_id, pairs)
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
            tiles = [self.by_id[key] for key in cycle]
            names = [tile.name if tile else key for tile, key in zip(tiles, cycle, strict=True)]
            ids = [tile.id if tile else key for tile, key in zip(tiles, cycle, strict=True)]
            path = " → ".join([*_shortened(names), names[0]])
            message = f"the connections form a cycle: {path} (ids {' → '.join(_shortened(ids))})"
            self._fault("cycle", message, "connections", pairs[cycle[-1], cycle[0]])


def _shortened(steps: list[str]) -> list[str]:
    """Return the steps of a cycle; of a long cycle, replace the middle by a count."""
    hidden = len(steps) - _MAX_CYCLE_SHOWN
    return [*steps[: _MAX_CYCLE_SHOWN - 1], f"({hidden:,} more)", steps[-1]] if hidden > 0 else steps


_MAX_CYCLE_SHOWN = 50
"""The largest number of tiles of a cycle that a message lists, each by name and by id."""


def _unordered_nodes(nodes: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Return the nodes on cycles and downstream of them, which have no topological order."""
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

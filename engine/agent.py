"""The exported agent: read every generation of the hosted product's export into one form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from typing_extensions import TypedDict

from tessera.errors import Document, Fault, RequestError, pointer
from tessera.input_files import read_document
from tessera.node import ID_PATTERN, NodeType, is_id
from tessera.text.checked import TooDeep, json_value
from tessera.text.json_text import json_text
from tessera.validation import MAX_DEPTH, faults_of, too_deep

if TYPE_CHECKING:
    from tessera.notice import Notice

__all__ = [
    "AgentTemplate",
    "Connection",
    "Origin",
    "Reading",
    "Tile",
    "WireAgent",
    "WireConnection",
    "WireMeta",
    "WireNode",
    "read_json",
    "read_wire",
    "type_names",
]


WireId = Annotated[str, StringConstraints(pattern=rf"^{ID_PATTERN.pattern}$")]
_OPEN = ConfigDict(extra="allow")
"""Keep unknown members."""


class WireType(TypedDict, total=False):
    """The type of a node in the current export."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    node_type_id: str | None
    node_type_name: str | None


class WireOlderType(TypedDict, total=False):
    """The type of a node in the `node` member of older exports."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    id: str | None
    name: str | None


class WireNode(TypedDict, total=False):
    """A node in any generation of the export."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    agent_node_id: WireId | None
    id: WireId | None
    node_type: WireType | None
    node: WireOlderType | None
    node_type_id: str | None
    node_type_name: str | None
    node_id: str | None
    params_used: dict[str, Any] | None


class WireConnection(TypedDict):
    """A connection, from source to target."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]

    source_agent_node_id: WireId
    target_agent_node_id: WireId


class WireMeta(BaseModel):
    """The `agent` member: the name and other metadata of an agent."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    id: str | None = None
    name: str | None = None
    description: str | None = None
    visibility: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class WireAgent(BaseModel):
    """An exported agent. Only the nodes and the connections are required."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    agent: WireMeta | None = None
    agent_nodes: list[WireNode] | None = None
    nodes: list[WireNode] | None = None
    connections: list[WireConnection]
    update_params_template: dict[str, Any] | None = None

    def section(self) -> Literal["agent_nodes", "nodes"]:
        """Return the member that holds the nodes: `agent_nodes`, unless only the older `nodes` has any."""
        return "nodes" if not self.agent_nodes and self.nodes else "agent_nodes"


def type_names(node: WireNode) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """Return the ids and the names of a node's type, current members first."""
    today, older = node.get("node_type") or {}, node.get("node") or {}
    ids = (today.get("node_type_id"), node.get("node_type_id"), node.get("node_id"), older.get("id"))
    return ids, (today.get("node_type_name"), node.get("node_type_name"), older.get("name"))


Origin = Literal["default", "template", "override"]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a template or of a run: its type, and its parameters with their origins.

    Attributes
    ----------
    id
        The id as written in the template.
    params
        All parameters, validated.
    explicit
        The parameters that the template sets.
    overrides
        The parameters that the request sets. Nested objects are replaced, not merged.
    unknown
        Parameters with unknown names. They are kept but have no effect.
    index, loc
        The position in the template, and the JSON pointer to the node.
    """

    id: str
    type: type[NodeType]
    params: BaseModel = field(compare=False)
    explicit: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0
    loc: str = ""

    @property
    def name(self) -> str:
        return self.type.name

    def values(self) -> dict[str, Any]:
        """Return every parameter with its value, including unknown ones."""
        return {**self.type.defaults(), **self.explicit, **self.overrides}

    def origin(self, name: str) -> Origin:
        """Return the origin of the value of a parameter."""
        if name in self.overrides:
            return "override"
        return "template" if name in self.explicit else "default"

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return `{name: {"value", "origin"}}` for every parameter."""
        return {name: {"value": value, "origin": self.origin(name)} for name, value in self.values().items()}


class Connection(NamedTuple):
    """An edge of a template: the ids of its nodes, its index in the export, and its exported members."""

    source: str
    target: str
    place: int
    wire: WireConnection

    @property
    def loc(self) -> str:
        return pointer("connections", self.place)


@dataclass(frozen=True, eq=False)
class AgentTemplate:
    """A loaded and validated agent. It is immutable; `plan` derives the graph of a run from it.

    `nodes` and `connections` keep the order of the export. Duplicate connections are merged. `wires` are the
    nodes as exported.
    """

    nodes: tuple[Tile, ...]
    connections: tuple[Connection, ...]
    wires: tuple[WireNode, ...] = ()
    meta: WireMeta = field(default_factory=WireMeta)
    extra: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Tile]:
        """The nodes by id in lower case."""
        return {node.id.lower(): node for node in self.nodes}

    @property
    def id(self) -> str | None:
        return self.meta.id

    @property
    def name(self) -> str | None:
        return self.meta.name

    def __iter__(self) -> Iterator[Tile]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def get(self, node_id: str) -> Tile | None:
        """Return the node with this id (case-insensitive), or None."""
        return self.by_id.get(node_id.lower())

    def to_dict(self) -> dict[str, Any]:
        """Return the agent in the current export form, with unknown members kept."""
        return deepcopy(self._exported())

    def to_json(self) -> str:
        """Return the same as JSON text, indented by one space per level."""
        return json_text(self._exported(), 1) + "\n"

    def _exported(self) -> dict[str, Any]:
        """Return the export form. It shares parts with this template: copy it before changing it."""
        return {
            **self.extra,
            "agent": self.meta.model_dump(),
            "agent_nodes": [_to_wire(node, wire) for node, wire in zip(self.nodes, self.wires, strict=True)],
            "connections": [
                {**edge.wire, "source_agent_node_id": edge.source, "target_agent_node_id": edge.target}
                for edge in self.connections
            ],
        }


def _to_wire(node: Tile, wire: WireNode) -> dict[str, Any]:
    own_type = {name: value for name, value in (wire.get("node_type") or {}).items() if value is not None}
    return {
        **wire,
        "agent_node_id": node.id,
        "node_type": {
            "node_type_id": node.type.type_id,
            "node_type_name": node.type.name,
            "docs_url": None,
            "params_docs_url": None,
            **own_type,
        },
        "params_used": dict(node.explicit),
    }


def _error(loc: str, document: Document, message: str, code: str) -> RequestError:
    return RequestError([Fault(loc, document, message, code)])


def read_json(source: Any, document: Document) -> Any:
    """Return a JSON document from a path, JSON text, bytes, or a parsed value.

    Text that begins with `{` or `[` is JSON; other text is a path.

    Raises
    ------
    RequestError
        If the file cannot be read, or if the document is not JSON or too deep.
    """
    if isinstance(source, bytes | bytearray):
        return _parse(bytes(source), document, "the document")
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return _parse(source.encode("utf-8", "surrogatepass"), document, "the document")
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        try:
            data = read_document(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            what = f"cannot read {path[:200]!r}: {reason}; give a path, JSON text or a dict"
            raise _error("", document, what, "unreadable") from None
        return _parse(data, document, path)
    if too_deep(source):
        raise _error("", document, f"the document is {_TOO_DEEP}", "too_deep")
    return source


_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


def _parse(data: bytes, document: Document, name: str) -> Any:
    code = "not_json"
    try:
        value = json_value(data)
        if rb"\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        what = f"{name} contains an unpaired surrogate escape (\\ud800 to \\udfff)"
    except TooDeep:
        what, code = f"{name} is {_TOO_DEEP}", "too_deep"
    except ValueError as error:
        what = f"{name} is {error}"
    else:
        if not too_deep(value):
            return value
        what, code = f"{name} is {_TOO_DEEP}", "too_deep"
    raise _error("", document, what, code)


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of `read_wire`: the valid parts of a document, and every fault of its shape.

    Faulty entries of `nodes` and `connections` keep their positions, so that later pointers stay correct.
    Only the id of a faulty node is kept. `faulty` holds (member, index) of each.
    """

    wire: WireAgent | None
    faults: list[Fault]
    faulty: frozenset[tuple[str, int]] = frozenset()


def read_wire(raw: Any) -> Reading:
    """Read the exported form of an agent."""
    if not isinstance(raw, dict):
        return Reading(
            None,
            [
                Fault(
                    "",
                    "template",
                    "an agent is an object with 'agent_nodes' and 'connections'",
                    "wrong_value",
                )
            ],
        )
    faults = []
    if raw.get("agent_nodes") is None and raw.get("nodes") is None:
        message = "'agent_nodes' (or 'nodes', in older exports) is required"
        faults.append(Fault("", "template", message, "missing_field"))
    try:
        return Reading(WireAgent.model_validate(raw), faults)
    except ValidationError as error:
        found = faults_of(error, raw, "template")
        faults += [fault for _path, fault in found]
        pruned, faulty = _without(raw, [path for path, _fault in found])
        try:
            return Reading(WireAgent.model_validate(pruned), faults, faulty)
        except ValidationError:
            return Reading(None, faults)


def _without(
    raw: Mapping[str, Any], paths: Iterable[tuple[str | int, ...]]
) -> tuple[dict[str, Any], frozenset[tuple[str, int]]]:
    """Return the document without its faulty parts, and the (member, index) of faulty array entries."""
    copy: dict[str, Any] = dict(raw)
    faulty = set()
    for path in paths:
        if not path:
            continue
        top = str(path[0])
        if len(path) == 1 or not isinstance(path[1], int) or not isinstance(copy.get(top), list):
            copy.pop(top, None)
            continue
        faulty.add((top, path[1]))
        if copy[top] is raw[top]:
            copy[top] = list(raw[top])
        copy[top][path[1]] = _NO_EDGE if top == "connections" else _only_id(raw[top][path[1]])
    copy.setdefault("connections", [])
    return copy, frozenset(faulty)


def _only_id(node: Any) -> dict[str, Any]:
    """Return only the valid id of a faulty node, so that connections to it do not become faults."""
    if not isinstance(node, Mapping):
        return {}
    return {
        member: node[member]
        for member in ("agent_node_id", "id")
        if isinstance(node.get(member), str) and is_id(node[member])
    }


_NOWHERE = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_NO_EDGE = {"source_agent_node_id": _NOWHERE, "target_agent_node_id": _NOWHERE}

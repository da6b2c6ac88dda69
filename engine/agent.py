"""The wire form of an agent: every generation of the hosted product's export, read into one shape."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from engine.errors import Document, Fault, RequestError
from engine.node import NodeId, NodeType, is_id
from engine.shape import faults_of

if TYPE_CHECKING:
    from engine.notice import Notice

__all__ = [
    "AgentTemplate",
    "Connection",
    "TemplateNode",
    "WireAgent",
    "WireConnection",
    "WireNode",
    "read_json",
]


class _Wire(BaseModel):
    """Members that we do not know are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class WireType(_Wire):
    """A node's type as today's export gives it."""

    node_type_id: str | None = None
    node_type_name: str | None = None


class WireOlderType(_Wire):
    """A node's type as the `node` member of older exports gives it."""

    id: str | None = None
    name: str | None = None


class WireNode(_Wire):
    """A node of any generation of the export."""

    agent_node_id: NodeId | None = None
    id: NodeId | None = None
    node_type: WireType | None = None
    node: WireOlderType | None = None
    node_type_id: str | None = None
    node_type_name: str | None = None
    node_id: str | None = None
    params_used: dict[str, Any] | None = None

    def type_names(self) -> tuple[str | None, ...]:
        """What the node's type is called: ids first, then names."""
        today, older = self.node_type, self.node
        return (
            today and today.node_type_id,
            self.node_type_id,
            self.node_id,
            older and older.id,
            today and today.node_type_name,
            self.node_type_name,
            older and older.name,
        )


class WireConnection(_Wire):
    """A plain source → target pair."""

    source_agent_node_id: NodeId
    target_agent_node_id: NodeId


class WireMeta(_Wire):
    """The `agent` member: what an agent is called."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    visibility: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class WireAgent(_Wire):
    """An exported agent. Only the nodes and the connections are required."""

    agent: WireMeta | None = None
    agent_nodes: list[WireNode] | None = None
    nodes: list[WireNode] | None = None
    connections: list[WireConnection]
    update_params_template: dict[str, Any] | None = None


_WIRE = TypeAdapter(WireAgent)


@dataclass(frozen=True, slots=True, eq=False)
class TemplateNode:
    """A tile of a template: its id as written there, its type, the parameters that it sets, and where it stands."""

    id: str
    type: type[NodeType]
    explicit: Mapping[str, Any]
    params: BaseModel
    unknown: Mapping[str, Any]
    index: int
    loc: str
    wire: WireNode

    @property
    def name(self) -> str:
        return self.type.name


@dataclass(frozen=True, slots=True)
class Connection:
    """An edge of a template, by canonical node ids, and where it stands."""

    source: str
    target: str
    loc: str


@dataclass(frozen=True, eq=False)
class AgentTemplate:
    """A loaded and checked agent. It never changes; a run's graph is drawn from it by `plan`.

    `nodes` and `connections` keep the order of the export; duplicate connections are collapsed.
    """

    nodes: tuple[TemplateNode, ...]
    connections: tuple[Connection, ...]
    meta: WireMeta = field(default_factory=WireMeta)
    extra: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {node.id.lower(): node for node in self.nodes})

    @property
    def id(self) -> str | None:
        return self.meta.id

    @property
    def name(self) -> str | None:
        return self.meta.name

    def __iter__(self) -> Iterator[TemplateNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def get(self, node_id: str) -> TemplateNode | None:
        """The node with this id (compared case-insensitively), or None."""
        found: dict[str, TemplateNode] = self._by_id  # type: ignore[attr-defined]
        return found.get(node_id.lower())

    def to_dict(self) -> dict[str, Any]:
        """The agent in today's export form, with members that we do not know kept."""
        nodes = []
        for node in self.nodes:
            wire = node.wire.model_dump(exclude_unset=True)
            nodes.append(
                {
                    **wire,
                    "agent_node_id": node.id,
                    "node_type": {
                        "node_type_id": node.type.type_id,
                        "node_type_name": node.type.name,
                        "docs_url": None,
                        "params_docs_url": None,
                        **{key: value for key, value in (wire.get("node_type") or {}).items() if value is not None},
                    },
                    "params_used": dict(node.explicit),
                }
            )
        edges = [
            {"source_agent_node_id": edge.source, "target_agent_node_id": edge.target} for edge in self.connections
        ]
        return {
            **self.extra,
            "agent": self.meta.model_dump(),
            "agent_nodes": nodes,
            "connections": edges,
        }


def _refuse(loc: str, document: Document, message: str) -> RequestError:
    return RequestError([Fault(loc, document, message)])


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_json(source: Any, document: Document) -> Any:
    """A JSON document from a path, JSON text, bytes, or a value that is one already.

    Text that begins with `{` or `[` is taken as JSON, other text as a path.

    Raises
    ------
    RequestError
        The file cannot be read, or is not JSON.
    """
    if isinstance(source, bytes | bytearray):
        return _parse(bytes(source), document, "the document")
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return _parse(source.encode("utf-8", "surrogatepass"), document, "the document")
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            what = f"cannot read {path[:200]!r}: {reason}; give a path, JSON text or a dict"
            raise _refuse("", document, what) from None
        return _parse(data, document, str(path))
    return source


def _parse(data: bytes, document: Document, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        what = f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError as error:
        what = f"{name} is not JSON: not UTF-8 text at byte {error.start}"
    except RecursionError:
        what = f"{name} is nested too deeply to read"
    except ValueError as error:
        what = f"{name} is not JSON: {error}"
    raise _refuse("", document, what)


def read_wire(raw: Any) -> tuple[WireAgent | None, list[Fault]]:
    """The wire form of an agent, and every fault of its shape. None where too little is left to go on with."""
    if not isinstance(raw, Mapping):
        return None, [Fault("", "template", "an agent is an object with 'agent_nodes' and 'connections'")]
    faults: list[Fault] = []
    pruned = raw
    for _ in range(2):
        try:
            wire = _WIRE.validate_python(pruned)
        except ValidationError as error:
            found = faults_of(error, pruned, "template", known=tuple(WireAgent.model_fields))
            faults.extend(fault for _path, fault in found)
            pruned = _without(pruned, [path for path, _fault in found])
            if not isinstance(pruned.get("connections"), list):
                pruned = {**pruned, "connections": []}
            continue
        if wire.agent_nodes is None and wire.nodes is None and not faults:
            faults.append(Fault("", "template", "'agent_nodes' (or 'nodes', in older exports) is required"))
        return wire, faults
    return None, faults


def _without(raw: Mapping[str, Any], paths: list[tuple[str | int, ...]]) -> dict[str, Any]:
    """The document with every entry of `nodes`, `agent_nodes` or `connections` that has a fault set to an empty one.

    Entries keep their places, so that later pointers stay right.
    """
    copy: dict[str, Any] = dict(raw)
    for path in paths:
        if not path:
            continue
        top = str(path[0])
        if len(path) == 1 or not isinstance(path[1], int) or not isinstance(copy.get(top), list):
            copy.pop(top, None)
            continue
        if copy[top] is raw[top]:
            copy[top] = list(raw[top])
        copy[top][path[1]] = dict(_NO_EDGE) if top == "connections" else _only_id(raw[top][path[1]])
    return copy


def _only_id(node: Any) -> dict[str, Any]:
    """What is left of a faulty node: its id, where that can be read, so that connections to it are not faults too."""
    if not isinstance(node, Mapping):
        return {}
    return {
        member: node[member]
        for member in ("agent_node_id", "id")
        if isinstance(node.get(member), str) and is_id(node[member])
    }


_NOWHERE = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_NO_EDGE = {"source_agent_node_id": _NOWHERE, "target_agent_node_id": _NOWHERE, "_faulty": True}


def is_placeholder(edge: WireConnection) -> bool:
    """Whether `read_wire` put this connection in the place of a faulty one."""
    return bool((edge.model_extra or {}).get("_faulty"))


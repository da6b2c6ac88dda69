"""The graph that a template and a run share: a `networkx.DiGraph` whose nodes carry resolved tiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from engine.agent import AgentTemplate
from engine.node import NodeType

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Origin", "Tile", "build_graph", "copy_graph", "tiles"]

Origin = Literal["default", "template", "override"]
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of this run: its type, its parameters, and where each value of them came from.

    Attributes
    ----------
    explicit
        The parameters that the template sets.
    overrides
        Those that the request sets; nested objects replace, they do not merge.
    params
        All parameters, checked.
    unknown
        Parameters of unknown name that were kept; they have no effect.
    index
        The place in the template's order.
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
        """Every parameter with its value, unknown ones included."""
        return {**self.type.defaults(), **self.explicit, **self.overrides}

    def origin(self, name: str) -> Origin:
        """Where the value of a parameter came from."""
        if name in self.overrides:
            return "override"
        return "template" if name in self.explicit else "default"

    def parameters(self) -> dict[str, dict[str, Any]]:
        """`{name: {"value", "origin"}}` of every parameter."""
        return {name: {"value": value, "origin": self.origin(name)} for name, value in self.values().items()}


def build_graph(template: AgentTemplate) -> nx.DiGraph:
    """A fresh graph of a whole template. Node attribute `node`: a `Tile`; edge attribute `via`: `()`."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(
        (
            node.id,
            {
                "node": Tile(
                    node.id, node.type, node.params, node.explicit, _NONE, node.unknown, node.index, node.loc
                )
            },
        )
        for node in template.nodes
    )
    graph.add_edges_from(((edge.source, edge.target) for edge in template.connections), via=())
    return graph


def copy_graph(graph: nx.DiGraph, nodes: Iterable[str] | None = None) -> nx.DiGraph:
    """A copy of a graph, or of its part on `nodes`, that shares no mutable state with it."""
    import networkx as nx

    copy = nx.DiGraph()
    if nodes is None:
        copy.add_nodes_from(graph.nodes(data=True))
        copy.add_edges_from(graph.edges(data=True))
        return copy
    kept = set(nodes)
    copy.add_nodes_from((node, data) for node, data in graph.nodes(data=True) if node in kept)
    copy.add_edges_from(
        (source, target, data) for source, target, data in graph.edges(data=True) if source in kept and target in kept
    )
    return copy


def tiles(graph: nx.DiGraph) -> Iterator[Tile]:
    """The tiles of a graph, in the order of its nodes."""
    for _node, tile in graph.nodes(data="node"):
        yield tile

"""The graph of a template or a run: a `networkx.DiGraph` whose nodes carry resolved tiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tessera.agent import AgentTemplate, Origin, Tile
from tessera.node import NodeType

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Origin", "Tile", "build_graph", "copy_graph", "is_opaque"]


def build_graph(template: AgentTemplate) -> nx.DiGraph:
    """Build a new graph of a whole template. Node attribute `node`: a `Tile`; edge attribute `via`: `()`."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from((node.id, {"node": node}) for node in template.nodes)
    graph.add_edges_from(((edge.source, edge.target) for edge in template.connections), via=())
    return graph


def copy_graph(graph: nx.DiGraph, nodes: Iterable[str] | None = None) -> nx.DiGraph:
    """Copy a graph, or its subgraph on `nodes`. The copy shares no mutable state with the original."""
    import networkx as nx

    copy = nx.DiGraph()
    if nodes is None:
        copy.add_nodes_from(graph.nodes(data=True))
        copy.add_edges_from(graph.edges(data=True))
        return copy
    kept = set(nodes)
    copy.add_nodes_from((node, data) for node, data in graph.nodes(data=True) if node in kept)
    copy.add_edges_from(
        (source, target, data)
        for source, target, data in graph.edges(data=True)
        if source in kept and target in kept
    )
    return copy


def is_opaque(node_type: type[NodeType]) -> bool:
    """Return True if a type is the placeholder for a type that the catalogue does not know."""
    return node_type.__name__ == "Opaque" and node_type.__module__ == NodeType.__module__

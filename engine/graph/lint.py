"""Advice on the order of tiles (contract, end of section 8) and on prompts: warnings, never errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tessera.notice import Notice

if TYPE_CHECKING:
    import networkx as nx

    from tessera.graph.model import Tile

__all__ = ["lint"]

_OVERLAYS = frozenset(
    {"Captions", "Cinematic Captions", "Captions With Emojis", "Motion Graphics", "Watermark"}
)
_STYLE = _OVERLAYS | {"Reframe", "Color Correction", "Intro", "Outro"}
_BETTER_AFTER: Mapping[str, frozenset[str]] = {"Rough Cut": _STYLE, "Clips": _STYLE, "Reframe": _OVERLAYS}
"""Tile → the tiles that had better come after it."""


def lint(graph: nx.DiGraph, order: Sequence[str]) -> Iterator[Notice]:
    """Advice on each tile of a graph, in topological order. Linear in tiles and edges."""
    tiles: Mapping[str, Tile] = dict(graph.nodes(data="node"))
    above: dict[str, Mapping[str, str]] = {}
    """Of each tile: the names of the style tiles that lead to it → the first of that name."""
    for node in order:
        tile = tiles[node]
        name = tile.name
        styles: Mapping[str, str] = {}
        for before in graph.predecessors(node):
            if above[before].keys() - styles.keys():
                styles = {**above[before], **styles}
        for style in styles if name in _BETTER_AFTER else ():
            if style in _BETTER_AFTER[name]:
                what = f"{name} {node} comes after {style} {styles[style]}; it is better placed before it"
                yield Notice("order_advice", what, tile.loc)
        if name == "Rough Cut" and not tile.values().get("prompt"):
            what = (
                f"Rough Cut {node} has no prompt: the hosted tile needs one; here it keeps what it finds best"
            )
            yield Notice("no_prompt", what, tile.loc)
        above[node] = {name: node, **styles} if name in _STYLE else styles

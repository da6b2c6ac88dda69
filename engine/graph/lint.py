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
"""Tile name → the names of the tiles that should come after it."""


def lint(graph: nx.DiGraph, order: Sequence[str]) -> Iterator[Notice]:
    """Yield advice on the tiles of a graph, in topological order, in time linear in tiles and edges."""
    tiles: Mapping[str, Tile] = dict(graph.nodes(data="node"))
    above: dict[str, Mapping[str, str]] = {}
    """Tile id → the style tiles upstream of it: name → id of the first tile of that name."""
    for node in order:
        tile = tiles[node]
        name = tile.name
        styles: Mapping[str, str] = {}
        for before in graph.predecessors(node):
            if above[before].keys() - styles.keys():
                styles = {**above[before], **styles}
        for style in styles if name in _BETTER_AFTER else ():
            if style in _BETTER_AFTER[name]:
                message = (
                    f"{name} {node} comes after {style} {styles[style]}; place it before {style} instead"
                )
                yield Notice("order_advice", message, tile.loc)
        if name == "Rough Cut" and not tile.values().get("prompt"):
            message = (
                f"Rough Cut {node} has no prompt: the hosted tile requires one; here it picks the best parts"
            )
            yield Notice("no_prompt", message, tile.loc)
        above[node] = {name: node, **styles} if name in _STYLE else styles

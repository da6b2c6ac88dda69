"""Advice on the order of tiles (contract, end of section 8): warnings, never errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.notice import Notice

if TYPE_CHECKING:
    import networkx as nx

    from engine.graph.model import Tile

__all__ = ["lint"]

_STYLE = frozenset(
    {"Reframe", "Captions", "Cinematic Captions", "Captions With Emojis", "Motion Graphics", "Watermark"}
)
_TOO_LATE: Mapping[str, frozenset[str]] = {
    "Rough Cut": _STYLE | {"Intro", "Outro"},
    "Clips": _STYLE | {"Intro", "Outro"},
    "Reframe": _STYLE - {"Reframe"},
}
"""Tile → the tiles that had better come after it."""


def lint(graph: nx.DiGraph, order: Sequence[str]) -> Iterator[Notice]:
    """One warning for each tile that comes after one that it had better precede. Linear in tiles and edges."""
    seen: dict[str, dict[str, str]] = {}
    for node in order:
        above: dict[str, str] = {}
        shared = False
        for before in graph.pred[node]:
            if not above:
                above, shared = seen[before], True
            elif seen[before].keys() - above.keys():
                above, shared = {**seen[before], **above}, False
        tile: Tile = graph.nodes[node]["node"]
        late = _TOO_LATE.get(tile.name)
        for name, culprit in above.items() if late else ():
            if name in (late or ()):
                what = f"{tile.name} {node} comes after {name} {culprit}; it is better placed before it"
                yield Notice("order_advice", what, tile.loc)
        if tile.name in _STYLE or tile.name in ("Intro", "Outro"):
            if shared or not above:
                above = dict(above)
            above.setdefault(tile.name, node)
        seen[node] = above

"""A drawing as a mermaid flowchart. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tessera.drawing.model import Drawing, EdgeState, edge_labels, tile_notes
from tessera.text.wording import short_ids

__all__ = ["mermaid_of", "quoted"]

_STYLES = (
    "classDef removed stroke-dasharray:5 5,opacity:0.5,text-decoration:line-through",
    "classDef skipped stroke-dasharray:2 4,opacity:0.5",
    "classDef overridden stroke-width:3px",
)
_SHAPES: Mapping[str, tuple[str, str]] = {
    "input": ("([", "])"),
    "trigger": ("([", "])"),
    "output": ("[[", "]]"),
    "export": ("[[", "]]"),
}
_ARROWS: Mapping[EdgeState, str] = {"kept": "-->", "gone": "-.->", "rewired": "==>"}


def mermaid_of(drawing: Drawing) -> str:
    """Return a flowchart: removed tiles dashed and struck through, rewired edges thick and labelled."""
    # Tile ids may hold any text; mermaid's own ids may not. So each tile gets a number.
    ids = {tile.id: f"n{index}" for index, tile in enumerate(drawing.tiles)}
    short, names = short_ids(ids), {tile.id: tile.name for tile in drawing.tiles}
    lines = ["flowchart LR"]
    used = set()
    for tile in drawing.tiles:
        before, after = _SHAPES.get(tile.category, ("[", "]"))
        style = tile.state if tile.state != "runs" else "overridden" if tile.overrides else ""
        used.add(style)
        text = quoted([tile.name, short[tile.id], *tile_notes(tile)])
        lines.append(f"  {ids[tile.id]}{before}{text}{after}{':::' * bool(style)}{style}")
    for edge in drawing.edges:
        parts = edge_labels(edge, names)
        label = f"|{quoted(parts)}|" if parts else ""
        lines.append(f"  {ids[edge.source]} {_ARROWS[edge.state]}{label} {ids[edge.target]}")
    lines += [f"  {style}" for style in _STYLES if style.split()[1] in used]
    return "\n".join(lines) + "\n"


def quoted(parts: Iterable[str]) -> str:
    """Return lines of any text as a quoted label."""
    return '"' + "<br/>".join(_escaped(part) for part in parts) + '"'


def _escaped(text: str) -> str:
    """Return text for a quoted mermaid label, with every character that mermaid may interpret as its code."""
    return "".join(
        character if character.isalnum() or character in " .,:/+-_=→…·×()" else f"#{ord(character)};"
        for character in " ".join(text.split())
    )

"""A drawing as a graph in Graphviz's DOT language. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile, edge_labels, tile_notes, unique_names
from tessera.text.wording import one_line, short_ids

__all__ = ["dot_of"]

_SHAPES: Mapping[str, str] = {"input": "oval", "trigger": "oval", "output": "box3d", "export": "box3d"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def dot_of(drawing: Drawing) -> str:
    """Return a graph: removed tiles dashed and struck through, rewired edges bold and labelled."""
    ids = {tile.id: f"n{index}" for index, tile in enumerate(drawing.tiles)}
    short, names = short_ids(ids), unique_names(drawing.tiles)
    lines = [
        f"digraph {_string(drawing.name or 'agent')} {{",
        '  graph [rankdir="LR", fontname="Helvetica"];',
        '  node [shape="box", style="rounded", fontname="Helvetica", fontsize="11"];',
        '  edge [fontname="Helvetica", fontsize="9"];',
    ]
    lines += [f"  {ids[tile.id]} [{', '.join(_tile(tile, short[tile.id]))}];" for tile in drawing.tiles]
    for edge in drawing.edges:
        attributes = ", ".join(_edge(edge, names))
        lines.append(f"  {ids[edge.source]} -> {ids[edge.target]}{f' [{attributes}]' if attributes else ''};")
    return "\n".join([*lines, "}"]) + "\n"


def _tile(tile: DrawnTile, short: str) -> Iterator[str]:
    """Yield the attributes of a tile's node."""
    name = f"<b>{_html(tile.name)}</b>"
    grey = tile.state != "runs"
    if tile.state == "removed":
        name = f"<s>{name}</s>"
    small = "".join(f'<br/><font point-size="9">{_html(text)}</font>' for text in (short, *tile_notes(tile)))
    yield f"label=<{name}{small}>"
    yield f"tooltip={_string(f'{tile.name} {tile.id}')}"
    if tile.category in _SHAPES:
        yield f'shape="{_SHAPES[tile.category]}"'
    if grey:
        yield 'style="rounded,dashed", color="#888888", fontcolor="#666666"'
    elif tile.overrides:
        yield 'penwidth="2"'


def _edge(edge: DrawnEdge, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the attributes of a connection's edge."""
    labels = edge_labels(edge, names)
    if labels:
        yield f"label={_string(*labels)}"
    if edge.state == "gone":
        yield 'style="dashed", color="#888888"'
    elif edge.state == "rewired":
        yield 'style="bold"'


def _string(*lines: str) -> str:
    """Return lines of text as a quoted string, with backslashes and quotes escaped."""
    return '"' + "\\n".join(one_line(text).replace("\\", "\\\\").replace('"', '\\"') for text in lines) + '"'


def _html(text: str) -> str:
    """Return text for an HTML label: five characters become entities."""
    # Graphviz rejects an empty element, so an empty text becomes a space.
    return "".join(_ENTITIES.get(character, character) for character in one_line(text)) or " "

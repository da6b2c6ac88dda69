"""A drawing in the languages of other programs: mermaid, and Graphviz's DOT. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tessera.drawing.model import Drawing, DrawnEdge, DrawnTile, EdgeState, edge_words, labels, notes
from tessera.text.wording import one_line, short_ids

__all__ = ["dot_of", "mermaid_of"]


# mermaid


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
    """A mermaid flowchart: removed tiles dashed and struck through, rewired edges thick and labelled."""
    names = {tile.id: f"n{index}" for index, tile in enumerate(drawing.tiles)}
    short, called = short_ids(names), {tile.id: tile.name for tile in drawing.tiles}
    lines = ["flowchart LR"]
    used = set()
    for tile in drawing.tiles:
        before, after = _SHAPES.get(tile.category, ("[", "]"))
        style = tile.state if tile.state != "runs" else "overridden" if tile.overrides else ""
        used.add(style)
        text = _quoted([tile.name, short[tile.id], *notes(tile)])
        lines.append(f"  {names[tile.id]}{before}{text}{after}{':::' * bool(style)}{style}")
    for edge in drawing.edges:
        words = edge_words(edge, called)
        label = f"|{_quoted(words)}|" if words else ""
        lines.append(f"  {names[edge.source]} {_ARROWS[edge.state]}{label} {names[edge.target]}")
    lines += [f"  {style}" for style in _STYLES if style.split()[1] in used]
    return "\n".join(lines) + "\n"


def _quoted(parts: Iterable[str]) -> str:
    return '"' + "<br/>".join(_escaped(part) for part in parts) + '"'


def _escaped(text: str) -> str:
    """Text as a quoted mermaid label holds it: whatever has a meaning there as a character code."""
    return "".join(
        character if character.isalnum() or character in " .,:/+-_=→…·×()" else f"#{ord(character)};"
        for character in " ".join(text.split())
    )


# Graphviz


_BOXES: Mapping[str, str] = {"input": "oval", "trigger": "oval", "output": "box3d", "export": "box3d"}


def dot_of(drawing: Drawing) -> str:
    """A graph for Graphviz: removed tiles dashed and struck through, rewired edges bold and labelled."""
    names = {tile.id: f"n{index}" for index, tile in enumerate(drawing.tiles)}
    short, called = short_ids(names), labels(drawing.tiles)
    lines = [
        f"digraph {_string(drawing.name or 'agent')} {{",
        '  graph [rankdir="LR", fontname="Helvetica"];',
        '  node [shape="box", style="rounded", fontname="Helvetica", fontsize="11"];',
        '  edge [fontname="Helvetica", fontsize="9"];',
    ]
    lines += [f"  {names[tile.id]} [{', '.join(_tile(tile, short[tile.id]))}];" for tile in drawing.tiles]
    for edge in drawing.edges:
        said = ", ".join(_edge(edge, called))
        lines.append(f"  {names[edge.source]} -> {names[edge.target]}{f' [{said}]' if said else ''};")
    return "\n".join([*lines, "}"]) + "\n"


def _tile(tile: DrawnTile, short: str) -> Iterator[str]:
    name = f"<b>{_html(tile.name)}</b>"
    grey = tile.state != "runs"
    if tile.state == "removed":
        name = f"<s>{name}</s>"
    small = "".join(f'<br/><font point-size="9">{_html(text)}</font>' for text in (short, *notes(tile)))
    yield f"label=<{name}{small}>"
    yield f"tooltip={_string(f'{tile.name} {tile.id}')}"
    if tile.category in _BOXES:
        yield f'shape="{_BOXES[tile.category]}"'
    if grey:
        yield 'style="rounded,dashed", color="#888888", fontcolor="#666666"'
    elif tile.overrides:
        yield 'penwidth="2"'


def _edge(edge: DrawnEdge, called: Mapping[str, str]) -> Iterator[str]:
    words = edge_words(edge, called)
    if words:
        yield f"label={_string(*words)}"
    if edge.state == "gone":
        yield 'style="dashed", color="#888888"'
    elif edge.state == "rewired":
        yield 'style="bold"'


def _string(*lines: str) -> str:
    """Lines of text as a quoted string, in which a backslash and a quote have a meaning."""
    return '"' + "\\n".join(one_line(text).replace("\\", "\\\\").replace('"', '\\"') for text in lines) + '"'


def _html(text: str) -> str:
    """Text within an HTML label, which may not be empty and takes five characters for its own."""
    return "".join(_ENTITIES.get(character, character) for character in one_line(text)) or " "


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
